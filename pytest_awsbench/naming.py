"""Models given on the command line: what they are, and what they are called."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from pytest_awsbench.errors import ConfigError
from pytest_awsbench.models.endpoints import ServedSpec
from pytest_awsbench.models.replay import replay_models
from pytest_awsbench.models.spec import ModelSpec


_NAMED = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)=(?P<rest>.+)$")


def inline_specs(
    asked: Iterable[str], known: Mapping[str, ModelSpec], where: Path
) -> tuple[ModelSpec, ...]:
    """Return the models that the user asked for, in order, without repeats.

    Args:
        asked: what stood after ``--awsbench-model=``, or in ``run``.
        known: the configured models.
        where: what relative paths are relative to.

    Raises:
        ConfigError: if a model is unknown, or two get the same name.

    """
    specs: dict[str, ModelSpec] = {}
    for text in asked:
        for spec in _parse(text, known, where):
            if specs.setdefault(spec.name, spec) != spec:
                raise ConfigError(
                    f"--awsbench-model={text}: another model of this run is called"
                    f" {spec.name!r} too; give it a name: NAME={text}"
                )
    return tuple(specs.values())


def slug(text: str) -> str:
    """Return a name fit for node ids, files and shells.

    >>> slug("HuggingFace/SmolLM2 135M (new)")
    'HuggingFace-SmolLM2-135M-new'
    """
    return re.sub(r"[^A-Za-z0-9._]+", "-", text).strip("-._") or "model"


def _parse(text: str, known: Mapping[str, ModelSpec], where: Path) -> list[ModelSpec]:
    """Read one model: a known name, a scheme, or a path with an adapter."""
    if text in known:
        return [known[text]]
    named = _NAMED.match(text)
    name, rest = (named["name"], named["rest"]) if named else (None, text)
    if name and rest in known:
        _refuse_one_name(name, rest, known[rest].served)
        return [replace(known[rest], name=name)]
    scheme, _, tail = rest.partition(":")
    if scheme == "replay":
        return _replay(name, tail, where)
    if scheme == "openai":
        return [_served(name, tail)]
    return [_local(name, rest, known, where)]


def _replay(name: str | None, tail: str, where: Path) -> list[ModelSpec]:
    """Return one model per ``model`` key of a file of recorded answers."""
    file, _, key = tail.partition("#")
    path = where / file
    keys = [key] if key else replay_models(path)
    if name and len(keys) > 1:
        raise ConfigError(
            f"--awsbench-model={name}=replay:{tail}: the file has the answers of"
            f" {', '.join(keys)}; choose one: replay:{tail}#{keys[0]}"
        )
    return [
        ModelSpec(
            name=name or slug(key or path.stem),
            backend="replay",
            path=str(path),
            replay_key=key or None,
        )
        for key in keys or [""]
    ]


def _served(name: str | None, tail: str) -> ModelSpec:
    """Return a model behind a server: its address and, after ``#``, its name there.

    A pattern is called by its whole text, until what it matches is known.
    """
    url, _, model = tail.partition("#")
    served = ServedSpec(base_urls=(url,), model=model)
    if served.is_pattern:
        _refuse_one_name(name, f"openai:{tail}", served)
        return ModelSpec(name=f"openai:{tail}", backend="openai", served=served)
    return ModelSpec(
        name=name or slug(model or "served"), backend="openai", served=served
    )


def _refuse_one_name(name: str | None, rest: str, served: ServedSpec | None) -> None:
    """Refuse a name for a pattern."""
    if name and served is not None and served.is_pattern:
        raise ConfigError(
            f"--awsbench-model={name}={rest}: the pattern {served.model!r} may match"
            " several models, which cannot share one name; leave the name out (each is"
            " called as its server calls it), or name one model"
        )


def _local(
    name: str | None, rest: str, known: Mapping[str, ModelSpec], where: Path
) -> ModelSpec:
    """Return a model that is given by its path and, after ``+``, its adapter."""
    path, _, adapter = rest.partition("+")
    if path in known:
        spec = replace(known[path], adapter=_located(adapter, where) or None)
        return replace(spec, name=name or slug(f"{path}-{_last(adapter)}"))
    if not _plausible(path, where):
        raise ConfigError(
            f"--awsbench-model={rest}: no such model; known: {', '.join(sorted(known))}"
            " (a folder or a Hub id owner/name works too)"
        )
    label = _last(path) + (f"-{_last(adapter)}" if adapter else "")
    return ModelSpec(
        name=name or slug(label),
        path=_located(path, where),
        adapter=_located(adapter, where) or None,
    )


def _plausible(path: str, where: Path) -> bool:
    """Whether a text can be a folder, a file or a Hub id, rather than a slip."""
    return "/" in path or path.endswith(".gguf") or (where / path).exists()


def _located(path: str, where: Path) -> str:
    """Return a path that holds wherever it is read; a Hub id stays as it is."""
    return str(where / path) if path and (where / path).exists() else path


def _last(path: str) -> str:
    """Return the last part of a path or Hub id."""
    return Path(path).name.removesuffix(".gguf")
