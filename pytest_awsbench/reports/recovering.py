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
from pytest_awsbench.runfile import played, result_document
from pytest_awsbench.scoring import answers
from pytest_awsbench.suites.env import of_episodes
from pytest_awsbench.suites.suite import Suite, data_card, pooled, with_first


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
    episodes: list[dict[str, Any]] = []
    for run in data["runs"]:
        found = dict(_answers(folder.parent, run))
        asked = data["suites"][run["suite"]]
        samples = [_sample(row) for row in asked["samples"] if row["id"] in found]
        results = [_result(asked, s, found[s.id]) for s in samples]
        episodes += played(run["model"]["name"], found)
        notes.append(
            f"{run['node_prefix']}: the run was killed; its journal holds"
            f" {len(results)} of {len(asked['samples'])} answers"
        )
        runs.append({
            **run,
            "complete": False,
            "truncation": None,
            "outcomes": counts(results),
            "results": [result_document(result) for result in results],
        })
    return {**data, "runs": runs, "notes": notes}, folder, episodes


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
        return of_episodes(sample.id, answer)
    if isinstance(answer, Draws):
        return pooled(answer, [_result(asked, sample, a) for a in answer.completions])
    metrics = {metric["name"]: metric["version"] for metric in asked["metrics"]}
    if metrics != dict(answers.METRIC_VERSIONS):
        return Result(
            sample_id=sample.id, completion=answer, scores={}, outcome=UNSCORED
        )
    suite = Suite(name="dataset", samples=(sample,), data=data_card("", [sample]))
    result = suite.score(sample, answer)
    if answer.first is None:
        return result
    return with_first(result, suite.score(sample, answer.first))


def _sample(row: Mapping[str, Any]) -> Sample:
    """Return a sample as it was asked."""
    prompt = tuple(Message(**message) for message in row["prompt"])
    return Sample(**{**row, "prompt": prompt})
