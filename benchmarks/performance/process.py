"""A whole run of pytest against a bare script that batches alike, imports included."""

import os
import subprocess
import sys
import tempfile
import time
from statistics import median
from typing import Any


ROUNDS = 5
BARE = ("-m", "benchmarks.performance.bare")
RUN = ("-m", "pytest", "--awsbench-model=sft", "-m", "dataset", "-q")


def measure_process() -> dict[str, Any]:
    """Return seconds of both, and the ratio, medians of interleaved rounds."""
    with tempfile.TemporaryDirectory() as folder:
        run((*RUN, f"--rootdir={folder}", "-c", "/dev/null"), folder)
        bare, ours = [], []
        for _ in range(ROUNDS):
            bare.append(run(BARE, None))
            ours.append(run(RUN, folder))
    return {
        "bare script, seconds": round(median(bare), 2),
        "pytest, seconds": round(median(ours), 2),
        "ratio": round(median(b / a for a, b in zip(bare, ours, strict=True)), 3),
    }


def run(arguments: tuple[str, ...], folder: str | None) -> float:
    """Return the seconds of a process."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
        env=environment(),
    )
    return time.perf_counter() - began


def environment() -> dict[str, str]:
    """Return the environment of a measured process.

    Without bytecode pytest would rewrite the asserts of every plugin in every run,
    which a user's second run does not.
    """
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
