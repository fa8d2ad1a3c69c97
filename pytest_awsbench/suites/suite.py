"""A suite: all samples of one kind, and how their answers are scored."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, Self

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
    is_truncated: Callable[[Completion], bool] = answers.is_truncated
    """Whether an answer was cut off before it was over, so that it says nothing about
    what the model would have answered."""
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
        ``exact`` (1) or a ``miss``; one that was cut off and is not exact is
        ``truncated``.
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
            outcome=lambda _sample, completion, scores: (
                "exact"
                if scores[primary] == 1
                else "truncated"
                if completion.cut_off
                else "miss"
            ),
            is_truncated=lambda completion: completion.cut_off,
        )

    @property
    def ordered(self) -> tuple[str, ...]:
        """All metrics, the one that is gated first."""
        return tuple(sorted(self.scorers, key=lambda metric: metric != self.primary))

    def unit(self, metric: str) -> Literal["share", "number"]:
        """Return how a metric is shown."""
        return "number" if metric in self.numbers else "share"

    def direction(self, metric: str) -> Literal["higher", "lower"]:
        """Return which way a metric is better."""
        return "lower" if metric in self.lower else "higher"

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
    again = any(result.first_scores for result in results)
    return Result(
        sample_id=first.sample_id,
        completion=draws,
        scores=_mean_scores([result.scores for result in results]),
        outcome=first.outcome if right in {0, k} else "partly",
        k=k,
        squares={m: sum(v * v for v in row) for m, row in known.items()},
        first_scores=_mean_scores([r.first_scores or r.scores for r in results])
        if again
        else {},
    )


def with_first(result: Result, first: Result) -> Result:
    """Return a result that knows what the first budget was worth."""
    return replace(result, first_scores=first.scores)


def _mean_scores(rows: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    """Return the mean of each metric, None where one of the rows has none."""
    means: dict[str, float | None] = {}
    for metric in rows[0]:
        known = [v for row in rows if (v := row.get(metric)) is not None]
        means[metric] = sum(known) / len(rows) if len(known) == len(rows) else None
    return means


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
