"""The append-only record of completions, by which a stopped run goes on.

One JSON object per line. The first line is the identity: weights, data, prompt
template and decoding. Answers of another identity are never served. Scores are not
recorded: completions are scored anew.
"""

import json
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO

from pytest_awsbench.errors import StoreError
from pytest_awsbench.records import Answer, answer_from_json


SCHEMA = 1
SYNC_S = 1.0
"""At most this many seconds of answers are lost when the machine fails."""


def first_line(path: Path) -> dict[str, Any]:
    """Return the identity that a journal begins with; empty where it has none."""
    try:
        with path.open(encoding="utf-8") as file:
            found = json.loads(file.readline())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


class Journal:
    """Completions of one model on one suite, in a file that only grows.

    Raises:
        StoreError: naming the file and the line, where the file is damaged.

    """

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        self.path = path
        self._identity = {"schema": SCHEMA, **identity}
        self._file: TextIO | None = None
        self._synced = 0.0

    def read(self) -> dict[str, Answer]:
        """Return the recorded completions by sample id; the last one wins."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be read: {error}") from error
        lines = data.split(b"\n")
        # What follows the last newline was torn off in the middle of a write.
        lines.pop()
        if not lines or self._parse(lines[0], 1) != self._identity:
            return {}
        rows = (self._parse(line, n) for n, line in enumerate(lines[1:], start=2))
        return {row["id"]: self._completion(row) for row in rows}

    @property
    def size(self) -> int:
        """Bytes of whole lines that are there before anything is appended.

        Raises:
            StoreError: if the file cannot be read.

        """
        try:
            return self.path.read_bytes().rfind(b"\n") + 1
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be read: {error}") from error

    def append(self, completions: Iterable[tuple[str, Answer]]) -> None:
        """Record completions; they survive the death of this process at once."""
        file = self._opened()
        try:
            for sample_id, completion in completions:
                row = {"id": sample_id, "completion": completion.to_json()}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
            file.flush()
            if time.monotonic() - self._synced > SYNC_S:
                os.fsync(file.fileno())
                self._synced = time.monotonic()
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be written: {error}") from error

    def close(self) -> None:
        """Close the file; a later `append` opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _opened(self) -> TextIO:
        """Open for appending, after a torn last line is cut off."""
        if self._file is not None:
            return self._file
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fresh = self._repair()
            self._file = self.path.open("a", encoding="utf-8")
            if fresh:
                self._file.write(json.dumps(self._identity, ensure_ascii=False) + "\n")
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be written: {error}") from error
        return self._file

    def _repair(self) -> bool:
        """Cut a torn last line; return whether the file must be begun anew."""
        if not self.path.exists():
            return True
        data = self.path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        first = whole.split(b"\n", 1)[0]
        if not first or self._parse(first, 1) != self._identity:
            self.path.unlink()
            return True
        if len(whole) < len(data):
            os.truncate(self.path, len(whole))
        return False

    def _parse(self, line: bytes, number: int) -> dict[str, Any]:
        """Read one line."""
        try:
            row = json.loads(line)
        except ValueError as error:
            raise self._damaged(number, f"not JSON: {error}") from error
        if not isinstance(row, dict):
            raise self._damaged(number, "not an object")
        return row

    def _completion(self, row: Mapping[str, Any]) -> Answer:
        """Read one completion."""
        try:
            return answer_from_json(row["completion"])
        except (KeyError, TypeError) as error:
            raise StoreError(
                f"{self.path}: the record of {row.get('id')!r} is damaged ({error});"
                f" delete the file, or that line"
            ) from error

    def _damaged(self, number: int, why: str) -> StoreError:
        """Return the error for a line that is not the torn last one."""
        return StoreError(
            f"{self.path}: line {number} is damaged ({why});"
            " delete the line to ask these prompts again, or the file to start over"
        )
