"""Checkpoints load as configured, or it is said what is wrong with them."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_model

from pytest_awsbench.errors import AwsbenchError, ConfigError, ModelError
from pytest_awsbench.models.spec import ModelSpec
from pytest_awsbench.records import Decoding, Message


pytestmark = pytest.mark.torch

DECODING = Decoding(max_new_tokens=16)
PROMPTS = tiny_model.prompts()
USER = (Message("user", "Stop it"),)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tiny checkpoints."""
    return tiny_model.build(tmp_path_factory.getbasetemp() / "tiny")


@pytest.fixture
def base(folder: Path) -> Path:
    """The folder of a sound base."""
    return folder / "base"


@pytest.fixture
def damaged(base: Path, tmp_path: Path) -> Path:
    """A copy of the base, to be damaged."""
    return tiny_model.copied(base, tmp_path / "damaged")


def texts(model: Any) -> list[str]:
    """Return what a model answers."""
    return [c.text for c in model.generate(PROMPTS, DECODING)]


def complaint(
    spec: ModelSpec, error: type[AwsbenchError] = ModelError, *parts: str | Path
) -> str:
    """Return why a model cannot be loaded; the message names the model."""
    with pytest.raises(error) as caught:
        tiny_model.load_all(spec)
    message = str(caught.value)
    assert message.startswith(f"model {spec.name}: ")
    for part in parts:
        assert str(part) in message
    return message


def test_attributes_for_fixtures(base: Path) -> None:
    """A loaded model hands out tokenizer, module, device, card and context."""
    import torch

    model = tiny_model.load_one(tiny_model.spec("m", base))

    assert model.card.name == "m"
    assert model.device == torch.device("cpu")
    assert model.context == tiny_model.CONTEXT
    assert model.module.get_input_embeddings().weight.dtype == torch.float32
    assert not model.module.training
    assert model.tokenizer.eos_token == "<|im_end|>"
    assert list(model.notes) == []


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16"])
def test_dtype(base: Path, name: str) -> None:
    """Weights are computed in the precision that is configured."""
    model = tiny_model.load_one(tiny_model.spec("m", base, dtype=name))

    assert str(model.module.dtype) == f"torch.{name}"


def test_attention_implementation(base: Path) -> None:
    """The kind of attention that is configured is used."""
    model = tiny_model.load_one(tiny_model.spec("m", base, attn_implementation="eager"))

    assert model.module.config._attn_implementation == "eager"


@pytest.mark.parametrize(
    ("quantization", "kind"),
    [("nf4", "Linear4bit"), ("fp4", "Linear4bit"), ("int8", "Linear8bitLt")],
)
def test_quantization(folder: Path, quantization: str, kind: str) -> None:
    """bitsandbytes quantizes on a CPU, and an adapter acts on top of it."""
    base, adapter = folder / "base", folder / "adapter"
    plain, tuned = tiny_model.load_all(
        tiny_model.spec("q", base, quantization=quantization),
        tiny_model.spec("qa", base, adapter, quantization=quantization),
    ).values()

    assert any(type(m).__name__ == kind for m in plain.module.modules())  # type: ignore[attr-defined]
    assert texts(plain) != texts(tuned)


def test_nf4_is_nf4(base: Path) -> None:
    """nf4 and fp4 reach bitsandbytes as such: weights and answers differ."""
    models = {
        kind: tiny_model.load_one(tiny_model.spec(kind, base, quantization=kind))
        for kind in ("nf4", "fp4")
    }

    stored = {
        kind: model.module.model.layers[0].mlp.up_proj.weight.quant_state.quant_type
        for kind, model in models.items()
    }
    assert stored == {"nf4": "nf4", "fp4": "fp4"}


def test_checkpoint_stored_in_4_bit(base: Path, tmp_path: Path) -> None:
    """A checkpoint that is stored quantized loads and answers as what was stored."""
    made = tiny_model.load_one(tiny_model.spec("made", base, quantization="nf4"))
    made.module.save_pretrained(tmp_path / "stored")
    made.tokenizer.save_pretrained(tmp_path / "stored")

    stored = tiny_model.load_one(tiny_model.spec("stored", tmp_path / "stored"))

    assert type(stored.module.model.layers[0].mlp.up_proj).__name__ == "Linear4bit"
    assert texts(stored) == texts(made)


