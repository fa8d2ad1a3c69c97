"""Binomial laws and sums of them, for numbers of any size."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


Floats = NDArray[np.float64]


@lru_cache(maxsize=64)
def log_factorials(n: int) -> Floats:
    """Return log 0!, log 1! … log n!, shape (n + 1,); read-only."""
    logs = np.zeros(n + 1)
    np.cumsum(np.log(np.arange(1, n + 1)), out=logs[1:])
    logs.flags.writeable = False
    return logs


def log_choose(n: int) -> Floats:
    """Return log C(n, 0) … log C(n, n), shape (n + 1,)."""
    logs = log_factorials(n)
    return np.asarray(logs[n] - logs - logs[::-1])


def binomial_law(n: int, p: float) -> Floats:
    """Return the probabilities of Binomial(n, p), shape (n + 1,).

    Raises:
        ValueError: if n is negative, or p is no probability.

    >>> binomial_law(2, 0.25).round(4).tolist()
    [0.5625, 0.375, 0.0625]

    """
    if n < 0 or not 0 <= p <= 1:
        raise ValueError(f"need n >= 0 and 0 <= p <= 1, got n={n}, p={p}")
    if p in {0.0, 1.0}:
        law = np.zeros(n + 1)
        law[round(p * n)] = 1.0
        return law
    k = np.arange(n + 1)
    # Products of tiny and huge numbers overflow; sums of their logarithms do not.
    return np.asarray(np.exp(log_choose(n) + k * np.log(p) + (n - k) * np.log1p(-p)))


def mid_p(law: Floats, at: int) -> float:
    """Return P(X < at) + ½ P(X = at) of a law on 0 … len(law) - 1.

    >>> round(mid_p(binomial_law(5, 0.5), 1), 9)
    0.109375

    """
    return float(law[:at].sum() + law[at] / 2)
