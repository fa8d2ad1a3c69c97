"""``run.json``: everything that a later report needs, as one document.

The document is versioned; ``docs/run-json.md`` describes it, and ``awsbench schema``
prints its schema. It is written twice: without results when a run begins, so that a
run that is killed leaves word of itself, and whole when it ends.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, Literal

from pytest_awsbench.episodes import Play
from pytest_awsbench.figures import Figures, Ranking, SideBySide
from pytest_awsbench.flips import Flip
from pytest_awsbench.gates import Verdict
from pytest_awsbench.ledger import Account, counts
from pytest_awsbench.records import Answer, Result
from pytest_awsbench.suites.suite import Suite
from pytest_awsbench.truncation import truncation_of
from pytest_awsbench.verdicts import line


SCHEMA = 2
ROOT = "awsbench"
"""Where node ids begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What is true of a run as a whole."""

    id: str
    """The name of its folder."""
    date: str
    """When it began, ISO 8601, UTC."""
    command: Sequence[str]
    versions: Mapping[str, str]
    hardware: Mapping[str, Any]
    warnings: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """What is known of a run as a whole at its end."""

    status: Literal["complete", "incomplete"] = "incomplete"
    exit_status: int | None = None
    duration: float | None = None
    """Seconds."""
    notes: Sequence[str] = ()
    """What happened that a reader must know."""
    infra: Sequence[Mapping[str, str]] = ()
    """Items that infrastructure lost: node id and reason."""
    claims: Sequence[str] = ()
    comparisons: Sequence[SideBySide] = ()
    rankings: Sequence[Ranking] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What is known of one model on one suite, besides its account."""

    figures: Figures | None = None
    """None where answers are missing: a mean of some items is not the suite's."""
    flips: Sequence[Flip] = ()
    gates: Sequence[Mapping[str, str]] = ()
    """How each gate's item ended: name, node id, outcome and reason."""
    throughput: Mapping[str, Any] | None = None
    journal_offset: int = 0
    """Bytes of the journal that were there before this run."""


Key = tuple[str, str]
"""Model and suite."""


@dataclass(frozen=True, slots=True)
class Story:
    """A run as it is told: its head, its end, and what each account showed."""

    head: Head
    out: Path
    """The output folder, which journals are named relative to."""
    tail: Tail = field(default_factory=Tail)
    findings: Mapping[Key, Findings] = field(default_factory=dict)


def run_document(story: Story, accounts: Sequence[Account]) -> dict[str, Any]:
    """Return a run as plain values.

    Args:
        story: what is known besides answers.
        accounts: every model × suite, in the order of the run.

    """
    suites = {account.suite.name: account.suite for account in accounts}
    head, tail = story.head, story.tail
    return {
        "schema": SCHEMA,
        "id": head.id,
        "status": tail.status,
        "exit_status": tail.exit_status,
        "date": head.date,
        "duration": tail.duration,
        "command": list(head.command),
        "hardware": dict(head.hardware),
        "versions": dict(head.versions),
        "warnings": list(head.warnings),
        "notes": list(tail.notes),
        "infra": [dict(lost) for lost in tail.infra],
        "claims": list(tail.claims),
        "comparisons": [_side_by_side(pair) for pair in tail.comparisons],
        "rankings": [asdict(ranking) for ranking in tail.rankings],
        "suites": {name: _suite(suite) for name, suite in suites.items()},
        "runs": [
            _run(account, story.findings.get(account.key, Findings()), story.out)
            for account in accounts
        ],
    }


def verdict_document(verdict: Verdict, prefix: str) -> dict[str, Any]:
    """Return a verdict as plain values, with the words that every report shows.

    A limit that is infinite, as of a single cluster, is unknown: JSON has none.
    """
    return {
        **{key: _finite(value) for key, value in verdict.to_json().items()},
        "word": verdict.word,
        "line": line(verdict),
        "node_id": f"{prefix}::{verdict.name}",
    }


def _finite(value: object) -> object:
    """Return a value that JSON has; of a number without bounds none."""
    return value if not isinstance(value, float) or isfinite(value) else None


def prefix_of(account: Account) -> str:
    """Return what the node ids of a model's items on a suite begin with."""
    return "::".join((ROOT, *account.key))


