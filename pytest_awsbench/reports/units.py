"""Figures of a run as text, in the form that the terminal shows them in."""

from collections.abc import Mapping
from typing import Any

from pytest_awsbench.cells import number, percent, points


Document = Mapping[str, Any]
"""A JSON object of run.json."""


def value(of: float | None, unit: str) -> str:
    """Return a mean: a share in percent, or a plain number."""
    return number(of) if unit == "number" else percent(of)


def difference(of: float | None, unit: str, sign: str = "+") -> str:
    """Return a change: of shares in percentage points."""
    if of is None:
        return "n/a"
    return f"{of:{sign}.3g}" if unit == "number" else points(of, sign)


def span(low: float | None, high: float | None, unit: str, sign: str = "") -> str:
    """Return an interval; of shares in percent, or in points where it has signs."""
    if low is None or high is None:
        return "unknown"
    if unit == "number":
        return f"{low:{sign}.3g} ... {high:{sign}.3g}"
    return f"{100 * low:{sign}.1f} ... {100 * high:{sign}.1f}"


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