def test_stored_quantization_stays(base: Path, tmp_path: Path) -> None:
    """What is stored in nf4 loads as nf4, and is refused as anything else."""
    made = tiny_model.load_one(tiny_model.spec("made", base, quantization="nf4"))
    made.module.save_pretrained(tmp_path / "stored")
    made.tokenizer.save_pretrained(tmp_path / "stored")

    same = tiny_model.load_one(
        tiny_model.spec("same", tmp_path / "stored", quantization="nf4")
    )

    assert texts(same) == texts(made)
    complaint(
        tiny_model.spec("other", tmp_path / "stored", quantization="int8"),
        ModelError,
        "is stored in nf4 and cannot be loaded in int8",
    )


def test_quantization_computes_in_the_stored_precision(base: Path) -> None:
    """On a GPU 4-bit weights compute in the precision that the checkpoint has."""
    import torch

    from pytest_awsbench.models.checkpoint import _weights_arguments

    spec: ModelSpec = tiny_model.spec("m", base, quantization="nf4")
    folder = base.parent / "half"
    if not folder.exists():
        tiny_model.copied(base, folder)
        tiny_model.edit_json(folder / "config.json", dtype="bfloat16")

    arguments = _weights_arguments(spec, folder, torch.device("cuda"))

    quantized = arguments["quantization_config"]
    assert quantized.bnb_4bit_compute_dtype == torch.bfloat16
    assert arguments["device_map"] == {"": torch.device("cuda")}


def test_gguf(base: Path, tmp_path: Path) -> None:
    """A .gguf file alone in its folder is a checkpoint: weights, words, template."""
    pytest.importorskip("gguf")
    file = tiny_model.save_gguf(base, tmp_path / "tiny.gguf")

    packed = tiny_model.load_one(tiny_model.spec("packed", file))

    plain = tiny_model.load_one(tiny_model.spec("plain", base))
    assert packed.chat(PROMPTS[0]) == plain.chat(PROMPTS[0])
    # The file names one end token, the folder more.
    pairs = list(zip(texts(packed), texts(plain), strict=True))
    assert all(long.startswith(short) for long, short in pairs)
    assert any(long == short for long, short in pairs)


