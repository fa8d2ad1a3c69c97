"""Where rows come from: a file, line by line, or a library that knows the format."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytest_awsbench.errors import DataError
from pytest_awsbench.hub import denied, hub_boundary
from pytest_awsbench.suites.rows import Located


_HUB_ID = re.compile(r"^(?P<name>\w[\w.-]*/\w[\w.-]*)(@(?P<revision>[\w./-]+))?$")


def read_rows(source: str, split: str | None, root: Path) -> list[Located]:
    """Return the rows of a data set, each with where it stands.

    Args:
        source: a ``.jsonl`` or ``.parquet`` path, or a Hub id ``[@revision]``.
        split: of a Hub data set.
        root: what a relative path is relative to.

    Raises:
        DataError: if there is no such data, or it cannot be read.
        InfraError: if the Hub cannot be reached.

    """
    path = root / source
    if path.suffix == ".jsonl":
        rows = list(_jsonl(path))
    elif path.suffix == ".parquet":
        rows = list(_parquet(path))
    elif (hub := _HUB_ID.match(source)) and not path.exists():
        rows = list(_hub(hub["name"], hub["revision"], split))
    else:
        raise DataError(
            f'dataset {source!r}: give "builtin", a .jsonl or .parquet file'
            f" (looked for {path}), or a Hub id owner/name"
        )
    if not rows:
        raise DataError(f"dataset {source!r} is empty; it needs at least one row")
    return rows


def _jsonl(path: Path) -> Iterator[Located]:
    """Read JSON lines ourselves: an error names its line, and nothing is imported."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise DataError(f"dataset file not found: {path}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"dataset file {path} cannot be read: {error}") from error
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}: line {number}"
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"{where}: not JSON: {error}") from error
        if not isinstance(row, dict):
            raise DataError(f"{where}: not an object but {row!r:.80}")
        yield where, row


def _parquet(path: Path) -> Iterator[Located]:
    """Read a parquet file through `datasets`."""
    if not path.is_file():
        raise DataError(f"dataset file not found: {path}")
    from datasets import Dataset
    from pyarrow import ArrowInvalid

    try:
        table = Dataset.from_parquet(str(path), keep_in_memory=True)
    except (ArrowInvalid, ValueError, OSError) as error:
        raise DataError(f"dataset file {path} is not parquet: {error}") from error
    yield from _numbered(str(path), table)


def _hub(name: str, revision: str | None, split: str | None) -> Iterator[Located]:
    """Read a data set of the Hub through `datasets`."""
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError
    from datasets.utils.logging import disable_progress_bar

    disable_progress_bar()
    label = f"data set {name}" + (f"@{revision}" if revision else "")
    with hub_boundary(label, DataError):
        try:
            found = load_dataset(name, revision=revision)
        except (ValueError, FileNotFoundError, DatasetsError) as error:
            raise _refused(label, error) from error
    wanted = split or next(
        (name for name in ("validation", "test") if name in found), next(iter(found))
    )
    if wanted not in found:
        names = ", ".join(sorted(found))
        raise DataError(f"{label}: no split {wanted!r}; it has: {names} (set split)")
    yield from _numbered(f"{label}/{wanted}", found[wanted])


def _refused(label: str, error: Exception) -> DataError:
    """Say why a repository gives no data."""
    text = str(error)
    if "gated" in text or "authenticated" in text or "401" in text or "403" in text:
        return DataError(denied(label))
    return DataError(f"{label} cannot be read: {text}")


def _numbered(label: str, table: Any) -> Iterator[Located]:  # noqa: ANN401 - datasets'
    """Yield the rows of a table."""
    if "messages" not in table.column_names:
        columns = ", ".join(table.column_names)
        raise DataError(f"{label}: no column 'messages'; it has: {columns}")
    for number, row in enumerate(table, start=1):
        yield f"{label}: row {number}", row
