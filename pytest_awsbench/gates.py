"""Gates: a rule on a metric, judged on everything that was measured.

A `Verdict` holds every number that is shown anywhere: terminal, JUnit, ``run.json``.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from pytest_awsbench.stats.status import Status


Direction = Literal["higher", "lower"]
"""Which of two values of a metric is better."""
Unit = Literal["share", "number"]
"""A share lies in [0, 1]; a number has no bounds: rewards, turns."""
ClusterBy = Literal["task_id", "tier", "source", "id"]

ALPHA = 0.05
"""Of a gate that stands alone, and of a whole session."""
MARGIN = 0.10
"""Of shares: a drop of this size is what WITHIN_NOISE rules out."""


class GateFailedError(AssertionError):
    """A gate is red; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A number that was published without its items."""

    value: float | str
    """As printed; a text keeps zeros at its end, such as ``"0.890"`` or ``"89.0%"``."""
    n: int | None = None
    """Items that it was measured on."""
    stderr: float | None = None
    """Standard error, for where the number of items is unknown."""
    source: str = ""
    """Who published it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A rule on one metric of one suite."""

    suite: str
    metric: str
    min: float | None = None
    """Hard threshold: no statistics."""
    max: float | None = None
    max_drop: float = 0.0
    """Allowed drop (rise, where lower is better), in units of the metric."""
    min_gain: float | None = None
    """The change for the better that must be shown: its lower bound reaches this."""
    margin: float | None = None
    """A drop that matters; None: 0.10 of shares, of numbers none."""
    alpha: float | None = None
    """One-sided; None: this gate's part of the session's."""
    against: str | None = None
    """Another model; None compares with the model's own baseline."""
    published: Published | None = None
    """A published number to compare with, instead of any model."""
    direction: Direction | None = None
    """None: what the suite says of the metric; higher, if it says nothing."""
    unit: Unit | None = None
    """None: what the suite says, or what the values look like."""
    cluster: ClusterBy = "task_id"
    """What makes items belong together."""
    weight: Literal["tier", "source"] | tuple[tuple[str, float], ...] | None = None
    """Each tier (source) counts alike, or each tier its share; None: each item."""
    tiers: tuple[str, ...] = ()
    """Only items of these; empty: all."""
    guard: bool = False
    """Non-inferiority by `margin`: green only if a drop of the margin is ruled out."""
    inconclusive: Literal["warn", "fail"] = "warn"
    confirm: int = 0
    """Fresh runs that are pooled before a red verdict stands."""
    title: str = ""
    """Its name, where the default one is taken."""

    @property
    def name(self) -> str:
        """Part of the gate's node id."""
        parts = [self.title] if self.title else ["gate", self.metric, *self.tiers]
        if not self.title and self.guard:
            parts.append("guard")
        if not self.title and self.against:
            parts += ["vs", self.against]
        if not self.title and self.published:
            parts += ["vs", "published"]
        return "-".join(parts)

    @property
    def lower(self) -> bool:
        """Whether less is better."""
        return self.direction == "lower"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The change of one tier or source: for orientation, never gated."""

    by: str
    """``tier`` or ``source``."""
    name: str
    n: int
    old: float
    new: float
    p: float
    """One-sided mid-p that nothing got worse."""
    q: float
    """Benjamini and Hochberg's, over the groups of its kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a gate says, with every number that it rests on.

    Changes and intervals are new - old in units of the metric, whichever is better.
    """

    name: str
    metric: str
    status: Status
    new: float | None
    """Weighted mean of this run."""
    test: Literal["", "paired", "continuous", "unpaired"] = ""
    """Which comparison was made; empty: none."""
    direction: Direction = "higher"
    unit: Unit = "share"
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
    p_holm: float | None = None
    """Adjusted by Holm for all gates of the session; None where there is one."""
    alpha: float = ALPHA
    """What this gate may spend, one-sided."""
    n: int = 0
    """Items that were compared."""
    clusters: int = 0
    worse: int = 0
    better: int = 0
    deff: float | None = None
    discordance: float | None = None
    """Mean squared difference: of single answers, the share that changed."""
    rerun_discordance: float | None = None
    """Share of answers that a re-run of an unchanged model changes, where measured."""
    rerun_floor: float | None = None
    """Drop that decoding alone exceeds with 5 %; it is part of the noise floor."""
    items_needed: int | None = None
    max_drop: float = 0.0
    min_gain: float | None = None
    margin: float | None = MARGIN
    guard: str | None = None
    """``PASS``, ``FAIL`` or ``INCONCLUSIVE``, of a guard."""
    thresholds: bool = False
    """Whether the gate has hard thresholds."""
    threshold_missed: str | None = None
    inconclusive_is_red: bool = False
    regressed: tuple[str, ...] = ()
    """Ids of items that got worse."""
    fixed: tuple[str, ...] = ()
    groups: tuple[Group, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def changed(self) -> int:
        """How many items differ."""
        return self.worse + self.better

    @property
    def red(self) -> bool:
        """Whether the gate fails."""
        if self.threshold_missed is not None or self.status is Status.INVALID:
            return True
        if self.inconclusive:
            return self.inconclusive_is_red
        if self.guard is not None:
            return self.guard == "FAIL"
        return self.status is Status.REGRESSED

    @property
    def inconclusive(self) -> bool:
        """Whether more items are needed before anything can be said."""
        if self.guard is not None:
            return self.guard == "INCONCLUSIVE"
        return self.status is Status.INCONCLUSIVE

    @property
    def word(self) -> str:
        """What the gate says: of a guard, whether it passed."""
        if self.guard is None or self.status is Status.INVALID:
            return str(self.status)
        return f"GUARD {self.guard}"

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            **asdict(self),
            "status": str(self.status),
            "changed": self.changed,
            "red": self.red,
        }
