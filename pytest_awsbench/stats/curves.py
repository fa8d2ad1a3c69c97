"""Curves over k: pass@k of repeated runs, and recovery within k turns.

The points of a recovery curve are nested, RR@1 ≤ RR@2 ≤ …, and read together, so
the band holds at all k at once: intervals for each k alone miss 29-46 % of all
simulated true curves at some k. A band shows; it is no verdict.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pytest_awsbench.stats.clusters import Clustered, clustered
from pytest_awsbench.stats.intervals import Count, dkw_half_width, wilson_interval
from pytest_awsbench.stats.labels import numbered
from pytest_awsbench.stats.student import t_quantile
from pytest_awsbench.stats.tango import Interval


Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

FEW_EPISODES = 20
FEW_CLUSTERS = 15
"""With fewer of either no estimate of how points vary together can be trusted."""
DRAWS = 2**15
"""Of the largest of several normal values; its 90 % point is then good to 0.02."""
SEED = 10
TINY = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A mean of values in [0, 1]."""

    mean: float
    interval: Interval
    """Two-sided, 90 % unless asked otherwise."""
    n: int
    clusters: int
    deff: float
    """Centred cluster design effect, at least 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """The shares of episodes that recovered within k turns, k = 1 … upto."""

    rates: tuple[float, ...]
    """RR@1, RR@2 …"""
    band: tuple[Interval, ...]
    """Holds the whole curve, all k at once."""
    n: int
    """Episodes with a failure, recovered or not."""
    clusters: int
    critical: float | None
    """Of the largest deviation over k, in standard errors; None: the DKW band."""


def pass_at_k(successes: ArrayLike, runs: ArrayLike, k: int) -> Floats:
    """Return the chance that at least one of k runs succeeds, by item, shape (n,).

    1 - C(n-c, k) / C(n, k), unbiased (Chen et al. 2021, arXiv 2107.03374). Its mean
    over items has an interval by `mean_share`; two models are compared by the paired
    gate on the values of both.

    Args:
        successes: c of each item, shape (n,).
        runs: how often each item was run, at least k; a number or shape (n,).
        k: runs that one may choose from, at least 1.

    Raises:
        ValueError: if counts do not fit, or an item has fewer than k runs.

    >>> pass_at_k([3, 0, 10], 10, 1).round(9).tolist()
    [0.3, 0.0, 1.0]

    """
    c, n = _counted(successes, runs, k)
    return np.asarray(1 - _all_drawn(n - c, n, k))


def pass_hat_k(successes: ArrayLike, runs: ArrayLike, k: int) -> Floats:
    """Return the chance that all of k runs succeed, "pass^k", by item, shape (n,).

    C(c, k) / C(n, k), unbiased (Yao et al. 2024, arXiv 2406.12045).

    Args:
        successes: c of each item, shape (n,).
        runs: how often each item was run, at least k; a number or shape (n,).
        k: runs that must all succeed, at least 1.

    Raises:
        ValueError: if counts do not fit, or an item has fewer than k runs.

    >>> pass_hat_k([3, 0, 10], 10, 2).round(6).tolist()
    [0.066667, 0.0, 1.0]

    """
    c, n = _counted(successes, runs, k)
    return _all_drawn(c, n, k)


def mean_share(
    values: ArrayLike,
    clusters: Sequence[Hashable],
    draws: float = 1.0,
    weights: ArrayLike | None = None,
    alpha: float = 0.10,
) -> Share:
    """Return the mean of shares with Wilson's interval on effective counts.

    n_eff = n/deff · min(draws, p(1-p)/s²), s² being the variance of the values: that
    of answers of 0 and 1 is p(1-p), shares of several draws vary less (the effective
    sample size of Korn and Graubard 1998). As they do, t with clusters - 1 degrees of
    freedom takes the place of the normal quantile.

    Args:
        values: in [0, 1], such as those of `pass_at_k`, shape (n,).
        clusters: which items belong together, length n.
        draws: separate ones behind each value, at least 1; K/k for k of K runs.
        weights: positive, shape (n,); all 1 by default.
        alpha: outside the interval; 0.10 for 90 %.

    Raises:
        ValueError: if shapes differ, there is no item, or a value is not in [0, 1].

    >>> share = mean_share(pass_at_k([4, 1, 0, 3], 4, 2), "abcd", draws=4 / 2)
    >>> round(share.mean, 3), round(share.interval.low, 3)
    (0.625, 0.213)

    """
    x = np.asarray(values, dtype=float)
    if x.ndim != 1 or len(x) == 0 or len(clusters) != len(x):
        raise ValueError(f"need n > 0 values and as many clusters, got {x.shape}")
    if not ((x >= 0) & (x <= 1)).all() or not draws >= 1:
        raise ValueError("need values in [0, 1], each of one draw or more")
    scale = np.ones(len(x)) if weights is None else np.asarray(weights, dtype=float)
    data = clustered(x, scale, numbered(clusters))
    mean, spread = data.change, data.discordance - data.change**2
    # No spread tells nothing of how much an item is worth.
    worth = min(draws, mean * (1 - mean) / spread) if spread > TINY else 1.0
    t = t_quantile(1 - alpha / 2, max(len(data.sums) - 1, 1))
    return Share(
        mean=mean,
        interval=_wilson(mean, data.n_eff * worth, t),
        n=data.n,
        clusters=len(data.sums),
        deff=data.deff,
    )


def recovery_curve(
    steps: ArrayLike, clusters: Sequence[Hashable], upto: int, alpha: float = 0.10
) -> Curve:
    """Return the recovery curve and a band that holds it at all k at once.

    RR@k is the share of the episodes with a failure that recovered within k turns of
    it; those that never did stay in the denominator.

    The band is Wilson's interval on n/deff at each k, with the 1 - alpha quantile of
    max_k |Z_k| in place of the normal quantile; Z has the cluster-robust correlation
    of the points. That quantile comes from a fixed set of draws: the same data give
    the same band. Below 20 episodes or 15 clusters it is the band of Dvoretzky, Kiefer
    and Wolfowitz, ± √(ln(2/α) / 2G).

    Args:
        steps: turns from the first failure to the recovery, of every episode with a
            failure; nan or inf where it never came, shape (n,).
        clusters: task of each of these episodes, length n.
        upto: the largest k, at least 1.
        alpha: outside the band; 0.10 for 90 %.

    Raises:
        ValueError: if shapes differ, there is no episode, a step is negative, or alpha
            is not inside (0, 1).

    >>> curve = recovery_curve([1, 1, 2, float("inf")] * 10, range(40), upto=3)
    >>> curve.rates, round(curve.critical, 2)
    ((0.5, 0.75, 0.75), 1.9)
    >>> [round(low, 2) for low, high in curve.band]
    [0.36, 0.6, 0.6]

    """
    if not 0 < alpha < 1:
        raise ValueError(f"need 0 < alpha < 1, got {alpha}")
    reached = recovered(steps, upto)
    if len(clusters) != len(reached):
        raise ValueError(f"need {len(reached)} clusters, got {len(clusters)}")
    codes = numbered(clusters)
    ones = np.ones(len(codes))
    points = [clustered(column, ones, codes) for column in reached.T]
    count = len(points[0].sums)
    few = len(codes) < FEW_EPISODES or count < FEW_CLUSTERS
    critical = None if few else _critical(reached, codes, alpha)
    return Curve(
        rates=tuple(point.change for point in points),
        band=_band(points, critical, alpha),
        n=len(codes),
        clusters=count,
        critical=critical,
    )


def recovered(steps: ArrayLike, upto: int) -> Floats:
    """Return 1 where an episode recovered within k turns, k = 1 … upto, else 0.

    Args:
        steps: turns to the recovery; nan or inf where it never came, shape (n,).
        upto: the largest k, at least 1.

    Returns:
        Shape (n, upto).

    Raises:
        ValueError: if there is no episode, a step is negative, or upto is below 1.

    >>> recovered([2, float("nan")], upto=3).tolist()
    [[0.0, 1.0, 1.0], [0.0, 0.0, 0.0]]

    """
    turns = np.asarray(steps, dtype=float)
    if turns.ndim != 1 or len(turns) == 0 or upto < 1:
        raise ValueError(f"need n > 0 steps and upto >= 1, got {turns.shape}, {upto}")
    if (turns < 0).any():
        raise ValueError("steps count turns: 0 or more, nan or inf for never")
    # A comparison with nan is false: never within k.
    return (turns[:, None] <= np.arange(1, upto + 1)).astype(np.float64)


def _band(
    points: Sequence[Clustered], critical: float | None, alpha: float
) -> tuple[Interval, ...]:
    """Return the limits at every k."""
    if critical is None:
        half = dkw_half_width(len(points[0].sums), alpha)
        limits = [(max(p.change - half, 0), min(p.change + half, 1)) for p in points]
    else:
        limits = [_wilson(p.change, p.n_eff, critical) for p in points]
    low, high = np.array(limits).T
    # The true curve rises, so a limit at one k is a limit at others, too.
    low, high = np.maximum.accumulate(low), np.minimum.accumulate(high[::-1])[::-1]
    return tuple(map(Interval, low.tolist(), high.tolist()))


def _wilson(share: float, n: float, z: float) -> Interval:
    """Return Wilson's interval of a share of n effective items."""
    return wilson_interval(Count(share * n, n), z)


