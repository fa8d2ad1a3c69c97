"""Digests of files: gigabytes are read once, and blobs of the Hub's cache never."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any


#: Keys of configurations that change without changing what a model does.
VOLATILE = ("_name_or_path", "transformers_version", "peft_version")

_SHA256 = re.compile(r"^[0-9a-f]{64}$")


class Digests:
    """SHA-256 of files, remembered by path, size and time of change."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known = _read(path) if path else {}
        self._fresh = False

    def of(self, path: Path) -> str:
        """Return the digest of a file's content, after its name."""
        return f"{path.name}:{_blob_digest(path) or self._content(path)}"

    def save(self) -> None:
        """Write what is new, where the folder exists; processes may do so at once."""
        if not self._fresh or self._path is None or not self._path.parent.is_dir():
            return
        from tempfile import NamedTemporaryFile

        with NamedTemporaryFile(
            "w", dir=self._path.parent, encoding="utf-8", delete=False
        ) as file:
            json.dump(self._known, file, indent=0)
        Path(file.name).replace(self._path)

    def _content(self, path: Path) -> str:
        """Return the digest of a file that may have been read before."""
        stat = path.stat()
        key = f"{path.resolve()}:{stat.st_size}:{stat.st_mtime_ns}"
        if key not in self._known:
            with path.open("rb") as file:
                self._known[key] = hashlib.file_digest(file, "sha256").hexdigest()
            self._fresh = True
        return self._known[key]


def settings_digest(path: Path) -> str:
    """Return the digest of a JSON file's settings, after its name.

    Saving a model again with another version of a library does not change it.
    """
    text = path.read_bytes()
    try:
        settings = json.loads(text)
    except ValueError:
        settings = None
    if isinstance(settings, dict):
        kept = {key: settings[key] for key in settings if key not in VOLATILE}
        text = json.dumps(kept, sort_keys=True).encode()
    return f"{path.name}:{hashlib.sha256(text).hexdigest()}"


def combined(*parts: Any) -> str:
    """Return one digest of plain values, in 16 hex digits."""
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _blob_digest(path: Path) -> str | None:
    """Return the name of a large file's blob in the Hub's cache: its SHA-256."""
    if not path.is_symlink():
        return None
    blob = path.resolve()
    named = blob.parent.name == "blobs" and _SHA256.match(blob.name)
    return blob.name if named else None


def _read(path: Path) -> dict[str, str]:
    """Read what was remembered; a file that cannot be read is made anew."""
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(known, dict):
        return {}
    return {key: value for key, value in known.items() if _is_digest(value)}


def _is_digest(value: object) -> bool:
    """Whether a remembered value can be a digest."""
    return isinstance(value, str) and _SHA256.match(value) is not None
