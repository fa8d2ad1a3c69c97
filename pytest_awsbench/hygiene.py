"""Hygiene of baselines: the run that chose a model is not stored.

The best of several checkpoints was good and lucky. Stored with its luck, it makes the
same model red next week.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_awsbench.errors import ConfigError
from pytest_awsbench.ledger import Account
from pytest_awsbench.stores import RUN_FILE


def refuse_selecting_run(out: Path, account: Account, candidates: int) -> None:
    """Refuse to store the run that chose a model among several.

    Args:
        out: the folder of earlier runs.
        account: the model and the suite.
        candidates: checkpoints of which the model was chosen.

    Raises:
        ConfigError: if this is the first run of these weights on these data.

    """
    if candidates == 1:
        return
    name, suite = account.key
    where = f"selected_from = {candidates}: {name} / {suite}"
    if account.recorded:
        raise ConfigError(
            f"{where}: --awsbench-resume would store answers that chose the model;"
            " run without it"
        )
    weights = account.model.digest
    measured = any(
        run["weights"] == weights and run["data"] == account.suite.data.digest
        for run in earlier_runs(out, suite)
    )
    if not measured:
        raise ConfigError(
            f"{where}: {out} holds no earlier run of these weights"
            f" ({weights[:8]}), so this one would be the run that chose them, and what"
            " was lucky in it would become the baseline; run once without"
            " --snapshot-update, then again with it"
        )


def possible_selection(out: Path, account: Account) -> str:
    """Return a note if several checkpoints of one base were measured; else nothing."""
    base = account.model.details.get("path")
    weights = {
        run["weights"]
        for run in earlier_runs(out, account.suite.name)
        if run["data"] == account.suite.data.digest
        and run["path"] == base
        and run["adapter"]
    } | {account.model.digest}
    if len(weights) < 3 or not account.model.details.get("adapter"):  # noqa: PLR2004
        return ""
    return (
        f"{len(weights)} checkpoints of this base were measured on these data: if"
        f" {account.model.name} was chosen for doing best, its result is partly luck;"
        f" measure it once more with --awsbench-selected-from={len(weights)}"
    )


def earlier_runs(out: Path, suite: str) -> Iterator[Mapping[str, Any]]:
    """Yield weights, base, adapter and data of the complete runs that are kept."""
    for path in sorted(out.glob(f"*/{RUN_FILE}")):
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            data = document["suites"].get(suite, {}).get("data", {}).get("digest")
            for run in document["runs"]:
                if run["suite"] == suite and run["complete"]:
                    details = run["model"]["details"]
                    yield {
                        "weights": run["model"]["digest"],
                        "path": details.get("path"),
                        "adapter": details.get("adapter"),
                        "data": data,
                    }
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # a run of another version says nothing here
