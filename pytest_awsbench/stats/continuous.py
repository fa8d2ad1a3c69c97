"""Metrics without bounds (rewards, steps): sign flips and a cluster-t interval.

Tasks are what was drawn, so repeats and seeds are averaged within a task first, and
the task's difference is what is tested. No bootstrap: with 15 tasks it is wrong twice
as often as it says. No ranks: they test the median, not the mean.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import inf, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pytest_awsbench.stats.clusters import clustered
from pytest_awsbench.stats.labels import numbered
from pytest_awsbench.stats.signflip import min_flips, sign_flip
from pytest_awsbench.stats.status import Status
from pytest_awsbench.stats.student import t_quantile
from pytest_awsbench.stats.tango import Interval


Floats = NDArray[np.float64]

DISPLAY_ALPHA = 0.05
"""Of each side of the displayed interval: two-sided 90 %."""
FEW_CLUSTERS = 10
DOMINANT = 0.4
"""Share of Σd² from which on one task decides a comparison."""
TINY = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinuousRule:
    """What a gate on an unbounded metric allows, in units of the metric."""

    alpha: float = 0.05
    """One-sided."""
    max_drop: float = 0.0
    """Allowed drop, or rise where lower is better; never negative."""
    margin: float | None = None
    """A drop of this size is what WITHIN_NOISE rules out; None: never said."""
    higher_is_better: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuous:
    """A paired comparison of task means; differences are oriented: more is better."""

    status: Status
    clusters: int
    change: float
    """Mean over tasks of new - old, oriented."""
    se: float
    """CR1 cluster-robust standard error of the change; infinite with one task."""
    p: float
    """Mid-p of the one-sided test that nothing got worse."""
    p_up: float
    """Its mirror: that nothing got better."""
    interval: Interval
    """Two-sided 90 %."""
    lower: float
    """Lower bound at the gate's own alpha."""
    upper: float
    """Upper bound at the gate's own alpha."""
    noise_floor: float | None
    """Smallest drop that this comparison would call a regression; None: no drop."""
    min_flips: int
    worse: int
    """Tasks whose mean got worse."""
    better: int
    dominance: float
    """max d² / Σ d²: the share of the evidence that one task holds; 0 of nothing."""

    @property
    def dominated(self) -> bool:
        """Whether one task decides the comparison."""
        return self.dominance > DOMINANT

    @property
    def few_clusters(self) -> bool:
        """Whether the interval is approximate for lack of tasks."""
        return self.clusters < FEW_CLUSTERS


@dataclass(frozen=True, slots=True)
class ClusterMean:
    """A weighted mean of clustered values and its CR1 standard error."""

    mean: float
    se: float
    clusters: int

    def interval(self, alpha: float) -> Interval:
        """Return the t interval with alpha outside on each side; df = clusters - 1."""
        if self.clusters == 1:
            return Interval(-inf, inf)
        half = t_quantile(1 - alpha, self.clusters - 1) * self.se
        return Interval(self.mean - half, self.mean + half)


@dataclass(frozen=True, slots=True)
class Ratio:
    """Amounts per something, by task, such as failures per commands.

    Attributes:
        amounts: what is counted, shape (tasks,).
        per: what it is divided by, shape (tasks,); some greater than 0.

    """

    amounts: ArrayLike
    per: ArrayLike


def cluster_mean(
    values: ArrayLike, weights: ArrayLike, codes: ArrayLike
) -> ClusterMean:
    """Return a mean and its cluster-robust standard error.

    √(G/(G-1) · Σ_g (Σ_{i∈g} w_i (v_i - mean))²) / Σ w: what a regression on a
    constant with clustered errors (CR1) gives where weights are 1.

    Args:
        values: shape (n,).
        weights: positive, shape (n,).
        codes: cluster of each item, 0 … clusters - 1, shape (n,).

    >>> cluster_mean([1, 0, 0, 1], [1, 1, 1, 1], [0, 1, 2, 3]).se
    0.2886...

    """
    v, w = np.asarray(values, dtype=float), np.asarray(weights, dtype=float)
    groups = np.asarray(codes, dtype=np.int64)
    data = clustered(v, w, groups)
    count = len(data.sums)
    if count == 1:
        return ClusterMean(data.change, inf, 1)
    residuals = np.bincount(groups, w * (v - data.change))
    spread = float(np.square(residuals).sum()) * count / (count - 1)
    return ClusterMean(data.change, sqrt(spread) / data.total, count)


