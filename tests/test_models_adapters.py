"""Adapters share a base, act on it, and are refused where they cannot."""

from pathlib import Path
from typing import Any

import pytest
import tiny_model

from pytest_awsbench.errors import ModelError
from pytest_awsbench.records import Decoding


pytestmark = pytest.mark.torch

DECODING = Decoding(max_new_tokens=16)
PROMPTS = tiny_model.prompts()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tiny checkpoints."""
    return tiny_model.build(tmp_path_factory.getbasetemp() / "tiny")


@pytest.fixture
def adapter(folder: Path, tmp_path: Path) -> Path:
    """A copy of a sound adapter, to be damaged."""
    return tiny_model.copied(folder / "adapter", tmp_path / "adapter")


def texts(model: Any) -> list[str]:
    """Return what a model answers."""
    return [c.text for c in model.generate(PROMPTS, DECODING)]


def complaint(folder: Path, adapter: Path, *parts: str | Path) -> None:
    """Check that an adapter is refused, and that the message says these."""
    spec = tiny_model.spec("sft", folder / "base", adapter)
    with pytest.raises(ModelError) as caught:
        tiny_model.load_all(spec)
    message = str(caught.value)
    assert message.startswith("model sft: ")
    assert str(adapter) in message
    for part in parts:
        assert str(part) in message


def test_one_load_equals_each_alone(folder: Path) -> None:
    """Base and adapters on one base answer as when each is loaded alone, in turns."""
    specs = [
        tiny_model.spec("base", folder / "base"),
        tiny_model.spec("first", folder / "base", folder / "adapter"),
        tiny_model.spec("second", folder / "base", folder / "second"),
    ]
    alone = [texts(tiny_model.load_one(spec)) for spec in specs]

    together = tiny_model.load_all(*specs)

    # Twice, and the other way round: no adapter may stay behind.
    assert [texts(model) for model in together.values()] == alone
    assert [texts(m) for m in reversed(list(together.values()))] == alone[::-1]
    assert len({tuple(answers) for answers in alone}) == 3


def test_base_weights_are_shared(folder: Path) -> None:
    """The base is in memory once, whatever hangs on it."""
    models: list[Any] = list(
        tiny_model.load_all(
            tiny_model.spec("first", folder / "base", folder / "adapter"),
            tiny_model.spec("base", folder / "base"),
            tiny_model.spec("second", folder / "base", folder / "second"),
        ).values()
    )

    weights = {m.module.get_input_embeddings().weight.data_ptr() for m in models}
    assert len(weights) == 1
    stored = [n for n, _ in models[0].module.named_parameters() if "q_proj" in n]
    assert sum("base_layer.weight" in n for n in stored) == 2


def test_base_weights_are_untouched(folder: Path) -> None:
    """Adapters are not merged: after use the base holds what was stored."""
    from safetensors.torch import load_file

    model = tiny_model.load_one(
        tiny_model.spec("sft", folder / "base", folder / "adapter")
    )

    model.generate(PROMPTS, DECODING)

    stored = load_file(folder / "base" / tiny_model.WEIGHTS)
    loaded = model.module.get_base_model().state_dict()
    name = "model.layers.1.self_attn.q_proj"
    assert loaded[f"{name}.base_layer.weight"].equal(stored[f"{name}.weight"])


def test_another_precision_is_another_base(folder: Path) -> None:
    """Models that differ in how the base is loaded do not share it."""
    first, second = tiny_model.load_all(
        tiny_model.spec("first", folder / "base"),
        tiny_model.spec("second", folder / "base", dtype="bfloat16"),
    ).values()

    assert first.module.dtype != second.module.dtype  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "name", ["lora", "base_model", "default", "weight", "qwen2.5-sft", "a", "model"]
)
def test_any_name(folder: Path, name: str) -> None:
    """A model's name, which peft takes for the adapter's, changes no answer."""
    usual = tiny_model.spec("sft", folder / "base", folder / "adapter")
    named = tiny_model.spec(name, folder / "base", folder / "adapter")

    assert texts(tiny_model.load_one(named)) == texts(tiny_model.load_one(usual))


def test_adapter_without_effect(folder: Path) -> None:
    """An adapter as it is before training would be judged as the base."""
    complaint(folder, folder / "zero", "has no effect")


def test_damaged_adapter(folder: Path, adapter: Path) -> None:
    """Half a download is refused."""
    tiny_model.cut(adapter / tiny_model.ADAPTER_WEIGHTS)

    complaint(folder, adapter, "damaged safetensors")


def test_incomplete_adapter(folder: Path, adapter: Path) -> None:
    """Weights that an adapter should have and has not are named."""
    tiny_model.drop_weight(
        adapter / tiny_model.ADAPTER_WEIGHTS, "layers.1.self_attn.v_proj"
    )

    complaint(folder, adapter, "2 are lacking", "layers.1.self_attn.v_proj")


def test_adapter_without_weights(folder: Path, adapter: Path) -> None:
    """A folder with a configuration alone is not taken for an adapter."""
    (adapter / tiny_model.ADAPTER_WEIGHTS).unlink()

    spec = tiny_model.spec("sft", folder / "base", adapter)
    with pytest.raises(ModelError, match=r"^model sft: .*adapter"):
        tiny_model.load_all(spec)


def test_adapter_of_unknown_modules(folder: Path, adapter: Path) -> None:
    """An adapter for modules that the base has not is refused."""
    tiny_model.edit_json(adapter / "adapter_config.json", target_modules=["c_attn"])

    complaint(folder, adapter, folder / "base", "c_attn")


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"hidden_size": 96}, "size mismatch"),
        ({"num_hidden_layers": 3}, "4 of its weights have no place"),
        ({"num_hidden_layers": 1}, "4 are lacking"),
    ],
    ids=["wider", "deeper", "shallower"],
)
def test_adapter_of_another_base(
    folder: Path, tmp_path: Path, changes: dict[str, int], part: str
) -> None:
    """An adapter of another shape is refused, naming both folders."""
    other = tiny_model.save_base(tmp_path / "other", **changes)
    foreign = tiny_model.save_adapter(other, tmp_path / "foreign", seed=1)

    complaint(folder, foreign, folder / "base", part)


def test_second_adapter_is_proved_too(folder: Path) -> None:
    """An adapter that joins a base with another one is checked the same way."""
    with pytest.raises(ModelError, match=r"^model zero: adapter .* has no effect"):
        tiny_model.load_all(
            tiny_model.spec("first", folder / "base", folder / "adapter"),
            tiny_model.spec("zero", folder / "base", folder / "zero"),
        )


def test_error_leaves_the_base_usable(folder: Path) -> None:
    """After a batch that fails, the base answers without the adapter again."""
    base, sft = tiny_model.load_all(
        tiny_model.spec("base", folder / "base"),
        tiny_model.spec("sft", folder / "base", folder / "adapter"),
    ).values()
    before = texts(base)

    def fail(*_: Any) -> None:
        raise RuntimeError("boom")

    module: Any = base.module  # type: ignore[attr-defined]
    handle = module.register_forward_pre_hook(fail)
    for model in (sft, base):
        with pytest.raises(RuntimeError, match="boom"):
            model.generate(PROMPTS, DECODING)
    handle.remove()

    assert texts(base) == before
    assert texts(sft) != before


@pytest.mark.filterwarnings("ignore:Setting .save_embedding_layers.:UserWarning")
@pytest.mark.parametrize(
    "changes",
    [
        {"target_modules": ["embed_tokens", "q_proj"]},
        {"modules_to_save": ["lm_head"]},
    ],
    ids=["adapted", "saved"],
)
def test_embeddings_beside_the_adapter(
    folder: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    """Adapters that bring embeddings are judged, and leave the others alone."""
    made = tiny_model.save_adapter(
        folder / "base", tmp_path / "made", seed=3, **changes
    )
    from safetensors.torch import load_file, save_file

    file = made / "adapter_model.safetensors"
    weights = load_file(file)
    trained = [k for k in weights if k.endswith((".base_layer.weight", "head.weight"))]
    assert trained
    save_file(
        {k: v + (k in trained) for k, v in weights.items()},
        file,
        metadata={"format": "pt"},
    )
    base = tiny_model.spec("base", folder / "base")
    alone = texts(tiny_model.load_one(base))

    models = tiny_model.load_all(base, tiny_model.spec("sft", folder / "base", made))

    assert texts(models["sft"]) != alone
    assert texts(models["base"]) == alone


def test_tokenizer_of_the_adapter(folder: Path, adapter: Path) -> None:
    """A tokenizer that was saved with the adapter is its own, chat template too."""
    tokenizer = tiny_model.save_tokenizer(adapter)
    tokenizer.chat_template = "ADAPTER {{ messages[-1].content }}"
    tokenizer.save_pretrained(adapter)

    models = tiny_model.load_all(
        tiny_model.spec("base", folder / "base"),
        tiny_model.spec("sft", folder / "base", adapter),
    )

    sft: Any = models["sft"]
    base: Any = models["base"]
    assert sft.chat(PROMPTS[0]).startswith("ADAPTER ")
    assert not base.chat(PROMPTS[0]).startswith("ADAPTER ")
    assert sft.card.template_digest != base.card.template_digest


def test_tokenizer_of_another_base(folder: Path, adapter: Path) -> None:
    """A tokenizer with more tokens than the base embeds cannot be the adapter's."""
    tokenizer = tiny_model.save_tokenizer(adapter)
    tokenizer.add_tokens([f"<extra-{n}>" for n in range(1000)])
    tokenizer.save_pretrained(adapter)

    complaint(folder, adapter, "tokens, but", folder / "base", "another base")
