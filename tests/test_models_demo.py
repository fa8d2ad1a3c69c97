"""The backend on the demo pair: batching changes no answer, one base serves two."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_awsbench import demo
from pytest_awsbench.chunks import Limits, plan_chunks
from pytest_awsbench.models.loading import Share, load, prepare
from pytest_awsbench.models.spec import ModelSpec
from pytest_awsbench.records import Decoding, Sample
from pytest_awsbench.suites.builtin import load_dataset


pytestmark = pytest.mark.torch

BASE = ModelSpec(name="base", path=str(demo.BASE))
SFT = ModelSpec(name="sft", path=str(demo.BASE), adapter=str(demo.ADAPTER))


@pytest.fixture(scope="module")
def samples() -> tuple[Sample, ...]:
    """The built-in held-out prompts."""
    here = Path.cwd()
    return load_dataset("builtin", split=None, max_per_combo=None, root=here).samples


@pytest.fixture(scope="module")
def pair() -> Mapping[str, Any]:
    """Base and adapter, loaded together."""
    return load([prepare(s, Path.cwd(), (), None) for s in (BASE, SFT)], Share())


def texts(model: Any, samples: tuple[Sample, ...], size: int) -> dict[str, str]:
    """Return answers by sample id, generated in chunks."""
    return {
        sample.id: completion.text
        for chunk in plan_chunks(samples, Limits(size=size))
        for sample, completion in zip(
            chunk.samples, model.generate(chunk.prompts, Decoding()), strict=True
        )
    }


@pytest.mark.parametrize("name", ["base", "sft"])
def test_batches_answer_like_generate(
    pair: Mapping[str, Any], samples: tuple[Sample, ...], name: str
) -> None:
    """All 150 answers are those of `generate`, one prompt at a time, in float32."""
    import torch

    from pytest_awsbench.models.adapters import active

    model = pair[name]
    alone = {}
    with active(model.module, "sft" if name == "sft" else None), torch.inference_mode():
        for sample in samples:
            inputs = model.tokenizer(
                model.chat(sample.prompt), add_special_tokens=False, return_tensors="pt"
            )
            output = model.module.generate(
                **inputs, max_new_tokens=128, do_sample=False
            )
            new = output[0, inputs["input_ids"].shape[1] :]
            alone[sample.id] = model.tokenizer.decode(new, skip_special_tokens=True)

    assert texts(model, samples, 32) == alone


def test_base_is_loaded_once(pair: Mapping[str, Any]) -> None:
    """Both models answer from one module; the adapter is switched on and off."""
    assert pair["base"].module is pair["sft"].module


def test_sharing_changes_nothing(
    pair: Mapping[str, Any], samples: tuple[Sample, ...]
) -> None:
    """The base answers beside the adapter as it does alone."""
    alone = load([prepare(BASE, Path.cwd(), (), None)], Share())["base"]

    assert texts(alone, samples[:48], 16) == texts(pair["base"], samples[:48], 16)


def test_long_prompt_is_not_cut(pair: Mapping[str, Any]) -> None:
    """A prompt beyond the context window is said to be cut off, never cut."""
    prompt = Sample.of("bucket " * 3000, "aws s3 ls").prompt

    [completion] = pair["sft"].generate([prompt], Decoding())

    assert (completion.text, completion.stop) == ("", "context")
    assert completion.prompt_tokens > 2048


def test_short_limit_is_said(
    pair: Mapping[str, Any], samples: tuple[Sample, ...]
) -> None:
    """An answer that its limit cut off says so."""
    [completion] = pair["sft"].generate([samples[0].prompt], Decoding(max_new_tokens=2))

    assert (completion.stop, completion.tokens) == ("length", 2)


def test_sampling_is_seeded(
    pair: Mapping[str, Any], samples: tuple[Sample, ...]
) -> None:
    """Above temperature 0 the same seed gives the same answers."""
    prompts = [sample.prompt for sample in samples[:4]]
    decoding = Decoding(temperature=1.5, max_new_tokens=16)

    first = [c.text for c in pair["base"].generate(prompts, decoding)]
    second = [c.text for c in pair["base"].generate(prompts, decoding)]

    assert first == second


def test_batch_that_does_not_fit_is_halved(
    pair: Mapping[str, Any], samples: tuple[Sample, ...]
) -> None:
    """Out of memory halves a batch, changes no answer, and is noted."""
    import torch

    model = pair["sft"]
    prompts = [sample.prompt for sample in samples[:8]]
    whole = [c.text for c in model.generate(prompts, Decoding())]

    def refuse(_module: object, _args: object, kwargs: dict[str, Any]) -> None:
        if len(kwargs["input_ids"]) > 4:
            raise torch.OutOfMemoryError("out of memory")

    inner = model.module.get_base_model()
    hook = inner.register_forward_pre_hook(refuse, with_kwargs=True)
    try:
        halves = [c.text for c in model.generate(prompts, Decoding())]
    finally:
        hook.remove()

    assert halves == whole
    assert "halved" in model.notes[-1]
