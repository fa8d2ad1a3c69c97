"""Looking at a run before it ends: group-sequential bounds and e-values.

Group-sequential bounds spend alpha over a few planned looks at a run of known length.
E-values may be looked at any time, also where nobody knows when it ends; they cost
power, and cannot be followed by a test at the full alpha.
"""

from functools import lru_cache
from itertools import pairwise
from math import erfc, exp, inf, log, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray


Floats = NDArray[np.float64]

WIDE = 9.0
"""Standard deviations beyond which nothing is integrated."""
POINTS = 1201
STEPS = 60
LARGEST = 700.0
"""Logarithm of what a float can hold."""
NODES = 400
"""Of the quadrature over the alternatives that an e-value averages."""


@lru_cache(maxsize=32)
def obrien_fleming(alpha: float, looks: tuple[float, ...]) -> tuple[float, ...]:
    """Return the normal quantile to exceed at each look.

    O'Brien and Fleming's bounds as spent by Lan and DeMets (1983): up to a share t of
    the information 2·(1 - Φ(z_{α/2}/√t)) may be spent. One-sided; stopping for
    futility besides is not binding, so that it cannot raise the false alarms.

    Args:
        alpha: one-sided, of all looks together.
        looks: share of the run at each look, rising, the last one 1.

    Raises:
        ValueError: if the looks do not rise to 1, or alpha is not inside (0, 1).

    >>> [round(z, 2) for z in obrien_fleming(0.05, (0.25, 0.5, 0.75, 1.0))]
    [3.75, 2.54, 2.02, 1.72]

    """
    if not 0 < alpha < 1:
        raise ValueError(f"need 0 < alpha < 1, got {alpha}")
    if not looks or looks[0] <= 0 or looks[-1] != 1:
        raise ValueError(f"looks must rise from above 0 to 1, got {looks}")
    if any(later <= earlier for earlier, later in pairwise(looks)):
        raise ValueError(f"looks must rise from above 0 to 1, got {looks}")
    bounds: list[float] = []
    grid, density, before, spent = np.zeros(1), np.ones(1), 0.0, 0.0
    for share in looks:
        step = sqrt(share - before)
        target = _spending(alpha, share) - spent
        bound = _solve(grid, density, step, target)
        bounds.append(bound / sqrt(share))
        # What has not crossed goes on: its density after this step, below the bound.
        further = np.linspace(-WIDE * sqrt(share), bound, POINTS)
        density = _step(grid, density, step, further) * _simpson(further)
        grid, before, spent = further, share, spent + target
    return tuple(bounds)


def conditional_power(
    seen: float, share: float, drift: float, alpha: float = 0.05
) -> float:
    """Return how likely the end of a run is significant, given a part of it.

    Args:
        seen: z of the drop so far, positive where things got worse.
        share: of the run, inside (0, 1).
        drift: expected z of the whole run, were the drop as large as feared.
        alpha: one-sided, of the last look.

    Raises:
        ValueError: if the share or alpha is not inside (0, 1).

    >>> round(conditional_power(0.0, 0.5, 2.486), 2)
    0.28

    """
    if not (0 < share < 1 and 0 < alpha < 1):
        raise ValueError(f"need share and alpha inside (0, 1), got {share}, {alpha}")
    normal = NormalDist()
    missing = normal.inv_cdf(1 - alpha) - seen * sqrt(share) - drift * (1 - share)
    return normal.cdf(-missing / sqrt(1 - share))


def e_value(sums: ArrayLike) -> float:
    """Return the evidence that cluster sums fell, as a bet against "nothing changed".

    The mean over κ of exp(-κ·ΣS)/Π cosh(κS), where logistic(2κ) is even on (½, 1):
    for 0/1 answers the mean likelihood ratio of "more than half of the changes are
    drops". Red where it reaches 1/alpha, after any cluster; its mean is at most 1 if
    nothing changed, because sizes |S| say nothing about signs.

    Args:
        sums: oriented sum of differences of each cluster so far, shape (clusters,).

    Raises:
        ValueError: if a sum is not finite.

    >>> round(e_value([-1] * 7), 3), round(e_value([]), 3)
    (31.875, 1.0)

    """
    values = np.asarray(sums, dtype=float)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError("sums must be finite and of shape (clusters,)")
    kappa, weights = _alternatives()
    sizes = np.abs(values)
    # log cosh x = x + log1p(exp(-2x)) - log 2 for x >= 0, without overflow.
    bets = np.outer(kappa, sizes)
    log_cosh = bets + np.log1p(np.exp(-2 * bets)) - log(2)
    logs = -kappa * values.sum() - log_cosh.sum(axis=1)
    best = float(logs.max())
    share = float((np.exp(logs - best) * weights).sum())
    return exp(best + log(share)) if best < LARGEST else inf


@lru_cache(maxsize=1)
def _alternatives() -> tuple[Floats, Floats]:
    """Return the values of κ and the weight of each."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    p = 0.75 + nodes / 4
    return (np.log(p) - np.log1p(-p)) / 2, np.asarray(weights / 2)


def _spending(alpha: float, share: float) -> float:
    """Return the alpha that may be spent up to a share of the run."""
    return 2 * _above(NormalDist().inv_cdf(1 - alpha / 2) / sqrt(share))


def _above(z: float) -> float:
    """Return 1 - Φ(z), precise in the tail."""
    return erfc(z / sqrt(2)) / 2


def _solve(grid: Floats, density: Floats, step: float, target: float) -> float:
    """Return the bound that a path crosses in this step with a given probability."""
    low, high = 0.0, WIDE
    for _ in range(STEPS):
        bound = (low + high) / 2
        tails = [_above((bound - x) / step) for x in grid.tolist()]
        if float(density @ np.array(tails)) > target:
            low = bound
        else:
            high = bound
    return (low + high) / 2


def _step(grid: Floats, density: Floats, step: float, further: Floats) -> Floats:
    """Return the density of a path one step further, given weights on a grid."""
    distance = (further[:, None] - grid[None, :]) / step
    return np.asarray(
        np.exp(-np.square(distance) / 2) @ density / (step * sqrt(2 * np.pi))
    )


def _simpson(grid: Floats) -> Floats:
    """Return Simpson's weights for an even grid with an odd number of points."""
    weights = np.full(len(grid), 2.0)
    weights[1::2] = 4.0
    weights[0] = weights[-1] = 1.0
    return np.asarray(weights * (grid[1] - grid[0]) / 3)
