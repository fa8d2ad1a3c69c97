"""The AWS CLI's shorthand syntax: ``Key=a,Value=[x,y]`` → plain Python values."""

import re
from typing import Final, TypeAlias


Plain: TypeAlias = "str | list[Plain] | dict[str, Plain]"

_KEY: Final = re.compile(r"[A-Za-z0-9\-_.#/:]+")
_EQUALS: Final = re.compile(r"\s*=\s*")
_COMMA: Final = re.compile(r"\s*,\s*")
_QUOTED: Final = re.compile(r"""'(?:\\'|[^'])*'|"(?:\\"|[^"])*\"""")
_START: Final = r"(?:\\,|[^\s\"',=\[{])"
_SPACES: Final = re.compile(r"\s+")
_OPENING: Final = re.compile(r"[\[{]\s*")
_VALUE: Final = re.compile(_START + r"(?:\\,|[^\"',\]}])*")
_CSV_VALUE: Final = re.compile(_START + r"(?:\\,|[^\"',=])*")
_CSV_VALUE_AHEAD: Final = re.compile(
    rf"(?=(?:{_CSV_VALUE.pattern}|{_QUOTED.pattern})\s*(?:,|\Z))"
)


def parse_shorthand(text: str) -> dict[str, Plain]:
    """Return what shorthand text says; every scalar is a string.

    >>> parse_shorthand("Name=a,Values=x,y,Ebs={Size=20,Tags=[b]}")
    {'Name': 'a', 'Values': ['x', 'y'], 'Ebs': {'Size': '20', 'Tags': ['b']}}
    """
    reader = _Reader(text)
    pairs = reader.pair({})
    while not reader.at_end:
        reader.expect(_COMMA)
        pairs = reader.pair(pairs)
    return pairs


class _Reader:
    """A place in the text; each method reads one thing from there."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    @property
    def at_end(self) -> bool:
        return self._at >= len(self._text)

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        match = pattern.match(self._text, self._at)
        if match:
            self._at = match.end()
        return match

    def _sees(self, char: str) -> bool:
        return self._text.startswith(char, self._at)

    def expect(self, pattern: re.Pattern[str]) -> str:
        match = self._take(pattern)
        if match is None:
            raise ValueError(f"shorthand: {pattern.pattern} expected at {self._at}")
        return match[0]

    def pair(self, pairs: dict[str, Plain]) -> dict[str, Plain]:
        """Add one ``key=value`` of the top level, where lists need no brackets."""
        return self._add(pairs, top=True)

    def _add(self, pairs: dict[str, Plain], *, top: bool) -> dict[str, Plain]:
        key = self.expect(_KEY)
        if key in pairs:
            raise ValueError(f"shorthand: second {key}")
        self.expect(_EQUALS)
        value = self._csv() if top and not self._opens() else self._element()
        return {**pairs, key: value}

    def _opens(self) -> bool:
        return self._sees("[") or self._sees("{")

    def _element(self) -> Plain:
        if self._sees("["):
            return self._list()
        return self._map() if self._sees("{") else self._scalar(_VALUE)

    def _scalar(self, pattern: re.Pattern[str]) -> str:
        quoted = self._take(_QUOTED)
        if quoted:
            mark, inner = quoted[0][0], quoted[0][1:-1]
            return inner.replace("\\" + mark, mark).replace("\\\\", "\\")
        match = self._take(pattern)
        return match[0].replace("\\,", ",").rstrip() if match else ""

    def _csv(self) -> Plain:
        values: list[Plain] = [self._scalar(_VALUE)]
        while True:
            start = self._at
            if not self._take(_COMMA) or not self._take(_CSV_VALUE_AHEAD):
                self._at = start  # What follows the comma is the next key.
                break
            values.append(self._scalar(_CSV_VALUE))
        self._take(_SPACES)
        return values if len(values) > 1 else values[0]

    def _list(self) -> list[Plain]:
        values: list[Plain] = []
        self.expect(_OPENING)
        while not self._sees("]"):
            values.append(self._element())
            self._next("]")
        self._at += 1
        return values

    def _map(self) -> dict[str, Plain]:
        pairs: dict[str, Plain] = {}
        self.expect(_OPENING)
        while not self._sees("}"):
            pairs = self._add(pairs, top=False)
            self._next("}")
        self._at += 1
        return pairs

    def _next(self, closing: str) -> None:
        self._take(_SPACES)
        if not self._sees(closing):
            self.expect(_COMMA)
