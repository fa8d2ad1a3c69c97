"""The paired, cluster-aware gate: test, interval, noise floor, verdict."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pytest_awsbench.stats.clusters import Clustered, clustered
from pytest_awsbench.stats.labels import numbered
from pytest_awsbench.stats.signflip import min_flips, sign_flip
from pytest_awsbench.stats.status import Status
from pytest_awsbench.stats.tango import Interval, tango_interval


DISPLAY_ALPHA = 0.05
"""Of each side of the displayed interval: two-sided 90 %."""
FEW_CLUSTERS = 10
TINY = 1e-12
ROUNDING = 1e-9
"""What rounding may leave of a mean that is 0 or 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a gate allows."""

    alpha: float = 0.05
    """One-sided."""
    max_drop: float = 0.0
    """Allowed drop, in units of the metric."""
    margin: float = 0.10
    """A drop of this size is what WITHIN_NOISE rules out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """A paired comparison; differences are new - old, more is better."""

    status: Status
    n: int
    clusters: int
    change: float
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
    better: int
    deff: float
    n_eff: float
    discordance: float
    items_needed: int | None
    """Items that would settle an INCONCLUSIVE comparison, about."""

    @property
    def changed(self) -> int:
        """How many items differ at all."""
        return self.worse + self.better

    @property
    def few_clusters(self) -> bool:
        """Whether the interval is approximate for lack of clusters."""
        return self.clusters < FEW_CLUSTERS


def paired_gate(
    old: ArrayLike,
    new: ArrayLike,
    clusters: Sequence[Hashable],
    weights: ArrayLike | None = None,
    rule: Rule | None = None,
) -> Paired:
    """Compare two measurements of the same items.

    Args:
        old: value of each item before, in [0, 1], shape (n,).
        new: value of each item now, in [0, 1], shape (n,).
        clusters: which items belong together, length n.
        weights: positive, shape (n,); all 1 by default.
        rule: what is allowed; the defaults of `Rule`.

    Raises:
        ValueError: if shapes differ, there is no item, or a value is out of range.

    >>> paired_gate([1] * 10, [0] * 4 + [1] * 6, range(10)).status
    <Status.REGRESSED: 'REGRESSED'>

    """
    rule = rule or Rule()
    before, after, scale = _checked(old, new, clusters, weights)
    codes = numbered(clusters)
    differences = after - before
    data = clustered(differences, scale, codes)
    flip = sign_flip(data.sums)
    total = float(data.sums.sum())
    p, p_up = flip.p_at_most(total), flip.p_at_most(-total)
    interval, own = _bounds(data, DISPLAY_ALPHA), _bounds(data, rule.alpha)
    floor = flip.floor(rule.alpha)
    status = _verdict((p, p_up), interval, own.high, rule)
    return Paired(
        status=status,
        n=data.n,
        clusters=len(data.sums),
        change=data.change,
        p=p,
        p_up=p_up,
        interval=interval,
        lower=own.low,
        upper=own.high,
        noise_floor=None if floor is None else floor / data.total,
        min_flips=min_flips(rule.alpha),
        worse=int((differences < 0).sum()),
        better=int((differences > 0).sum()),
        deff=data.deff,
        n_eff=data.n_eff,
        discordance=data.discordance,
        items_needed=_needed(data, rule) if status is Status.INCONCLUSIVE else None,
    )


def _verdict(
    p: tuple[float, float], interval: Interval, upper: float, rule: Rule
) -> Status:
    """Return the verdict, in the order in which one excludes the next."""
    if p[0] <= rule.alpha + TINY and upper < -rule.max_drop:
        return Status.REGRESSED
    if p[1] <= DISPLAY_ALPHA + TINY and interval.low > 0:
        return Status.IMPROVED
    if interval.low > -rule.margin:
        return Status.WITHIN_NOISE
    return Status.INCONCLUSIVE


def _bounds(data: Clustered, alpha: float) -> Interval:
    """Return Tango's interval on effective counts."""
    z = NormalDist().inv_cdf(1 - alpha)
    # Means over repeats vary less than answers do, so Σd² may be below |Σd|; pairs
    # that all changed the same way bound them from above.
    changed = max(data.discordance, abs(data.change))
    worse = data.n_eff * (changed - data.change) / 2
    better = data.n_eff * (changed + data.change) / 2
    return tango_interval(worse, better, data.n_eff, z)


def _needed(data: Clustered, rule: Rule) -> int | None:
    """Return about how many items would rule a drop of the margin out.

    The half width of the interval is about z·√(ψ·deff/n); it must fit between the
    margin and the change seen, for which z²/n pays where nothing changed at all.
    """
    room = rule.margin + min(data.change, 0.0)
    if room <= 0:
        return None
    z = NormalDist().inv_cdf(1 - DISPLAY_ALPHA)
    spread = max(data.discordance - data.change**2, 0.0)
    needed = data.deff * max(z**2 * spread / room**2, z**2 * (1 - room) / room)
    return max(data.n + 1, int(np.ceil(needed)))


def _checked(
    old: ArrayLike,
    new: ArrayLike,
    clusters: Sequence[Hashable],
    weights: ArrayLike | None,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the arrays, or say what is wrong with them."""
    before, after = np.asarray(old, dtype=float), np.asarray(new, dtype=float)
    scale = np.ones(before.shape) if weights is None else np.asarray(weights, float)
    if before.ndim != 1 or not before.shape == after.shape == scale.shape:
        raise ValueError(
            f"old, new and weights need one shape (n,), got {before.shape},"
            f" {after.shape}, {scale.shape}"
        )
    if len(before) == 0 or len(clusters) != len(before):
        raise ValueError(f"need {len(before)} > 0 clusters, got {len(clusters)}")
    values = np.concatenate([before, after])
    if not ((values >= -ROUNDING) & (values <= 1 + ROUNDING)).all():
        raise ValueError("values must be in [0, 1]: a missing item is not a 0")
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        raise ValueError("weights must be positive")
    # Only their ratios matter; in units of the smallest they fit the law's lattice.
    return before, after, scale / scale.min()
