"""A line of text → words, as a shell-less reader of commands splits it."""

import re
import shlex
from functools import lru_cache
from typing import Final


_WORD: Final = re.compile(
    r"""(?:[^ \t\r\n'"\\]|\\.|'[^']*'|"(?:[^"\\]|\\.)*")++""", re.DOTALL
)
_MARKS: Final = re.compile(r"['\"\\]")


@lru_cache(maxsize=4096)
def raw_words(line: str) -> tuple[str, ...] | None:
    """Return the words of a line with their quoting; None for an unbalanced quote.

    >>> raw_words("aws  s3 'a  b'")
    ('aws', 's3', "'a  b'")
    """
    if _WORD.sub("", line).strip(" \t\r\n"):
        return None
    return tuple(_WORD.findall(line))


def words(line: str) -> list[str] | None:
    """Return the words of a line; quotes and backslashes mean what a shell says.

    Nothing else of a shell is here: ``|``, ``;``, ``$x``, ``*`` and ``#`` are text.

    >>> words("aws s3 'a  b'")
    ['aws', 's3', 'a  b']
    """
    raw = raw_words(line)
    if raw is None:
        return None
    return [shlex.split(w)[0] if _MARKS.search(w) else w for w in raw]
