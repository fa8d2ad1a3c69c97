"""The files of a model: where they are, and what identifies them. No torch."""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_awsbench import demo
from pytest_awsbench.errors import ModelError
from pytest_awsbench.hub import hub_boundary
from pytest_awsbench.models.spec import ModelSpec
from pytest_awsbench.records import ModelCard


_HUB_ID = re.compile(r"^\w[\w.-]*/\w[\w.-]*$")
_INDEX = "model.safetensors.index.json"
_WEIGHTS = ("*.safetensors", "*.bin", "*.gguf")
_TOKENIZER = (
    "tokenizer*",
    "vocab*",
    "merges*",
    "chat_template*",
    "special_tokens_map.json",
    "added_tokens.json",
    "generation_config.json",
)
_CONFIG = ("config.json", "adapter_config.json")
_WANTED = ["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt", "*.py"]
BLOCK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """A model's files on this machine."""

    base: Path
    adapter: Path | None = None
    gguf_file: str | None = None


def resolve(spec: ModelSpec, root: Path) -> Files:
    """Find the files of a model; those of the Hub are downloaded into its cache.

    Raises:
        ModelError: if there is no such folder, file, repository or revision.
        InfraError: if the Hub cannot be reached and the cache does not have them.

    """
    if not spec.path:
        raise ModelError(
            f"model {spec.name}: no path: adapter {spec.adapter!r} needs its base"
        )
    if spec.path.endswith(".gguf") and (root / spec.path).is_file():
        file = root / spec.path
        base, gguf = file.parent, file.name
    else:
        base = _folder(spec, spec.path, spec.revision, root)
        gguf = None
        _require(spec, base, "config.json")
    adapter = None
    if spec.adapter:
        adapter = _folder(spec, spec.adapter, spec.adapter_revision, root)
        _require(spec, adapter, "adapter_config.json")
    return Files(base=base, adapter=adapter, gguf_file=gguf)


def _require(spec: ModelSpec, folder: Path, name: str) -> None:
    """Refuse a folder that is not what it was given as."""
    what = f"model {spec.name}: {folder}"
    if not (folder / name).is_file():
        kind = "an adapter" if name.startswith("adapter") else "a checkpoint"
        raise ModelError(f"{what} is not {kind}: it has no {name}{_hint(folder, name)}")
    wanted = "adapter_model" if name.startswith("adapter") else "model"
    if (folder / _INDEX).is_file():
        _require_shards(what, folder)
    elif not _matching(folder, _WEIGHTS):
        raise ModelError(f"{what} has no weights, such as {wanted}.safetensors")


def _hint(folder: Path, name: str) -> str:
    """Say what a folder probably is."""
    if name == "config.json" and (folder / "adapter_config.json").is_file():
        return "; it is an adapter: give it as adapter, and its base as path"
    if packed := _matching(folder, ("*.gguf",)):
        return f"; to use {packed[0].name}, give the path of that file"
    return ""


