"""A model's files are found, or it is said what is missing; and they identify it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_awsbench.errors import ModelError
from pytest_awsbench.ledger import identity
from pytest_awsbench.models.spec import ModelSpec
from pytest_awsbench.models.weights import Files, card, resolve
from pytest_awsbench.records import DataCard, Decoding, ModelCard
from pytest_awsbench.suites.suite import Suite


BASE = ModelSpec(name="base", path="base")
SFT = ModelSpec(name="sft", path="base", adapter="adapter")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with a checkpoint and an adapter, as far as files go."""
    base, adapter = tmp_path / "base", tmp_path / "adapter"
    base.mkdir()
    adapter.mkdir()
    (base / "config.json").write_text('{"model_type": "qwen2", "rope_theta": 10000}')
    (base / "model.safetensors").write_bytes(b"weights of the base")
    (base / "tokenizer.json").write_text('{"version": "1.0"}')
    (base / "tokenizer_config.json").write_text("{}")
    (base / "chat_template.jinja").write_text("{{ messages }}")
    (adapter / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 8}')
    (adapter / "adapter_model.safetensors").write_bytes(b"weights of the adapter")
    return tmp_path


def identify(root: Path, spec: ModelSpec = SFT, cache: Path | None = None) -> ModelCard:
    """Return the card of a model."""
    return card(spec, resolve(spec, root), cache)


def complaint(root: Path, spec: ModelSpec) -> str:
    """Return why a model cannot be found."""
    with pytest.raises(ModelError) as caught:
        resolve(spec, root)
    message = str(caught.value)
    assert message.startswith(f"model {spec.name}: ")
    return message


def shard(base: Path, *names: str) -> None:
    """Split the weights of a checkpoint into files that an index names."""
    (base / "model.safetensors").unlink()
    index = {"weight_map": {f"layer.{n}": name for n, name in enumerate(names)}}
    (base / "model.safetensors.index.json").write_text(json.dumps(index))
    for name in names:
        (base / name).write_bytes(name.encode())


# Finding


def test_local_folders(root: Path) -> None:
    """Folders are relative to the root."""
    files = resolve(SFT, root)

    assert (files.base, files.adapter) == (root / "base", root / "adapter")
    assert files.gguf_file is None


def test_absolute_folders(root: Path) -> None:
    """An absolute folder is itself."""
    spec = ModelSpec(name="x", path=str(root / "base"))

    assert resolve(spec, Path("/elsewhere")) == Files(base=root / "base")


def test_gguf_file(root: Path) -> None:
    """A ``.gguf`` file is its folder and its name."""
    (root / "base" / "q4.gguf").write_bytes(b"GGUF")

    files = resolve(ModelSpec(name="q4", path="base/q4.gguf"), root)

    assert (files.base, files.gguf_file) == (root / "base", "q4.gguf")


