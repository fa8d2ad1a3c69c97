"""The suite ``env``: tasks that are played live, turn by turn."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_awsbench.envs.schema import TIERS, Task
from pytest_awsbench.episodes import Play
from pytest_awsbench.records import Answer, Message, Result, Sample, Score
from pytest_awsbench.scoring import episodes as scoring
from pytest_awsbench.suites.selecting import Selection
from pytest_awsbench.suites.suite import Suite, data_card


NAME = "env"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvSuite(Suite):
    """All tasks, as items."""

    tasks: Mapping[str, dict[str, Any]]
    """Item id → the task as it is injected on reset."""

    def score(
        self, sample: Sample, completion: Answer, extra: Sequence[Score] = ()
    ) -> Result:
        """Score all trials of a task; `extra` holds the scores of other scorers."""
        if not isinstance(completion, Play):
            raise TypeError(f"suite {self.name} asks for episodes, not for one answer")
        return of_episodes(sample.id, completion, extra)


def of_episodes(sample_id: str, play: Play, extra: Sequence[Score] = ()) -> Result:
    """Score all trials of a task; `extra` holds the scores of other scorers."""
    scores, squares = scoring.trial_scores(play)
    scores |= {score.metric: score.value for score in extra}
    return Result(
        sample_id=sample_id,
        completion=play,
        scores=scores,
        outcome=scoring.outcome(play),
        k=len(play.episodes),
        squares=squares,
    )


def env_suite(
    chosen: Selection,
    *,
    clusters: Mapping[int, str],
    settings: Mapping[str, Any],
    warnings: tuple[str, ...] = (),
) -> EnvSuite:
    """Return tasks as a suite, easy ones first.

    Args:
        chosen: the tasks, in the order of their files.
        clusters: task id → what it has in common with others; default: itself.
        settings: what an episode depends on besides its task.
        warnings: what a report must say.

    """
    tasks = chosen.tasks
    ordered = sorted(tasks, key=lambda task: TIERS.index(task.difficulty))
    plain = {_name(task): task.model_dump(mode="json") for task in ordered}
    samples = tuple(
        _sample(task, clusters.get(task.task_id, str(task.task_id))) for task in ordered
    )
    return EnvSuite(
        name=NAME,
        samples=samples,
        data=data_card(chosen.source, samples, chosen.subset),
        scorers=dict.fromkeys(scoring.METRICS, _unused),
        versions=scoring.VERSIONS,
        primary="completion_rate",
        counted=("tasks", "templates"),
        numbers=scoring.NUMBERS,
        lower=scoring.LOWER,
        settings=settings,
        warnings=warnings,
        tasks=plain,
    )


def _name(task: Task) -> str:
    """Return an item's id."""
    return f"{task.difficulty}-{task.task_id}"


def _sample(task: Task, cluster: str) -> Sample:
    """Return a task as an item; an edited task is another item's content."""
    text = json.dumps(task.model_dump(mode="json"), sort_keys=True)
    return Sample(
        id=_name(task),
        prompt=(Message("user", task.description.strip()),),
        target="",
        prompt_hash=hashlib.sha256(text.encode()).hexdigest()[:16],
        task_id=cluster,
        tier=task.difficulty,
    )


def _unused(*_: object) -> Score:
    """Stand where other suites have a scorer of one answer."""
    raise TypeError("episodes are scored by all metrics at once")
