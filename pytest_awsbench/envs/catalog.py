"""Reads task files: the built-in ones, and a user's own.

A file is a list of tasks, of the tier that its name tells, as the reference project
keeps them; ``drift.yaml`` holds expert tasks whose world drifts from what is desired.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from pytest_awsbench.envs.schema import TIERS, Task
from pytest_awsbench.envs.yamlfiles import read_yaml
from pytest_awsbench.errors import DataError


BUILTIN = Path(__file__).parent / "tasks"
SOLUTIONS = BUILTIN / "solutions.yaml"
#: The files of a folder, in order; together they are numbered once.
FILES: Mapping[str, str] = MappingProxyType({
    **{tier: tier for tier in TIERS},
    "drift": "expert",
})
VARIANTS = 10
"""Built-in tasks are numbered ``template * VARIANTS + variant``."""


def load_tasks(path: Path) -> tuple[Task, ...]:
    """Read tasks, in the order of the files.

    Args:
        path: a YAML file, of one tier by its name or with a ``difficulty`` in each
            entry; or a folder that holds files called as the tiers, and drift.yaml.

    Raises:
        ConfigError: if PyYAML is not installed.
        DataError: naming file, entry and key, where the tasks cannot be used.

    """
    if not path.exists():
        raise DataError(
            f"tasks {str(path)!r}: no such file or folder; give a YAML file of tasks,"
            f" or a folder with {', '.join(f'{name}.yaml' for name in FILES)}"
        )
    files = _files(path) if path.is_dir() else [path]
    tasks: list[Task] = []
    seen: dict[int, str] = {}
    for file in files:
        for where, entry in _entries(file):
            task = _task(where, entry, FILES.get(file.stem))
            if task.task_id in seen:
                raise DataError(
                    f"{where}: task_id: {task.task_id} is also that of"
                    f" {seen[task.task_id]}; give every task a number of its own"
                )
            seen[task.task_id] = where
            tasks.append(task)
    if not tasks:
        raise DataError(f"tasks {str(path)!r}: no task in it; add one, or leave it out")
    return tuple(tasks)


@cache
def builtin_tasks() -> tuple[Task, ...]:
    """Return the tasks that come with this package."""
    return load_tasks(BUILTIN)


@cache
def solutions() -> Mapping[int, tuple[str, ...]]:
    """Return the commands that achieve each built-in task, by its number.

    Those of a drift task repair whatever has drifted.
    """
    read = read_yaml(SOLUTIONS)
    return MappingProxyType({number: tuple(found) for number, found in read.items()})


def cluster_of(task: Task) -> str:
    """Return what a task shares with others that are no independent evidence.

    Built-in tasks of one template differ in their names only. Of a user's own tasks
    nothing is known: each is a cluster of its own.
    """
    if _builtin().get(task.task_id) == task:
        return f"template-{task.task_id // VARIANTS}"
    return f"task-{task.task_id}"


@cache
def _builtin() -> Mapping[int, Task]:
    """Return the built-in tasks by number."""
    return {task.task_id: task for task in builtin_tasks()}


def _files(folder: Path) -> list[Path]:
    """Return the files of a folder that are called as they must be."""
    found = [folder / f"{name}.yaml" for name in FILES]
    found = [file for file in found if file.exists()]
    if not found:
        raise DataError(
            f"tasks {str(folder)!r}: the folder has none of"
            f" {', '.join(f'{name}.yaml' for name in FILES)}; add one of them,"
            " or give the path of a file"
        )
    return found


def _entries(file: Path) -> list[tuple[str, dict[str, Any]]]:
    """Read the entries of a file, each with words for where it stands."""
    read = read_yaml(file)
    if not isinstance(read, list):
        raise DataError(f"{file}: not a list of tasks but {read!r:.80}")
    entries = []
    for number, entry in enumerate(read, start=1):
        if not isinstance(entry, dict):
            raise DataError(f"{file}: entry {number}: not a task but {entry!r:.80}")
        name = f" (task {entry['task_id']})" if "task_id" in entry else ""
        entries.append((f"{file}: entry {number}{name}", entry))
    return entries


def _task(where: str, entry: dict[str, Any], tier: str | None) -> Task:
    """Check one entry; its file's name says its tier, or it says so itself."""
    said = entry.get("difficulty")
    if tier is None and said is None:
        raise DataError(
            f"{where}: difficulty: missing; add one of {', '.join(TIERS)}, or call"
            " the file as its tier"
        )
    if tier is not None and said not in {None, tier}:
        raise DataError(
            f"{where}: difficulty: {said!r} stands in a file of {tier} tasks;"
            " move the task, or rename the file"
        )
    try:
        return Task.model_validate({**entry, "difficulty": tier or said})
    except ValidationError as error:
        raise DataError(f"{where}: {_reasons(error)}") from error


def _reasons(error: ValidationError) -> str:
    """Name every key that is wrong, and why."""
    reasons = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"])
        unknown = problem["type"] == "extra_forbidden"
        why = "unknown key" if unknown else problem["msg"]
        reasons.append(f"{key}: {why}")
    return "; ".join(reasons)