def test_no_torch(root: Path) -> None:
    """Finding and identifying a local model imports neither torch nor the Hub."""
    code = (
        "import sys; from pathlib import Path;"
        "from pytest_awsbench.models.weights import card, resolve;"
        "from pytest_awsbench.models.spec import ModelSpec;"
        "spec = ModelSpec(name='x', path='base', adapter='adapter');"
        f"card(spec, resolve(spec, Path({str(root)!r})));"
        "heavy = {'torch', 'transformers', 'datasets', 'huggingface_hub'};"
        "print(heavy & {*sys.modules})"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert done.stdout == "set()\n"


def test_missing_folder(root: Path) -> None:
    """What is neither a folder nor a Hub id names both places."""
    message = complaint(root, ModelSpec(name="x", path="runs/sft/checkpoint-9"))

    assert str(root / "runs/sft/checkpoint-9") in message
    assert "Hub id" in message


def test_parent_folder_is_no_hub_id(root: Path) -> None:
    """A path that leaves the root is no Hub id: nothing is asked of the Hub."""
    message = complaint(root, ModelSpec(name="x", path="../adapter9"))

    assert "Hub id" in message


def test_missing_gguf_file(root: Path) -> None:
    """A missing ``.gguf`` file names the place where it was looked for."""
    message = complaint(root, ModelSpec(name="x", path="base/nested/deep/q8.gguf"))

    assert str(root / "base/nested/deep/q8.gguf") in message


def test_no_config(root: Path) -> None:
    """A folder without config.json is no checkpoint."""
    (root / "base" / "config.json").unlink()

    message = complaint(root, BASE)

    assert str(root / "base") in message
    assert "config.json" in message


def test_adapter_as_path(root: Path) -> None:
    """An adapter given as the model is told apart from a damaged checkpoint."""
    message = complaint(root, ModelSpec(name="x", path="adapter"))

    assert "it is an adapter: give it as adapter, and its base as path" in message


def test_folder_of_gguf(root: Path) -> None:
    """A folder with just a ``.gguf`` file says how to use it."""
    (root / "gguf").mkdir()
    (root / "gguf" / "q4.gguf").write_bytes(b"GGUF")

    message = complaint(root, ModelSpec(name="x", path="gguf"))

    assert "to use q4.gguf, give the path of that file" in message


def test_no_weights(root: Path) -> None:
    """A checkpoint without weights is refused before anything is loaded."""
    (root / "base" / "model.safetensors").unlink()

    message = complaint(root, BASE)

    assert f"{root / 'base'} has no weights" in message
    assert "model.safetensors" in message


def test_missing_shard(root: Path) -> None:
    """A checkpoint that lacks one of its files names it."""
    shard(root / "base", "model-1-of-2.safetensors", "model-2-of-2.safetensors")
    (root / "base" / "model-2-of-2.safetensors").unlink()

    message = complaint(root, BASE)

    assert "lacks 1 of 2 weight files (first: model-2-of-2.safetensors)" in message


def test_damaged_index(root: Path) -> None:
    """An index that cannot be read is named."""
    shard(root / "base", "model-1-of-1.safetensors")
    index = root / "base" / "model.safetensors.index.json"
    index.write_text("[]")

    assert f"{index} is no index of weights" in complaint(root, BASE)


def test_adapter_without_base(root: Path) -> None:
    """An adapter alone is no model."""
    message = complaint(root, ModelSpec(name="x", adapter="adapter"))

    assert "no path: adapter 'adapter' needs its base" in message


def test_adapter_without_config(root: Path) -> None:
    """An adapter that would not be applied is refused."""
    (root / "adapter" / "adapter_config.json").unlink()

    message = complaint(root, SFT)

    assert str(root / "adapter") in message
    assert "adapter: it has no adapter_config.json" in message


def test_adapter_without_weights(root: Path) -> None:
    """An adapter without weights is refused: nothing would be applied."""
    (root / "adapter" / "adapter_model.safetensors").unlink()

    message = complaint(root, SFT)

    assert f"{root / 'adapter'} has no weights" in message


# Identity


def test_card(root: Path) -> None:
    """A card says who it is, for people and for machines."""
    found = identify(root)

    assert (found.name, found.backend) == ("sft", "transformers")
    assert found.description == "base + adapter"
    assert re.fullmatch(r"[0-9a-f]{16,64}", found.digest)
    assert re.fullmatch(r"[0-9a-f]{16,64}", found.template_digest)
    assert found.details["path"] == "base"
    assert found.details["adapter"] == "adapter"


def test_description_names_quantization(root: Path) -> None:
    """Quantized weights are called so."""
    spec = replace(SFT, quantization="nf4")

    assert identify(root, spec).description == "base in nf4 + adapter"


def write(name: str, content: str) -> Callable[[Path], None]:
    """Return a change: another content of a file."""

    def change(root: Path) -> None:
        (root / name).write_text(content)

    return change


WEIGHTS = {
    "base weights": write("base/model.safetensors", "other weights"),
    "base config": write("base/config.json", '{"rope_theta": 1000000}'),
    "adapter weights": write("adapter/adapter_model.safetensors", "other weights"),
    "adapter config": write("adapter/adapter_config.json", '{"r": 16}'),
}
TEMPLATE = {
    "tokenizer": write("base/tokenizer.json", '{"version": "1.1"}'),
    "tokenizer config": write("base/tokenizer_config.json", '{"add_bos": true}'),
    "template": write("base/chat_template.jinja", "{{ messages[-1] }}"),
}


@pytest.mark.parametrize("change", WEIGHTS.values(), ids=WEIGHTS.keys())
def test_other_weights(root: Path, change: Callable[[Path], None]) -> None:
    """Other weights, or another way to compute with them, are another model."""
    before = identify(root)

    change(root)

    after = identify(root)
    assert after.digest != before.digest
    assert after.template_digest == before.template_digest


@pytest.mark.parametrize("change", TEMPLATE.values(), ids=TEMPLATE.keys())
def test_other_template(root: Path, change: Callable[[Path], None]) -> None:
    """Another way to turn messages into tokens is seen, apart from the weights."""
    before = identify(root)

    change(root)

    after = identify(root)
    assert after.template_digest != before.template_digest
    assert after.digest == before.digest


@pytest.mark.parametrize(
    "spec",
    [replace(SFT, dtype="float32"), replace(SFT, quantization="nf4"), BASE],
    ids=["dtype", "quantization", "no adapter"],
)
def test_other_arithmetic(root: Path, spec: ModelSpec) -> None:
    """The type of numbers, quantization and the adapter are part of the identity."""
    assert identify(root, spec).digest != identify(root).digest


def test_configured_template(root: Path) -> None:
    """A configured template and its arguments count."""
    specs = [
        SFT,
        replace(SFT, chat_template="{{ messages[0] }}"),
        replace(SFT, chat_template_kwargs={"enable_thinking": False}),
    ]

    assert len({identify(root, spec).template_digest for spec in specs}) == 3


def test_template_from_file(root: Path) -> None:
    """A template that is a file counts by its text, not by its path."""
    file = root / "own.jinja"
    file.write_text("{{ messages[0] }}")
    spec = replace(SFT, chat_template=str(file))
    before = identify(root, spec)
    file.write_text("{{ messages[1] }}")

    after = identify(root, spec)

    assert after.template_digest != before.template_digest
    assert after.digest == before.digest


def test_missing_template_file(root: Path) -> None:
    """A template that is neither text nor a file is named."""
    spec = replace(SFT, chat_template="missing.jinja")

    with pytest.raises(ModelError, match=r"chat_template 'missing\.jinja' is neither"):
        identify(root, spec)


def test_names_are_no_identity(root: Path) -> None:
    """The same files elsewhere under another name are the same weights."""
    before = identify(root)
    (root / "base").rename(root / "moved")
    spec = ModelSpec(name="other", path="moved", adapter="adapter")

    after = identify(root, spec)

    assert (after.digest, after.template_digest) == (
        before.digest,
        before.template_digest,
    )


def test_saved_again(root: Path) -> None:
    """Saving the same model with another version of a library changes nothing."""
    before = identify(root)
    settings = {"rope_theta": 10000, "transformers_version": "9", "model_type": "qwen2"}
    (root / "base" / "config.json").write_text(json.dumps(settings, indent=4))

    assert identify(root).digest == before.digest


def test_what_is_not_loaded_does_not_count(root: Path) -> None:
    """Copies of the weights in other formats, and notes, change nothing."""
    before = identify(root)
    for name in ("pytorch_model.bin", "README.md", "consolidated.safetensors"):
        (root / "base" / name).write_bytes(b"another copy")

    after = identify(root)

    assert after.digest == before.digest


def test_shards_count(root: Path) -> None:
    """Every file of split weights counts."""
    names = ("model-1-of-2.safetensors", "model-2-of-2.safetensors")
    shard(root / "base", *names)
    before = identify(root)
    (root / "base" / names[1]).write_bytes(b"changed")

    assert identify(root).digest != before.digest


def test_gguf_card(root: Path) -> None:
    """A ``.gguf`` file is its own identity, tokenizer and all."""
    file = root / "q4.gguf"
    file.write_bytes(b"GGUF 1")
    spec = ModelSpec(name="q4", path="q4.gguf")
    before = identify(root, spec)
    file.write_bytes(b"GGUF 2")

    after = identify(root, spec)

    assert after.digest != before.digest
    assert after.description == "q4.gguf"


# The memory of digests


def test_digests_are_remembered(root: Path) -> None:
    """A file that did not change is not read again: its stored digest counts."""
    cache = root / "digests.json"
    before = identify(root, cache=cache)
    weights = root / "base" / "model.safetensors"
    stat = weights.stat()
    # As long as before, with the old time: only who reads it can see the difference.
    weights.write_bytes(b"WEIGHTS of the base")
    os.utime(weights, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    assert identify(root, cache=cache).digest == before.digest
    assert identify(root).digest != before.digest


def test_changed_file_is_read_again(root: Path) -> None:
    """A file with another size or time of change is read."""
    cache = root / "digests.json"
    before = identify(root, cache=cache)
    weights = root / "base" / "model.safetensors"
    weights.write_bytes(b"WEIGHTS of the base")
    os.utime(weights, ns=(1, 1))

    assert identify(root, cache=cache).digest != before.digest


@pytest.mark.parametrize("text", ["{", "[]", '{"x": 1}'])
def test_damaged_memory(root: Path, text: str) -> None:
    """A memory that cannot be read is made anew."""
    cache = root / "digests.json"
    cache.write_text(text)

    assert identify(root, cache=cache).digest == identify(root).digest
    assert json.loads(cache.read_text())


def test_no_folder_is_made_for_the_memory(root: Path) -> None:
    """Without an output folder nothing is written."""
    identify(root, cache=root / "out" / "digests.json")

    assert not (root / "out").exists()


def test_memory_leaves_no_debris(root: Path) -> None:
    """The memory is replaced as a whole."""
    out = root / "out"
    out.mkdir()

    identify(root, cache=out / "digests.json")

    assert [path.name for path in out.iterdir()] == ["digests.json"]


def test_blob_of_the_hub_is_not_read(root: Path) -> None:
    """A large file in the Hub's cache is called by its digest."""
    blobs = root / "blobs"
    blobs.mkdir()
    blob = blobs / ("ab" * 32)
    blob.write_bytes(b"gigabytes")
    weights = root / "base" / "model.safetensors"
    weights.unlink()
    weights.symlink_to(blob)
    before = identify(root)
    blob.write_bytes(b"never read")

    assert identify(root).digest == before.digest


@pytest.mark.parametrize(
    "otherwise",
    [
        {"device": "cpu"},
        {"device_map": "auto"},
        {"attn_implementation": "eager"},
        {"torch_compile": True},
    ],
    ids=lambda keys: next(iter(keys)),
)
def test_what_is_computed_otherwise_is_not_resumed(
    root: Path, otherwise: dict[str, Any]
) -> None:
    """The same weights may answer otherwise then: it is no other model, and asked."""
    suite = Suite(
        name="s", samples=(), data=DataCard(name="d", digest="", samples=0, tasks=0)
    )
    usual = identify(root)
    changed = identify(root, replace(SFT, **otherwise))

    assert changed.digest == usual.digest
    assert identity(changed, suite, Decoding()) != identity(usual, suite, Decoding())


def test_any_of_several_devices_is_the_same(root: Path) -> None:
    """Workers of one run have a device each, and so may two runs."""
    first, second = (
        identify(root, replace(SFT, device=f"cuda:{number}")) for number in (0, 1)
    )

    assert first == second
