"""One session's environment: reset, step, state."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from uuid import uuid4

from pytest_awsbench.envs.schema import SetupCommand, Task
from pytest_awsbench.envs.server import rewards
from pytest_awsbench.envs.server.chaos import strike
from pytest_awsbench.envs.server.commands import Executed
from pytest_awsbench.envs.server.grading import Grade, Grader, Grading
from pytest_awsbench.envs.server.hints import hint
from pytest_awsbench.envs.server.universe import Ran, Universe


HINT = "aws help --task-hint"
READY = "Environment reset. Infra state wiped."
NOT_AWS = "Only AWS CLI commands (starting with 'aws') are allowed."
IDLE: Mapping[str, Any] = MappingProxyType({
    "episode_id": None,
    "step_count": 0,
    "current_task": None,
    "tracker": {
        "step_count": 0,
        "hints_used": 0,
        "progress": 0.0,
        "commands_executed": [],
        "credited_operations": [],
    },
    "infra_state": {},
    "chaos_occurred": False,
    "current_tier": "warmup",
})
"""What is known before the first reset."""
HELP_WORDS = 3
"""Words of ``aws s3 help``, or ``aws help s3``."""
FEW, MANY = 2, 3
"""How many drifts are drawn from a task's pool."""


class EpisodeError(Exception):
    """What the environment cannot do; its message is for whoever wrote the task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How a server plays."""

    tasks: Sequence[Task] = ()
    """From which a reset without a task draws."""
    seed: int = 42
    grading: Grading = "sound"
    chaos: bool = False


@dataclass(slots=True)
class _Now:
    """The episode in progress."""

    task: Task
    grader: Grader
    episode_id: str
    rng: random.Random
    steps: int = 0
    hints: int = 0
    progress: float = 0.0
    chaos: bool = False
    history: list[Executed] = field(default_factory=list)


class Episode:
    """Plays one episode at a time in an account of its own."""

    def __init__(self, universe: Universe, rules: Rules) -> None:
        self._universe = universe
        self._rules = rules
        self._now: _Now | None = None
        self._played = 0

    def reset(
        self,
        task: Task | None = None,
        episode_id: str | None = None,
        seed: int | None = None,
    ) -> dict[str, Any]:
        """Empty the account, prepare it for a task, and return the first frame.

        Raises:
            EpisodeError: naming a set-up command that failed.

        """
        seed = self._rules.seed + self._played if seed is None else seed
        self._played += 1
        rng = random.Random(seed)  # noqa: S311 - a draw, not a secret
        task = task or self._drawn(rng)
        # Should the set-up fail, there is no episode: the account is not the old one's.
        self._now = None
        self._universe.reset(seed)
        for command in (*task.setup_commands, *_drifts(task, rng)):
            self._prepare(task, command)
        self._now = _Now(
            task=task,
            grader=Grader(task.success_criteria, self._rules.grading),
            episode_id=episode_id or str(uuid4()),
            rng=rng,
        )
        return self._frame(Ran(0, READY, ""), 0.0)

    def step(self, command: str) -> dict[str, Any]:
        """Run one command and return what the agent sees.

        Raises:
            EpisodeError: before the first reset.

        """
        now = self._episode()
        command = command.strip()
        now.steps += 1
        if not command.startswith("aws "):
            return self._frame(Ran(1, "", NOT_AWS), 0.0)
        if command == HINT:
            now.hints += 1
            text = hint(now.task.success_criteria, now.hints)
            return self._frame(Ran(0, text, ""), 0.0, hint_text=text)
        words = command.split()
        if len(words) == HELP_WORDS and "help" in words[1:]:
            # Looking a service up is neither graded nor rewarded.
            service = next((w for w in words[1:] if w != "help"), "help")
            return self._frame(self._universe.run(f"aws {service} help"), 0.0)
        return self._executed(now, command)

    def state(self) -> dict[str, Any]:
        """Return what is known of the episode, its criteria included."""
        now = self._now
        if now is None:
            return dict(IDLE)
        return {
            "episode_id": now.episode_id,
            "step_count": now.steps,
            "current_task": now.task.model_dump(mode="json"),
            "tracker": {
                "step_count": len(now.history),
                "hints_used": now.hints,
                "progress": now.progress,
                "commands_executed": [e.command for e in now.history],
                "credited_operations": [],
            },
            "infra_state": {},
            "chaos_occurred": now.chaos,
            "current_tier": now.task.difficulty,
        }

    def close(self) -> None:
        """Give the account back."""
        self._universe.close()

    def _executed(self, now: _Now, command: str) -> dict[str, Any]:
        """Run, grade and reward a command."""
        ran = self._universe.run(command)
        now.history.append(Executed(command, ran))
        grade = now.grader.grade(now.history, self._universe)
        if grade.achieved:
            reward = rewards.achieved(
                hints=now.hints, chaos=now.chaos, mode=self._rules.grading
            )
        else:
            reward = rewards.on_the_way(grade, now.progress, now.history, now.hints)
        now.progress = max(now.progress, grade.progress)
        if self._rules.chaos and not grade.achieved:
            struck = strike(now.task, now.history, self._universe, now.rng)
            if struck:
                now.chaos = True
                now.grader.forget()
        return self._frame(ran, reward, grade)

    def _frame(
        self, ran: Ran, reward: float, grade: Grade | None = None, hint_text: str = ""
    ) -> dict[str, Any]:
        """Return the data of an observation frame."""
        now = self._episode()
        achieved = grade is not None and grade.achieved
        task = now.task
        return {
            "observation": {
                "episode_id": now.episode_id,
                "step_count": now.steps,
                "command_success": ran.ok,
                "command_output": ran.output,
                "error": ran.error,
                "task": {
                    "task_id": task.task_id,
                    "difficulty": task.difficulty,
                    "description": task.description,
                    "desired_state_spec": task.desired_state_spec,
                },
                "task_achieved": achieved,
                "partial_progress": now.progress,
                "hints_used": now.hints,
                "hint_text": hint_text,
            },
            "reward": round(reward, 6),
            "done": achieved,
        }

    def _prepare(self, task: Task, command: SetupCommand) -> None:
        """Run a set-up command: the task cannot be played where it fails."""
        ran = self._universe.run(command.command)
        if not ran.ok and not command.ignore_failure:
            raise EpisodeError(
                f"task {task.task_id}: set-up command failed: {command.command}:"
                f" {ran.error.strip()}"
            )

    def _drawn(self, rng: random.Random) -> Task:
        """Return a task of the server's own."""
        if not self._rules.tasks:
            raise EpisodeError("reset without a task, and the server has none")
        return rng.choice(self._rules.tasks)

    def _episode(self) -> _Now:
        """Return the episode in progress."""
        if self._now is None:
            raise EpisodeError("Call reset() before step()")
        return self._now


def _drifts(task: Task, rng: random.Random) -> Sequence[SetupCommand]:
    """Draw what has drifted from the state that a task wants."""
    pool = task.possible_drifts
    count = min(len(pool), rng.randint(FEW, MANY)) if pool else 0
    chosen = rng.sample(range(len(pool)), count)
    return [pool[index] for index in sorted(chosen)]
