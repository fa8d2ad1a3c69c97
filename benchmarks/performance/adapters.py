"""One base and its adapters in one process: what sharing, and switching, costs."""

from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

from benchmarks.performance.generation import chunked, timed
from pytest_awsbench import demo
from pytest_awsbench.models.loading import Share, load, prepare
from pytest_awsbench.models.spec import ModelSpec
from pytest_awsbench.suites.builtin import load_dataset


SIZE = 32
SWITCHES = 50


def measure_adapters() -> dict[str, Any]:
    """Return reads of the base, milliseconds of a switch, and its share of a run."""
    from transformers import AutoModelForCausalLM

    from pytest_awsbench.models.adapters import active

    here = Path.cwd()
    base = ModelSpec(name="base", path=str(demo.BASE))
    sft = replace(base, name="sft", adapter=str(demo.ADAPTER))
    specs = [base, sft, *(replace(sft, name=f"sft{n}") for n in range(2))]
    suite = load_dataset("builtin", split=None, max_per_combo=None, root=here)
    reading = AutoModelForCausalLM.from_pretrained
    with patch.object(AutoModelForCausalLM, "from_pretrained", wraps=reading) as reads:
        models: Any = load(
            [prepare(s, here, suite.samples, None) for s in specs], Share()
        )
    ways = [timed(lambda: chunked(models["sft"], suite.samples, SIZE)) for _ in "123"]
    taken, module = median(ways), models["sft"].module
    spent = [
        timed(lambda name=name: _switched(active(module, name)))
        for _ in range(SWITCHES)
        for name in (None, "sft", "sft0", "sft1")
    ]
    chunks = -(-len(suite.samples) // SIZE)
    return {
        "models": len(specs),
        "reads of the base": reads.call_count,
        "ms per switch": round(1000 * median(spent), 2),
        "share of a run that switches for every chunk, %": round(
            100 * chunks * median(spent) / taken, 3
        ),
    }


def _switched(way: AbstractContextManager[None]) -> None:
    """Switch to a model, and leave it."""
    with way:
        pass
