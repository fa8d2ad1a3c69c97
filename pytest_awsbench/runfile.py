"""``run.json``: everything that a later report needs, as one document.

The document is versioned; ``docs/run-json.md`` describes it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pytest_awsbench.episodes import Play
from pytest_awsbench.ledger import Account, counts
from pytest_awsbench.records import Result
from pytest_awsbench.suites.suite import Suite


SCHEMA = 1


def run_document(
    accounts: Sequence[Account],
    *,
    date: str,
    versions: Mapping[str, str],
    notes: Sequence[str],
) -> dict[str, Any]:
    """Return a finished run as plain values.

    Args:
        accounts: every model × suite, in the order of the run.
        date: when it began, ISO 8601, UTC.
        versions: library → version.
        notes: what happened that a reader must know.

    """
    suites = {account.suite.name: account.suite for account in accounts}
    return {
        "schema": SCHEMA,
        "date": date,
        "versions": dict(versions),
        "notes": list(notes),
        "suites": {name: _suite(suite) for name, suite in suites.items()},
        "runs": [_run(account) for account in accounts],
    }


def _suite(suite: Suite) -> dict[str, Any]:
    """Return what was asked."""
    return {
        "data": asdict(suite.data),
        "metrics": [{"name": n, "version": v} for n, v in suite.versions.items()],
        "warnings": list(suite.warnings),
        "leakage": None if suite.leakage is None else asdict(suite.leakage),
        "samples": [asdict(sample) for sample in suite.samples],
    }


def _run(account: Account) -> dict[str, Any]:
    """Return what one model answered, and how it was judged."""
    baseline = account.baseline
    return {
        "suite": account.suite.name,
        "model": asdict(account.model),
        "decoding": asdict(account.decoding),
        "chunks": {"size": account.limits.size, "tokens": account.limits.tokens},
        "complete": not account.missing,
        "lost": sorted(account.lost),
        "outcomes": counts(account.results.values()),
        "baseline": None
        if baseline is None
        else {
            "path": str(account.baseline_path) if account.baseline_path else None,
            "provenance": baseline.provenance(),
        },
        "verdicts": [verdict.to_json() for verdict in account.verdicts],
        "results": [
            _result(account.results[sample.id])
            for sample in account.suite.samples
            if sample.id in account.results
        ],
    }


def _result(result: Result) -> dict[str, Any]:
    """Return one result; of episodes without their turns, which are in a file."""
    row = result.to_json()
    if isinstance(result.completion, Play):
        for episode in row["completion"]["episodes"]:
            episode["turns"] = len(episode["turns"])
    return row


def episode_rows(accounts: Iterable[Account]) -> Iterator[dict[str, Any]]:
    """Yield every episode that was played, turn by turn."""
    for account in accounts:
        for sample_id, result in account.results.items():
            if isinstance(result.completion, Play):
                for trial, episode in enumerate(result.completion.episodes):
                    yield {
                        "model": account.model.name,
                        "item": sample_id,
                        "trial": trial,
                        **episode.to_json(),
                    }
