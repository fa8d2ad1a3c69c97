"""Makes live tasks of the demo's templates: warmup, beginner and intermediate.

Run it as ``python -m pytest_awsbench.demo.tasks``; it writes the same bytes again.
The tasks read as those that the demo's models were trained on, but none of them
stands in the demo's data.
"""

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from string import Template
from typing import Any

from pytest_awsbench.demo import DATASETS, SEED
from pytest_awsbench.demo.templates import TEMPLATES, TaskTemplate
from pytest_awsbench.demo.values import NAMES, draw
from pytest_awsbench.envs.catalog import BUILTIN, VARIANTS, solutions
from pytest_awsbench.envs.schema import (
    ResourceExists,
    Service,
    SetupCommand,
    StateCheck,
    Step,
    SuccessCriteria,
    Task,
    Tier,
)


COUNT = 25
"""Tasks of each tier."""
MADE_OF: Mapping[Tier, Sequence[str]] = {
    "warmup": ("warmup",),
    "beginner": ("beginner",),
    "intermediate": ("intermediate", "advanced"),
}
"""The demo's tiers whose templates each tier is made of."""
EXISTS: Mapping[str, Service] = {
    "create-bucket": "s3",
    "create-cluster": "ecs",
    "create-database": "glue",
    "create-queue": "sqs",
    "create-role": "iam",
    "create-topic": "sns",
    "create-user": "iam",
}
"""Operations that make what an environment can look for by its name alone."""
CHECKS: Mapping[str, tuple[str, str]] = {
    "create-event-bus": ("aws events describe-event-bus --name $a", '"$a"'),
    "create-group": ("aws iam get-group --group-name $a", '"$a"'),
    "create-key-pair": ("aws ec2 describe-key-pairs --key-names $a", '"$a"'),
    "create-log-group": (
        "aws logs describe-log-groups --log-group-name-prefix $a",
        '"$a"',
    ),
    "create-repository": (
        "aws ecr describe-repositories --repository-names $a",
        '"$a"',
    ),
    "create-secret": (
        "aws secretsmanager get-secret-value --secret-id $a --query SecretString",
        '"$b"',
    ),
    "create-stream": (
        (
            "aws kinesis describe-stream-summary --stream-name $a"
            " --query 'StreamDescriptionSummary.OpenShardCount == `$n`'"
        ),
        "true",
    ),
    "put-parameter": (
        "aws ssm get-parameter --name $a --query Parameter.Value",
        '"$b"',
    ),
    "put-rule": (
        "aws events describe-rule --name $a --query ScheduleExpression",
        '"rate($n minutes)"',
    ),
}
"""How to see what the other operations made: a command, and what it then shows."""
SETUP: Mapping[str, str] = {
    "list-streams": "aws kinesis create-stream --stream-name $a --shard-count 1",
}
"""What must be there already: moto lists on only from a stream that exists."""
UNFIT = frozenset({
    # The templates with these do more than their text asks for; who could know?
    "describe-security-groups",
    "disable-alarm-actions",
    # AWS, and moto, have schedules on the default bus only.
    "create-event-bus",
})
"""Operations of those templates that make no intermediate task."""


@dataclass(frozen=True, slots=True)
class Made:
    """A task and the commands that achieve it."""

    task: Task
    solution: tuple[str, ...]


def make(seed: int = SEED) -> dict[Tier, list[Made]]:
    """Return the tasks of every tier, as many variants of each template as needed."""
    rng = random.Random(f"tasks-{seed}")
    taken = _texts()
    made: dict[Tier, list[Made]] = {}
    for tier, sources in MADE_OF.items():
        templates = [t for t in TEMPLATES if t.tier in sources and _fit(tier, t)]
        repeated = islice(cycle(templates), COUNT)
        made[tier] = [
            _made(
                tier, template, number // len(templates), _fresh(template, rng, taken)
            )
            for number, template in enumerate(repeated)
        ]
    return made


