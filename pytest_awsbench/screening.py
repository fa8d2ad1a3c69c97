"""Screening: the models that a pattern stands for, and what each is called."""

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TypeAlias

from pytest_awsbench.errors import ConfigError
from pytest_awsbench.models.endpoints import ServedSpec
from pytest_awsbench.models.spec import ModelSpec
from pytest_awsbench.models.startup import Say, Startup
from pytest_awsbench.naming import slug


LISTED = 20
"""Models that a message names."""

Found: TypeAlias = Mapping[str, Sequence[tuple[str, str]]]
"""Pattern, as its model is called → each match: its name here, and at the server."""
List = Callable[[ServedSpec], Sequence[str]]
"""Asks a server what it serves."""


def is_pattern(spec: ModelSpec) -> bool:
    """Whether a model stands for all of a server that match."""
    return spec.served is not None and spec.served.is_pattern


def listing(say: Say) -> List:
    """Return a way to ask servers, each of which is asked once.

    Args:
        say: shows one line, if a server has to be waited for.

    """
    known: dict[tuple[str, str | None], Sequence[str]] = {}

    def ask(spec: ServedSpec) -> Sequence[str]:
        # Only a run with a pattern needs what speaks HTTP.
        from pytest_awsbench.models.listing import list_models

        key = spec.base_urls[0], spec.api_key_env
        if key not in known:
            known[key] = list_models(spec, startup=Startup(spec.startup_timeout, say))
        return known[key]

    return ask


def find(specs: Sequence[ModelSpec], ask: List) -> Found:
    """Return what patterns match, in the order of the servers, each model once.

    A model that is named, too, keeps that name.

    Raises:
        ConfigError: if a pattern matches nothing.
        ModelError: if there is no such API, or the key is refused.
        InfraError: if a server does not answer.

    """
    named = [spec for spec in specs if not is_pattern(spec)]
    seen = [spec.served for spec in named if spec.served is not None]
    matches: list[tuple[str, ServedSpec]] = []
    for spec in specs:
        if spec.served is None or not spec.served.is_pattern:
            continue
        for model in _matching(spec.name, spec.served, ask(spec.served)):
            served = replace(spec.served, model=model)
            if served not in seen:
                seen.append(served)
                matches.append((spec.name, served))
    names = _names([served for _, served in matches], {spec.name for spec in named})
    found: dict[str, list[tuple[str, str]]] = {
        spec.name: [] for spec in specs if is_pattern(spec)
    }
    for (pattern, served), name in zip(matches, names, strict=True):
        found[pattern].append((name, served.model))
    return found


def expanded(specs: Sequence[ModelSpec], found: Found) -> tuple[ModelSpec, ...]:
    """Return models with all that a pattern stands for in its place."""
    return tuple(one for spec in specs for one in _each(spec, found))


def _each(spec: ModelSpec, found: Found) -> Iterator[ModelSpec]:
    """Yield a model, or those that it stands for."""
    if spec.served is None or not spec.served.is_pattern:
        yield spec
        return
    for name, model in found[spec.name]:
        served = replace(spec.served, model=model)
        yield replace(spec, name=name, served=served, screened=True)


def _matching(pattern: str, spec: ServedSpec, served: Sequence[str]) -> list[str]:
    """Return what a pattern matches."""
    where = f"{pattern}: {spec.base_urls[0]}/models"
    if not served:
        raise ConfigError(
            f"{where} lists no model at all; load one, or let the server serve one"
        )
    matching = [name for name in served if fnmatchcase(name, spec.model)]
    if not matching:
        listed = ", ".join(served[:LISTED]) + (" …" if served[LISTED:] else "")
        raise ConfigError(f"{where}: {spec.model!r} matches none of {listed}")
    return matching


def _names(models: Sequence[ServedSpec], taken: Collection[str]) -> Iterator[str]:
    """Yield a name for each, fit for node ids; the same whatever else is served.

    Where two would be called alike, only one that is called so at its server may be.
    """
    slugs = Counter(slug(spec.model) for spec in models)
    verbatim = Counter(spec.model for spec in models)
    for spec in models:
        name = slug(spec.model)
        alone = slugs[name] == 1 or (spec.model == name and verbatim[name] == 1)
        if name in taken or not alone:
            told = f"{spec.base_urls[0]}\0{spec.model}"
            name += f"-{hashlib.sha256(told.encode()).hexdigest()[:6]}"
        yield name
