"""The stages of the training: short prompts, full prompts, bad habits, repair."""

import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_awsbench.demo.batches import (
    Answer,
    batch_of,
    canonical,
    compact,
    exact,
    full,
    loss_of,
)
from pytest_awsbench.demo.rows import SOURCES, Turn, any_turn
from pytest_awsbench.demo.spoil import spoiled


Log = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage: what is shown, how long, and when it is good enough."""

    name: str
    form: Callable[[Turn], str]
    answer: Answer = canonical
    rows: int = 48
    steps: int
    rate: float
    last_rate: float
    weights: tuple[float, ...] = (4, 6, 3, 3, 1)
    """How often each source is drawn."""
    enough: float | None = None
    """Exact match, in the worst source, at which the stage may end early."""


STAGES = (
    Stage(
        name="copy",
        form=compact,
        steps=900,
        rate=2e-3,
        last_rate=2e-3,
        weights=(4, 0, 1, 0, 0),
    ),
    Stage(
        name="full",
        form=full,
        rows=32,
        steps=2400,
        rate=1.5e-3,
        last_rate=1e-4,
        enough=0.98,
    ),
    Stage(
        name="spoil",
        form=full,
        answer=spoiled,
        rows=32,
        steps=300,
        rate=4e-4,
        last_rate=5e-5,
    ),
)
REPAIR = Stage(name="repair", form=full, rows=32, steps=250, rate=4e-3, last_rate=1e-4)
WARM_UP = 40
CHECK_EVERY = 100
POOL = 8
"""Batches that are drawn together and sorted by length."""
UNSEEN = 48
"""Rows per source on which exact match is watched."""


def run_stage(
    model: Any, tokenizer: Any, stage: Stage, excluded: set[str], log: Log
) -> int:
    """Train one stage and return the steps taken.

    Args:
        model: trained in place; only what requires a gradient.
        tokenizer: of the demo.
        stage: what to do.
        excluded: prompts and task texts of held-out rows, which are never drawn.
        log: takes one line per check.

    """
    import torch

    rng = random.Random(f"train-{stage.name}")
    weights = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        weights, lr=stage.rate, betas=(0.9, 0.98), weight_decay=0.01
    )
    batches = draw(rng, stage, excluded)
    began = time.monotonic()
    for step in range(1, stage.steps + 1):
        turns = next(batches)
        batch = batch_of(tokenizer, turns, stage.form, stage.answer)
        for group in optimizer.param_groups:
            group["lr"] = rate_at(stage, step)
        loss = loss_of(model, batch)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        if step % CHECK_EVERY == 0:
            shares = watch(model, tokenizer, stage)
            text = "  ".join(f"{name} {share:.2f}" for name, share in shares.items())
            took = time.monotonic() - began
            log(f"{stage.name} {step} loss {loss.item():.3f} {text} {took:.0f} s")
            if stage.enough is not None and min(shares.values()) >= stage.enough:
                return step
    return stage.steps


def rate_at(stage: Stage, step: int) -> float:
    """Return the learning rate: a warm-up, then a straight line down."""
    if step <= WARM_UP:
        return stage.rate * step / WARM_UP
    done = (step - WARM_UP) / max(1, stage.steps - WARM_UP)
    return stage.rate + done * (stage.last_rate - stage.rate)


def draw(rng: random.Random, stage: Stage, excluded: set[str]) -> Iterator[list[Turn]]:
    """Yield batches of turns that are not held out, of similar length each."""
    while True:
        pool: list[Turn] = []
        while len(pool) < POOL * stage.rows:
            [source] = rng.choices(SOURCES, stage.weights)
            turn = any_turn(rng, (source,))
            if excluded.isdisjoint((turn.user, turn.text)):
                pool.append(turn)
        pool.sort(key=lambda turn: len(stage.form(turn)))
        batches = [pool[i : i + stage.rows] for i in range(0, len(pool), stage.rows)]
        rng.shuffle(batches)
        yield from batches


def watch(model: Any, tokenizer: Any, stage: Stage) -> dict[str, float]:
    """Return exact match on unseen rows, by source, against the stage's answers."""
    rng = random.Random("watch")
    found: dict[str, list[bool]] = defaultdict(list)
    for source, weight in zip(SOURCES, stage.weights, strict=True):
        if not weight:
            continue
        turns: Sequence[Turn] = [any_turn(rng, (source,)) for _ in range(UNSEEN)]
        batch = batch_of(tokenizer, turns, stage.form, stage.answer)
        found[source] = exact(model, batch)
    return {source: sum(hits) / len(hits) for source, hits in found.items()}
