"""Documents of an earlier schema, in the form of today: what they lack is empty."""

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from pytest_awsbench.gates import Group, Verdict
from pytest_awsbench.runfile import ROOT, SCHEMA, verdict_document
from pytest_awsbench.scoring.episodes import LOWER, NUMBERS
from pytest_awsbench.stats.status import Status


def upgraded(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a document of schema 1 in the schema of today.

    Args:
        data: as it was read.
        name: of its folder.

    Raises:
        KeyError, TypeError, ValueError: if it is no such document.

    """
    runs = [_run(run) for run in data["runs"]]
    primaries = {
        run["suite"]: run["verdicts"][0]["metric"] for run in runs if run["verdicts"]
    }
    return {
        "id": name,
        "status": "complete",
        "exit_status": None,
        "duration": None,
        "command": [],
        "hardware": None,
        "warnings": [],
        "infra": [],
        "claims": [],
        "comparisons": [],
        **data,
        "schema": SCHEMA,
        "suites": {
            suite: _suite(asked, primaries.get(suite))
            for suite, asked in data["suites"].items()
        },
        "runs": runs,
    }


def _suite(asked: Mapping[str, Any], primary: str | None) -> dict[str, Any]:
    """Return what was asked, with what is known of its metrics."""
    metrics = [
        {
            **metric,
            "unit": "number" if metric["name"] in NUMBERS else "share",
            "direction": "lower" if metric["name"] in LOWER else "higher",
        }
        for metric in asked["metrics"]
    ]
    return {
        "leakage": None,
        **asked,
        "primary": primary or metrics[0]["name"],
        "settings": {},
        "metrics": metrics,
    }


def _run(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return one model on one suite."""
    prefix = f"{ROOT}::{run['model']['name']}::{run['suite']}"
    baseline = run["baseline"]
    return {
        "node_prefix": prefix,
        "draws": 1,
        "chunk_size": None,
        "journal": None,
        "journal_offset": 0,
        "accepted": False,
        "gates": [],
        "ungated": [],
        "means": {},
        "groups": {"tier": [], "source": []},
        "flips": [],
        "curves": [],
        "throughput": None,
        **run,
        "baseline": None if baseline is None else {"outcomes": {}, **baseline},
        "verdicts": [_verdict(verdict, prefix) for verdict in run["verdicts"]],
    }


def verdict_of(stored: Mapping[str, Any]) -> Verdict:
    """Return a stored verdict as the value that it was."""
    known = {field.name for field in fields(Verdict)}
    return Verdict(**{
        **{key: value for key, value in stored.items() if key in known},
        "status": Status(stored["status"]),
        "groups": tuple(Group(**group) for group in stored.get("groups", ())),
    })


def _verdict(stored: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return a stored verdict with the words that it would be shown with."""
    document = verdict_document(verdict_of(stored), prefix)
    # What was read from JSON has lists.
    plain: dict[str, Any] = json.loads(json.dumps(document))
    return plain