def _side_by_side(pair: SideBySide) -> dict[str, Any]:
    """Return two models of a run beside each other."""
    prefix = f"{ROOT}::{pair.other}::{pair.suite}"
    return {
        "suite": pair.suite,
        "first": pair.first,
        "other": pair.other,
        "verdicts": [verdict_document(v, prefix) for v in pair.verdicts],
    }


def _suite(suite: Suite) -> dict[str, Any]:
    """Return what was asked."""
    return {
        "data": asdict(suite.data),
        "primary": suite.primary,
        "settings": dict(suite.settings),
        "metrics": [
            {
                "name": name,
                "version": version,
                "unit": suite.unit(name),
                "direction": suite.direction(name),
            }
            for name, version in suite.versions.items()
        ],
        "warnings": list(suite.warnings),
        "leakage": None if suite.leakage is None else asdict(suite.leakage),
        "samples": [sample.to_json() for sample in suite.samples],
    }


def _run(account: Account, found: Findings, out: Path) -> dict[str, Any]:
    """Return what one model answered, and how it was judged."""
    prefix = prefix_of(account)
    return {
        "suite": account.suite.name,
        "model": asdict(account.model),
        "node_prefix": prefix,
        "decoding": account.decoding.to_json(),
        "draws": account.draws,
        "chunk_size": account.chunk_size,
        "journal": Path(os.path.relpath(account.journal.path, out)).as_posix(),
        "journal_offset": found.journal_offset,
        "complete": not account.missing,
        "accepted": account.accepted,
        "lost": sorted(account.lost),
        "outcomes": counts(account.results.values()),
        "truncation": truncation_of(account).to_json(),
        "baseline": _baseline(account),
        "gates": [dict(gate) for gate in found.gates],
        "verdicts": [verdict_document(v, prefix) for v in account.verdicts],
        **_shown(found.figures, prefix),
        "flips": [asdict(flip) for flip in found.flips],
        "throughput": found.throughput,
        "results": [
            result_document(account.results[sample.id])
            for sample in account.suite.samples
            if sample.id in account.results
        ],
    }


def _shown(figures: Figures | None, prefix: str) -> dict[str, Any]:
    """Return what all answers show; of a part of them nothing."""
    if figures is None:
        groups: dict[str, list[Any]] = {"tier": [], "source": []}
        return {"ungated": [], "means": {}, "groups": groups, "curves": []}
    return {
        "ungated": [verdict_document(v, prefix) for v in figures.ungated],
        "means": {metric: asdict(mean) for metric, mean in figures.means.items()},
        "groups": {
            by: [asdict(group) for group in groups]
            for by, groups in figures.groups.items()
        },
        "curves": [asdict(point) for point in figures.curve],
    }


def _baseline(account: Account) -> dict[str, Any] | None:
    """Return what the model is compared with."""
    baseline = account.baseline
    if baseline is None:
        return None
    return {
        "path": str(account.baseline_path) if account.baseline_path else None,
        "provenance": baseline.provenance(),
        "outcomes": {i: item.outcome for i, item in baseline.items.items()},
    }


def result_document(result: Result) -> dict[str, Any]:
    """Return one result; of episodes without their turns, which are in a file."""
    row = result.to_json()
    if isinstance(result.completion, Play):
        for episode in row["completion"]["episodes"]:
            episode["turns"] = len(episode["turns"])
    return row


def episode_rows(accounts: Iterable[Account]) -> Iterator[dict[str, Any]]:
    """Yield every episode that was played, turn by turn."""
    for account in accounts:
        found = {i: result.completion for i, result in account.results.items()}
        yield from played(account.model.name, found)


def played(model: str, answers: Mapping[str, Answer]) -> Iterator[dict[str, Any]]:
    """Yield a model's episodes, turn by turn.

    Args:
        model: its name.
        answers: by item id; what is no episode is left out.

    """
    for sample_id, answer in answers.items():
        if isinstance(answer, Play):
            for trial, episode in enumerate(answer.episodes):
                head = {"model": model, "item": sample_id, "trial": trial}
                yield {**head, **episode.to_json()}
