"""What reports share: a part of run.json, and a duration for people."""

from collections.abc import Mapping
from typing import Any


Document = Mapping[str, Any]
"""A JSON object of run.json."""


def seconds(of: float | None) -> str:
    """Return a duration for people.

    >>> seconds(12.34), seconds(754), seconds(7_322)
    ('12.3 s', '12 min 34 s', '2 h 2 min')
    """
    if of is None:
        return "unknown"
    if of < 60:  # noqa: PLR2004 - a minute
        return f"{of:.1f} s"
    minutes, rest = divmod(round(of), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
