"""What the plugin costs: per item at 10,000 items, and where it is not used."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.performance.process import environment


ITEMS = 10_000
ROUNDS = 3
PEAK = """
import sys, pytest
pytest.main(sys.argv[1:])
# ru_maxrss would begin with the size of the process that forked this one.
peak = next(x for x in open("/proc/self/status") if x.startswith("VmHWM"))
print("PEAK", int(peak.split()[1]) // 1024)
"""


def measure_overhead() -> dict[str, Any]:
    """Return milliseconds per replayed item, memory, and seconds of collection."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder)
        model = "--awsbench-model=replay:answers.jsonl"
        taken, peaks, listed = [], [], []
        for _ in range(ROUNDS):
            seconds, output = _timed(folder, "-q", model, "-m", "dataset")
            taken.append(seconds)
            peaks.append(int(output.rpartition("PEAK ")[2]))
            seconds, _ = _timed(folder, "-q", model, "-m", "dataset", "--co")
            listed.append(seconds)
        empty = [_timed(folder, "-q", "--co")[0] for _ in range(ROUNDS)]
    return {
        "items": ITEMS,
        "ms per item": round(1000 * (median(taken) - median(empty)) / ITEMS, 3),
        "peak memory, MB": max(peaks),
        "collection, seconds": round(median(listed) - median(empty), 2),
    }


def measure_unused() -> dict[str, Any]:
    """Return what an installed and unused plugin adds to an empty run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_own.py").write_text("def test_own(): pass\n")
        with_us, without = [], []
        for _ in range(4 * ROUNDS):
            with_us.append(_timed(folder, "-q")[0])
            without.append(_timed(folder, "-q", "-p", "no:awsbench")[0])
    pairs = zip(with_us, without, strict=True)
    return {"milliseconds": round(1000 * median(a - b for a, b in pairs), 1)}


def _write(folder: Path) -> None:
    """Write a data set and its right answers."""
    data, answers = [], []
    for number in range(ITEMS):
        command = f"aws s3api list-objects-v2 --bucket b-{number}"
        messages = [
            {"role": "user", "content": f"TASK: list the objects of bucket b-{number}"},
            {"role": "assistant", "content": command},
        ]
        data.append({"task_id": number % 500, "messages": messages})
        answers.append({"messages": messages, "completion": command})
    for file, rows in (("data", data), ("answers", answers)):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{file}.jsonl").write_text(text)
    (folder / "awsbench.toml").write_text('dataset = "data.jsonl"\n')


def _timed(folder: Path, *arguments: str) -> tuple[float, str]:
    """Return seconds and output of pytest in a folder."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        env=environment(),
    )
    return time.perf_counter() - began, done.stdout