def _require_shards(what: str, folder: Path) -> None:
    """Refuse a checkpoint that lacks one of its files."""
    index = folder / _INDEX
    try:
        named = set(
            json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{what}: {index} is no index of weights") from error
    missing = sorted(name for name in named if not (folder / name).is_file())
    if missing:
        raise ModelError(
            f"{what} lacks {len(missing)} of {len(named)} weight files"
            f" (first: {missing[0]})"
        )


def card(spec: ModelSpec, files: Files, cache: Path | None = None) -> ModelCard:
    """Identify a model by the content of its files.

    Args:
        spec: as configured.
        files: as resolved.
        cache: a file in which digests are kept, so that gigabytes are read once.

    """
    known = _DigestCache(cache)
    if files.gguf_file:
        weights = [files.base / files.gguf_file]
    else:
        weights = _weights(files.base)
    adapter = _weights(files.adapter) if files.adapter else []
    choices = [spec.quantization, spec.dtype]
    template = [template_text(spec), spec.chat_template_kwargs]
    tokenizer = [] if files.gguf_file else _matching(files.base, _TOKENIZER)
    found = ModelCard(
        name=spec.name,
        backend=spec.backend,
        description=_description(spec, files),
        digest=_digest([known.of(path) for path in (*weights, *adapter)], choices),
        template_digest=_digest([known.of(path) for path in tokenizer], template),
        details={
            "path": spec.path,
            "revision": spec.revision,
            "adapter": spec.adapter,
            "adapter_revision": spec.adapter_revision,
            "quantization": spec.quantization,
            "dtype": spec.dtype,
        },
    )
    known.save()
    return found


def _weights(folder: Path) -> list[Path]:
    """Return the files that are loaded: weights in the format preferred, and config."""
    config = _matching(folder, _CONFIG)
    for pattern in ("*model*.safetensors", "*model*.bin"):
        if found := _matching(folder, (pattern,)):
            return [*config, *found]
    return config


def template_text(spec: ModelSpec) -> str | None:
    """Return the text of a configured chat template.

    Raises:
        ModelError: if it is neither a template nor a file.

    """
    given = spec.chat_template
    if given is None or "{" in given:
        return given
    try:
        return Path(given).read_text(encoding="utf-8")
    except OSError as error:
        raise ModelError(
            f"model {spec.name}: chat_template {given!r} is neither a template nor a"
            f" file: {error}"
        ) from error


class _DigestCache:
    """SHA-256 of files, remembered by path, size and time of change."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known: dict[str, str] = {}
        self._changed = False
        if path is not None and path.exists():
            try:
                found = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                found = None
            # A cache that cannot be read is made anew.
            self._known = found if isinstance(found, dict) else {}

    def of(self, path: Path) -> str:
        """Return the digest of a file."""
        stat = path.stat()
        key = f"{path.resolve()}:{stat.st_size}:{stat.st_mtime_ns}"
        if key not in self._known:
            self._known[key] = _sha256(path)
            self._changed = True
        return f"{path.name}:{self._known[key]}"

    def save(self) -> None:
        """Write what is new; a folder that does not exist is not made for it."""
        if self._changed and self._path is not None and self._path.parent.is_dir():
            fresh = self._path.with_suffix(".new")
            fresh.write_text(json.dumps(self._known), encoding="utf-8")
            fresh.replace(self._path)


def _folder(spec: ModelSpec, path: str, revision: str | None, root: Path) -> Path:
    """Return a local folder, or the cached snapshot of a repository."""
    local = root / path
    if local.is_dir():
        return local
    if not _HUB_ID.match(path):
        raise ModelError(
            f"model {spec.name}: {path!r} is neither a folder (looked for {local})"
            " nor a Hub id owner/name"
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    label = f"model {spec.name}: {path}" + (f"@{revision}" if revision else "")
    with hub_boundary(label, ModelError):
        return Path(snapshot_download(path, revision=revision, allow_patterns=_WANTED))


def _matching(folder: Path, patterns: Iterable[str]) -> list[Path]:
    """Return the files of a folder that match, each once, by name."""
    found = {path for pattern in patterns for path in folder.glob(pattern)}
    return sorted(path for path in found if path.is_file())


def _sha256(path: Path) -> str:
    """Return the digest of a file; the Hub's cache has it in the blob's name."""
    blob = path.resolve().name
    if path.is_symlink() and re.fullmatch(r"[0-9a-f]{64}", blob):
        return blob
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _digest(digests: list[str], choices: list[Any]) -> str:
    """Return one digest of files and of what is done with them."""
    text = json.dumps([digests, choices], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _description(spec: ModelSpec, files: Files) -> str:
    """Say for people what a model is."""
    name = files.gguf_file or _label(spec.path)
    parts = [name if not spec.quantization else f"{name} in {spec.quantization}"]
    if spec.adapter:
        parts.append(_label(spec.adapter))
    return " + ".join(parts)


def _label(path: str) -> str:
    """Return what people call a folder or a repository."""
    built_in = {str(demo.BASE): "demo base", str(demo.ADAPTER): "LoRA adapter"}
    return built_in.get(path, Path(path).name)