def _critical(reached: Floats, codes: Codes, alpha: float) -> float:
    """Return the 1 - alpha quantile of the largest deviation over all k."""
    by_cluster = np.zeros((int(codes.max()) + 1, reached.shape[1]))
    np.add.at(by_cluster, codes, reached - reached.mean(axis=0))
    scale = np.sqrt(np.square(by_cluster).sum(axis=0))
    moves = scale > TINY
    if not moves.any():
        return NormalDist().inv_cdf(1 - alpha / 2)
    root = np.linalg.qr(by_cluster[:, moves] / scale[moves]).R
    # The signs of the rows are the library's choice; ours are the same everywhere.
    root = root * np.where(np.diag(root) < 0, -1.0, 1.0)[:, None]
    normals, largest = _normals(len(root)), np.zeros(DRAWS)
    for column in root.T:
        np.maximum(largest, np.abs(column @ normals), out=largest)
    return float(np.quantile(largest, 1 - alpha))


@lru_cache(maxsize=2)
def _normals(count: int) -> Floats:
    """Return fixed independent normal values, shape (count, DRAWS); read-only.

    By Box and Muller from raw bits: numpy promises to keep these, not its normals.
    """
    bits = np.random.PCG64(SEED).random_raw(2 * DRAWS * count)
    uniform = ((bits >> np.uint64(11)) + 0.5) * 2.0**-53
    radius, angle = uniform.reshape(2, count, DRAWS)
    values = np.sqrt(-2 * np.log(radius)) * np.cos(2 * np.pi * angle)
    values.flags.writeable = False
    return np.asarray(values)


def _all_drawn(hits: Floats, n: Floats, k: int) -> Floats:
    """Return C(hits, k) / C(n, k): that k of n without replacement are all hits."""
    share = np.ones(len(n))
    # A product of ratios: the binomials themselves overflow.
    for drawn in range(k):
        share *= np.maximum(hits - drawn, 0) / (n - drawn)
    return share


def _counted(successes: ArrayLike, runs: ArrayLike, k: int) -> tuple[Floats, Floats]:
    """Return successes and runs of every item, or say what is wrong with them."""
    c = np.asarray(successes, dtype=float)
    if c.ndim != 1 or len(c) == 0:
        raise ValueError(f"need successes of n > 0 items, got {c.shape}")
    n = np.broadcast_to(np.asarray(runs, dtype=float), c.shape)
    whole = (c == np.rint(c)) & (n == np.rint(n))
    if not (whole & (c >= 0) & (c <= n)).all():
        raise ValueError("need whole numbers, 0 <= successes <= runs")
    if not 1 <= k <= n.min():
        raise ValueError(f"need 1 <= k <= runs of every item, got k={k} of {n.min():g}")
    return c, n
