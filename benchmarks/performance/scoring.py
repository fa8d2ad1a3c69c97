"""What scoring an answer and judging a large suite take."""

import time
from typing import Any

import numpy as np

from pytest_awsbench.records import Completion, Sample
from pytest_awsbench.scoring.answers import METRICS
from pytest_awsbench.stats.paired import paired_gate


ANSWERS = 10_000
MMLU = 14_042
"""Items of the largest suite that is widely run."""
TARGET = "aws dynamodb put-item --table-name t --item"


def measure_scoring() -> dict[str, Any]:
    """Return the milliseconds that all metrics take on one answer, none seen before."""
    pairs = [_pair(number) for number in range(ANSWERS)]
    began = time.perf_counter()
    for sample, completion in pairs:
        for scorer in METRICS.values():
            scorer(sample, completion)
    taken = time.perf_counter() - began
    return {
        "metrics": len(METRICS),
        "ms per answer": round(1000 * taken / ANSWERS, 3),
    }


def measure_statistics() -> dict[str, Any]:
    """Return the milliseconds of one gate on as many items as MMLU has."""
    rng = np.random.default_rng(0)
    old = rng.integers(0, 2, MMLU)
    found: dict[str, Any] = {}
    for share in (0.02, 0.2, 1.0):
        new = np.where(rng.random(MMLU) < share, 1 - old, old)
        began = time.perf_counter()
        paired_gate(old, new, range(MMLU))
        taken = time.perf_counter() - began
        found[f"ms, {share:.0%} of {MMLU} items changed"] = round(1000 * taken, 1)
    for items, tasks in ((10_000, 1_000), (100_000, 10_000)):
        old, new = rng.integers(0, 4, (2, items)) / 3
        clusters = rng.integers(0, tasks, items).tolist()
        began = time.perf_counter()
        paired_gate(old, new, clusters)
        taken = time.perf_counter() - began
        name = f"ms, {items} items of {tasks} tasks, means of 3"
        found[name] = round(1000 * taken, 1)
    return found


def _pair(number: int) -> tuple[Sample, Completion]:
    """Return a command with a structure in it, and the same in other words."""
    item = f'{{"id": {{"N": "{number}"}}}}'
    sample = Sample.of(f"put {number}", f"{TARGET} '{item}'")
    return sample, Completion(text=f"{TARGET}='{item}' --region eu-west-1")
