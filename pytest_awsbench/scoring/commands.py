"""A line of text → the command that the AWS CLI would read in it."""

import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import inf
from operator import itemgetter
from typing import Final

from pytest_awsbench.scoring.option_types import BOOLEAN, TEXT, service_types
from pytest_awsbench.scoring.values import Value, option_value, words_value
from pytest_awsbench.scoring.words import words


GLOBAL_FLAGS: Final = frozenset({
    "cli-auto-prompt",
    "debug",
    "no-cli-auto-prompt",
    "no-cli-pager",
    "no-paginate",
    "no-sign-request",
    "no-verify-ssl",
    "v2-debug",
    "version",
})
"""Options of every command that take no value."""

GLOBAL_OPTIONS: Final = frozenset({
    "ca-bundle",
    "cli-binary-format",
    "cli-connect-timeout",
    "cli-error-format",
    "cli-read-timeout",
    "color",
    "endpoint-url",
    "output",
    "profile",
    "query",
    "region",
})
"""Options of every command that take one value."""

_OPTION: Final = re.compile(r"--?[A-Za-z][^\s=]*(?:=|\Z)")
_FILTERS: Final = frozenset({"exclude", "include"})


@dataclass(frozen=True, slots=True)
class Command:
    """One command; two are equal when the AWS CLI would do the same."""

    service: str
    """The first word after ``aws``, such as ``s3api`` or ``help``."""
    operation: str = ""
    """The second word (with ``wait``, the third too); empty when there is none."""
    positionals: tuple[str, ...] = ()
    options: tuple[tuple[str, tuple[Value, ...]], ...] = ()
    """Sorted by name; every occurrence counts, in order."""


@lru_cache(maxsize=4096)
def parse_command(text: str) -> Command | None:
    """Return the command in a line of text, read as the AWS CLI would read it.

    The order of options, quoting, ``--k=v`` for ``--k v``, and JSON or shorthand for
    one structure make no difference. What differs in anything else is different: a
    value that the service models call text is compared as written. None when the text
    is no ``aws`` command or a quote is never closed.

    >>> parse_command("aws s3 ls s3://b --recursive")
    Command(service='s3', operation='ls', positionals=('s3://b',), options=(...))
    >>> parse_command("aws s3 ls") == parse_command("aws 's3'  ls")
    True
    """
    tokens = words(text)
    if not tokens or tokens[0] != "aws" or len(tokens) == 1:
        return None
    plain, options = _read(tokens[1:])
    # What is waited for is part of the operation.
    named = 3 if plain[1:2] == ["wait"] else 2
    return Command(
        service=plain[0] if plain else "",
        operation=" ".join(plain[1:named]),
        positionals=tuple(plain[named:]),
        options=_canonical(options, plain),
    )


def _read(tokens: Sequence[str]) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Return the plain words, and each option with its words, as written."""
    plain: list[str] = []
    options: list[tuple[str, list[str]]] = []
    rest = deque(tokens)
    while rest:
        token = rest.popleft()
        if not _OPTION.match(token):
            plain.append(token)
            continue
        name, glued, value = token.removeprefix("--").partition("=")
        taken = [value] if glued else _take(rest, _arity(name, plain))
        options.append((name, taken))
    return plain, options


def _take(rest: deque[str], most: float) -> list[str]:
    taken: list[str] = []
    while rest and len(taken) < most and not _OPTION.match(rest[0]):
        taken.append(rest.popleft())
    return taken


def _kinds(plain: Sequence[str]) -> Mapping[str, int] | None:
    """Return option → type; None for an operation that the table does not know."""
    types = service_types(plain[0]) if len(plain) > 1 else None
    return types.operations.get(plain[1]) if types else None


def _arity(name: str, plain: Sequence[str]) -> float:
    """Return how many words an option takes at most."""
    if name in GLOBAL_OPTIONS:
        return 1
    if name in GLOBAL_FLAGS or len(plain) < 2:  # noqa: PLR2004 - service, operation
        return 0
    kinds = _kinds(plain)
    if kinds is None:
        return inf
    if kinds.get(name) == BOOLEAN or name.removeprefix("no-") in kinds.keys() - {name}:
        return 0
    types = service_types(plain[0])
    is_list = types and isinstance(types.shape(kinds.get(name, TEXT)), list)
    return inf if is_list else 1


def _canonical(
    options: Iterable[tuple[str, list[str]]], plain: Sequence[str]
) -> tuple[tuple[str, tuple[Value, ...]], ...]:
    types, kinds = service_types(plain[0]) if plain else None, _kinds(plain) or {}
    values: dict[str, tuple[Value, ...]] = {}
    for name, taken in options:
        kind = kinds.get(name, TEXT)
        if types and kind > BOOLEAN:
            value = option_value(taken, kind, types)
        else:
            value = words_value(taken)
        if name in _FILTERS and plain[:1] == ["s3"]:
            # Later filters win over earlier ones, whatever their name.
            name, value = "exclude/include", (name, value)  # noqa: PLW2901
        values[name] = (*values.get(name, ()), value)
    return tuple(sorted(values.items(), key=itemgetter(0)))
