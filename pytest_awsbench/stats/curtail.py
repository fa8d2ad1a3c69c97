"""Stopping early where nothing that is still to come could change the verdict.

The p of the sign-flip test rises with every cluster's sum, so that it lies between
what it would be if every missing answer were wrong and if every one were right
(deterministic curtailment; Koning and van Meer 2025). A run that stopped has a
verdict, but no interval, and must not become a baseline.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pytest_awsbench.stats.labels import numbered
from pytest_awsbench.stats.paired import Rule
from pytest_awsbench.stats.signflip import sign_flip


Floats = NDArray[np.float64]

TINY = 1e-12


class Stop(StrEnum):
    """Whether a verdict is certain already."""

    CONTINUE = "CONTINUE"
    REGRESSED = "REGRESSED"
    """Whatever is still to come, the full run would be red."""
    NOT_REGRESSED = "NOT_REGRESSED"
    """Whatever is still to come, the full run would not be red."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curtailed:
    """What a part of a run says about the whole."""

    stop: Stop
    answered: int
    n: int
    p_least: float
    """p if every missing answer is wrong."""
    p_most: float
    """p if every missing answer is right."""


@dataclass(frozen=True, slots=True)
class _Reach:
    """How far the sum of each cluster can go, and how many items each has."""

    low: Floats
    high: Floats
    sizes: Floats


def curtail(
    old: ArrayLike,
    new: ArrayLike,
    clusters: Sequence[Hashable],
    weights: ArrayLike | None = None,
    rule: Rule | None = None,
) -> Curtailed:
    """Say whether a run may stop, with the verdict of the full run.

    A certain REGRESSED is announced for 0/1 values of equal weight and without an
    allowed drop; else the interval of the full run cannot be foreseen. A certain
    NOT_REGRESSED is announced for all metrics in [0, 1]. CONTINUE with every answer
    there leaves the verdict to the gate.

    Args:
        old: value of each item before, in [0, 1], shape (n,).
        new: value of each item now; nan where the answer is still to come.
        clusters: which items belong together, length n.
        weights: positive, shape (n,); all 1 by default.
        rule: of the gate.

    Raises:
        ValueError: if shapes differ or values are not in [0, 1].

    """
    rule = rule or Rule()
    before, after, scale = _checked(old, new, clusters, weights)
    codes = numbered(clusters)
    open_ = np.isnan(after)
    low = np.where(open_, 0.0, after) - before
    high = np.where(open_, 1.0, after) - before
    reach = _Reach(
        np.bincount(codes, scale * low).astype(np.float64),
        np.bincount(codes, scale * high).astype(np.float64),
        np.bincount(codes).astype(np.float64),
    )
    worst, best = sign_flip(reach.low), sign_flip(reach.high)
    least = worst.p_at_most(float(reach.low.sum()))
    most = best.p_at_most(float(reach.high.sum()))
    stop = Stop.CONTINUE
    if 0 in {worst.unit, best.unit} and open_.any():
        # Of the normal law p is not monotone in every answer: nothing is certain.
        pass
    elif least > rule.alpha + TINY:
        stop = Stop.NOT_REGRESSED
    elif most <= rule.alpha + TINY and _simple(before, after, scale, rule):
        # The sum of squares if all that is missing is right: 0/1, so of the sizes.
        squares = float(np.abs(high).sum())
        if _surely_below(reach, squares, rule.alpha):
            stop = Stop.REGRESSED
    return Curtailed(
        stop=stop,
        answered=int((~open_).sum()),
        n=len(before),
        p_least=least,
        p_most=most,
    )


def curtail_threshold(successes: int, answered: int, n: int, minimum: float) -> Stop:
    """Say whether a hard threshold on a share is certain to be met or missed.

    Args:
        successes: so far.
        answered: items so far.
        n: items of the full run.
        minimum: share that the full run must reach.

    Raises:
        ValueError: if counts do not fit together.

    >>> curtail_threshold(2, 10, 150, 0.95), curtail_threshold(143, 145, 150, 0.95)
    (<Stop.REGRESSED: 'REGRESSED'>, <Stop.NOT_REGRESSED: 'NOT_REGRESSED'>)

    """
    if not 0 <= successes <= answered <= n or n < 1 or not 0 <= minimum <= 1:
        raise ValueError(
            f"need 0 <= successes <= answered <= n, got {successes}, {answered}, {n}"
        )
    needed = ceil(minimum * n - 1e-9)
    if successes >= needed:
        return Stop.NOT_REGRESSED
    return Stop.REGRESSED if successes + n - answered < needed else Stop.CONTINUE


def _simple(before: Floats, after: Floats, scale: Floats, rule: Rule) -> bool:
    """Whether the bound of the interval can be foreseen."""
    known = after[~np.isnan(after)]
    whole = np.isin(before, (0.0, 1.0)).all() and np.isin(known, (0.0, 1.0)).all()
    return bool(whole and (scale == scale[0]).all() and rule.max_drop == 0)


def _surely_below(reach: _Reach, squares: float, alpha: float) -> bool:
    """Whether Tango's upper bound is below 0 however the run goes on.

    With T = Σd and Q = Σd² it is below 0 if and only if T² > z²·deff·Q. Without
    clusters T²/Q is least where all that is missing is right. With clusters,
    deff = f·R/(Q - T²/n), R = Σ(S_g - n_g·Δ)², so that T² - T⁴/(nQ) > z²·f·R is
    needed, too; Q ≥ |T| bounds the left side, and the corners of what is possible
    bound R.
    """
    z2 = NormalDist().inv_cdf(1 - alpha) ** 2
    n, groups = float(reach.sizes.sum()), len(reach.sizes)
    least, most = -float(reach.high.sum()), -float(reach.low.sum())
    if least <= 0 or least**2 <= z2 * squares:
        return False
    if groups == n:
        return True
    if groups == 1 or (most == n and groups <= z2):
        return False
    corners = [
        np.square(sums - reach.sizes * change)
        for sums in (reach.low, reach.high)
        for change in (-least / n, -most / n)
    ]
    spread = float(np.max(corners, axis=0).sum()) * groups / (groups - 1)
    # t²(1 - t/n) rises and then falls: its least value is at an end. If all fell,
    # nothing spreads, and the number of clusters decided above.
    ends = (least, min(most, n - 1))
    return min(t * t * (1 - t / n) for t in ends) > z2 * spread


def _checked(
    old: ArrayLike,
    new: ArrayLike,
    clusters: Sequence[Hashable],
    weights: ArrayLike | None,
) -> tuple[Floats, Floats, Floats]:
    """Return the arrays, or say what is wrong with them."""
    before, after = np.asarray(old, dtype=float), np.asarray(new, dtype=float)
    scale = np.ones(before.shape) if weights is None else np.asarray(weights, float)
    shapes = {before.shape, after.shape, scale.shape, (len(clusters),)}
    if len(shapes) > 1 or len(before) == 0:
        raise ValueError(f"need one shape (n > 0,) of all, got {sorted(shapes)}")
    inside = (before >= 0) & (before <= 1)
    if not (inside & (np.isnan(after) | ((after >= 0) & (after <= 1)))).all():
        raise ValueError("need values in [0, 1]: what a missing item adds is bounded")
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        raise ValueError("weights must be positive")
    return before, after, scale / scale.min()
