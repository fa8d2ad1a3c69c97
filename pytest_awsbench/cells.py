"""Numbers as the cells of a table, and cells as lines."""

from collections.abc import Iterator, Mapping, Sequence


def change(new: float | None, old: float | None) -> float | None:
    """Return a difference of means, where both are known."""
    return None if new is None or old is None else new - old


def number(value: float | None) -> str:
    """Return a plain number."""
    return "-" if value is None else f"{value:.3f}"


def signed(value: float | None) -> str:
    """Return a difference of plain numbers."""
    return "" if value is None else f"{value:+.3f}"


def percent(value: float | None) -> str:
    """Return a share in percent."""
    return "-" if value is None else f"{100 * value:.1f}%"


def points(value: float, sign: str = "+") -> str:
    """Return a difference of shares in percentage points."""
    return f"{100 * value:{sign}.1f}pp"


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


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield rows as lines whose columns stand below each other."""
    widths: Mapping[int, int] = {
        i: max(len(row[i]) for row in rows if len(row) > i)
        for i in range(max(len(row) for row in rows))
    }
    for row in rows:
        cells = (f"{cell:<{widths[i]}}" for i, cell in enumerate(row))
        yield "  ".join(cells).rstrip()
