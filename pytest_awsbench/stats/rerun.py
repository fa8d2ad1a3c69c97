"""Repeats: how much an unchanged model differs from itself.

Three sources are kept apart: which items were drawn; decoding, which differs item by
item; and whatever hits a whole run at once, such as another build of the server.
"""

from dataclasses import dataclass
from math import isfinite, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pytest_awsbench.stats.student import t_cdf


Floats = NDArray[np.float64]

MIN_RUNS = 3
"""Stored runs from which on the noise between whole runs is estimated."""


@dataclass(frozen=True, slots=True, eq=False)
class Repeats:
    """Repeated measurements of the same items, as a baseline stores them.

    Attributes:
        k: measurements of each item, shape (n,).
        sums: Σ value, shape (n,).
        squares: Σ value², shape (n,); equal to sums for 0/1 metrics.

    """

    k: Floats
    sums: Floats
    squares: Floats

    @property
    def means(self) -> Floats:
        """Mean of each item, shape (n,)."""
        return self.sums / self.k

    def __add__(self, other: "Repeats") -> "Repeats":
        """Pool more measurements of the same items in the same order."""
        if self.k.shape != other.k.shape:
            raise ValueError(
                f"both need the same items, got {self.k.shape}, {other.k.shape}"
            )
        return Repeats(
            self.k + other.k, self.sums + other.sums, self.squares + other.squares
        )

    def decode_variance(self) -> float | None:
        """Return σ_w², the variance of one answer around its item's mean.

        Mean over items of (Σ value² - (Σ value)²/K)/(K - 1), which for 0/1 metrics is
        K/(K-1)·p(1-p); items that were measured once say nothing.

        Returns:
            None if no item was repeated.

        >>> binary_repeats([4, 4, 3, 2, 0, 1], 4).decode_variance()
        0.1388...

        """
        twice = self.k > 1
        if not twice.any():
            return None
        k, sums, squares = self.k[twice], self.sums[twice], self.squares[twice]
        within = (squares - np.square(sums) / k) / (k - 1)
        return float(np.maximum(within, 0.0).mean())


@dataclass(frozen=True, slots=True, kw_only=True)
class RunNoise:
    """What hits all items of a run alike, estimated from stored runs."""

    runs: int
    run_sd: float
    """Standard deviation of the stored runs' means."""
    shock_variance: float
    """σ_s²: what decoding does not explain of it."""

    @property
    def df(self) -> int:
        """Degrees of freedom of the estimate."""
        return self.runs - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTest:
    """A change against the noise of items and of whole runs."""

    t: float
    df: float
    """Satterthwaite's."""
    p: float
    """One-sided, that nothing got worse."""

    def worse(self, alpha: float = 0.05) -> bool:
        """Whether the drop exceeds the noise of runs as well."""
        return self.p < alpha


