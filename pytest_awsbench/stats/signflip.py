"""The exact sign-flip test on cluster sums, mid-p, one-sided.

If nothing changed, each cluster's sum S is as likely to be -S. The law of
T = Σ ε|S| over all signs is computed by convolution on a lattice: no Monte Carlo.
With one item per cluster it is McNemar's mid-p test (Fagerland 2013).
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from math import erf, gcd, lcm, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray


MAX_LATTICE = 4_000_000
"""Cells of the largest lattice; beyond it the normal approximation is used."""
MAX_DENOMINATOR = 5_040
"""Sums are read as fractions with denominators up to this (weights, repeats)."""
TINY = 1e-12


@dataclass(frozen=True, slots=True)
class SignFlip:
    """The null law of T = Σ ε|S|, and what follows from it.

    Attributes:
        step: width of a lattice cell; 0 where the normal approximation is used.
        law: probability of T = (i - half) · step, i = 0 … 2·half.
        scale: sqrt(Σ S²), the standard deviation of T.

    """

    step: float
    law: NDArray[np.float64]
    scale: float

    def p_at_most(self, t: float) -> float:
        """Return the mid-p P(T < t) + ½ P(T = t).

        >>> round(sign_flip([-1.0] * 7 + [1.0]).p_at_most(-6), 10)
        0.01953125
        """
        if self.scale == 0:
            return 0.5
        if self.step == 0:
            return 0.5 * (1 + erf(t / self.scale / sqrt(2)))
        half = len(self.law) // 2
        index = round(t / self.step) + half
        below = float(self.law[: max(0, index)].sum())
        at = float(self.law[index]) if 0 <= index < len(self.law) else 0.0
        return below + at / 2

    def floor(self, alpha: float) -> float | None:
        """Return the smallest drop in T that is significant; None if there is none."""
        if self.scale == 0:
            return None
        if self.step == 0:
            from statistics import NormalDist

            return -NormalDist().inv_cdf(alpha) * self.scale
        mid_p = np.cumsum(self.law) - self.law / 2
        half = len(self.law) // 2
        support = np.flatnonzero(self.law[:half] > 0)
        small = support[mid_p[support] <= alpha + TINY]
        return float((half - small[-1]) * self.step) if len(small) else None


def sign_flip(sums: ArrayLike) -> SignFlip:
    """Return the null law for cluster sums.

    Args:
        sums: oriented weighted sum of differences per cluster, shape (clusters,).

    Raises:
        ValueError: if a sum is not finite.

    """
    values = np.asarray(sums, dtype=float)
    if not np.all(np.isfinite(values)):
        raise ValueError("cluster sums must be finite")
    values = np.abs(values[np.abs(values) > TINY])
    scale = float(np.sqrt(np.square(values).sum()))
    lattice = _lattice(values)
    if lattice is None:
        return SignFlip(0.0, np.ones(1), scale)
    step, steps = lattice
    return SignFlip(step, _law(steps), scale)


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


def _lattice(values: NDArray[np.float64]) -> tuple[float, NDArray[np.int64]] | None:
    """Return a common step and each value in steps; None if there is none."""
    distinct = np.unique(values)
    fractions = [Fraction(v).limit_denominator(MAX_DENOMINATOR) for v in distinct]
    if any(
        abs(float(f) - v) > TINY * max(1.0, v)
        for f, v in zip(fractions, distinct, strict=True)
    ):
        return None
    denominator = reduce(lcm, (f.denominator for f in fractions), 1)
    if denominator > MAX_DENOMINATOR:
        return None
    steps = np.rint(values * denominator).astype(np.int64)
    divisor = reduce(gcd, (int(s) for s in np.unique(steps)), 0) or 1
    steps //= divisor
    if 2 * int(steps.sum()) + 1 > MAX_LATTICE:
        return None
    return divisor / denominator, steps


def _law(steps: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the law of Σ ε·step by pairwise convolution, smallest first."""
    laws = [_law_of_equal(int(size), int(count)) for size, count in _counted(steps)]
    laws.sort(key=len)
    while len(laws) > 1:
        first, second, *rest = laws
        laws = sorted([*rest, np.convolve(first, second)], key=len)
    return laws[0] if laws else np.ones(1)


def _counted(steps: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return each size and how often it stands."""
    sizes, counts = np.unique(steps, return_counts=True)
    return list(zip(sizes.tolist(), counts.tolist(), strict=True))


def _law_of_equal(size: int, count: int) -> NDArray[np.float64]:
    """Return the law of `count` flips of one size: a stretched binomial."""
    law = np.zeros(2 * size * count + 1)
    law[:: 2 * size] = _binomial_half(count)
    return law


def _binomial_half(n: int) -> NDArray[np.float64]:
    """Return the probabilities of Binomial(n, ½), stable for large n."""
    from math import lgamma, log

    k = np.arange(n + 1)
    logs = np.array([lgamma(n + 1) - lgamma(i + 1) - lgamma(n - i + 1) for i in k])
    law: NDArray[np.float64] = np.exp(logs - n * log(2))
    return law / law.sum()


