"""Gates: a rule on a metric, judged on everything that was measured.

A `Verdict` holds every number that is shown anywhere: terminal, JUnit, ``run.json``.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from pytest_awsbench.stats.status import Status


SMALLEST_P = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A rule on one metric of one suite."""

    suite: str
    metric: str
    min: float | None = None
    """Hard threshold: no statistics."""
    max: float | None = None
    max_drop: float = 0.0
    margin: float = 0.10
    alpha: float = 0.05
    against: str | None = None
    """Another model; None compares with the model's own baseline."""
    inconclusive: Literal["warn", "fail"] = "warn"

    @property
    def name(self) -> str:
        """Part of the gate's node id."""
        against = f"-vs-{self.against}" if self.against else ""
        return f"gate-{self.metric}{against}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a gate says, with every number that it rests on."""

    name: str
    metric: str
    status: Status
    new: float | None
    """Weighted mean of this run."""
    against: str = ""
    """Label of the other side, where it is not the model's own baseline."""
    old: float | None = None
    change: float | None = None
    noise_floor: float | None = None
    """Smallest drop that would be called a regression; None if none would."""
    low: float | None = None
    """Of the two-sided 90 % interval of the change."""
    high: float | None = None
    p: float | None = None
    n: int = 0
    """Items that were compared."""
    clusters: int = 0
    worse: int = 0
    better: int = 0
    deff: float | None = None
    items_needed: int | None = None
    max_drop: float = 0.0
    margin: float = 0.10
    thresholds: bool = False
    """Whether the gate has hard thresholds."""
    threshold_missed: str | None = None
    inconclusive_is_red: bool = False
    regressed: tuple[str, ...] = ()
    """Ids of items that got worse."""
    fixed: tuple[str, ...] = ()
    by_tier: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Tier → (old, new) mean of the compared items."""
    notes: tuple[str, ...] = ()

    @property
    def changed(self) -> int:
        """How many items differ."""
        return self.worse + self.better

    @property
    def red(self) -> bool:
        """Whether the gate fails."""
        if self.threshold_missed is not None:
            return True
        if self.status is Status.INCONCLUSIVE:
            return self.inconclusive_is_red
        return self.status in {Status.REGRESSED, Status.INVALID}

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            **asdict(self),
            "status": str(self.status),
            "changed": self.changed,
            "red": self.red,
        }


def line(verdict: Verdict) -> str:
    """Return a verdict as one line.

    The verdict leads, because pytest's short summary cuts what is long.
    """
    head = f"{verdict.metric} {verdict.status}"
    if verdict.threshold_missed:
        head += f", {verdict.threshold_missed}"
    if verdict.change is None or verdict.p is None or verdict.deff is None:
        return ": ".join([head, "; ".join(verdict.notes)] if verdict.notes else [head])
    floor = verdict.noise_floor
    shown = "n/a" if floor is None else f"{100 * floor:.1f}pp"
    allowed = f", allowed drop {100 * verdict.max_drop:.1f}pp"
    return (
        f"{head}: {100 * verdict.change:+.1f}pp, noise floor {shown}"
        f"{allowed if verdict.max_drop else ''}"
        f" (n={verdict.n}, {verdict.clusters} tasks, {verdict.changed} answers changed:"
        f" {verdict.worse} worse, {verdict.better} better, deff {verdict.deff:.1f})"
        f" {p_text(verdict.p)} 90% CI {100 * (verdict.low or 0):+.1f} ..."
        f" {100 * (verdict.high or 0):+.1f}"
    )


def p_text(p: float) -> str:
    """Return a p value as papers print it.

    >>> p_text(0.0301), p_text(0.00001)
    ('p=.030', 'p<.001')
    """
    return "p<.001" if p < SMALLEST_P else f"p={p:.3f}".replace("=0.", "=.")
