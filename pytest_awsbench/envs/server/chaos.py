"""Things that break while an agent works, drawn with the seed of the episode."""

import random
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from pytest_awsbench.envs.schema import Task, Tier
from pytest_awsbench.envs.server.commands import Executed
from pytest_awsbench.envs.server.universe import Universe


CHANCE: Mapping[Tier, float] = MappingProxyType({
    "warmup": 0.0,
    "beginner": 0.0,
    "intermediate": 0.1,
    "advanced": 0.2,
    "expert": 0.3,
})
"""For each executed step, by tier."""
BREAKS: Mapping[str, tuple[str, str]] = MappingProxyType({
    "create-bucket": ("--bucket", "s3 rb s3://{} --force"),
    "create-table": ("--table-name", "dynamodb delete-table --table-name {}"),
    "create-function": ("--function-name", "lambda delete-function --function-name {}"),
})
"""What was created → the option with its name, and the command that deletes it."""


def strike(
    task: Task, history: Sequence[Executed], universe: Universe, rng: random.Random
) -> bool:
    """Delete something that the agent has made, by chance; return whether it did."""
    if rng.random() >= CHANCE[task.difficulty]:
        return False
    made = [e for e in history if e.ok and e.operation in BREAKS]
    if not made:
        return False
    broken = rng.choice(made)
    option, command = BREAKS[broken.operation]
    name = _value(broken.words, option)
    return name is not None and universe.run(f"aws {command.format(name)}").ok


def _value(words: Sequence[str], option: str) -> str | None:
    """Return the value of an option."""
    for index, word in enumerate(words):
        name, _, value = word.partition("=")
        if name == option:
            return value or next(iter(words[index + 1 : index + 2]), None)
    return None
