"""Projects of users, as tests build them: data, recorded answers, configuration."""

import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_awsbench.reports.reading import read_run
from pytest_awsbench.reports.terminal import run_lines


AROUND = ("PYTEST_XDIST_", "GITHUB_", "CI", "BUILD_NUMBER", "ENV_BASE_URL", "AWSBENCH_")
"""How variables begin that tell a run what it is a part of, and where its server is."""
TIERS = ("warmup", "beginner", "intermediate")
SYSTEM = "Reply with one AWS CLI command."


def row(number: int, *, task_id: int | None = None) -> dict[str, Any]:
    """Return one row of a data set: list the objects of a bucket of its own."""
    return {
        "task_id": number if task_id is None else task_id,
        "difficulty": TIERS[number % len(TIERS)],
        "source": "success_first_step",
        "id": f"row-{number:05}",
        "messages": [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": f"TASK: list the objects of bucket b-{number}"},
            {"role": "assistant", "content": target(number)},
        ],
    }


def target(number: int) -> str:
    """Return the right answer of a row."""
    return f"aws s3api list-objects-v2 --bucket b-{number}"


def write_jsonl(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write rows as a .jsonl file."""
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return path


def write_data(folder: Path, n: int) -> Path:
    """Write a data set of `n` rows."""
    return write_jsonl(folder / "data.jsonl", [row(i) for i in range(n)])


def write_answers(
    folder: Path, name: str, n: int, changed: Mapping[int, str] | None = None
) -> Path:
    """Write recorded answers: right ones, but for those that are given."""
    changed = changed or {}
    rows = [
        {"id": f"row-{i:05}", "completion": changed.get(i, target(i))} for i in range(n)
    ]
    return write_jsonl(folder / f"{name}.jsonl", rows)


def wrong(numbers: Sequence[int]) -> dict[int, str]:
    """Return wrong answers for some rows: the right operation on another bucket."""
    return dict.fromkeys(numbers, "aws s3api list-objects-v2 --bucket other")


def reports(project: pytest.Pytester) -> dict[str, str]:
    """Return the texts of what the last run of a project has left to read."""
    folder = max((project.path / ".awsbench").glob("*/run.json")).parent
    return {
        "page": html.unescape((folder / "report.html").read_text()),
        "markdown": (folder / "report.md").read_text(),
        "awsbench show": "\n".join(run_lines(read_run(folder))),
    }