def continuous_gate(
    old: ArrayLike,
    new: ArrayLike,
    clusters: Sequence[Hashable],
    rule: ContinuousRule | None = None,
) -> Continuous:
    """Compare two measurements of the same episodes, task by task.

    Args:
        old: value of each episode before, paired by task and seed, shape (n,).
        new: value of each episode now, shape (n,).
        clusters: task of each episode, length n; each task counts once.
        rule: what is allowed; the defaults of `ContinuousRule`.

    Raises:
        ValueError: if shapes differ, there is no episode, or a value is not finite.

    >>> continuous_gate([9, 8, 7, 9], [5, 5, 6, 4], "abcd").status
    <Status.REGRESSED: 'REGRESSED'>

    """
    before, after = _pair(old, new)
    if len(clusters) != len(before):
        raise ValueError(f"need {len(before)} clusters, got {len(clusters)}")
    codes = numbered(clusters)
    means = np.bincount(codes, after - before) / np.bincount(codes)
    return _judged(means, rule or ContinuousRule())


def ratio_gate(
    old: Ratio, new: Ratio, rule: ContinuousRule | None = None
) -> Continuous:
    """Compare two pooled ratios, Σ amounts / Σ per, of the same tasks.

    Args:
        old: before, by task.
        new: now, by task, in the same order.
        rule: what is allowed; the defaults of `ContinuousRule`.

    Raises:
        ValueError: if shapes differ, there is no task, or a side is per nothing.

    """
    return _judged(ratio_scores(old, new), rule or ContinuousRule())


def ratio_scores(old: Ratio, new: Ratio) -> Floats:
    """Return scores by task whose mean is the change of the pooled ratio.

    s = (X₁ - R·N₁)/mean N₁ - (X₀ - R·N₀)/mean N₀, R being the ratio of both sides
    pooled: how far a task is from what its share would be if nothing had changed.

    >>> scores = ratio_scores(Ratio([1, 2], [4, 6]), Ratio([2, 3], [5, 5]))
    >>> round(float(scores.mean()), 12)
    0.2

    """
    x0, n0 = _pair(old.amounts, old.per)
    x1, n1 = _pair(new.amounts, new.per)
    if x0.shape != x1.shape:
        raise ValueError(f"both sides need the same tasks, got {x0.shape}, {x1.shape}")
    if min(n0.min(), n1.min()) < 0 or 0 in {n0.sum(), n1.sum()}:
        raise ValueError("a ratio needs something to be divided by, on both sides")
    pooled = (x0.sum() + x1.sum()) / (n0.sum() + n1.sum())
    scores = (x1 - pooled * n1) / n1.mean() - (x0 - pooled * n0) / n0.mean()
    return np.asarray(scores)


def _judged(means: Floats, rule: ContinuousRule) -> Continuous:
    """Judge the differences of tasks."""
    d = means if rule.higher_is_better else -means
    count = len(d)
    flip = sign_flip(d)
    total = float(d.sum())
    p, p_up = flip.p_at_most(total), flip.p_at_most(-total)
    mean = cluster_mean(d, np.ones(count), np.arange(count))
    interval, own = mean.interval(DISPLAY_ALPHA), mean.interval(rule.alpha)
    floor = flip.floor(rule.alpha)
    squares = np.square(d)
    return Continuous(
        status=_verdict((p, p_up), interval, own.high, rule),
        clusters=count,
        change=mean.mean,
        se=mean.se,
        p=p,
        p_up=p_up,
        interval=interval,
        lower=own.low,
        upper=own.high,
        noise_floor=None if floor is None else floor / count,
        min_flips=min_flips(rule.alpha),
        worse=int((d < 0).sum()),
        better=int((d > 0).sum()),
        dominance=float(squares.max() / squares.sum()) if squares.any() else 0.0,
    )


def _verdict(
    p: tuple[float, float], interval: Interval, upper: float, rule: ContinuousRule
) -> Status:
    """Return the verdict, in the order in which one excludes the next."""
    if p[0] <= rule.alpha + TINY and upper < -rule.max_drop:
        return Status.REGRESSED
    if p[1] <= DISPLAY_ALPHA + TINY and interval.low > 0:
        return Status.IMPROVED
    if rule.margin is not None and interval.low > -rule.margin:
        return Status.WITHIN_NOISE
    return Status.INCONCLUSIVE


def _pair(first: ArrayLike, second: ArrayLike) -> tuple[Floats, Floats]:
    """Return two arrays of one shape, or say what is wrong with them."""
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if a.ndim != 1 or a.shape != b.shape or len(a) == 0:
        raise ValueError(
            f"need two arrays of one shape (n > 0,), got {a.shape}, {b.shape}"
        )
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("values must be finite: a missing item is not a 0")
    return a, b
