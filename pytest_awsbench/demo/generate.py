"""Generates the demo's data: held-out, training and reserve rows.

Run it as ``python -m pytest_awsbench.demo.generate``; it writes the same bytes again.
"""

import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path

from pytest_awsbench.demo import DATASETS, SEED
from pytest_awsbench.demo.rows import SOURCES, Turn, any_turn, sources_of, turn
from pytest_awsbench.demo.templates import TEMPLATES, TaskTemplate


HELDOUT = 150
TRAIN = 600
RESERVE = 200
FIRST_STEPS = 0.6
"""Share of tasks whose first row is a first step, whatever else they have."""
MOST = 7
"""Rows per task, at most."""


def held_out(seed: int = SEED) -> list[Turn]:
    """Return the held-out turns: every task, 1 to 7 rows each, all sources."""
    rng = random.Random(f"heldout-{seed}")
    counts = {template.id: 1 for template in TEMPLATES}
    # Tasks with more sources get more rows, as longer episodes leave more turns.
    weights = [len(sources_of(template)) ** 2 for template in TEMPLATES]
    while sum(counts.values()) < HELDOUT:
        [template] = rng.choices(TEMPLATES, weights)
        if counts[template.id] < MOST:
            counts[template.id] += 1
    turns: list[Turn] = []
    for template in TEMPLATES:
        turns += _turns(template, counts[template.id], rng)
    rng.shuffle(turns)
    return turns


def others(seed: int, name: str, count: int, excluded: Iterable[Turn]) -> list[Turn]:
    """Return turns that share neither a prompt nor a task's text with others."""
    rng = random.Random(f"{name}-{seed}")
    prompts = {t.user for t in excluded}
    texts = {t.text for t in excluded}
    turns: list[Turn] = []
    while len(turns) < count:
        drawn = any_turn(rng)
        if drawn.user not in prompts and drawn.text not in texts:
            prompts.add(drawn.user)
            turns.append(drawn)
    return turns


def generate(seed: int = SEED) -> dict[str, list[Turn]]:
    """Return all parts by name."""
    heldout = held_out(seed)
    train = others(seed, "train", TRAIN, heldout)
    reserve = others(seed, "reserve", RESERVE, [*heldout, *train])
    return {"heldout": heldout, "train": train, "reserve": reserve}


def dumps(turns: Iterable[Turn]) -> str:
    """Return turns as JSON lines."""
    return "".join(json.dumps(t.row(), ensure_ascii=False) + "\n" for t in turns)


def write(paths: dict[str, Path], seed: int = SEED) -> None:
    """Write every part."""
    for name, turns in generate(seed).items():
        paths[name].parent.mkdir(parents=True, exist_ok=True)
        paths[name].write_text(dumps(turns), encoding="utf-8")


def _turns(template: TaskTemplate, count: int, rng: random.Random) -> list[Turn]:
    """Return turns of one task; its first is a first step, then sources by chance."""
    sources: Sequence[str] = sources_of(template)
    weights = [(4, 5, 2, 2, 1)[SOURCES.index(source)] for source in sources]
    rest = rng.choices(sources, weights, k=count - 1)
    first = "success_first_step" if rng.random() < FIRST_STEPS else rng.choice(sources)
    return [turn(template, source, rng) for source in (first, *rest)]


if __name__ == "__main__":
    write(dict(DATASETS))
