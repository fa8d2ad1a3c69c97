"""Rows of the demo's data: one turn of a task, as a prompt with its right answer."""

import random
from dataclasses import dataclass
from typing import Any

from pytest_awsbench.demo.templates import TEMPLATES, TaskTemplate
from pytest_awsbench.demo.values import draw


SYSTEM = (
    "You are an AWS cloud engineer. Each turn you send exactly one AWS CLI command,"
    " starting with aws.\n"
    "Read the task, the last output and the last error.\n"
    "Reply with the command alone: no explanation, no quotes, no shell.\n"
    "After the same error twice send aws help --task-hint"
)
HINT = "aws help --task-hint"
SOURCES = (
    "success_first_step",
    "multi_step_continuation",
    "failure_recovery",
    "verification",
    "hint_usage",
)


@dataclass(frozen=True, slots=True)
class Turn:
    """What the model sees of an episode, and what it shall answer."""

    template: int
    tier: str
    source: str
    text: str
    previous: tuple[str, ...]
    output: str
    error: str
    reward: str
    answer: str

    @property
    def user(self) -> str:
        """The user's message."""
        listed = [f"{i}. {c}" for i, c in enumerate(self.previous, 1)] or ["None"]
        return "\n".join((
            f"TASK: {self.text}",
            "",
            f"Step: {len(self.previous)}",
            f"Last command output: '{self.output}'",
            f"Last error: '{self.error}'",
            f"Last reward: {self.reward}",
            "",
            "Previous steps:",
            *listed,
            "",
            "Send your next AWS CLI command.",
        ))

    def row(self) -> dict[str, Any]:
        """Return the turn as a row of a data set."""
        return {
            "task_id": self.template,
            "difficulty": self.tier,
            "source": self.source,
            "step_idx": len(self.previous),
            "messages": [
                {"role": "system", "content": SYSTEM},
                {"role": "user", "content": self.user},
                {"role": "assistant", "content": self.answer},
            ],
        }


def sources_of(template: TaskTemplate) -> tuple[str, ...]:
    """Return which sources a task can have rows of."""
    many = len(template.commands) > 1
    verified = template.verify not in template.commands
    return tuple(
        source
        for source in SOURCES
        if (many or source != "multi_step_continuation")
        and (verified or source != "verification")
    )


def turn(template: TaskTemplate, source: str, rng: random.Random) -> Turn:
    """Draw values for a task, and a turn of it."""
    task = template.filled(draw(rng))
    previous, output, error, reward = _situation(task, source, rng)
    answers = {"verification": task.verify, "hint_usage": HINT}
    step = 0 if source == "failure_recovery" else len(previous)
    if source == "failure_recovery":
        step = len(previous) - 1
    answer = answers.get(source) or task.commands[step]
    return Turn(
        task.id, task.tier, source, task.text, previous, output, error, reward, answer
    )


def any_turn(rng: random.Random, sources: tuple[str, ...] = SOURCES) -> Turn:
    """Draw a task, a source among those that it has, and a turn."""
    while True:
        template = rng.choice(TEMPLATES)
        source = rng.choice(sources)
        if source in sources_of(template):
            return turn(template, source, rng)


def _situation(
    task: TaskTemplate, source: str, rng: random.Random
) -> tuple[tuple[str, ...], str, str, str]:
    """Return previous commands, last output, last error and last reward."""
    n = len(task.commands)
    if source == "success_first_step":
        return (), "Environment reset. Infra state wiped.", "", "0.00"
    if source == "multi_step_continuation":
        step = rng.randint(1, n - 1)
        return task.commands[:step], "{}", "", f"{step / n:.2f}"
    if source == "verification":
        return task.commands, "{}", "", f"{rng.choice((0.80, 0.85, 0.90)):.2f}"
    step = rng.randrange(n) if source == "failure_recovery" else 0
    broken, missing = _broken(task.commands[step], rng)
    error = f"aws: error: the following arguments are required: {missing}"
    tries = (broken,) if source == "failure_recovery" else (broken, broken)
    return (*task.commands[:step], *tries), "", error, f"{step / n:.2f}"


def _broken(command: str, rng: random.Random) -> tuple[str, str]:
    """Return a command without one of its options, and that option."""
    words = command.split(" ")
    starts = [i for i, word in enumerate(words) if word.startswith("--")]
    start = rng.choice(starts)
    end = next((i for i in starts if i > start), len(words))
    return " ".join(words[:start] + words[end:]), words[start]
