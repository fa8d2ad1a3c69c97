"""What a whole run shows, as values: what terminal, run.json and reports all show."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

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
class Ranked:
    """One model's place among several."""

    model: str
    n: int
    """Answers."""
    errors: int
    """Answers that are missing: means are of those that are there."""
    means: Mapping[str, Mean]
    latency: float | None
    """Median seconds; None where it is not known."""
    length: float | None
    """Mean characters of an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A model beside the best one."""

    model: str
    change: float | None
    """Of the primary metric, in its own sense; None without a common item."""
    p: float
    """Two-sided, adjusted by Holm over all pairs of models."""
    apart: bool
    """Whether the two can be told apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """The models of a run by a suite's primary metric, the best first."""

    suite: str
    primary: str
    models: tuple[Ranked, ...]
    best: str | None = None
    """What the others are compared with; None where nothing can be compared."""
    pairs: int = 0
    """Pairs of models, of which the best was chosen."""
    others: tuple[Told, ...] = ()

    @property
    def title(self) -> str:
        """What a table of it is called."""
        return f"{len(self.models)} models by {self.primary}"

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Return a ranking that was kept."""
        models = tuple(
            Ranked(**{
                **model,
                "means": {m: Mean(**mean) for m, mean in model["means"].items()},
            })
            for model in stored["models"]
        )
        others = tuple(Told(**other) for other in stored["others"])
        return cls(**{**stored, "models": models, "others": others})


@dataclass(frozen=True, slots=True, kw_only=True)
class SideBySide:
    """Another model of a run against its first one, on every metric of a suite."""

    suite: str
    first: str
    other: str
    verdicts: tuple[Verdict, ...]
