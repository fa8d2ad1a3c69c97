"""Clusters: sums of differences, and how many independent items they are worth."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytest_awsbench.stats.tango import Discordant


Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

FLAT = 1e-12
"""Mean square below which differences count as all equal."""


@dataclass(frozen=True, slots=True, eq=False)
class Clustered:
    """Weighted differences of items, gathered by cluster."""

    n: int
    """Items."""
    sums: Floats
    """Σ w·d per cluster, shape (clusters,)."""
    total: float
    """Σ w."""
    change: float
    """Σ w·d / Σ w."""
    discordance: float
    """Σ w·d² / Σ w."""
    deff: float
    """Centred cluster design effect, at least 1."""
    n_eff: float
    """Kish's effective n over `deff`, at least 1."""

    @property
    def discordant(self) -> Discordant:
        """Effective counts of pairs that changed."""
        # Means over repeats vary less than answers do, Σd² < |Σd| is possible;
        # pairs that all changed the same way bound them from above.
        changed = max(self.discordance, abs(self.change))
        return Discordant(
            worse=self.n_eff * (changed - self.change) / 2,
            better=self.n_eff * (changed + self.change) / 2,
            n=self.n_eff,
        )


def clustered(differences: Floats, weights: Floats, codes: Codes) -> Clustered:
    """Gather differences by cluster.

    Args:
        differences: new - old, more is better, shape (n,).
        weights: positive, shape (n,).
        codes: cluster of each item, 0 … clusters - 1, shape (n,).

    >>> clustered(np.array([-1.0, -1, 0, 0]), np.ones(4), np.array([0, 0, 1, 1])).n_eff
    1.0

    """
    total = float(weights.sum())
    change = float((weights * differences).sum() / total)
    residuals = weights * (differences - change)
    kish = total**2 / float(np.square(weights).sum())
    deff = min(_design_effect(residuals, codes, total / len(weights)), kish)
    return Clustered(
        n=len(differences),
        sums=np.bincount(codes, weights * differences),
        total=total,
        change=change,
        discordance=float((weights * np.square(differences)).sum() / total),
        deff=deff,
        n_eff=kish / deff,
    )


def cluster_codes(clusters: Sequence[Hashable]) -> Codes:
    """Number clusters in the order in which they first appear.

    >>> cluster_codes(["b", "a", "b"])
    array([0, 1, 0])
    """
    numbers: dict[Hashable, int] = {}
    codes = [numbers.setdefault(cluster, len(numbers)) for cluster in clusters]
    return np.array(codes, dtype=np.int64)


def _design_effect(residuals: Floats, codes: Codes, weight: float) -> float:
    """Return max(1, G/(G-1) · Σ r_g² / Σ r_i²), centred at the change.

    Args:
        residuals: w·(d - change), shape (n,).
        codes: cluster of each item, shape (n,).
        weight: mean weight, for what counts as no spread.

    """
    n, groups = len(residuals), int(codes.max()) + 1
    if groups == n:
        return 1.0
    if groups == 1:
        # One cluster is worth one item.
        return float(n)
    spread = float(np.square(residuals).sum())
    # No spread tells nothing of how the items of a cluster go together.
    if spread <= FLAT * n * weight**2:
        return n / groups
    by_cluster = np.bincount(codes, residuals)
    factor = groups / (groups - 1)
    return max(1.0, factor * float(np.square(by_cluster).sum()) / spread)