def test_gguf_without_its_package(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the package the message says what to install."""
    pytest.importorskip("gguf")
    file = tiny_model.save_gguf(base, tmp_path / "tiny.gguf")
    monkeypatch.setattr(
        "transformers.modeling_gguf_pytorch_utils.is_gguf_available",
        lambda *_, **__: False,
    )

    complaint(
        tiny_model.spec("packed", file),
        ConfigError,
        'pip install "pytest-awsbench[gguf]"',
    )


def test_damaged_weights(damaged: Path) -> None:
    """Half a download is refused, naming the folder."""
    tiny_model.cut(damaged / tiny_model.WEIGHTS)

    complaint(tiny_model.spec("m", damaged), ModelError, damaged, "damaged safetensors")


def test_missing_weights(damaged: Path) -> None:
    """Weights that are not stored are named; transformers would make them up."""
    tiny_model.drop_weight(damaged / tiny_model.WEIGHTS, "layers.1.mlp.up_proj")

    complaint(
        tiny_model.spec("m", damaged),
        ModelError,
        damaged,
        "lacks 1 weights (first: model.layers.1.mlp.up_proj.weight)",
    )


def test_weights_of_another_shape(damaged: Path) -> None:
    """Weights that do not fit the configuration are named."""
    tiny_model.edit_json(damaged / "config.json", intermediate_size=96)

    complaint(tiny_model.spec("m", damaged), ModelError, damaged, "mlp.", "128", "96")


def test_weights_without_a_place(damaged: Path) -> None:
    """Stored layers that the configuration leaves out are not dropped in silence."""
    tiny_model.edit_json(damaged / "config.json", num_hidden_layers=1, layer_types=None)

    model = tiny_model.load_one(tiny_model.spec("m", damaged))

    assert "12 stored weights were not used" in model.notes[0]
    assert "layers.1." in model.notes[0]


def test_unknown_architecture(damaged: Path) -> None:
    """A kind of model that transformers does not know is named."""
    tiny_model.edit_json(damaged / "config.json", model_type="nonesuch")

    complaint(tiny_model.spec("m", damaged), ModelError, damaged, "nonesuch")


def test_no_decoder(damaged: Path) -> None:
    """A model that does not continue text is refused."""
    tiny_model.edit_json(damaged / "config.json", model_type="t5", architectures=None)

    complaint(tiny_model.spec("m", damaged), ModelError, damaged, "T5")


def test_no_tokenizer(damaged: Path) -> None:
    """A checkpoint without a tokenizer is refused."""
    for file in damaged.glob("*token*"):
        file.unlink()

    complaint(tiny_model.spec("m", damaged), ModelError, damaged, "no tokenizer")


@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_no_cuda(base: Path, device: str) -> None:
    """A CUDA device that is not there is a fault of the configuration."""
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is one")

    complaint(
        replace(tiny_model.spec("m", base), device=device),
        ConfigError,
        f"device {device!r}, but torch sees no CUDA device",
        'device = "auto" or "cpu"',
    )


def test_unknown_device(base: Path) -> None:
    """A device that torch has no word for is refused, with what is allowed."""
    complaint(
        replace(tiny_model.spec("m", base), device="tpu9"),
        ConfigError,
        "use auto, cpu, cuda, cuda:N or mps",
    )


def test_quantization_without_its_package(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without bitsandbytes the message says what to install."""
    monkeypatch.setattr(
        "transformers.quantizers.quantizer_bnb_4bit.is_bitsandbytes_available",
        lambda *_, **__: False,
    )

    complaint(
        tiny_model.spec("m", base, quantization="nf4"),
        ConfigError,
        'pip install "pytest-awsbench[transformers]"',
    )


def test_adapter_without_its_package(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without peft the message says what to install."""
    monkeypatch.setitem(sys.modules, "peft", None)

    complaint(
        tiny_model.spec("m", folder / "base", folder / "adapter"),
        ConfigError,
        'pip install "pytest-awsbench[transformers]"',
    )


def test_chat_is_the_template(base: Path) -> None:
    """Messages are rendered by the tokenizer's template, ready for the answer."""
    model = tiny_model.load_one(tiny_model.spec("m", base))

    assert model.chat(USER) == (
        "<|im_start|>user\nStop it<|im_end|>\n<|im_start|>assistant\n"
    )


@pytest.mark.parametrize("write", [str, None], ids=["text", "path"])
def test_configured_template(
    base: Path, tmp_path: Path, write: Callable[[str], str] | None
) -> None:
    """A template from the configuration, as text or file, wins; its arguments too."""
    given = "{{ mark }} {{ messages[0].content }}"
    if write is None:
        (tmp_path / "chat.jinja").write_text(given)
        given = str(tmp_path / "chat.jinja")
    model = tiny_model.load_one(
        tiny_model.spec(
            "m", base, chat_template=given, chat_template_kwargs={"mark": "Q:"}
        )
    )

    assert model.chat(USER) == "Q: Stop it"


def test_no_template(damaged: Path) -> None:
    """Without a template the message says which option sets one."""
    (damaged / "chat_template.jinja").unlink()

    complaint(
        tiny_model.spec("m", damaged),
        ModelError,
        "no chat template",
        'chat_template = "chat.jinja" under [tool.awsbench.models.m]',
    )


def test_template_file_not_found(base: Path) -> None:
    """A template file that does not exist is named."""
    complaint(
        tiny_model.spec("m", base, chat_template="nowhere.jinja"),
        ModelError,
        "chat_template 'nowhere.jinja'",
    )


def test_template_refuses_a_role(base: Path) -> None:
    """What a template says against a role reaches the user."""
    model = tiny_model.load_one(
        tiny_model.spec(
            "m",
            base,
            chat_template="{% if messages[0].role == 'system' %}"
            "{{ raise_exception('System role not supported') }}{% endif %}",
        )
    )

    with pytest.raises(ModelError) as caught:
        model.generate(PROMPTS, DECODING)

    message = str(caught.value)
    assert message.startswith("model m: its chat template refuses messages of system")
    assert "System role not supported" in message
    assert "set chat_template" in message


def test_threads_are_divided() -> None:
    """Worker processes share the cores; alone, torch's own choice stands."""
    import torch

    from pytest_awsbench.models import transformers

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        transformers.set_threads(1)
        alone = torch.get_num_threads()
        transformers.set_threads(1000)
        crowded = torch.get_num_threads()
    finally:
        torch.set_num_threads(before)

    assert (alone, crowded) == (2, 1)


def test_loading_is_quiet(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """No progress bar and no advice reaches the output of tests."""
    tiny_model.load_all(
        tiny_model.spec("m", folder / "base"),
        tiny_model.spec("a", folder / "base", folder / "adapter"),
        tiny_model.spec("q", folder / "base", quantization="nf4"),
    )

    assert capfd.readouterr() == ("", "")


def test_close_twice(base: Path) -> None:
    """Closing is safe to repeat."""
    model = tiny_model.load_one(tiny_model.spec("m", base))

    model.close()
    model.close()
