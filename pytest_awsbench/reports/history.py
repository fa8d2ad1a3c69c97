"""The figures of all runs, one line each: they outlive the runs themselves."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_awsbench.errors import ReportError


FILE = "history.jsonl"
SCHEMA = 1
KEPT = 500
"""Runs of one model on one suite."""


def read_history(out: Path) -> list[dict[str, Any]]:
    """Return the rows, oldest first; a torn or foreign line is passed over.

    Raises:
        ReportError: if the file is there and cannot be read.

    """
    path = out / FILE
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ReportError(f"{path}: cannot be read: {error}") from error
    return [row for line in lines if (row := _row(line)) is not None]


def add_to_history(out: Path, data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Append a run's figures, once; return all rows.

    Args:
        out: the output folder.
        data: the document of the run.

    Raises:
        ReportError: if the file cannot be read or written.

    """
    rows = read_history(out)
    known = {(row["id"], row["suite"], row["model"]) for row in rows}
    fresh = [
        row
        for row in _rows(data, rows)
        if (row["id"], row["suite"], row["model"]) not in known
    ]
    kept = list(_kept([*rows, *fresh]))
    path = out / FILE
    try:
        if len(kept) < len(rows) + len(fresh):
            beside = path.with_suffix(".new")
            beside.write_text(_text(kept), encoding="utf-8")
            beside.replace(path)
        elif fresh:
            _append(path, _text(fresh))
    except OSError as error:
        raise ReportError(f"{path}: cannot be written: {error}") from error
    return kept


def _append(path: Path, text: str) -> None:
    """Append whole lines; what a killed run left torn stays a line by itself."""
    with path.open("ab+") as file:
        if file.tell():
            file.seek(-1, 2)
            if file.read(1) != b"\n":
                text = "\n" + text
        file.write(text.encode())


def _rows(
    data: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Yield a row for each model and suite."""
    for run in data["runs"]:
        suite, model = run["suite"], run["model"]
        baseline = run["baseline"]
        date = baseline["provenance"]["date"] if baseline else None
        before = [
            row
            for row in rows
            if (row["suite"], row["model"]) == (suite, model["name"])
        ]
        yield {
            "schema": SCHEMA,
            "id": data["id"],
            "date": data["date"],
            "suite": suite,
            "model": model["name"],
            "digest": model["digest"],
            "data_digest": data["suites"][suite]["data"]["digest"],
            "baseline_date": date,
            "baseline_changed": bool(before) and before[-1]["baseline_date"] != date,
            "metrics": {
                metric: {key: mean[key] for key in ("mean", "low", "high", "n")}
                for metric, mean in run["means"].items()
            },
            "red": any(gate["outcome"] == "failed" for gate in run["gates"]),
            "complete": run["complete"],
        }


def _kept(rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the newest rows of every model and suite, in their order."""
    left: dict[tuple[str, str], int] = {}
    for row in rows:
        key = row["suite"], row["model"]
        left[key] = left.get(key, 0) + 1
    for row in rows:
        key = row["suite"], row["model"]
        if left[key] <= KEPT:
            yield row
        left[key] -= 1


def _row(line: bytes) -> dict[str, Any] | None:
    """Return a row of ours; None of anything else."""
    try:
        row = json.loads(line)
        found = row["schema"] == SCHEMA and {
            str(row[key]) for key in ("id", "date", "suite", "model", "baseline_date")
        }
    except (ValueError, KeyError, TypeError):
        return None
    return row if found and isinstance(row.get("metrics"), dict) else None


def _text(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return rows as lines."""
    return "".join(json.dumps(row) + "\n" for row in rows)
