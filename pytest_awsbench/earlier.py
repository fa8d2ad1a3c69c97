"""The runs that are kept: which one holds the answers behind a baseline."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_awsbench.baselines import Baseline
from pytest_awsbench.flips import OldAnswers
from pytest_awsbench.stores import EPISODES_FILE, RUN_FILE


def old_answers(out: Path, baseline: Baseline, own: str) -> OldAnswers | None:
    """Return the answers of the kept run that a baseline comes from, or of its like.

    The very run that was stored, by its date; else the newest run of the same weights
    on the same data with the same decoding; else None.

    Args:
        out: the output folder.
        baseline: what a run is compared with.
        own: the folder's name of the run that is compared.

    """
    newest = None
    for path in sorted(out.glob(f"*/{RUN_FILE}"), reverse=True):
        if path.parent.name == own:
            continue
        for date, run in _runs(path, baseline):
            if date == baseline.date:
                return _answers(path.parent, run)
            newest = newest or (path.parent, run)
    return _answers(*newest) if newest else None


def _runs(path: Path, baseline: Baseline) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the runs of a document that are like the baseline's, with their date."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        suites = document["suites"]
        for run in document["runs"]:
            if (
                run["suite"] == baseline.suite
                and run["complete"]
                and run["model"]["digest"] == baseline.model["weights"]
                and suites[run["suite"]]["data"]["digest"] == baseline.data["digest"]
                and run["decoding"] == dict(baseline.decoding)
            ):
                yield document["date"], run
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return  # a run of another version, or a torn one, says nothing here


def _answers(folder: Path, run: Mapping[str, Any]) -> OldAnswers:
    """Return what a kept run answered."""
    played = _commands(folder, run["model"]["name"])
    return OldAnswers(
        run=folder.name,
        answers={
            row["sample_id"]: (
                row["outcome"],
                played[row["sample_id"]]
                if row["sample_id"] in played
                else _text(row["completion"]),
            )
            for row in run["results"]
        },
        chunk_size=run.get("chunk_size"),
    )


def _text(completion: Mapping[str, Any]) -> str:
    """Return the text of a stored answer: of several the first, of episodes none."""
    first = completion["draws"][0] if "draws" in completion else completion
    return str(first.get("text", ""))


def _commands(folder: Path, model: str) -> dict[str, str]:
    """Return the commands of every item's first episode, as lines."""
    found: dict[str, str] = {}
    try:
        with (folder / EPISODES_FILE).open(encoding="utf-8") as lines:
            for row in map(json.loads, lines):
                if row["model"] == model and row["trial"] == 0:
                    commands = [turn["command"] for turn in row["turns"]]
                    found[row["item"]] = "\n".join(commands)
    except (OSError, ValueError, KeyError, TypeError):
        return found
    return found
