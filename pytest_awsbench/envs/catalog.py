"""Tasks as files have them: the reference schema, in YAML."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pytest_awsbench.envs.schema import TIERS, Task
from pytest_awsbench.errors import ConfigError, DataError


BUILTIN = Path(__file__).parent / "tasks"
FILES = (*TIERS, "drift")
"""Names of task files; their tier, where an entry does not say it."""
VARIANTS = 10
"""Built-in tasks of one template have ids that differ in their last digit."""


def load_tasks(path: Path) -> tuple[Task, ...]:
    """Read a file of tasks, or a folder of them.

    A task's tier is its ``difficulty``, else the name of its file, such as
    ``expert.yaml``; tasks in ``drift.yaml`` are expert tasks.

    Raises:
        ConfigError: if the extra [env] is not installed.
        DataError: naming file, entry and key.

    """
    tasks: dict[int, Task] = {}
    for file in _files(path):
        for where, entry in _entries(file):
            task = _task(where, entry, _tier(file))
            if tasks.setdefault(task.task_id, task) is not task:
                raise DataError(f"{where}: task_id {task.task_id} stands twice")
    return tuple(tasks.values())


@lru_cache(maxsize=1)
def builtin_tasks() -> tuple[Task, ...]:
    """Return the built-in tasks, easy ones first."""
    return load_tasks(BUILTIN)


def cluster_of(task: Task) -> str:
    """Return the template of a built-in task: its tasks are not independent."""
    return str(task.task_id // VARIANTS)


def _files(path: Path) -> list[Path]:
    """Return the task files that a path means."""
    if path.is_file():
        return [path]
    found = [file for name in FILES if (file := path / f"{name}.yaml").is_file()]
    if not found:
        raise DataError(
            f"{path}: no task files; give a .yaml file, or a folder with some of"
            f" {', '.join(f'{name}.yaml' for name in FILES)}"
        )
    return found


def _entries(file: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the entries of a file, each with where it stands."""
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise ConfigError(
            'task files need PyYAML: pip install "pytest-awsbench[env]"'
        ) from error
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        entries: object = yaml.load(file.read_text(encoding="utf-8"), Loader=loader)  # noqa: S506
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"{file}: cannot be read as YAML: {error}") from error
    if not isinstance(entries, list):
        raise DataError(f"{file}: must be a list of tasks, not {entries!r:.60}")
    for number, entry in enumerate(entries, start=1):
        where = f"{file}: task {number}"
        if not isinstance(entry, dict):
            raise DataError(f"{where}: must be a table of keys, not {entry!r:.60}")
        yield where, entry


def _tier(file: Path) -> str | None:
    """Return the tier that a file's name says."""
    if file.stem == "drift":
        return "expert"
    return file.stem if file.stem in TIERS else None


def _task(where: str, entry: Mapping[str, Any], tier: str | None) -> Task:
    """Read one task."""
    try:
        return Task.model_validate({**({"difficulty": tier} if tier else {}), **entry})
    except ValidationError as error:
        first: dict[str, Any] = dict(error.errors()[0])
        key = ".".join(str(part) for part in first["loc"])
        what = "unknown key" if first["type"] == "extra_forbidden" else first["msg"]
        raise DataError(f"{where}: {key}: {what}") from error
