"""A suite: all samples of one kind, and how their answers are scored."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from pytest_awsbench.records import (
    RIGHT,
    Answer,
    Completion,
    DataCard,
    Draws,
    Result,
    Sample,
    Score,
)
from pytest_awsbench.scoring import answers
from pytest_awsbench.scoring.answers import Scorer
from pytest_awsbench.suites.leakage import Leakage


class Outcome(Protocol):
    """Puts a scored answer into one word for pytest's line."""

    def __call__(
        self,
        sample: Sample,
        completion: Completion,
        scores: Mapping[str, float | None],
    ) -> str:
        """Return ``exact``, ``operation``, ``service``, ``format`` or ``miss``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """All items of one kind, for any model."""

    name: str
    """Its marker, and part of its node ids."""
    samples: tuple[Sample, ...]
    data: DataCard
    scorers: Mapping[str, Scorer] = field(default_factory=lambda: answers.METRICS)
    """Metric → scorer; in the order of the report."""
    versions: Mapping[str, int] = field(default_factory=lambda: answers.METRIC_VERSIONS)
    """Metric → version of its definition; baselines of another are refused."""
    primary: str = "exact_match"
    """The metric that is gated where no gate is configured."""
    outcome: Outcome = answers.outcome
    counted: tuple[str, str] = ("prompts", "tasks")
    """What its items and their clusters are called."""
    numbers: frozenset[str] = frozenset()
    """Metrics that are no shares: shown as plain numbers."""
    lower: frozenset[str] = frozenset()
    """Metrics of which less is better."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What else an answer depends on, as plain values: part of its identity."""
    warnings: tuple[str, ...] = ()
    leakage: Leakage | None = None
    """What of its samples stands in the training rows, where these are known."""

    @classmethod
    def of(
        cls,
        name: str,
        samples: Iterable[Sample],
        scorers: Mapping[str, Scorer] | None = None,
    ) -> Self:
        """Build a suite of your own: its samples and, if not ours, its scorers.

        The first scorer is the one that is gated, and says whether an answer is
        ``exact`` (1) or a ``miss``.
        """
        samples = tuple(samples)
        card = data_card(name, samples)
        if scorers is None:
            return cls(name=name, samples=samples, data=card)
        primary = next(iter(scorers))
        return cls(
            name=name,
            samples=samples,
            data=card,
            scorers=scorers,
            versions=dict.fromkeys(scorers, 1),
            primary=primary,
            outcome=lambda _sample, _completion, scores: (
                "exact" if scores[primary] == 1 else "miss"
            ),
        )

    def score(
        self, sample: Sample, completion: Answer, extra: Sequence[Score] = ()
    ) -> Result:
        """Score one answer; `extra` holds the scores of other scorers."""
        if not isinstance(completion, Completion):
            raise TypeError(f"suite {self.name} scores one answer at a time")
        scores = {
            metric: scorer(sample, completion).value
            for metric, scorer in self.scorers.items()
        }
        scores |= {score.metric: score.value for score in extra}
        return Result(
            sample_id=sample.id,
            completion=completion,
            scores=scores,
            outcome=self.outcome(sample, completion, scores),
        )


def pooled(draws: Draws, results: Sequence[Result]) -> Result:
    """Return several answers to one prompt, each scored, as one result.

    A metric that one of the answers does not have is one that the item does not have.
    """
    first = results[0]
    values = {
        metric: [result.scores.get(metric) for result in results]
        for metric in first.scores
    }
    known = {
        metric: [value for value in row if value is not None]
        for metric, row in values.items()
    }
    k = len(results)
    right = sum(result.outcome in RIGHT for result in results)
    return Result(
        sample_id=first.sample_id,
        completion=draws,
        scores={m: sum(row) / k if len(row) == k else None for m, row in known.items()},
        outcome=first.outcome if right in {0, k} else "partly",
        k=k,
        squares={m: sum(v * v for v in row) for m, row in known.items()},
    )


def data_card(name: str, samples: Sequence[Sample], subset: str = "") -> DataCard:
    """Describe samples: how many, of how many tasks, and their digest."""
    digest = hashlib.sha256()
    for sample in sorted(samples, key=lambda sample: sample.id):
        row = f"{sample.id}\0{sample.prompt_hash}\0{sample.target}"
        digest.update(row.encode() + b"\n")
    return DataCard(
        name=name,
        digest=digest.hexdigest()[:16],
        samples=len(samples),
        tasks=len({sample.task_id for sample in samples}),
        subset=subset,
    )