def repeats(runs: ArrayLike) -> Repeats:
    """Gather whole runs: a first one and those that were run to confirm it.

    Args:
        runs: value of each item in each run, shape (runs, n).

    Raises:
        ValueError: if there is no run or no item, or a value is not finite.

    >>> repeats([[1, 0], [1, 1], [0, 0]]).means.round(3).tolist()
    [0.667, 0.333]

    """
    values = np.asarray(runs, dtype=float)
    if values.ndim != 2 or values.size == 0:  # noqa: PLR2004 - rows and columns
        raise ValueError(f"need values of shape (runs, n), got {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError("values must be finite: a missing item is not a 0")
    k = np.full(values.shape[1], float(len(values)))
    return Repeats(k, values.sum(axis=0), np.square(values).sum(axis=0))


def binary_repeats(successes: ArrayLike, k: ArrayLike) -> Repeats:
    """Gather how often each item was right.

    Args:
        successes: shape (n,).
        k: measurements, at least 1; a number or shape (n,).

    Raises:
        ValueError: if counts do not fit.

    """
    sums = np.asarray(successes, dtype=float)
    times = np.broadcast_to(np.asarray(k, dtype=float), sums.shape).copy()
    if sums.ndim != 1 or not ((sums >= 0) & (sums <= times) & (times >= 1)).all():
        raise ValueError("need 0 <= successes <= k, k >= 1, shape (n,)")
    return Repeats(times, sums, sums.copy())


def rerun_discordance(decode_variance: float) -> float:
    """Return ψ_rerun = 2σ_w², the share of 0/1 answers that a re-run changes."""
    return 2 * decode_variance


def rerun_floor(decode_variance: float, n: int, alpha: float = 0.05) -> float:
    """Return the drop that decoding alone exceeds with alpha only: z·√(2σ_w²/n).

    It is part of the paired test already, and never to be added to its noise floor.

    >>> round(100 * rerun_floor(0.04, 150), 1)
    3.8

    """
    if n < 1 or decode_variance < 0:
        raise ValueError(f"need n > 0 and a variance >= 0, got {n}, {decode_variance}")
    return NormalDist().inv_cdf(1 - alpha) * sqrt(2 * decode_variance / n)


def decode_share(
    variance: float, decode_variance: float, old_k: float, new_k: float
) -> float:
    """Return the share of a comparison's variance that more repeats could remove.

    Per item the variance of the differences is σ_item² + σ_w²·(1/K_old + 1/K_new).
    Repeats pay while the second part dominates; otherwise only more tasks do.

    Args:
        variance: of the items' differences, ψ - change².
        decode_variance: σ_w².
        old_k: measurements per item of the baseline.
        new_k: of the new run.

    Returns:
        In [0, 1]; 0 where nothing varies.

    """
    if min(old_k, new_k) < 1 or min(variance, decode_variance) < 0:
        raise ValueError("need variances >= 0 and at least one measurement per item")
    if variance == 0:
        return 0.0
    return min(1.0, decode_variance * (1 / old_k + 1 / new_k) / variance)


def run_noise(run_means: ArrayLike, decode_variance: float, n: int) -> RunNoise | None:
    """Estimate what hits all items of a run: max(0, s² of run means - σ_w²/n).

    Args:
        run_means: mean of each stored run, shape (R,).
        decode_variance: σ_w²; from one measurement per item it is unknown.
        n: items of each run.

    Returns:
        None below 3 runs: run-to-run noise is then unknown, which is not 0.

    """
    means = np.asarray(run_means, dtype=float)
    if means.ndim != 1 or not np.isfinite(means).all():
        raise ValueError("need finite means of shape (R,)")
    if n < 1 or decode_variance < 0:
        raise ValueError(f"need n > 0 and a variance >= 0, got {n}, {decode_variance}")
    if len(means) < MIN_RUNS:
        return None
    spread = float(means.var(ddof=1))
    shock = max(0.0, spread - decode_variance / n)
    return RunNoise(runs=len(means), run_sd=sqrt(spread), shock_variance=shock)


def run_test(
    change: float, se: float, clusters: int, noise: RunNoise, new_runs: int = 1
) -> RunTest:
    """Test a drop against the noise of items and of whole runs.

    t = Δ/√(SE² + σ_s²·(1/R_new + 1/R)), with Satterthwaite's degrees of freedom from
    G - 1 for SE and R - 1 for σ_s. A gate that knows σ_s is red only if this agrees.

    Args:
        change: new - old, oriented so that more is better.
        se: cluster-robust standard error of the change.
        clusters: G.
        noise: of the stored runs.
        new_runs: pooled in the new measurement.

    Raises:
        ValueError: if there is no new run, or no standard error.

    """
    if clusters < 2 or new_runs < 1 or not (isfinite(se) and se >= 0):  # noqa: PLR2004
        raise ValueError(f"need clusters > 1, new_runs > 0 and a finite se, got {se}")
    items = se**2
    shocks = noise.shock_variance * (1 / new_runs + 1 / noise.runs)
    both = items + shocks
    if both == 0:
        t = 0.0 if change == 0 else float("inf") * change
        return RunTest(t=t, df=float(clusters - 1), p=t_cdf(t, clusters - 1))
    df = both**2 / (items**2 / (clusters - 1) + shocks**2 / noise.df)
    t = change / sqrt(both)
    return RunTest(t=t, df=df, p=t_cdf(t, df))
