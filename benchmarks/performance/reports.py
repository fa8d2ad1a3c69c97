"""What the page of a run takes: to write, to open, and to filter, in Chromium."""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.performance.process import environment
from pytest_awsbench.reports.html import html_report
from pytest_awsbench.reports.reading import read_run


SIZES = (150, 10_000)
ROUNDS = 5
TIERS = ("warmup", "beginner", "intermediate", "advanced", "expert")
SYSTEM = "You are an AWS cloud engineer. Reply with one AWS CLI command. " * 5
OUTPUT = "Last command output: '{\"Buckets\": [], \"Owner\": {}}'\nLast error: ''\n" * 5
#: Of 100 items: wrong in the baseline, and got worse since.
WRONG, WORSE = 12, 5
KEYSTROKE = """async (text) => {
  const field = document.querySelector(".filters input");
  const began = performance.now();
  field.value = text;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  document.body.offsetHeight;
  return performance.now() - began;
}"""
PAINT = """() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime"""


def measure_reports() -> dict[str, Any]:
    """Return seconds and megabytes of a page, and milliseconds in a browser."""
    found: dict[str, Any] = {}
    for size in SIZES:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            run = _run(folder, size)
            page = folder / "report.html"
            wall, processor = _written(run, page)
            found[f"seconds, {size} items"] = round(wall, 2)
            found[f"processor seconds, {size} items"] = round(processor, 2)
            found[f"MB, {size} items"] = round(page.stat().st_size / 1e6, 2)
            for what, value in _in_browser(page):
                found[f"{what}, {size} items"] = value
    return found


def _run(folder: Path, size: int) -> Path:
    """Make a baseline, and a worse run, of recorded answers; return its folder."""
    _write(folder, size)
    for answers, more in (("good", "--snapshot-update"), ("bad", "-q")):
        subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "-m", "dataset", more),
                f"--awsbench-model=tuned=replay:{answers}.jsonl",
            ],
            cwd=folder,
            check=False,
            capture_output=True,
            env=environment(),
        )
    return max(folder.glob(".awsbench/2*/run.json")).parent


def _write(folder: Path, size: int) -> None:
    """Write a data set, a baseline's answers, and worse ones."""
    files: dict[str, list[Any]] = {"data": [], "good": [], "bad": []}
    for number in range(size):
        task = f"TASK: list the objects of bucket b-{number}.\n{OUTPUT}"
        right = f"aws s3api list-objects-v2 --bucket b-{number} --max-items {number}"
        wrong = f"```bash\naws s3api list-objects --bucket b-{number}\n```"
        messages = [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": task},
            {"role": "assistant", "content": right},
        ]
        row = {"id": f"item-{number}", "task_id": number % 500, "messages": messages}
        place = number % 100
        files["data"].append({**row, "difficulty": TIERS[number % len(TIERS)]})
        for name, bad in (("good", WRONG), ("bad", WRONG + WORSE)):
            answer = wrong if place < bad else right
            files[name].append({"id": row["id"], "completion": answer})
    for name, rows in files.items():
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text)
    (folder / "awsbench.toml").write_text('dataset = "data.jsonl"\n')


def _written(run: Path, page: Path) -> tuple[float, float]:
    """Return the seconds from a run's files to its page, and those of the processor."""
    began, used = time.perf_counter(), time.process_time()
    page.write_text(html_report(read_run(run)), encoding="utf-8")
    return time.perf_counter() - began, time.process_time() - used


@contextmanager
def chromium() -> Iterator[Any]:
    """Open Chromium, without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        yield browser
        browser.close()


def _in_browser(page: Path) -> Iterator[tuple[str, float]]:
    """Yield milliseconds to the first paint, and of the slowest keystroke."""
    with chromium() as browser:
        paints, keys = [], []
        for _ in range(ROUNDS):
            view = browser.new_page()
            view.goto(page.as_uri())
            paints.append(view.wait_for_function(PAINT).json_value())
            view.wait_for_timeout(1000)
            keys += [view.evaluate(KEYSTROKE, "b-12"[: n + 1]) for n in range(4)]
            view.close()
    yield "ms to the first paint", round(median(paints))
    yield "ms, slowest keystroke", round(max(keys))
