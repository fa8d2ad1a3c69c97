"""The files of a model: where they are, and what identifies them. No torch."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pytest_awsbench import demo
from pytest_awsbench.errors import ModelError
from pytest_awsbench.hub import Repo, is_hub_id, snapshot
from pytest_awsbench.models.digests import Digests, combined, settings_digest
from pytest_awsbench.models.folders import (
    ADAPTER_CONFIG,
    CONFIG,
    GGUF,
    TOKENIZER,
    adapter_weights,
    base_weights,
    template_files,
)
from pytest_awsbench.models.spec import ModelSpec
from pytest_awsbench.records import ModelCard


#: What loading needs of a repository; no copies of the weights in other formats.
NEEDED = [
    *("*.json", "*.jinja", "*.txt", "*.model"),
    *("model*.safetensors", "adapter_model*.safetensors"),
]
#: Only where a repository has nothing better.
PICKLED = ["pytorch_model*.bin", "adapter_model*.bin"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """A model's files on this machine."""

    base: Path
    """The folder of the checkpoint, or the one that a ``.gguf`` file is in."""
    adapter: Path | None = None
    gguf_file: str | None = None
    """Its name in `base`."""
    notes: tuple[str, ...] = ()
    """What a report must say: a cached commit is used while the Hub is away."""

    @property
    def own_tokenizer(self) -> Path | None:
        """The adapter's folder, where the tokenizer was saved with it: trainers do."""
        if self.adapter and (self.adapter / TOKENIZER).is_file():
            return self.adapter
        return None


def resolve(spec: ModelSpec, root: Path) -> Files:
    """Find the files of a model; those of the Hub are downloaded into its cache.

    Args:
        spec: as configured.
        root: what relative paths are relative to.

    Raises:
        ModelError: if there is no such folder, file, repository or revision, or a
            file that loading needs is not in it.
        InfraError: if the Hub cannot be reached and the cache does not have them.

    """
    if not spec.path:
        adapter = f": adapter {spec.adapter!r} needs its base" if spec.adapter else ""
        raise ModelError(
            f"{_who(spec)}: no path{adapter}; set path to a folder, a .gguf file or a"
            " Hub id owner/name"
        )
    finder = _Finder(spec, root)
    if spec.path.endswith(GGUF):
        file = finder.gguf()
        base, gguf = file.parent, file.name
    else:
        base, gguf = finder.folder(spec.path, spec.revision), None
        base_weights(_who(spec), base)
    adapter_folder = None
    if spec.adapter:
        adapter_folder = finder.folder(spec.adapter, spec.adapter_revision)
        adapter_weights(_who(spec), adapter_folder)
    notes = tuple(dict.fromkeys(finder.notes))
    return Files(base=base, adapter=adapter_folder, gguf_file=gguf, notes=notes)


def card(spec: ModelSpec, files: Files, cache: Path | None = None) -> ModelCard:
    """Identify a model by the content of its files.

    Args:
        spec: as configured.
        files: as resolved.
        cache: a file that remembers digests, so that gigabytes are read once.

    """
    digests = Digests(cache)
    weights = [digests.of(path) for path in _weights(spec, files)]
    settings = [settings_digest(path) for path in _settings(files)]
    template = [digests.of(path) for path in _template(files)]
    digests.save()
    return ModelCard(
        name=spec.name,
        backend=spec.backend,
        description=_description(spec, files),
        digest=combined(weights, settings, spec.quantization, spec.dtype),
        template_digest=combined(
            template, template_text(spec), dict(spec.chat_template_kwargs)
        ),
        details={
            "path": spec.path,
            "revision": spec.revision,
            "adapter": spec.adapter,
            "adapter_revision": spec.adapter_revision,
            "quantization": spec.quantization,
            "dtype": spec.dtype,
            **_computed(spec),
        },
    )


def _computed(spec: ModelSpec) -> dict[str, str | bool]:
    """Return how a model is computed, as far as that is not left to the machine.

    Which of several GPUs it is changes nothing.

    >>> _computed(ModelSpec(name="sft", device="cuda:1", attn_implementation="eager"))
    {'device': 'cuda', 'attn_implementation': 'eager'}
    """
    device = spec.device.partition(":")[0]
    chosen = {
        "device": "" if device == "auto" else device,
        "device_map": spec.device_map,
        "attn_implementation": spec.attn_implementation,
        "torch_compile": spec.torch_compile,
    }
    return {key: value for key, value in chosen.items() if value}


