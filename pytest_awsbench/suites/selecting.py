"""Which tasks are played: all, those of a file, some by id, by tier, or drawn."""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_awsbench.envs.schema import TIERS, Task
from pytest_awsbench.errors import ConfigError, DataError


BUILTIN = "builtin"
_IDS = re.compile(r"^\d+(\s*,\s*\d+)*$")
_PER_TIER = re.compile(r"^(?P<count>\d+) per tier$")


@dataclass(frozen=True, slots=True)
class Selection:
    """The tasks of a run."""

    tasks: tuple[Task, ...]
    source: str
    """Where they come from, as reports name it."""
    subset: str = ""
    """How they were taken from there; empty for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """Where tasks can come from."""

    builtin: Callable[[], Sequence[Task]]
    load: Callable[[Path], Sequence[Task]]
    held_out: Callable[[], frozenset[str]]
    """The ``task_id``s of the data set."""
    cluster_of: Callable[[Task], str]
    """What the data set calls a built-in task."""


def select(text: str, root: Path, seed: int, catalog: Catalog) -> Selection:
    """Return the tasks that are meant.

    Args:
        text: ``builtin``, a path to a task file or a folder of them, ids such as
            ``0,6,11``, ``tier:expert``, ``3 per tier`` (drawn with the seed), or
            ``val`` (those that the data set names). After a path and ``#`` any of
            these again.
        root: what a relative path is relative to.
        seed: of what is drawn.
        catalog: where tasks come from.

    Raises:
        ConfigError: if it means nothing, or an id or a tier is not there.
        DataError: naming file and entry, where tasks cannot be used.

    """
    place, _, rest = text.partition("#")
    path = root / place
    if place != BUILTIN and path.suffix in {".yaml", ".yml"} and not path.exists():
        raise ConfigError(f"--awsbench-tasks={text}: no such file (looked for {path})")
    if place != BUILTIN and path.exists():
        tasks, source = tuple(catalog.load(path)), place
    else:
        tasks, source = tuple(catalog.builtin()), BUILTIN
        rest = rest or ("" if place == BUILTIN else place)
    if not tasks:
        raise DataError(f"{path} holds no tasks")
    if not rest:
        return Selection(tasks, source)
    if rest == "val":
        name = catalog.cluster_of if source == BUILTIN else _own_name
        return Selection(_held_out(tasks, name, catalog), source, rest)
    return Selection(_taken(rest, tasks, seed), source, rest)


def _own_name(task: Task) -> str:
    """Return what a data set calls a task of a file."""
    return str(task.task_id)


def _held_out(
    tasks: tuple[Task, ...], name: Callable[[Task], str], catalog: Catalog
) -> tuple[Task, ...]:
    """Return the tasks that the data set names."""
    named = catalog.held_out()
    if found := tuple(task for task in tasks if name(task) in named):
        return found
    raise ConfigError("--awsbench-tasks=val: the data set names none of these tasks")


def _taken(text: str, tasks: tuple[Task, ...], seed: int) -> tuple[Task, ...]:
    """Return some of the tasks."""
    if _IDS.match(text):
        return _by_id({int(part) for part in text.split(",")}, tasks)
    if text.startswith("tier:"):
        return _by_tier(text.removeprefix("tier:"), tasks)
    if drawn := _PER_TIER.match(text):
        return _drawn(int(drawn["count"]), tasks, seed)
    raise ConfigError(
        f"--awsbench-tasks={text}: means nothing; give builtin, a task file, ids"
        " such as 0,6,11, tier:expert, 3 per tier, or val"
    )


def _by_id(ids: set[int], tasks: tuple[Task, ...]) -> tuple[Task, ...]:
    """Return the tasks with these ids."""
    if unknown := sorted(ids - {task.task_id for task in tasks}):
        raise ConfigError(
            f"--awsbench-tasks: no task {', '.join(map(str, unknown))}; there are"
            f" {len(tasks)}, such as {tasks[0].task_id}"
        )
    return tuple(task for task in tasks if task.task_id in ids)


def _by_tier(tier: str, tasks: tuple[Task, ...]) -> tuple[Task, ...]:
    """Return the tasks of a tier."""
    found = tuple(task for task in tasks if task.difficulty == tier)
    if not found:
        known = [t for t in TIERS if any(task.difficulty == t for task in tasks)]
        raise ConfigError(
            f"--awsbench-tasks=tier:{tier}: no such tasks; tiers: {', '.join(known)}"
        )
    return found


def _drawn(count: int, tasks: tuple[Task, ...], seed: int) -> tuple[Task, ...]:
    """Return so many tasks of each tier, drawn with the seed, in their order."""
    if count < 1:
        raise ConfigError("--awsbench-tasks=0 per tier: give at least 1")
    groups: Mapping[str, list[Task]] = {
        tier: [task for task in tasks if task.difficulty == tier] for tier in TIERS
    }
    taken: set[int] = set()
    for tier, members in groups.items():
        rng = random.Random(f"{seed}-{tier}")  # noqa: S311 - a sample, not a secret
        chosen = rng.sample(members, min(count, len(members)))
        taken |= {task.task_id for task in chosen}
    return tuple(task for task in tasks if task.task_id in taken)
