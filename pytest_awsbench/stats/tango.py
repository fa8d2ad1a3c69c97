"""Tango's score interval for a paired difference of proportions (Tango 1998)."""

from math import copysign, inf, sqrt
from typing import NamedTuple


STEPS = 60
"""Bisections; beyond the precision of a float."""
TINY = 1e-9


class Interval(NamedTuple):
    """Low and high, at a stated confidence."""

    low: float
    high: float


class Discordant(NamedTuple):
    """Pairs that changed; effective counts may be fractions."""

    worse: float
    """1 → 0."""
    better: float
    """0 → 1."""
    n: float
    """All pairs."""


def tango_interval(counts: Discordant, z: float) -> Interval:
    """Return the score interval for (better - worse) / n.

    Args:
        counts: changed and all pairs.
        z: normal quantile of one side; 1.645 for a two-sided 90 % interval.

    Raises:
        ValueError: if the counts do not fit together.

    >>> low, high = tango_interval(Discordant(7, 1, 21), 1.959964)
    >>> round(low, 6), round(high, 6)
    (-0.517232, -0.026003)

    """
    worse, better, n = counts
    if not (n > 0 and min(worse, better) >= -TINY and worse + better <= n * (1 + TINY)):
        raise ValueError(
            f"need worse, better >= 0 and worse + better <= n > 0, got {counts}"
        )
    observed = (better - worse) / n
    low = _solve(counts, z, Interval(-1.0, observed))
    return Interval(low, _solve(counts, -z, Interval(observed, 1.0)))


def tango_score(counts: Discordant, change: float) -> float:
    """Return the score statistic of a hypothetical change; it falls with the change.

    A change lies above the lower bound at z exactly if its score is below z.

    >>> round(tango_score(Discordant(7, 1, 21), -0.026003), 4)
    -1.96
    """
    worse, better, n = counts
    # q is the likeliest share of 1 → 0 given the change: the root of
    # 2n·q² + linear·q + constant = 0 (Tango 1998).
    linear = -better - worse + (2 * n - better + worse) * change
    constant = -worse * change * (1 - change)
    q = (sqrt(max(linear * linear - 8 * n * constant, 0.0)) - linear) / (4 * n)
    variance = n * (2 * q + change * (1 - change))
    gap = better - worse - n * change
    if variance <= 0:
        return copysign(inf, gap) if abs(gap) > TINY else 0.0
    return gap / sqrt(variance)


def _solve(counts: Discordant, target: float, between: Interval) -> float:
    """Return the change whose score is the target, by bisection."""
    low, high = between
    for _ in range(STEPS):
        middle = (low + high) / 2
        if tango_score(counts, middle) > target:
            low = middle
        else:
            high = middle
    return (low + high) / 2
