"""What an option's words mean: canonical values that compare by meaning."""

import json
import re
from collections.abc import Sequence
from operator import itemgetter
from typing import Any, Final, Never, TypeAlias

from pytest_awsbench.scoring.option_types import (
    BOOLEAN,
    DOCUMENT,
    NUMBER,
    TEXT,
    ServiceTypes,
)
from pytest_awsbench.scoring.shorthand import Plain, parse_shorthand


Value: TypeAlias = "str | tuple[Value, ...]"
"""Text, or a tuple that starts with its kind: ``list``, ``map``, ``number``,
``literal``, or ``words`` for what is compared as written."""

MAX_DEPTH: Final = 64
"""Anything nested deeper is compared as written."""

_JSON_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_PARAMETER_FILE: Final = ("file://", "fileb://", "http://", "https://")


def words_value(words: Sequence[str]) -> Value:
    """Return words that stand for nothing but themselves."""
    return ("words", *words)


def option_value(words: Sequence[str], kind: int, types: ServiceTypes) -> Value:
    """Return the value of an option whose type is a list, a map or a structure.

    JSON and shorthand of one value are equal; what is neither is compared as written.
    """
    try:
        return _read(words, kind, types)
    except (ValueError, RecursionError):
        return words_value(words)


def _read(words: Sequence[str], kind: int, types: ServiceTypes) -> Value:
    if not words or words[0].startswith(_PARAMETER_FILE):
        raise ValueError("no value, or one in a file")
    shape = types.shape(kind)
    if not isinstance(shape, list):
        [word] = words
        return _element(word, kind, types, is_json=_is_json(word))
    if len(words) == 1 and words[0].lstrip().startswith("["):
        return _from_json(words[0], list)
    # The CLI looks at the first word alone.
    is_json = _is_json(words[0])
    return ("list", *(_element(w, shape[0], types, is_json=is_json) for w in words))


def _is_json(word: str) -> bool:
    return word.lstrip().startswith(("[", "{"))


def _element(word: str, kind: int, types: ServiceTypes, *, is_json: bool) -> Value:
    shape = types.shape(kind)
    if kind < DOCUMENT:
        return _scalar(word, kind)
    if is_json or kind == DOCUMENT:
        return _from_json(word, list if isinstance(shape, list) else dict)
    if isinstance(shape, list):
        raise ValueError("shorthand has no list of lists")  # noqa: TRY004 - no bug
    return _typed(parse_shorthand(word), kind, types, 0)


def _scalar(word: str, kind: int) -> Value:
    if kind == NUMBER:
        if not _JSON_NUMBER.fullmatch(word):
            raise ValueError(f"no number: {word}")
        return ("number", word)
    if kind == BOOLEAN:
        if word.lower() not in {"true", "false"}:
            raise ValueError(f"neither true nor false: {word}")
        return ("literal", word.lower())
    return word


def _typed(value: Plain, kind: int, types: ServiceTypes, depth: int) -> Value:
    """Return a shorthand value, its scalars read as the type of their place says."""
    if kind == DOCUMENT or depth > MAX_DEPTH:
        raise ValueError("not for shorthand")
    shape = types.shape(kind)
    match value, shape:
        case list(), list():
            return ("list", *(_typed(v, shape[0], types, depth + 1) for v in value))
        case _, list():
            # One value stands for a list of it, as it is.
            return ("list", _plain(value, depth + 1))
        case dict(), dict():
            kinds = {k: shape.get("", shape.get(k, TEXT)) for k in value}
            pairs = (
                (k, _typed(v, kinds[k], types, depth + 1)) for k, v in value.items()
            )
            return ("map", *sorted(pairs, key=itemgetter(0)))
        case str(), None:
            return _scalar(value, kind)
        case _:
            return _plain(value, depth)


def _from_json(text: str, expected: type) -> Value:
    value = json.loads(
        text,
        object_pairs_hook=_unique,
        parse_int=_number,
        parse_float=_number,
        parse_constant=_refuse,
    )
    if not isinstance(value, expected):
        raise ValueError(f"JSON {expected.__name__} expected")  # noqa: TRY004 - no bug
    return _plain(value, 0)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) < len(pairs):
        raise ValueError("a key is there twice")
    return unique


def _number(text: str) -> Value:
    return ("number", text)


def _refuse(text: str) -> Never:
    raise ValueError(f"{text} is not JSON")


def _plain(value: Any, depth: int) -> Value:  # noqa: ANN401 - what JSON holds
    if depth > MAX_DEPTH:
        raise ValueError("nested too deep")
    match value:
        case dict():
            pairs = ((k, _plain(v, depth + 1)) for k, v in value.items())
            return ("map", *sorted(pairs, key=itemgetter(0)))
        case list():
            return ("list", *(_plain(v, depth + 1) for v in value))
        case None | bool():
            return ("literal", json.dumps(value))
    text_or_number: Value = value
    return text_or_number
