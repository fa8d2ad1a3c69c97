"""What screening adds to the time of the servers, and whether 10,000 requests last."""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from benchmarks.performance.process import environment
from benchmarks.performance.served import DECODING, PROMPT
from benchmarks.performance.serving import serving
from pytest_awsbench.models.listing import card
from pytest_awsbench.models.served import ServedModel, ServedSpec
from pytest_awsbench.records import Completion


MODELS, PROMPTS, DELAY = 11, 27, 0.2
ROUNDS = 3
REQUESTS, BATCH = 10_000, 1_000


def measure_screening() -> dict[str, Any]:
    """Return what a whole run of pytest takes beside the time that servers answer."""
    names = [f"model-{number}" for number in range(MODELS)]
    found = {}
    with serving(DELAY, names=names) as url, tempfile.TemporaryDirectory() as folder:
        _write(Path(folder), url)
        for flying in (1, 8):
            runs = [_screened(folder, url, flying) for _ in range(ROUNDS)]
            found[f"{flying} in flight"] = {
                key: round(median(run[key] for run in runs), 3) for key in runs[0]
            }
    return found


def measure_endurance() -> dict[str, Any]:
    """Return how many of 10,000 requests to an unsteady server are answered."""
    with serving(0.02, faults=0.01, resets=0.001) as url:
        spec = ServedSpec(base_urls=(url,), model="small", concurrency=64)
        model = ServedModel(spec, card("small", spec, None))
        answered, resident = 0, []
        began = time.perf_counter()
        for _ in range(REQUESTS // BATCH):
            answers = model.generate_each([PROMPT] * BATCH, DECODING)
            answered += sum(isinstance(answer, Completion) for answer in answers)
            resident.append(_resident())
        seconds = time.perf_counter() - began
        model.close()
    return {
        "requests": REQUESTS,
        "answered": answered,
        "seconds": round(seconds, 1),
        "resident after the first 1,000, MB": resident[0],
        "resident after all, MB": resident[-1],
        "tried again": model.notes,
    }


def _screened(folder: str, url: str, flying: int) -> dict[str, float]:
    """Screen all models once."""
    before = httpx.get(url.replace("/v1", "/busy")).json()
    spent, began = _spent(), time.perf_counter()
    command = ("-m", "pytest", f"--awsbench-model=all-{flying}", "-m", "dataset", "-q")
    subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        check=True,
        capture_output=True,
        env=environment(),
    )
    wall = time.perf_counter() - began
    after = httpx.get(url.replace("/v1", "/busy")).json()
    own = after["seconds"] - before["seconds"]
    asked = after["count"] - before["count"]
    return {
        "seconds": wall,
        "the servers' own": own,
        "added to it": wall / own - 1,
        "CPU seconds": _spent() - spent,
        "requests that are probes": asked - MODELS * PROMPTS,
    }


def _spent() -> float:
    """Return the processor's seconds of all processes that ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _write(folder: Path, url: str) -> None:
    """Write a project of 27 prompts."""
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"List the objects of bucket b-{n}."},
                {"role": "assistant", "content": f"aws s3 ls s3://b-{n}"},
            ],
            "task_id": n,
        }
        for n in range(PROMPTS)
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "data.jsonl").write_text(lines)
    tables = "".join(
        f"[tool.awsbench.models.all-{flying}]\nbackend = 'openai'\nmodel = '*'\n"
        f"base_url = '{url}'\nconcurrency = {flying}\n"
        for flying in (1, 8)
    )
    text = f"[tool.awsbench]\ndataset = 'data.jsonl'\n{tables}"
    (folder / "pyproject.toml").write_text(text)


def _resident() -> int:
    """Return the memory of this process, MB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    found = next(line for line in lines if line.startswith("VmRSS"))
    return int(found.split()[1]) // 1024
