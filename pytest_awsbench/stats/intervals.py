"""Intervals for shares: Wilson's, Newcombe's for two of them, and the DKW band.

Counts may be effective ones, n/deff, and so need not be whole.
"""

from math import log, sqrt
from typing import NamedTuple

from pytest_awsbench.stats.tango import Interval


TINY = 1e-9
"""What rounding may leave of a count that is 0."""


class Count(NamedTuple):
    """Successes among n; either may be fractional."""

    successes: float
    n: float

    @property
    def share(self) -> float:
        """Successes over n."""
        return self.successes / self.n


def wilson_interval(count: Count, z: float) -> Interval:
    """Return Wilson's score interval for a share (Wilson 1927).

    Args:
        count: successes and n.
        z: normal quantile of one side; 1.96 for a two-sided 95 % interval.

    Raises:
        ValueError: if the counts do not fit together.

    >>> low, high = wilson_interval(Count(11, 27), 1.959964)
    >>> round(low, 6), round(high, 6)
    (0.245148, 0.592733)

    """
    x, n = count
    if not n > 0 or not -TINY <= x <= n + TINY:
        raise ValueError(f"need 0 <= successes <= n and n > 0, got {x} of {n}")
    share = min(max(x / n, 0.0), 1.0)
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    # At 0 and at n the bound is the share itself, but for rounding.
    low = 0.0 if share == 0 else max(middle - half, 0.0)
    high = 1.0 if share == 1 else min(middle + half, 1.0)
    return Interval(low, high)


def newcombe_interval(new: Count, old: Count, z: float) -> Interval:
    """Return Newcombe's hybrid score interval for new - old, of unpaired shares.

    The distances from the shares to their Wilson limits are added as squares
    (Newcombe 1998, method 10).

    Args:
        new: successes and n of one side.
        old: of the other.
        z: normal quantile of one side.

    Raises:
        ValueError: if the counts do not fit together.

    >>> low, high = newcombe_interval(Count(56, 70), Count(48, 80), 1.959964)
    >>> round(low, 6), round(high, 6)
    (0.052431, 0.333873)

    """
    p1, p0 = new.share, old.share
    l1, u1 = wilson_interval(new, z)
    l0, u0 = wilson_interval(old, z)
    change = p1 - p0
    return Interval(
        change - sqrt((p1 - l1) ** 2 + (u0 - p0) ** 2),
        change + sqrt((u1 - p1) ** 2 + (p0 - l0) ** 2),
    )


def dkw_half_width(clusters: int, alpha: float) -> float:
    """Return the half width of the simultaneous band of a distribution function.

    Dvoretzky, Kiefer and Wolfowitz with Massart's constant: √(ln(2/α) / 2n), n being
    the independent clusters. All points of the curve are inside with 1 - alpha.

    Raises:
        ValueError: if there is no cluster, or alpha is not inside (0, 1).

    >>> round(dkw_half_width(20, 0.10), 4)
    0.2737

    """
    if clusters < 1 or not 0 < alpha < 1:
        raise ValueError(
            f"need clusters > 0 and 0 < alpha < 1, got {clusters}, {alpha}"
        )
    return sqrt(log(2 / alpha) / (2 * clusters))
