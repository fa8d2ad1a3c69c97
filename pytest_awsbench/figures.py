"""What a whole run shows, as values: what terminal, run.json and reports all show."""

from collections.abc import Mapping
from dataclasses import dataclass

from pytest_awsbench.gates import Direction, Unit, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """A metric's weighted mean, with its two-sided 95 % interval by clusters."""

    mean: float
    low: float | None
    """None where one cluster says nothing of others."""
    high: float | None
    n: int
    """Items that have the metric."""
    old: float | None
    """The baseline's mean over the same prompts; None where it cannot be compared."""
    unit: Unit
    direction: Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupMeans:
    """The means of one tier or source."""

    name: str
    n: int
    means: Mapping[str, Mean]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepShare:
    """The share of episodes that were complete within so many turns."""

    step: int
    share: float
    low: float
    """Of the 90 % band that holds the whole curve."""
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What all answers of one model to one suite show."""

    ungated: tuple[Verdict, ...] = ()
    """Metrics that no gate judges, judged for orientation."""
    means: Mapping[str, Mean]
    groups: Mapping[str, tuple[GroupMeans, ...]]
    """``tier`` and ``source``; without any where the data name none."""
    curve: tuple[StepShare, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SideBySide:
    """Another model of a run against its first one, on every metric of a suite."""

    suite: str
    first: str
    other: str
    verdicts: tuple[Verdict, ...]
