"""What a killed run answered, from its journals: shown, scored, never judged."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_awsbench.episodes import Play
from pytest_awsbench.ledger import counts
from pytest_awsbench.records import (
    Answer,
    Draws,
    Message,
    Result,
    Sample,
    answer_from_json,
)
from pytest_awsbench.scoring import answers, episodes
from pytest_awsbench.suites.suite import Suite, data_card, pooled


UNSCORED = "unscored"
"""Outcome of an answer whose suite has scorers of its own."""


def recovered(
    data: dict[str, Any], folder: Path
) -> tuple[dict[str, Any], Path, list[dict[str, Any]]]:
    """Return the document of a killed run with its answers, its folder, its episodes.

    Args:
        data: as it was written when the run began.
        folder: of the run; journals stand in the folder above.

    """
    runs, notes = [], list(data["notes"])
    played: list[dict[str, Any]] = []
    for run in data["runs"]:
        found = dict(_answers(folder.parent, run))
        asked = data["suites"][run["suite"]]
        samples = [_sample(row) for row in asked["samples"] if row["id"] in found]
        results = [_result(asked, s, found[s.id]) for s in samples]
        played += _episodes(run, found)
        notes.append(
            f"{run['node_prefix']}: the run was killed; its journal holds"
            f" {len(results)} of {len(asked['samples'])} answers"
        )
        runs.append({
            **run,
            "complete": False,
            "outcomes": counts(results),
            "results": [_plain(result) for result in results],
        })
    return {**data, "runs": runs, "notes": notes}, folder, played


def _answers(out: Path, run: Mapping[str, Any]) -> Iterator[tuple[str, Answer]]:
    """Yield what the journal holds of a run; a torn line ends it."""
    try:
        path = out / (run["journal"] or "")
        lines = path.read_bytes()[run["journal_offset"] :].split(b"\n")
        for line in lines:
            row = json.loads(line) if line else {}
            if "completion" in row:
                yield row["id"], answer_from_json(row["completion"])
    except (OSError, ValueError, KeyError, TypeError):
        return


def _result(asked: Mapping[str, Any], sample: Sample, answer: Answer) -> Result:
    """Score an answer as the run would have, where its suite is one of ours."""
    if isinstance(answer, Play):
        scores, squares = episodes.trial_scores(answer)
        return Result(
            sample_id=sample.id,
            completion=answer,
            scores=scores,
            outcome=episodes.outcome(answer),
            k=len(answer.episodes),
            squares=squares,
        )
    if isinstance(answer, Draws):
        return pooled(answer, [_result(asked, sample, a) for a in answer.completions])
    metrics = {metric["name"]: metric["version"] for metric in asked["metrics"]}
    if metrics != dict(answers.METRIC_VERSIONS):
        return Result(
            sample_id=sample.id, completion=answer, scores={}, outcome=UNSCORED
        )
    suite = Suite(name="dataset", samples=(sample,), data=data_card("", [sample]))
    return suite.score(sample, answer)


def _sample(row: Mapping[str, Any]) -> Sample:
    """Return a sample as it was asked."""
    prompt = tuple(Message(**message) for message in row["prompt"])
    return Sample(**{**row, "prompt": prompt})


def _plain(result: Result) -> dict[str, Any]:
    """Return a result as run.json holds it: of episodes the number of turns."""
    row = result.to_json()
    for episode in row["completion"].get("episodes", ()):
        episode["turns"] = len(episode["turns"])
    return row


def _episodes(
    run: Mapping[str, Any], found: Mapping[str, Answer]
) -> Iterator[dict[str, Any]]:
    """Yield the episodes that were played, turn by turn."""
    for sample_id, answer in found.items():
        for trial, episode in enumerate(
            answer.episodes if isinstance(answer, Play) else ()
        ):
            name = run["model"]["name"]
            head = {"model": name, "item": sample_id, "trial": trial}
            yield {**head, **episode.to_json()}
