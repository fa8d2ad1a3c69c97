"""Hostile text made visible: what a page can hold, and a reader can see.

A model may answer anything. Characters that no page holds, that steer a terminal, or
that reorder what stands around them are shown by name, so that two texts that differ
look different.
"""

import re


#: C0 but tab and newline, DEL, C1, lone surrogates, non-characters, byte order mark,
#: zero-width space, line and paragraph separators, and all marks of direction.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff\ufeff"
    "\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069]"
)
_PICTURES = 0x2400
_DELETE = "\x7f"


def visible(text: str) -> str:
    r"""Return a text with a sign for every character that shows nothing.

    >>> visible("a\x1b[31m\u202eb\ud800\x00")
    'a␛[31m⟨U+202E⟩b⟨U+D800⟩␀'
    """
    return _HIDDEN.sub(_sign, text)


def cut(text: str, limit: int) -> tuple[str, int]:
    """Return a text's beginning, made visible, and how many characters are missing.

    >>> cut("aws s3 ls", 6), cut("aws s3 ls", 9)
    (('aws s3', 3), ('aws s3 ls', 0))
    """
    return visible(text[:limit]), max(0, len(text) - limit)


def _sign(match: re.Match[str]) -> str:
    """Return what stands for one character: its picture, or its number."""
    code = ord(match[0])
    if code < 0x20:  # noqa: PLR2004 - the pictures stand in the same order
        return chr(_PICTURES + code)
    return "␡" if match[0] == _DELETE else f"⟨U+{code:04X}⟩"
