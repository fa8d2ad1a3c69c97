"""Clusters: sums of differences, and how many independent items they are worth."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Clustered:
    """Weighted differences of items, gathered by cluster.

    Attributes:
        n: items.
        sums: Σ w·d per cluster, shape (clusters,).
        total: Σ w.
        change: Σ w·d / Σ w.
        discordance: Σ w·d² / Σ w.
        deff: centred cluster design effect, at least 1.
        n_eff: Kish's effective n over deff.

    """

    n: int
    sums: Floats
    total: float
    change: float
    discordance: float
    deff: float
    n_eff: float


def clustered(
    differences: Floats, weights: Floats, codes: NDArray[np.int64]
) -> Clustered:
    """Gather differences by cluster.

    Args:
        differences: new - old, oriented so that more is better, shape (n,).
        weights: positive, shape (n,).
        codes: cluster of each item, 0 … clusters - 1, shape (n,).

    """
    total = float(weights.sum())
    change = float((weights * differences).sum() / total)
    residuals = weights * (differences - change)
    kish = total**2 / float(np.square(weights).sum())
    groups = int(codes.max()) + 1
    deff = _design_effect(_by_cluster(codes, residuals), residuals, groups)
    return Clustered(
        n=len(differences),
        sums=_by_cluster(codes, weights * differences),
        total=total,
        change=change,
        discordance=float((weights * np.square(differences)).sum() / total),
        deff=deff,
        n_eff=kish / deff,
    )


def _by_cluster(codes: NDArray[np.int64], values: Floats) -> Floats:
    """Return the sum of the values of each cluster."""
    return np.bincount(codes, values).astype(np.float64)


def _design_effect(by_cluster: Floats, residuals: Floats, groups: int) -> float:
    """Return max(1, G/(G-1) · Σ r_g² / Σ r_i²), centred at the change."""
    n = len(residuals)
    if groups == 1:
        return float(n)
    spread = float(np.square(residuals).sum())
    # No spread tells nothing of how items of a cluster go together.
    if spread <= 1e-12 * n:
        return n / groups if groups < n else 1.0
    factor = 1.0 if groups == n else groups / (groups - 1)
    return max(1.0, factor * float(np.square(by_cluster).sum()) / spread)
