"""The sides of a comparison: this run, another model of it, or a baseline.

A baseline holds outcomes, never answers: these come from the kept run behind it.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_awsbench.baselines import Baseline
from pytest_awsbench.episodes import Play
from pytest_awsbench.flips import Asked, NewSide, OldSide
from pytest_awsbench.ledger import Account
from pytest_awsbench.records import Answer, Completion
from pytest_awsbench.stores import EPISODES_FILE, RUN_FILE


def new_side(account: Account, versions: Mapping[str, str]) -> NewSide:
    """Return what an account showed.

    Args:
        account: of this run.
        versions: library → version.

    """
    found = account.results.items()
    return NewSide(
        asked=_asked(account, versions),
        outcomes={i: result.outcome for i, result in found},
        near_ties={
            i: result.completion.near_ties
            for i, result in found
            if isinstance(result.completion, Completion)
        },
    )


def side_of_account(account: Account, versions: Mapping[str, str]) -> OldSide:
    """Return another model of the same run."""
    found = account.results.items()
    return OldSide(
        asked=_asked(account, versions),
        outcomes={i: result.outcome for i, result in found},
        answers={i: (r.outcome, _text(r.completion)) for i, r in found},
        source="this run",
    )


def side_of_baseline(
    out: Path, baseline: Baseline, own: str, backend: str = ""
) -> OldSide:
    """Return a baseline, with the answers of the kept run that it comes from.

    That is the very run that was stored, by its date; else the newest run of the same
    weights on the same data with the same decoding; else none.

    Args:
        out: the output folder.
        baseline: what a run is compared with.
        own: the folder's name of the run that is compared.
        backend: of its model.

    """
    kept = _kept(out, baseline, own)
    folder, run = kept or (None, {})
    return OldSide(
        asked=Asked(
            digest=str(baseline.model["weights"]),
            template=str(baseline.model["template"]),
            decoding=baseline.decoding,
            versions=baseline.versions,
            backend=backend,
            chunk_size=run.get("chunk_size"),
        ),
        outcomes={i: item.outcome for i, item in baseline.items.items()},
        answers=stored_answers(folder, run) if folder else {},
        source=folder.name if folder else None,
    )


def stored_answers(folder: Path, run: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Return outcome and text of every item of a kept run.

    Args:
        folder: of the run.
        run: one model on one suite, as run.json holds it.

    """
    played = _commands(folder, run["model"]["name"])
    return {
        row["sample_id"]: (
            row["outcome"],
            played.get(row["sample_id"]) or stored_text(row["completion"]) or "",
        )
        for row in run["results"]
    }


def _asked(account: Account, versions: Mapping[str, str]) -> Asked:
    """Return who answers in this run, and how."""
    card = account.model
    return Asked(
        digest=card.digest,
        template=card.template_digest,
        decoding=account.decoding.to_json(),
        versions=versions,
        backend=card.backend,
        chunk_size=account.chunk_size,
        files=card.details if card.details.get("path") else {},
    )


def _text(answer: Answer) -> str:
    """Return an answer as text: of several the first, of episodes its commands."""
    if isinstance(answer, Play):
        return "\n".join(turn.command for turn in answer.episodes[0].turns)
    return answer.text


def _kept(
    out: Path, baseline: Baseline, own: str
) -> tuple[Path, Mapping[str, Any]] | None:
    """Return the run behind a baseline: its folder, and the model on the suite."""
    newest = None
    for path in sorted(out.glob(f"*/{RUN_FILE}"), reverse=True):
        if path.parent.name == own:
            continue
        for date, run in _runs(path, baseline):
            if date == baseline.date:
                return path.parent, run
            newest = newest or (path.parent, run)
    return newest


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


def stored_text(completion: Mapping[str, Any]) -> str | None:
    """Return the text of a stored answer: of several the first, of episodes none."""
    first = completion["draws"][0] if "draws" in completion else completion
    text: str | None = first.get("text")
    return text


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
