"""The exact sign-flip test on cluster sums, mid-p, one-sided.

If nothing changed, each cluster's sum S is as likely to be -S. The law of
T = Σ ε|S| over all signs is computed by convolution on a lattice: no Monte Carlo.
With one item per cluster it is McNemar's mid-p test (Fagerland 2013).
"""

from dataclasses import dataclass
from math import ceil, floor
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray


Floats = NDArray[np.float64]
Steps = NDArray[np.int64]

PARTS: tuple[int, ...] = (*range(1, 121), 1_000, 10_000, 100_000)
"""Denominators of sums that are kept exactly: of repeats, and of decimals."""
CELLS = 2**18
"""Of the grid that all other sums are rounded to before they are tested."""
MAX_WORK = 10**8
"""Additions that a law may cost; about 0.1 s."""
MAX_REAL = 300
"""With more sums than this that fit no lattice, the law is as good as normal."""
TINY = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class SignFlip:
    """The null law of T = Σ ε|S|, and what follows from it.

    Attributes:
        unit: what the sums are multiples of; 0 where the law is taken as normal.
        law: probability of T = (2·i - last)·unit, i = 0 … last.
        scale: sqrt(Σ S²), the standard deviation of T.
        slack: cells within which a value of T counts as equal, for rounded sums.

    """

    unit: float
    law: Floats
    scale: float
    slack: float = 1e-6

    def p_at_most(self, t: float) -> float:
        """Return the mid-p P(T < t) + ½ P(T = t).

        >>> round(sign_flip([-1.0] * 7 + [1.0]).p_at_most(-6), 10)
        0.01953125
        """
        if self.scale == 0:
            return 0.5
        if self.unit == 0:
            return NormalDist().cdf(t / self.scale)
        place = (t / self.unit + len(self.law) - 1) / 2
        first = max(0, ceil(place - self.slack))
        after = max(first, floor(place + self.slack) + 1)
        return float(self.law[:first].sum() + self.law[first:after].sum() / 2)

    def floor(self, alpha: float) -> float | None:
        """Return the smallest drop in T that is significant; None if none is.

        >>> sign_flip([1.0] * 8).floor(0.05), sign_flip([1.0] * 3).floor(0.05)
        (6.0, None)
        """
        if self.scale == 0:
            return None
        if self.unit == 0:
            return -NormalDist().inv_cdf(alpha) * self.scale
        drops = np.flatnonzero(self.law[: len(self.law) // 2])
        mid_p = np.cumsum(self.law) - self.law / 2
        small = drops[mid_p[drops] <= alpha + TINY]
        last = len(self.law) - 1
        return float((last - 2 * small[-1]) * self.unit) if len(small) else None


def sign_flip(sums: ArrayLike) -> SignFlip:
    """Return the null law for cluster sums.

    Args:
        sums: oriented weighted sum of differences per cluster, shape (clusters,).

    Raises:
        ValueError: if a sum is not finite, or there is more than one axis.

    """
    values = np.asarray(sums, dtype=float)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError("sums must be finite and of shape (clusters,)")
    sizes = np.abs(values[np.abs(values) > TINY])
    scale = float(np.sqrt(np.square(sizes).sum()))
    exact = _exact(sizes)
    if exact is not None and _work(exact[1]) <= MAX_WORK:
        return SignFlip(exact[0], _law(exact[1]), scale)
    if len(sizes) > MAX_REAL:
        return SignFlip(0.0, np.ones(1), scale)
    unit, steps = _rounded(sizes)
    return SignFlip(unit, _law(steps), scale, slack=len(sizes) / 2)


def min_flips(alpha: float) -> int:
    """Return how many answers must change the same way to be significant.

    >>> [min_flips(alpha) for alpha in (0.05, 0.025, 0.0125, 0.005, 0.001)]
    [4, 5, 6, 7, 9]
    """
    flips = 1
    # m of m in one direction have mid-p 2^-(m+1).
    while 0.5 ** (flips + 1) > alpha:
        flips += 1
    return flips


def _exact(sizes: Floats) -> tuple[float, Steps] | None:
    """Return the largest unit that all sizes are multiples of, and the multiples."""
    distinct = np.unique(sizes)
    for parts in PARTS:
        off = np.abs(distinct * parts - np.rint(distinct * parts))
        if (off < TINY * parts).all():
            steps = np.rint(sizes * parts).astype(np.int64)
            shared = int(np.gcd.reduce(steps)) or 1
            return shared / parts, steps // shared
    return None


def _rounded(sizes: Floats) -> tuple[float, Steps]:
    """Return a fine unit and the nearest multiples."""
    unit = float(sizes.sum()) / min(CELLS, MAX_WORK // (2 * len(sizes)))
    steps = np.rint(sizes / unit).astype(np.int64)
    return unit, steps[steps > 0]


def _work(steps: Steps) -> int:
    """Return about how many additions the law of these steps costs."""
    distinct, counts = np.unique(steps, return_counts=True)
    return 0 if len(distinct) == 1 else int((counts + 1).sum() * steps.sum())


def _law(steps: Steps) -> Floats:
    """Return the law of X = Σ coin·step; T is then 2·X - Σ step, in units."""
    law = np.ones(1)
    for step, count in zip(*np.unique(steps, return_counts=True), strict=True):
        law = _spread(law, int(step), _coins(int(count)))
    return law


def _spread(law: Floats, step: int, coins: Floats) -> Floats:
    """Add coins that are worth one step each to a law."""
    span = step * (len(coins) - 1)
    out = np.zeros(len(law) + span)
    # The shorter of the two is walked through, the longer one added as a whole.
    if len(law) < len(coins):
        for place, share in enumerate(law.tolist()):
            out[place : place + span + 1 : step] += share * coins
    else:
        for heads, share in enumerate(coins.tolist()):
            out[heads * step : heads * step + len(law)] += share * law
    return out


def _coins(n: int) -> Floats:
    """Return the probabilities of Binomial(n, ½).

    >>> _coins(3)
    array([0.125, 0.375, 0.375, 0.125])
    """
    # Factorials overflow; ratios from the middle outwards fade to 0 in the tails.
    heads = np.arange(n // 2, n)
    outwards = np.append(1.0, np.cumprod((n - heads) / (heads + 1)))
    law = np.empty(n + 1)
    law[n // 2 :] = outwards
    law[: len(outwards)] = outwards[::-1]
    return np.asarray(law / law.sum())
