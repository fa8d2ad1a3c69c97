"""The unpaired gate: a new run against a published number.

Without the baseline's items nothing says which answers changed, so a drop must be
much larger to be seen: store items instead wherever that is possible.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from math import isfinite, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pytest_awsbench.stats.boschloo import boschloo_p
from pytest_awsbench.stats.clusters import Clustered, clustered
from pytest_awsbench.stats.continuous import cluster_mean
from pytest_awsbench.stats.intervals import Count, newcombe_interval
from pytest_awsbench.stats.labels import numbered
from pytest_awsbench.stats.paired import Rule
from pytest_awsbench.stats.published import Counts, Estimate
from pytest_awsbench.stats.status import Status
from pytest_awsbench.stats.tango import Interval


Floats = NDArray[np.float64]
Bounds = Callable[[float, float], Interval]
"""From the new mean and a normal quantile to an interval of the change."""

DISPLAY_ALPHA = 0.05
"""Of each side of the displayed interval: two-sided 90 %."""
SMALL = 30
"""Below this many items in either arm an exact p is worth showing."""
STEPS = 60
MAX_Z = 40.0
"""A normal quantile beyond which p is 0 to all digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpaired:
    """A comparison with a published number; more is better."""

    status: Status
    n: int
    clusters: int
    new: float
    old: float | None
    """Published mean; None where no count agrees with what was published."""
    change: float | None
    interval: Interval | None
    """Two-sided 90 %; None where the number of items is unknown."""
    lower: float | None
    """Lower bound at the gate's own alpha."""
    upper: float | None
    """Upper bound at the gate's own alpha."""
    p: float | None
    """One-sided, that nothing got worse: where the interval begins to exclude 0."""
    noise_floor: float | None
    """Smallest drop that this comparison would call a regression; None: no drop."""
    deff: float
    """Of the new run, at least 1."""
    boschloo_p: float | None
    """Exact, of independent 0/1 items; shown below 30 items in either arm."""


def unpaired_gate(
    new: ArrayLike,
    clusters: Sequence[Hashable],
    old: Counts | Estimate,
    weights: ArrayLike | None = None,
    rule: Rule | None = None,
) -> Unpaired:
    """Compare a run with a published number.

    Args:
        new: value of each item, in [0, 1], shape (n,).
        clusters: which items belong together, length n.
        old: what was published.
        weights: positive, shape (n,); all 1 by default.
        rule: what is allowed; the defaults of `Rule`.

    Returns:
        The comparison: INVALID if no count fits what was published, INCONCLUSIVE if
        neither the number of items nor the standard error is known.

    Raises:
        ValueError: if shapes differ, there is no item, a value is not in [0, 1], or
            the published number is impossible.

    >>> unpaired_gate([0] * 30 + [1] * 20, range(50), Counts((40,), 50)).status
    <Status.REGRESSED: 'REGRESSED'>

    """
    rule = rule or Rule()
    values, scale = _checked(new, clusters, weights)
    codes = numbered(clusters)
    data = clustered(values, scale, codes)
    if isinstance(old, Counts):
        _check_counts(old)
        bounds, mean = _count_bounds(data, old), _middle(old)
        exact = _boschloo(values, old)
    else:
        se = cluster_mean(values, scale, codes).se
        bounds, mean, exact = _estimate_bounds(se, old), old.mean, None
    shown, own, p, floor = None, None, None, None
    if bounds is not None and mean is not None:
        z = NormalDist().inv_cdf(1 - rule.alpha)
        shown = bounds(data.change, NormalDist().inv_cdf(1 - DISPLAY_ALPHA))
        own = bounds(data.change, z)
        p, floor = _p(bounds, data.change), _floor(bounds, mean, z)
    return Unpaired(
        status=_verdict(mean, shown, own.high if own else None, rule),
        n=data.n,
        clusters=len(data.sums),
        new=data.change,
        old=mean,
        change=None if mean is None else data.change - mean,
        interval=shown,
        lower=own.low if own else None,
        upper=own.high if own else None,
        p=p,
        noise_floor=floor,
        deff=data.deff,
        boschloo_p=exact,
    )


def _verdict(
    mean: float | None, interval: Interval | None, upper: float | None, rule: Rule
) -> Status:
    """Return the verdict, in the order in which one excludes the next."""
    if mean is None:
        return Status.INVALID
    if interval is None or upper is None:
        return Status.INCONCLUSIVE
    if upper < -rule.max_drop:
        return Status.REGRESSED
    if interval.low > 0:
        return Status.IMPROVED
    return Status.WITHIN_NOISE if interval.low > -rule.margin else Status.INCONCLUSIVE


