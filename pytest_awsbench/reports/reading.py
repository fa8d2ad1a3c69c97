"""Runs that are kept, read again: whole ones, killed ones, and those of schema 1."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pytest_awsbench.errors import ReportError
from pytest_awsbench.reports.recovering import recovered
from pytest_awsbench.reports.schema import DOCUMENT
from pytest_awsbench.reports.upgrading import upgraded
from pytest_awsbench.runfile import SCHEMA
from pytest_awsbench.stores import EPISODES_FILE, RUN_FILE


LATEST = "latest"
SHOWN = 5
"""Runs that a message names."""


@dataclass(frozen=True, slots=True)
class RunDocument:
    """A run, as plain values in the form of the schema of today."""

    data: dict[str, Any]
    folder: Path
    recovered_episodes: Sequence[Mapping[str, Any]] = field(default=(), repr=False)
    """Of a run that was killed, from its journal."""

    def episodes(self) -> Iterator[dict[str, Any]]:
        """Yield every episode with its turns.

        Raises:
            ReportError: naming the line that is damaged.

        """
        path = self.folder / EPISODES_FILE
        if not path.exists():
            yield from map(dict, self.recovered_episodes)
            return
        try:
            with path.open(encoding="utf-8", errors="surrogatepass") as lines:
                for number, line in enumerate(lines, start=1):
                    yield _object(line, f"{path}: line {number}")
        except (OSError, UnicodeDecodeError) as error:
            raise ReportError(f"{path}: cannot be read: {error}") from error


def find_run(name: str, out: Path) -> Path:
    """Return the folder of a run.

    Args:
        name: a folder, the name of one in `out`, or ``latest``.
        out: where runs are kept.

    Raises:
        ReportError: naming the runs that there are.

    """
    there = sorted(path.parent.name for path in out.glob(f"*/{RUN_FILE}"))
    if name == LATEST and there:
        return out / there[-1]
    for folder in (Path(name), out / name):
        if (folder / RUN_FILE).is_file():
            return folder
        if folder.name == RUN_FILE and folder.is_file():
            return folder.parent
    newest = ", ".join(there[: -SHOWN - 1 : -1])
    known = f"{out} holds {newest}" if there else f"{out} holds no run"
    more = f" and {len(there) - SHOWN} older ones" if len(there) > SHOWN else ""
    raise ReportError(
        f"no run {name!r}: {known}{more}; give one of them, a folder with a"
        f" {RUN_FILE}, or {LATEST}"
    )


def chosen_run(name: str, out: Path) -> RunDocument:
    """Read a run, or what one model of it answered.

    Args:
        name: as of `find_run`; ``RUN::MODEL`` for one model.
        out: where runs are kept.

    Raises:
        ReportError: as of `read_run`; or naming the models that there are.

    """
    where, _, model = name.partition("::")
    document = read_run(find_run(where, out))
    if not model:
        return document
    runs = document.data["runs"]
    chosen = [run for run in runs if run["model"]["name"] == model]
    if not chosen:
        there = ", ".join(dict.fromkeys(run["model"]["name"] for run in runs))
        raise ReportError(f"{where} has no model {model!r}; it has {there}")
    suites = {run["suite"] for run in chosen}
    asked = {n: s for n, s in document.data["suites"].items() if n in suites}
    return replace(document, data={**document.data, "runs": chosen, "suites": asked})


def read_run(folder: Path) -> RunDocument:
    """Read a run; one that was killed is filled with what its journals hold.

    Raises:
        ReportError: if it is missing, damaged, or of a schema that is not read.

    """
    path = folder / RUN_FILE
    try:
        text = path.read_text(encoding="utf-8", errors="surrogatepass")
    except FileNotFoundError as error:
        raise ReportError(f"{folder}: no run: it has no {RUN_FILE}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ReportError(f"{path}: cannot be read: {error}") from error
    data = _of_today(_object(text, str(path)), path)
    _check(data, path)
    if data["status"] == "complete" or data["exit_status"] is not None:
        return RunDocument(data, folder)
    return RunDocument(*recovered(data, folder))


def _of_today(data: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return a document in the schema of today.

    Raises:
        ReportError: naming a schema that is not read.

    """
    schema = data.get("schema")
    if schema == SCHEMA:
        return data
    if schema == 1:
        try:
            return upgraded(data, path.parent.name)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise _damaged(path, f"{type(error).__name__}: {error}") from error
    newer = isinstance(schema, int) and schema > SCHEMA
    advice = "upgrade pytest-awsbench" if newer else "run again"
    raise ReportError(
        f"{path}: schema {schema!r} cannot be read (this version reads 1 and"
        f" {SCHEMA}); {advice}"
    )


def _check(data: dict[str, Any], path: Path) -> None:
    """Refuse a document that lacks what reports need.

    Raises:
        ReportError: naming the key.

    """
    try:
        DOCUMENT.validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise _damaged(path, f"{where}: {first['msg']}") from error


def _object(text: str, where: str) -> dict[str, Any]:
    """Read a JSON object."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ReportError(f"{where}: damaged: not JSON: {error}") from error
    if not isinstance(found, dict):
        raise ReportError(f"{where}: damaged: not an object")
    return found


def _damaged(path: Path, why: str) -> ReportError:
    """Return the error for a document that is none of ours any more."""
    return ReportError(f"{path}: damaged: {why}; run again, or give another run")
