"""A whole run of pytest against a bare script that batches alike, imports included."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any


ROUNDS = 5
BARE = ("-m", "benchmarks.performance.bare")
LIBGOMP = {"GOMP_SPINCOUNT": "300000"}
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


def measure_neighbours() -> dict[str, Any]:
    """Return what a second run at the same time costs, by how long threads spin."""
    with tempfile.TemporaryDirectory() as folder:
        folders = [tempfile.mkdtemp(dir=folder) for _ in range(2)]
        run(RUN, folders[0])
        alone, ours, theirs = [], [], []
        for _ in range(3):
            alone.append(run(RUN, folders[0]))
            ours.append(_together(folders))
            theirs.append(_together(folders, **LIBGOMP))
    return {
        "one run, seconds": round(median(alone), 2),
        "two at once, seconds": round(median(ours), 2),
        "two at once with libgomp's default, seconds": round(median(theirs), 2),
    }


def _together(folders: Sequence[str], **variables: str) -> float:
    """Return the seconds of runs that are started at once."""
    with ThreadPoolExecutor(len(folders)) as pool:
        return max(pool.map(lambda folder: run(RUN, folder, **variables), folders))


def run(arguments: tuple[str, ...], folder: str | None, **variables: str) -> float:
    """Return the seconds of a process, with more environment variables."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
        env={**environment(), **variables},
    )
    return time.perf_counter() - began


def environment() -> dict[str, str]:
    """Return the environment of a measured process.

    Without bytecode pytest would rewrite the asserts of every plugin in every run,
    which a user's second run does not.
    """
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
