"""The built-in tasks, played in the real environment: solvable, and not for nothing."""

import random
from collections.abc import Iterator

import pytest

from pytest_awsbench.envs.catalog import (
    VARIANTS,
    builtin_tasks,
    cluster_of,
    solutions,
)
from pytest_awsbench.envs.schema import TIERS, Task
from pytest_awsbench.envs.server.episode import HINT, Episode, Rules


pytest.importorskip("moto")
pytest.importorskip("awscli")

from pytest_awsbench.envs.server.pool import Pool


pytestmark = pytest.mark.live

READS = (
    "aws sts get-caller-identity",
    "aws s3 ls",
    "aws iam list-users",
    "aws ec2 describe-instances",
    "aws configure list",
    "ls",
)
"""What is no step towards any task."""


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    """One worker per core."""
    made = Pool()
    made.start()
    try:
        yield made
    finally:
        made.close()


def play(pool: Pool, task: Task, commands: tuple[str, ...], seed: int) -> list[bool]:
    """Play commands, and return after which of them the task was done."""
    episode = Episode(pool.open(), Rules())
    try:
        episode.reset(task, seed=seed)
        return [bool(episode.step(command)["done"]) for command in commands]
    finally:
        episode.close()


@pytest.mark.parametrize("tier", TIERS)
def test_canonical_solutions(pool: Pool, tier: str) -> None:
    """Every task is done at the end of its solution, and not before.

    That of a drift task repairs more than what was drawn.
    """
    wrong = {
        task.task_id: done
        for task in builtin_tasks()
        if task.difficulty == tier
        for done in [play(pool, task, solutions()[task.task_id], seed=1)]
        if not any(done)
        or not (task.possible_drifts or done.index(True) == len(done) - 1)
    }

    assert wrong == {}


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3, 4])
def test_any_drift_is_repaired(pool: Pool, seed: int) -> None:
    """The solution of a drift task repairs whatever was drawn."""
    wrong = [
        task.task_id
        for task in builtin_tasks()
        if task.possible_drifts
        and not any(play(pool, task, solutions()[task.task_id], seed=seed))
    ]

    assert wrong == []


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["nothing", "hints", "random"])
def test_nothing_is_achieved_for_nothing(pool: Pool, policy: str) -> None:
    """Doing nothing, asking for hints, and running anything never do a task."""
    rng = random.Random(0)  # noqa: S311 - not secret
    achieved = []
    for task in builtin_tasks():
        mine = cluster_of(task)
        others = [s for n, s in solutions().items() if str(n // VARIANTS) != mine]
        commands = {
            "nothing": ("aws sts get-caller-identity",),
            "hints": (HINT,) * 4,
            "random": tuple(rng.choices(READS, k=3)) + tuple(rng.choice(others)[:2]),
        }[policy]
        if any(play(pool, task, commands, seed=1)):
            achieved.append((task.task_id, commands))

    assert achieved == []
