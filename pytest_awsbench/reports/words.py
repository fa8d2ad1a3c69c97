"""What differs between two answers, word by word."""

import difflib
import re
from collections.abc import Iterator
from typing import Literal, NamedTuple


WORDS = 400
"""Compared of each text: the time grows with their product."""

Change = Literal["same", "gone", "new"]


class Piece(NamedTuple):
    """A stretch of words that stands in both texts, in the first, or in the second."""

    change: Change
    text: str


def differences(old: str, new: str) -> tuple[Piece, ...]:
    """Return two texts as one, with what is gone and what is new.

    White space belongs to the word behind it; only words are compared.

    >>> [tuple(piece) for piece in differences("aws s3 ls", "aws s3api ls")]
    [('same', 'aws '), ('gone', 's3 '), ('new', 's3api '), ('same', 'ls')]
    """
    return tuple(_pieces(_words(old), _words(new)))


def _words(text: str) -> list[str]:
    """Return words, each with the white space behind it."""
    found = re.findall(r"\S+\s*", text.strip())
    if len(found) > WORDS:
        return [*found[:WORDS], f"… ({len(found) - WORDS:,} more words)"]
    return found


def _pieces(old: list[str], new: list[str]) -> Iterator[Piece]:
    """Yield the pieces of two lists of words."""
    matcher = difflib.SequenceMatcher(
        a=[word.rstrip() for word in old],
        b=[word.rstrip() for word in new],
        autojunk=False,
    )
    for what, old_from, old_to, new_from, new_to in matcher.get_opcodes():
        if what == "equal":
            yield Piece("same", "".join(new[new_from:new_to]))
            continue
        if old_to > old_from:
            yield Piece("gone", _spaced(old[old_from:old_to]))
        if new_to > new_from:
            yield Piece("new", _spaced(new[new_from:new_to]))


def _spaced(words: list[str]) -> str:
    """Return words with a space behind the last one, so that it stands apart."""
    return "".join(words).rstrip() + " "
