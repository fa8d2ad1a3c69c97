"""Boschloo's exact unconditional test of two shares, one-sided (Boschloo 1970)."""

import numpy as np
from numpy.typing import NDArray

from pytest_awsbench.stats.binomial import log_choose, log_factorials


Floats = NDArray[np.float64]

POINTS = 512
"""Common shares that are tried at first, evenly spread in arcsine."""
ZOOMS = 3
CLOSE = 1e-7
"""Relative difference below which two tables count as equally extreme."""
MAX_TABLES = 4_000_000


def boschloo_p(new: tuple[int, int], old: tuple[int, int]) -> float | None:
    """Return how likely tables as bad as this are, if nothing had changed.

    The statistic is Fisher's p that the new share is lower; its law is that of two
    independent samples, at the common share that makes it most likely.

    Args:
        new: successes and n.
        old: successes and n.

    Returns:
        One-sided p; None where there are too many tables to count them all.

    >>> round(boschloo_p((14, 18), (16, 18)), 4)
    0.2141

    """
    (x1, n1), (x0, n0) = new, old
    if not (0 <= x1 <= n1 and 0 <= x0 <= n0):
        raise ValueError(f"need 0 <= successes <= n, got {new} and {old}")
    if (n1 + 1) * (n0 + 1) > MAX_TABLES:
        return None
    fisher = _fisher(n1, n0)
    extreme = fisher <= fisher[x1, x0] * (1 + CLOSE)
    low, high = 0.0, np.pi / 2
    best = 0.0
    for _ in range(ZOOMS + 1):
        angles = np.linspace(low, high, POINTS)
        ps = _size(extreme, np.square(np.sin(angles)))
        peak = int(ps.argmax())
        best = max(best, float(ps[peak]))
        low, high = angles[max(peak - 1, 0)], angles[min(peak + 1, POINTS - 1)]
    return min(best, 1.0)


def _fisher(n1: int, n0: int) -> Floats:
    """Return Fisher's one-sided p of every table, shape (n1 + 1, n0 + 1)."""
    ways = log_choose(n1)[:, None] + log_choose(n0)[None, :]
    x1, x0 = np.indices(ways.shape)
    total = x1 + x0
    law = np.exp(ways - log_choose(n1 + n0)[total])
    p = np.empty(law.shape)
    # Tables of one total lie on an antidiagonal; fewer successes are worse.
    for shift in range(n1 + n0 + 1):
        first = max(0, shift - n0)
        rows = np.arange(first, min(n1, shift) + 1)
        p[rows, shift - rows] = np.cumsum(law[rows, shift - rows])
    return p


def _size(extreme: NDArray[np.bool_], shares: Floats) -> Floats:
    """Return the probability of the extreme tables at each common share."""
    n1, n0 = extreme.shape[0] - 1, extreme.shape[1] - 1
    inner = _laws(n1, shares) @ extreme
    return np.asarray((inner * _laws(n0, shares)).sum(axis=1))


def _laws(n: int, shares: Floats) -> Floats:
    """Return the binomial law of n at each share, shape (shares, n + 1)."""
    k = np.arange(n + 1)
    inside = np.clip(shares, 1e-300, 1 - 1e-16)[:, None]
    logs = log_factorials(n)[n] - log_factorials(n) - log_factorials(n)[::-1]
    return np.asarray(np.exp(logs + k * np.log(inside) + (n - k) * np.log1p(-inside)))
