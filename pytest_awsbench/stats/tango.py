"""Tango's score interval for a paired difference of proportions (Tango 1998)."""

from collections.abc import Callable
from math import sqrt
from typing import NamedTuple


TINY = 1e-9
"""What rounding may leave of a count that is 0."""
STEPS = 100
"""Bisections; far below the precision of a float."""


class Interval(NamedTuple):
    """Low and high, at a stated confidence."""

    low: float
    high: float


def tango_interval(b: float, c: float, n: float, z: float) -> Interval:
    """Return the score interval for c/n - b/n.

    Args:
        b: pairs that changed from 1 to 0; may be an effective, fractional count.
        c: pairs that changed from 0 to 1.
        n: all pairs, greater than 0.
        z: normal quantile of one side; 1.645 for a two-sided 90 % interval.

    Raises:
        ValueError: if the counts do not fit together.

    >>> low, high = tango_interval(7, 1, 21, 1.959964)
    >>> round(low, 6), round(high, 6)
    (-0.517232, -0.026003)

    """
    if n <= 0 or b < -TINY or c < -TINY or b + c > n + TINY:
        raise ValueError(f"need b, c >= 0 and b + c <= n > 0, got b={b}, c={c}, n={n}")
    b, c = max(b, 0.0), max(c, 0.0)
    observed = (c - b) / n

    def score(delta: float) -> float:
        return _score(b, c, n, delta)

    low = _solve(score, z, -1.0, observed)
    high = _solve(score, -z, observed, 1.0)
    return Interval(low, high)


def _score(b: float, c: float, n: float, delta: float) -> float:
    """Return the score statistic; infinite where the model rules the data out."""
    # q estimates the share of 1 → 0 given the difference δ: the root of
    # 2n·q² + linear·q + constant = 0 (Tango 1998).
    linear = -c - b + (2 * n - c + b) * delta
    constant = -b * delta * (1 - delta)
    root = sqrt(max(linear * linear - 8 * n * constant, 0.0))
    q = (root - linear) / (4 * n)
    variance = n * (2 * q + delta * (1 - delta))
    gap = c - b - n * delta
    if variance <= 0:
        return 0.0 if abs(gap) < TINY else float("inf") * gap
    return gap / sqrt(variance)


def _solve(
    score: Callable[[float], float], target: float, low: float, high: float
) -> float:
    """Return where a falling function takes a value, by bisection."""
    for _ in range(STEPS):
        middle = (low + high) / 2
        if score(middle) > target:
            low = middle
        else:
            high = middle
    return (low + high) / 2
