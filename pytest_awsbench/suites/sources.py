"""Where rows come from: a file, line by line, or a library that knows the format."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pytest_awsbench.errors import DataError
from pytest_awsbench.hub import Repo, is_hub_id, quiet, snapshot
from pytest_awsbench.suites.rows import Located


#: Splits to take where none is configured, best first.
HELD_OUT = ("validation", "test")
#: What a data set of the Hub is read from; never its images and archives.
NEEDED = ["README.md", "*.yaml", "*.json*", "*.parquet", "*.csv*", "*.arrow"]


@dataclass(frozen=True, slots=True)
class Rows:
    """What a source holds."""

    located: list[Located]
    notes: tuple[str, ...] = ()
    """What a report must say."""


def read_rows(source: str, split: str | None, root: Path) -> Rows:
    """Read a data set.

    Args:
        source: a ``.jsonl`` or ``.parquet`` path, or a Hub id ``[@revision]``.
        split: of a Hub data set; a file has none.
        root: what a relative path is relative to.

    Raises:
        DataError: if there is no such data, or it cannot be read.
        InfraError: if the Hub cannot be reached.

    """
    path = root / source
    repo, _, revision = source.partition("@")
    if path.suffix in {".jsonl", ".parquet"}:
        if not path.exists():
            raise DataError(f"dataset {source!r}: no such file (looked for {path})")
        read = _jsonl if path.suffix == ".jsonl" else _parquet
        rows = Rows(list(read(path)))
    elif is_hub_id(repo) and not path.exists():
        found = Repo(kind="dataset", id=repo, revision=revision or None)
        rows = _hub(found, split, path)
    else:
        there = "it is there, but is neither" if path.exists() else "no such file"
        raise DataError(
            f"dataset {source!r}: give builtin, a .jsonl or .parquet file, or a Hub id"
            f" owner/name[@revision] (looked for {path}: {there})"
        )
    if not rows.located:
        raise DataError(f"dataset {source!r} is empty: no rows in {path}")
    return rows


def _jsonl(path: Path) -> Iterator[Located]:
    """Read JSON lines ourselves: errors name their line, and `datasets` stays out."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}: line {number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where}: not JSON: {error}") from error
        if not isinstance(row, dict):
            raise DataError(f"{where}: not an object but {row!r:.80}")
        yield where, row


def _parquet(path: Path) -> Iterator[Located]:
    """Read a parquet file; a copy in the cache of `datasets` would go stale."""
    with TemporaryDirectory() as cache, _readable(str(path)):
        from datasets import Dataset

        table = Dataset.from_parquet(str(path), cache_dir=cache, keep_in_memory=True)
        rows = _plain(str(path), table)
    yield from rows


def _hub(repo: Repo, split: str | None, looked_for: Path) -> Rows:
    """Read a split of a data set of the Hub.

    The commit is fetched first and read as a folder: left to itself `load_dataset`
    serves any cached revision when the Hub cannot be reached.
    """
    label = f"dataset {repo}"
    found = snapshot(repo, f"{label} (no file {looked_for})", DataError, NEEDED)
    with _readable(label):
        from datasets import load_dataset

        splits = load_dataset(str(found.folder))
    wanted = split or _held_out(list(splits))
    if wanted not in splits:
        names = ", ".join(splits)
        which = f"no split {split!r}" if split else "which split?"
        raise DataError(f"{label}: {which}; it has {names}: set split to one of them")
    notes = (found.note,) if found.note else ()
    return Rows(_plain(f"{label}, split {wanted}", splits[wanted]), notes)


def _held_out(splits: list[str]) -> str | None:
    """Return the split to take where none is configured, if it is clear."""
    if len(splits) == 1:
        return splits[0]
    return next((name for name in HELD_OUT if name in splits), None)


@contextmanager
def _readable(label: str) -> Iterator[None]:
    """Blame the data for what `datasets` cannot read; no progress bars meanwhile."""
    from datasets import config
    from datasets.exceptions import DatasetsError
    from datasets.utils.tqdm import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )
    from pyarrow import ArrowException

    decided = config.HF_DATASETS_DISABLE_PROGRESS_BARS is not None
    shown = not decided and not are_progress_bars_disabled()
    if shown:
        disable_progress_bars()
    try:
        with quiet():
            yield
    except (DatasetsError, ArrowException, ValueError, OSError) as error:
        # What it wraps says more than "an error occurred while generating".
        reason = str(error.__cause__ or error).strip().partition("\n")[0]
        raise DataError(f"{label}: cannot be read: {reason}") from error
    finally:
        if shown:
            enable_progress_bars()


def _plain(label: str, table: Any) -> list[Located]:  # noqa: ANN401 - of datasets
    """Return the rows of a table as plain values."""
    if "messages" not in table.column_names:
        columns = ", ".join(table.column_names)
        raise DataError(f"{label}: no column 'messages'; it has {columns}")
    rows: list[Mapping[str, Any]] = table.to_list()
    return [(f"{label}: row {n}", row) for n, row in enumerate(rows, start=1)]