def _count_bounds(data: Clustered, old: Counts) -> Bounds | None:
    """Return Newcombe's interval on effective counts.

    Of several candidates it holds the intervals of all: the worst case either way.
    """
    if not old.candidates:
        return None
    published = old.effective(data.deff)

    def bounds(mean: float, z: float) -> Interval:
        new = Count(mean * data.n_eff, data.n_eff)
        each = [newcombe_interval(new, count, z) for count in published]
        return Interval(min(i.low for i in each), max(i.high for i in each))

    return bounds


def _estimate_bounds(se: float, old: Estimate) -> Bounds | None:
    """Return the normal interval of two independent means; None without an error."""
    if not isfinite(old.mean):
        raise ValueError(f"the published mean must be finite, got {old.mean}")
    if old.stderr is None:
        return None
    if not (isfinite(old.stderr) and old.stderr > 0):
        raise ValueError(
            f"the published standard error is {old.stderr}, but no measurement is"
            " exact; give successes and n instead"
        )
    both = sqrt(se**2 + old.stderr**2)
    if not isfinite(both):
        return None

    def bounds(mean: float, z: float) -> Interval:
        change = mean - old.mean
        return Interval(change - z * both, change + z * both)

    return bounds


def _p(bounds: Bounds, mean: float) -> float:
    """Return 1 - Φ(z) for the z at which the interval begins to exclude 0."""
    middle = bounds(mean, 0.0)
    if middle.low <= 0 <= middle.high:
        return 0.5
    worse = middle.high < 0
    low, high = 0.0, MAX_Z
    for _ in range(STEPS):
        z = (low + high) / 2
        interval = bounds(mean, z)
        excluded = interval.high < 0 if worse else interval.low > 0
        low, high = (z, high) if excluded else (low, z)
    return NormalDist().cdf(-low if worse else low)


def _floor(bounds: Bounds, mean: float, z: float) -> float | None:
    """Return the smallest drop whose upper bound is below 0, by bisection."""
    if bounds(0.0, z).high >= 0:
        return None
    low, high = 0.0, mean
    for _ in range(STEPS):
        drop = (low + high) / 2
        low, high = (low, drop) if bounds(mean - drop, z).high < 0 else (drop, high)
    return high


def _middle(old: Counts) -> float | None:
    """Return the published mean; None if no count agrees with it."""
    if not old.candidates:
        return None
    return (min(old.candidates) + max(old.candidates)) / 2 / old.n


def _boschloo(values: Floats, old: Counts) -> float | None:
    """Return the exact p, the largest of all candidates; None if not worth it."""
    whole = np.isin(values, (0.0, 1.0)).all() and all(
        x % 1 == 0 for x in old.candidates
    )
    if not whole or min(len(values), old.n) >= SMALL:
        return None
    new = (int(values.sum()), len(values))
    ps = [boschloo_p(new, (int(x), old.n)) for x in old.candidates]
    known = [p for p in ps if p is not None]
    return max(known) if known and len(known) == len(ps) else None


def _check_counts(old: Counts) -> None:
    """Say what is wrong with published counts."""
    if old.n < 1 or any(not 0 <= x <= old.n for x in old.candidates):
        raise ValueError(
            f"need 0 <= successes <= n and n > 0, got {old.candidates} of {old.n}"
        )
    if old.deff is not None and not old.deff >= 1:
        raise ValueError(f"a design effect is at least 1, got {old.deff}")


def _checked(
    new: ArrayLike, clusters: Sequence[Hashable], weights: ArrayLike | None
) -> tuple[Floats, Floats]:
    """Return the arrays, or say what is wrong with them."""
    values = np.asarray(new, dtype=float)
    scale = np.ones(values.shape) if weights is None else np.asarray(weights, float)
    if values.ndim != 1 or not values.shape == scale.shape == (len(clusters),):
        raise ValueError(
            f"new, weights and clusters need one shape (n,), got {values.shape},"
            f" {scale.shape}, ({len(clusters)},)"
        )
    if len(values) == 0 or not ((values >= 0) & (values <= 1)).all():
        raise ValueError("need values in [0, 1]: a missing item is not a 0")
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        raise ValueError("weights must be positive")
    return values, scale / scale.min()