def template_text(spec: ModelSpec) -> str | None:
    """Return the text of the configured chat template, given as such or as a path.

    Raises:
        ModelError: if it is neither a template nor a file.

    """
    template = spec.chat_template
    if template is None or "{" in template:
        return template
    try:
        return Path(template).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(
            f"{_who(spec)}: chat_template {template!r} is neither a Jinja template nor"
            " a file that can be read"
        ) from error


class _Finder:
    """Looks where the user may have meant: next to the configuration, on the Hub."""

    def __init__(self, spec: ModelSpec, root: Path) -> None:
        self._spec = spec
        self._root = root
        self.notes: list[str] = []

    def folder(self, path: str, revision: str | None) -> Path:
        """Return a local folder, or a repository from the Hub's cache."""
        local = self._root / path
        if local.is_dir():
            return local
        if not is_hub_id(path):
            raise ModelError(
                f"{_who(self._spec)}: {path!r} is no folder (looked for {local}) and no"
                " Hub id, which is owner/name"
            )
        repo = Repo(kind="model", id=path, revision=revision)
        needed = [*NEEDED, *(["*.py"] if self._spec.trust_remote_code else [])]
        found = self._fetch(repo, needed)
        if not any(found.glob("*.safetensors")):
            found = self._fetch(repo, [*needed, *PICKLED])
        return found

    def gguf(self) -> Path:
        """Return a ``.gguf`` file: a local one, or owner/name/FILE of the Hub."""
        path = PurePosixPath(self._spec.path)
        local = self._root / path
        if local.is_file():
            return local
        if not is_hub_id(str(path.parent)):
            raise ModelError(
                f"{_who(self._spec)}: {str(path)!r} is no file (looked for {local}) and"
                f" not owner/name/FILE{GGUF} of the Hub"
            )
        repo = Repo(kind="model", id=str(path.parent), revision=self._spec.revision)
        file = self._fetch(repo, [path.name]) / path.name
        if not file.is_file():
            raise ModelError(f"{_who(self._spec)}: {repo} has no file {path.name!r}")
        return file

    def _fetch(self, repo: Repo, allow: list[str]) -> Path:
        """Return the folder of a repository in the Hub's cache."""
        what = f"{_who(self._spec)}: {repo} (no folder {self._root / repo.id})"
        found = snapshot(repo, what, ModelError, allow)
        if found.note:
            self.notes.append(found.note)
        return found.folder


def _who(spec: ModelSpec) -> str:
    """Return how messages name a model."""
    return f"model {spec.name}"


def _weights(spec: ModelSpec, files: Files) -> list[Path]:
    """Return all files with weights."""
    if files.gguf_file:
        found = [files.base / files.gguf_file]
    else:
        found = base_weights(_who(spec), files.base)
    if files.adapter:
        found += adapter_weights(_who(spec), files.adapter)
    return found


def _settings(files: Files) -> list[Path]:
    """Return the files that decide what is computed with the weights."""
    names = () if files.gguf_file else (CONFIG, "generation_config.json")
    found = [files.base / name for name in names if (files.base / name).is_file()]
    return found + ([files.adapter / ADAPTER_CONFIG] if files.adapter else [])


def _template(files: Files) -> list[Path]:
    """Return what turns messages into tokens; a ``.gguf`` file has it inside."""
    if files.own_tokenizer:
        return template_files(files.own_tokenizer)
    if files.gguf_file:
        return [files.base / files.gguf_file]
    return template_files(files.base)


def _description(spec: ModelSpec, files: Files) -> str:
    """Say for people what a model is.

    >>> _description(
    ...     ModelSpec(name="sft", path="HuggingFaceTB/SmolLM2-135M", adapter="out/sft"),
    ...     Files(base=Path("SmolLM2-135M")),
    ... )
    'SmolLM2-135M + sft'
    """
    name = files.gguf_file or _label(spec.path) or files.base.resolve().name
    parts = [f"{name} in {spec.quantization}" if spec.quantization else name]
    return " + ".join([*parts, _label(spec.adapter)] if spec.adapter else parts)


def _label(path: str) -> str:
    """Return what people call a folder or a repository."""
    built_in = {str(demo.BASE): "demo base", str(demo.ADAPTER): "LoRA adapter"}
    return built_in.get(path, Path(path).name)
