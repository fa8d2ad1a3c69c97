"""What a step earns.

A level, not a difference: the same progress is paid again on every later step. So the
sum over an episode pays dawdling, and is no measure of quality; completion is.
"""

from collections.abc import Sequence

from pytest_awsbench.envs.server.commands import Executed
from pytest_awsbench.envs.server.grading import Grade, Grading


LEVEL = 0.8
"""Of progress, while the task is not achieved."""
BETTER = 0.1
"""For a step that brought more progress than any before."""
FAILED = 0.5
"""Factor for a command that failed."""
ROLLBACK = 0.1
"""Less for each thing that was created and deleted again."""
RETRY = 0.02
"""For going on after a creation failed because the thing was there."""
HINT = 0.85
"""Factor for each hint."""
CHAOS = 1.05
"""Factor for an achieved task in which chaos struck, in the reference grading."""
MOST = 0.99
"""Without achieving."""
_THERE = ("already exists", "already owned", "alreadyexists", "alreadyowned", "in use")


def achieved(*, hints: int, chaos: bool, mode: Grading) -> float:
    """Return the reward of the step that achieves a task.

    Args:
        hints: used so far.
        chaos: whether chaos struck; the reference pays 1.05 in spite of it.
        mode: of grading.

    """
    bonus = CHAOS if chaos and mode == "reference" else 1.0
    return float(bonus * HINT**hints)


def on_the_way(
    grade: Grade, best: float, history: Sequence[Executed], hints: int
) -> float:
    """Return the reward of a step that does not achieve the task, at most 0.99.

    Args:
        grade: after the step.
        best: highest progress before it.
        history: all commands, the latest last.
        hints: used so far.

    """
    earned = LEVEL * grade.progress
    if grade.progress > best:
        earned += BETTER
    if not history[-1].ok:
        earned *= FAILED
    earned -= ROLLBACK * rollbacks(history)
    earned += RETRY * retries(history)
    return float(min(MOST, max(0.0, earned * HINT**hints)))


def rollbacks(history: Sequence[Executed]) -> int:
    """Count things that were created and deleted, in any order."""
    done = [e for e in history if e.ok]
    return sum(
        any(_undoes(later, made) for later in done)
        for made in done
        if made.operation.startswith(("create-", "mb"))
    )


def retries(history: Sequence[Executed]) -> int:
    """Count creations that failed because the thing was there, and were got over."""
    return sum(
        not made.ok
        and made.operation.startswith(("create-", "mb"))
        and any(words in made.ran.error.lower() for words in _THERE)
        and any(later.ok for later in history[index + 1 :])
        for index, made in enumerate(history)
    )


def _undoes(later: Executed, made: Executed) -> bool:
    """Whether a command deletes what another one created."""
    kind = made.operation.removeprefix("create-")
    deletes = {f"delete-{kind}"} | ({"rb", "delete-bucket"} if kind == "mb" else set())
    return not deletes.isdisjoint(later.operations) and any(
        later.names(word.removeprefix("s3://").rstrip("/")) for word in made.given
    )
