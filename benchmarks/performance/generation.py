"""Chunks against one `generate` per prompt, in one process, interleaved."""

import time
from pathlib import Path
from statistics import median
from typing import Any

from pytest_awsbench import demo
from pytest_awsbench.chunks import Limits, plan_chunks
from pytest_awsbench.models.loading import Share, load, prepare
from pytest_awsbench.models.spec import ModelSpec
from pytest_awsbench.records import Decoding, Sample
from pytest_awsbench.suites.builtin import load_dataset


ROUNDS = 3
SIZES = (8, 16, 32, 64)


def measure_generation() -> dict[str, Any]:
    """Return seconds for the 150 built-in prompts, and ratios, medians of rounds."""
    spec = ModelSpec(name="sft", path=str(demo.BASE), adapter=str(demo.ADAPTER))
    here = Path.cwd()
    suite = load_dataset("builtin", split=None, max_per_combo=None, root=here)
    model: Any = load([prepare(spec, here, suite.samples, None)], Share())["sft"]
    singly(model, suite.samples[:3])
    seconds: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        seconds.setdefault("one generate per prompt", []).append(
            timed(lambda: singly(model, suite.samples))
        )
        for size in SIZES:
            seconds.setdefault(f"chunks of {size}", []).append(
                timed(lambda size=size: chunked(model, suite.samples, size))
            )
    naive = seconds["one generate per prompt"]
    return {
        way: {
            "seconds": round(median(taken), 2),
            "times as fast": round(
                median(a / b for a, b in zip(naive, taken, strict=True)), 2
            ),
        }
        for way, taken in seconds.items()
    }


def singly(model: Any, samples: tuple[Sample, ...], tokens: int = 128) -> None:
    """Generate as a plain script does: one prompt, one call of `generate`."""
    import torch

    for sample in samples:
        inputs = model.tokenizer(
            model.chat(sample.prompt), add_special_tokens=False, return_tensors="pt"
        )
        inputs = inputs.to(model.device)
        with torch.inference_mode():
            model.module.generate(**inputs, max_new_tokens=tokens, do_sample=False)


def chunked(
    model: Any, samples: tuple[Sample, ...], size: int, decoding: Decoding | None = None
) -> None:
    """Generate as the plugin does."""
    for chunk in plan_chunks(samples, Limits(size=size)):
        model.generate(chunk.prompts, decoding or Decoding())


def timed(run: Any) -> float:
    """Return the seconds of a call."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began