def dumps(tasks: Iterable[Task]) -> str:
    """Return a file of tasks; the file's name says their tier."""
    entries = [
        task.model_dump(mode="json", exclude={"difficulty"}, exclude_defaults=True)
        for task in tasks
    ]
    return "# Made by python -m pytest_awsbench.demo.tasks\n" + _yaml(entries)


def dumps_solutions(made: Iterable[Made]) -> str:
    """Return the file of solutions: these, and those that were written by hand."""
    templates = {template.id for template in TEMPLATES}
    ours = {m.task.task_id: list(m.solution) for m in made}
    others = {
        number: list(commands)
        for number, commands in solutions().items()
        if number // VARIANTS not in templates
    }
    return _yaml(dict(sorted((ours | others).items())))


def write(folder: Path, seed: int = SEED) -> None:
    """Write every file."""
    made = make(seed)
    everything = [m for tier in made.values() for m in tier]
    (folder / "solutions.yaml").write_text(
        dumps_solutions(everything), encoding="utf-8"
    )
    for tier, found in made.items():
        text = dumps(m.task for m in found)
        (folder / f"{tier}.yaml").write_text(text, encoding="utf-8")


def _yaml(value: Any) -> str:
    """Return a value as YAML; a text stays on its line, however long."""
    import yaml

    return str(
        yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100_000)
    )


def _texts() -> set[str]:
    """Return the text of every task in the demo's data."""
    lines = [
        line
        for path in DATASETS.values()
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    prompts = [str(json.loads(line)["messages"][1]["content"]) for line in lines]
    return {p.partition("\n")[0].removeprefix("TASK: ") for p in prompts}


def _fresh(
    template: TaskTemplate, rng: random.Random, taken: set[str]
) -> dict[str, str]:
    """Draw values that make a text which stands nowhere yet, and note that text."""
    while True:
        values = draw(rng)
        text = template.filled(values).text
        if text not in taken:
            taken.add(text)
            return values


def _fit(tier: Tier, template: TaskTemplate) -> bool:
    """Return whether a template can be made a task of a tier."""
    operations = {command.split()[2] for command in template.commands}
    return tier != "intermediate" or not operations & UNFIT


def _made(
    tier: Tier, template: TaskTemplate, variant: int, values: dict[str, str]
) -> Made:
    """Return a variant of a template."""
    filled = template.filled(values)
    needed = SETUP.get(filled.commands[0].split()[2])
    setup = SetupCommand(command=Template(needed or "").substitute(values))
    task = Task(
        task_id=template.id * VARIANTS + variant,
        difficulty=tier,
        description=filled.text,
        success_criteria=_criteria(tier, filled.commands, values),
        setup_commands=(setup,) if needed else (),
    )
    return Made(task, filled.commands)


def _criteria(
    tier: Tier, commands: Sequence[str], values: Mapping[str, str]
) -> SuccessCriteria:
    """Return what achieves a task that these commands do."""
    steps = _steps(commands, values)
    operation = steps[0].operation
    if tier == "intermediate":
        return SuccessCriteria(steps=steps)
    if tier == "warmup":
        # The value, and not the service: every bare list would do, and a hint names it.
        return SuccessCriteria(command_contains=values["a"], operation=operation)
    if operation in EXISTS:
        found = ResourceExists(service=EXISTS[operation], name=values["a"])
        return SuccessCriteria(
            command_contains=commands[0].split()[1],
            operation=operation,
            resource_exists=found,
        )
    command, shown = (Template(part).substitute(values) for part in CHECKS[operation])
    check = StateCheck(command=command, output_contains=shown)
    return SuccessCriteria(steps=steps, state_checks=(check,))


def _steps(commands: Sequence[str], values: Mapping[str, str]) -> tuple[Step, ...]:
    """Return a step for each command, with the name that tells it from the others."""
    steps: list[Step] = []
    for command in commands:
        named = [values[gap] for gap in NAMES if values[gap] in command]
        new = [name for name in named if name not in {step.resource for step in steps}]
        # The first step makes what the task is about; a later one needs that anyway.
        resource = new[-1] if steps and new else named[0]
        steps.append(Step(operation=command.split()[2], resource=resource))
    return tuple(steps)


if __name__ == "__main__":
    write(BUILTIN)
