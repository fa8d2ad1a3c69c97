"""What lies in the folder of a checkpoint or an adapter, and what must."""

import json
from collections.abc import Iterable
from pathlib import Path

from pytest_awsbench.errors import ModelError


CONFIG = "config.json"
ADAPTER_CONFIG = "adapter_config.json"
TOKENIZER = "tokenizer_config.json"
GGUF = ".gguf"
#: In the order in which loading prefers them.
BASE_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
ADAPTER_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
#: What turns messages into tokens.
TEMPLATE = (
    "tokenizer*",
    "vocab*",
    "merges*",
    "chat_template*",
    "special_tokens_map.json",
    "added_tokens.json",
)


def base_weights(who: str, folder: Path) -> list[Path]:
    """Return the weight files of a checkpoint.

    Raises:
        ModelError: if the folder is no complete checkpoint.

    """
    if not (folder / CONFIG).is_file():
        raise ModelError(
            f"{who}: {folder} is no checkpoint: it has no {CONFIG}{_instead(folder)}"
        )
    return _weights(who, folder, BASE_WEIGHTS)


def adapter_weights(who: str, folder: Path) -> list[Path]:
    """Return the weight files of an adapter.

    Raises:
        ModelError: if the folder is no complete adapter: it would not be applied.

    """
    if not (folder / ADAPTER_CONFIG).is_file():
        raise ModelError(f"{who}: {folder} is no adapter: it has no {ADAPTER_CONFIG}")
    return _weights(who, folder, ADAPTER_WEIGHTS)


def template_files(folder: Path) -> list[Path]:
    """Return the files that turn messages into tokens."""
    found = {path for pattern in TEMPLATE for path in folder.glob(pattern)}
    return sorted(path for path in found if path.is_file())


def _instead(folder: Path) -> str:
    """Say what a folder is that is no checkpoint."""
    if (folder / ADAPTER_CONFIG).is_file():
        return "; it is an adapter: give it as adapter, and its base as path"
    if files := sorted(path.name for path in folder.glob(f"*{GGUF}")):
        return f"; to use {files[0]}, give the path of that file"
    return ""


def _weights(who: str, folder: Path, names: Iterable[str]) -> list[Path]:
    """Return what loading takes: one whole file, or those of an index."""
    for name in names:
        index = folder / f"{name}.index.json"
        if (folder / name).is_file():
            return [folder / name]
        if index.is_file():
            return _indexed(who, index)
    raise ModelError(f"{who}: {folder} has no weights: none of {', '.join(names)}")


def _indexed(who: str, index: Path) -> list[Path]:
    """Return the weight files that an index names."""
    try:
        names = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        shards = [index.parent / name for name in sorted(set(names))]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{who}: {index} is no index of weights") from error
    if missing := [path.name for path in shards if not path.is_file()]:
        raise ModelError(
            f"{who}: {index.parent} lacks {len(missing)} of {len(shards)} weight files"
            f" (first: {missing[0]}); copy or fetch it again"
        )
    return shards
