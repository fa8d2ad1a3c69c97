"""Simulated pairs of runs: right and wrong answers with a known true change.

An answer is right if a normal variable stays below a threshold (a latent probit).
The variable is the sum of how hard the item is for both models, and of what each model
adds on its own. A part of either is common to a task: some tasks are harder than
others, and some became harder or easier with the new model. The latter is why items
of a task are not independent in a paired comparison; the former alone would cancel.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import asin, pi, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray


Bools = NDArray[np.bool_]

POINTS = 64
"""Of the quadrature; the integrand is smooth, so that fewer would do."""
STEPS = 60


@dataclass(frozen=True, slots=True)
class Layout:
    """How many items each task has."""

    sizes: tuple[int, ...]

    @property
    def items(self) -> int:
        """All items."""
        return sum(self.sizes)

    @property
    def tasks(self) -> NDArray[np.int64]:
        """Task of each item, 0 … tasks - 1, shape (items,)."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two models that answer the same items.

    Attributes:
        share: of right answers, of the old model.
        drop: how much lower that of the new model is.
        discordance: share of answers that would differ without a drop.
        icc: share of both parts that is common to a task.

    """

    share: float
    discordance: float
    drop: float = 0.0
    icc: float = 0.0


def correlation(share: float, discordance: float) -> float:
    """Return how alike two models must be for their answers to differ so often.

    The correlation of two normal variables of which each is below the same threshold
    with probability `share`, and one alone with `discordance`.

    Raises:
        ValueError: if independent models would not differ as often.

    >>> round(correlation(0.41, 0.20), 4)
    0.7989

    """
    if not 0 < discordance < 2 * share * (1 - share):
        raise ValueError(
            f"need 0 < discordance < 2·share·(1 - share), got {discordance}, {share}"
        )
    low, high = 0.0, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        if 2 * (share - both_below(share, middle)) > discordance:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def both_below(share: float, correlation: float) -> float:
    """Return the probability that two normal variables are below one threshold.

    Φ(c)² plus the integral of the bivariate density over the correlation (Plackett
    1954), whose sine is put in for the correlation to keep the integrand smooth.

    >>> round(both_below(0.5, 0.5), 6)
    0.333333

    """
    square = NormalDist().inv_cdf(share) ** 2
    nodes, weights = _quadrature()
    half = asin(correlation) / 2
    densities = np.exp(-square / (1 + np.sin(half * (nodes + 1))))
    return share**2 + half * float(weights @ densities) / (2 * pi)


def draw(
    rng: np.random.Generator, layout: Layout, pair: Pair, runs: int
) -> tuple[Bools, Bools]:
    """Draw the answers of both models.

    Args:
        rng: source of chance.
        layout: items of each task.
        pair: what is true of the models.
        runs: independent comparisons.

    Returns:
        Whether each old and each new answer is right, both of shape (runs, items).

    """
    alike = correlation(pair.share, pair.discordance)
    shared = sqrt(alike) * _parts(rng, layout, pair.icc, runs)
    sides = []
    for share in (pair.share, pair.share - pair.drop):
        latent = shared + sqrt(1 - alike) * _parts(rng, layout, pair.icc, runs)
        sides.append(latent < NormalDist().inv_cdf(share))
    return sides[0], sides[1]


def _parts(
    rng: np.random.Generator, layout: Layout, icc: float, runs: int
) -> NDArray[np.float64]:
    """Draw normal variables that go together within a task, shape (runs, items)."""
    by_task = rng.standard_normal((runs, len(layout.sizes)))[:, layout.tasks]
    by_item = rng.standard_normal((runs, layout.items))
    return sqrt(icc) * by_task + sqrt(1 - icc) * by_item


@lru_cache(maxsize=1)
def _quadrature() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return Gauss-Legendre nodes on [-1, 1] and their weights."""
    nodes, weights = np.polynomial.legendre.leggauss(POINTS)
    return nodes, weights
