"""Guards: other abilities that must not suffer, by non-inferiority.

"Not significantly worse" proves nothing; a guard passes only if a drop of its margin
is ruled out. A model is better if its primary metric improved and every guard passed:
an intersection-union test (Berger 1982), so that no alpha is split.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Protocol

from pytest_awsbench.stats.status import Status
from pytest_awsbench.stats.tango import Interval


TINY = 1e-12


class Guarded(StrEnum):
    """What a guard says."""

    PASS = "PASS"  # noqa: S105 - not a password
    """A drop of the margin or more is ruled out."""
    FAIL = "FAIL"
    """Worse by more than the margin, beyond noise."""
    INCONCLUSIVE = "INCONCLUSIVE"


class Comparison(Protocol):
    """What a guard reads of a comparison: paired, unpaired or continuous."""

    @property
    def status(self) -> Status:
        """The verdict of the gate."""

    @property
    def interval(self) -> Interval | None:
        """Two-sided 90 % interval of the oriented change; None if unknown."""

    @property
    def upper(self) -> float | None:
        """Upper bound at the gate's own alpha."""

    @property
    def p(self) -> float | None:
        """One-sided p of the test that nothing got worse."""


def guard(comparison: Comparison, margin: float, alpha: float = 0.05) -> Guarded:
    """Say whether a metric suffered by its margin.

    Args:
        comparison: with the default allowed drop, at the same alpha.
        margin: the drop that matters, > 0, in units of the metric.
        alpha: of the gate; PASS is one-sided 5 % whatever it is.

    Raises:
        ValueError: if the margin is not positive.

    """
    if not margin > 0:
        raise ValueError(f"a margin must be positive, got {margin}")
    low = comparison.interval.low if comparison.interval else None
    if comparison.status is Status.INVALID or low is None:
        return Guarded.INCONCLUSIVE
    if low > -margin:
        return Guarded.PASS
    p, upper = comparison.p, comparison.upper
    # What the noise of whole runs explains is no regression, and no failure.
    regressed = comparison.status is Status.REGRESSED
    surely = regressed and p is not None and p <= alpha + TINY
    if surely and upper is not None and upper < -margin:
        return Guarded.FAIL
    return Guarded.INCONCLUSIVE


def is_better(primary: Status, guards: Iterable[Guarded]) -> bool:
    """Say whether "the new model is better" may be claimed.

    >>> is_better(Status.IMPROVED, [Guarded.PASS, Guarded.PASS])
    True
    >>> is_better(Status.IMPROVED, [Guarded.PASS, Guarded.INCONCLUSIVE])
    False

    """
    return primary is Status.IMPROVED and all(g is Guarded.PASS for g in guards)
