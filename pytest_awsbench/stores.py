"""The folders of a run: what is written where, and what is cleaned up."""

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from pytest_awsbench import demo
from pytest_awsbench.baselines import Baseline
from pytest_awsbench.baselines import loads as loads_baseline
from pytest_awsbench.errors import StoreError
from pytest_awsbench.models.spec import ModelSpec
from pytest_awsbench.suites.suite import Suite


IGNORE = "# Runs of pytest-awsbench: large, and made anew by every run.\n*\n"
RUN_FILE = "run.json"
EPISODES_FILE = "episodes.jsonl"


def open_folder(out: Path) -> None:
    """Make the output folder, which git shall not see.

    Raises:
        StoreError: if it cannot be written.

    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        ignore = out / ".gitignore"
        if not ignore.exists():
            ignore.write_text(IGNORE, encoding="utf-8")
        if not os.access(out, os.W_OK):
            raise PermissionError("not writable")
    except OSError as error:
        raise StoreError(
            f"{out}: the output folder cannot be written ({error});"
            " choose another with --awsbench-out=DIR"
        ) from error


def new_folder(out: Path) -> Path:
    """Make the folder of a run that begins now; no two runs share one.

    Raises:
        StoreError: if it cannot be made.

    """
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    for number in count(1):
        folder = out / f"{stamp}-{os.getpid()}{f'-{number}' if number > 1 else ''}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise StoreError(f"{folder}: cannot be made: {error}") from error
        return folder
    raise AssertionError  # pragma: no cover - counting does not end


def write_run(folder: Path, run: Mapping[str, Any]) -> None:
    """Write a run's document into its folder, in place of an earlier one at once.

    Raises:
        StoreError: if it cannot be written.

    """
    fresh = folder / f"{RUN_FILE}.new"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(run, ensure_ascii=False)
        fresh.write_text(text + "\n", encoding="utf-8")
        fresh.replace(folder / RUN_FILE)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written: {error}") from error


def write_episodes(folder: Path, episodes: Iterable[Mapping[str, Any]]) -> None:
    """Write every episode, turn by turn; without any there is no file of them.

    Raises:
        StoreError: if it cannot be written.

    """
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in episodes]
    try:
        if lines:
            (folder / EPISODES_FILE).write_text("".join(lines), encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written: {error}") from error


def prune(out: Path, keep: int) -> None:
    """Delete all but the last `keep` runs, and journals that none of them wrote."""
    runs = sorted(path.parent for path in out.glob(f"*/{RUN_FILE}"))
    for folder in runs[:-keep]:
        shutil.rmtree(folder, ignore_errors=True)
    journals = sorted(
        (out / "journal").glob("*.jsonl"), key=lambda path: path.stat().st_mtime
    )
    for path in journals[:-keep]:
        path.unlink(missing_ok=True)


def baseline_path(folder: Path, model: str, suite: str) -> Path:
    """Return where the baseline of a model on a suite is stored."""
    return folder / model / f"{suite}.json"


def find_baseline(
    folder: Path, model: str, spec: ModelSpec | None, suite: Suite
) -> tuple[Baseline | None, Path | None]:
    """Return a model's baseline and its file; the packaged one has no file.

    The packaged baseline holds for the built-in pair on the built-in data alone.

    Raises:
        StoreError: naming file and line, if it is damaged or of another schema.

    """
    path = baseline_path(folder, model, suite.name)
    if path.exists():
        return _read(path), path
    packaged = demo.ROOT / "baselines" / model / f"{suite.name}.json"
    known = spec is not None and is_demo(spec) and suite.data.name == "builtin"
    if not known or not packaged.exists():
        return None, None
    found = _read(packaged)
    # It was measured in the embedded environment, as that is by default.
    differ = {**suite.settings, "trials": 1} != {**found.settings, "trials": 1}
    return (None, None) if differ else (found, None)


def is_demo(spec: ModelSpec) -> bool:
    """Whether a model is one of the built-in pair."""
    return spec.path == str(demo.BASE) and spec.adapter in {None, str(demo.ADAPTER)}


def _read(path: Path) -> Baseline:
    """Read a baseline."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{path}: the baseline cannot be read: {error}") from error
    return loads_baseline(text, path)
