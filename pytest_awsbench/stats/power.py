"""What a gate can see: drops it finds, items it needs, margins it can certify.

Formulas are Connor's (1987) for McNemar's test with a design effect. The discordance
is that of an unchanged model, ψ; a drop of δ raises it to √(ψ² + δ²).
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from pytest_awsbench.stats.mcnemar import exact_drop
from pytest_awsbench.stats.paired import Rule, paired_gate
from pytest_awsbench.stats.signflip import min_flips
from pytest_awsbench.stats.status import Status


ASSUMED_DISCORDANCE = 0.20
"""Share of answers that change where no repeats have measured it."""
EXACT_UP_TO = 150
"""Effective items up to which all outcomes are counted instead of a formula."""
LIKELY, NEARLY_SURE = 0.80, 0.95
DROPS = (0.10, 0.05, 0.02)
STEPS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class GatePower:
    """What a gate on shares in [0, 1] can see."""

    n: int
    clusters: int
    deff: float
    discordance: float
    measured: bool
    """Whether the discordance was measured, by repeats of the baseline."""
    min_flips: int
    """Answers that must change the same way, at the least."""
    drop_80: float | None
    """Smallest true drop that is found with 80 %; None: not even a loss of all."""
    drop_95: float | None
    items: Mapping[float, int]
    """Drop → items that find it with 80 %."""
    margin: float
    """Smallest margin that an unchanged model is certified with, with 80 %."""


@lru_cache(maxsize=256)
def gate_power(
    n: int,
    clusters: int,
    deff: float = 1.0,
    discordance: float | None = None,
    alpha: float = 0.05,
) -> GatePower:
    """Say what a gate can see, before anything is run.

    Args:
        n: items.
        clusters: tasks that they belong to.
        deff: design effect, at least 1, of the baseline's items.
        discordance: share of answers that change in a re-run; None assumes 20 %.
        alpha: of the gate, one-sided.

    Raises:
        ValueError: if a number is out of range.

    >>> plan = gate_power(150, 150)
    >>> plan.min_flips, plan.items[0.10], round(plan.margin, 3)
    (4, 137, 0.091)

    """
    if not 1 <= clusters <= n:
        raise ValueError(f"need 1 <= clusters <= n, got {clusters} and {n}")
    psi = ASSUMED_DISCORDANCE if discordance is None else discordance
    return GatePower(
        n=n,
        clusters=clusters,
        deff=deff,
        discordance=psi,
        measured=discordance is not None,
        min_flips=min_flips(alpha),
        drop_80=drop_found(n, psi, deff, LIKELY, alpha),
        drop_95=drop_found(n, psi, deff, NEARLY_SURE, alpha),
        items={d: items_needed(d, psi, deff, alpha=alpha) for d in DROPS},
        margin=certifiable_margin(n, psi, deff, alpha=alpha),
    )


def items_needed(
    drop: float,
    discordance: float,
    deff: float = 1.0,
    power: float = LIKELY,
    alpha: float = 0.05,
) -> int:
    """Return the items that find a drop with a given power.

    deff·[z_α·√ψ' + z_β·√(ψ' - δ²)]²/δ², ψ' = √(ψ² + δ²), rounded up.

    Raises:
        ValueError: if a number is out of range.

    >>> [items_needed(drop, 0.10) for drop in (0.10, 0.05, 0.02)]
    [86, 275, 1575]

    """
    _check(discordance, deff, power, alpha)
    if not 0 < drop <= 1:
        raise ValueError(f"a drop must be in (0, 1], got {drop}")
    # Rounding may leave 67.0000001 where 67 are meant.
    return max(1, ceil(deff * _pairs(drop, discordance, power, alpha) - 1e-6))


def drop_found(
    n: int,
    discordance: float,
    deff: float = 1.0,
    power: float = LIKELY,
    alpha: float = 0.05,
) -> float | None:
    """Return the smallest true drop that n items find with a given power.

    Up to 150 effective items every outcome of the mid-p test is counted; above, the
    formula of `items_needed` is solved for the drop.

    Returns:
        The drop in (0, 1]; None if even the largest is missed too often.

    Raises:
        ValueError: if a number is out of range.

    """
    _check(discordance, deff, power, alpha)
    if n < 1:
        raise ValueError(f"need n > 0 items, got {n}")
    items = n / deff
    if items < EXACT_UP_TO + 1:
        return exact_drop(int(items), discordance, power, alpha)
    return formula_drop(items, discordance, power, alpha)


def formula_drop(
    items: float, discordance: float, power: float = LIKELY, alpha: float = 0.05
) -> float | None:
    """Return the drop for which the formula asks for so many effective items.

    For few items this is larger than what counting every outcome gives.

    >>> round(100 * formula_drop(150, 0.10), 3), round(100 * formula_drop(27, 0.20), 3)
    (7.052, 26.536)

    """
    low, high = 0.0, 1.0
    if _pairs(high, discordance, power, alpha) > items:
        return None
    for _ in range(STEPS):
        middle = (low + high) / 2
        if _pairs(middle, discordance, power, alpha) > items:
            low = middle
        else:
            high = middle
    return high


def certifiable_margin(
    n: int,
    discordance: float,
    deff: float = 1.0,
    power: float = LIKELY,
    alpha: float = 0.05,
) -> float:
    """Return the smallest margin that an unchanged model passes with a given power.

    (z_α + z_β)·√(ψ·deff/n). A guard with a smaller margin cannot be relied on.

    Args:
        n: items.
        discordance: share of answers that change in a re-run; for a published
            baseline, `unpaired_variance`.
        deff: design effect.
        power: how often an unchanged model shall pass.
        alpha: one-sided.

    Raises:
        ValueError: if a number is out of range.

    """
    _check(discordance, deff, power, alpha)
    if n < 1:
        raise ValueError(f"need n > 0 items, got {n}")
    normal = NormalDist()
    return (normal.inv_cdf(1 - alpha) + normal.inv_cdf(power)) * sqrt(
        discordance * deff / n
    )


def unpaired_variance(share: float, n: int, published_n: int) -> float:
    """Return what stands for the discordance where only a share was published.

    p(1-p)·(1 + n/n₀): twice p(1-p) for samples of the same size.

    >>> round(100 * certifiable_margin(14042, unpaired_variance(0.6, 14042, 14042)), 1)
    1.5

    """
    if not (0 <= share <= 1 and n > 0 and published_n > 0):
        raise ValueError(f"need a share in [0, 1] of n > 0, got {share}")
    return share * (1 - share) * (1 + n / published_n)


def can_fail(
    old: ArrayLike,
    clusters: Sequence[Hashable],
    weights: ArrayLike | None = None,
    rule: Rule | None = None,
) -> bool:
    """Say whether a gate would be red if every answer were wrong.

    Args:
        old: value of each item in the baseline, in [0, 1], shape (n,).
        clusters: which items belong together, length n.
        weights: positive, shape (n,).
        rule: what is allowed.

    >>> can_fail([1, 1, 1], "abc"), can_fail([1, 1, 1, 1], "abcd")
    (False, True)
    >>> can_fail([1] * 12, "a" * 12)
    False

    """
    before = np.asarray(old, dtype=float)
    worst = paired_gate(before, np.zeros(before.shape), clusters, weights, rule)
    return worst.status is Status.REGRESSED


def _pairs(drop: float, discordance: float, power: float, alpha: float) -> float:
    """Return the effective items of Connor's formula."""
    changed = sqrt(discordance**2 + drop**2)
    # With a drop of nearly 1 all answers change the same way and no spread is left.
    spread = max(changed - drop**2, 0.0)
    normal = NormalDist()
    z_alpha, z_beta = normal.inv_cdf(1 - alpha), normal.inv_cdf(power)
    if drop == 0:
        return float("inf")
    return float((z_alpha * sqrt(changed) + z_beta * sqrt(spread)) ** 2 / drop**2)


def _check(discordance: float, deff: float, power: float, alpha: float) -> None:
    """Say which number is out of range."""
    if not 0 <= discordance < 1:
        raise ValueError(f"a discordance must be in [0, 1), got {discordance}")
    if not deff >= 1:
        raise ValueError(f"a design effect is at least 1, got {deff}")
    if not (0 < power < 1 and 0 < alpha < 1):
        raise ValueError(f"need power and alpha inside (0, 1), got {power}, {alpha}")
