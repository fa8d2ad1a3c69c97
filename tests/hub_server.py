"""A Hub on the loopback: the part of its API that downloads use.

Serves folders as repositories. `huggingface_hub` reads its endpoint when it is
imported, so whoever asks is a process of its own: see `ask`.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


TOKEN = "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"
#: Read from here on: the Hub stores larger files and weights by their SHA-256.
LARGE = (".safetensors", ".bin", ".gguf", ".parquet")


@dataclass(kw_only=True)
class Served:
    """A repository."""

    commits: dict[str, Path]
    """Commit → its files."""
    refs: dict[str, str]
    """Branch or tag → commit."""
    gated: int = 0
    """The status that asking for its files gets; 0 where access is granted."""


@dataclass
class Hub:
    """What a test controls and sees."""

    url: str = ""
    repos: dict[str, Served] = field(default_factory=dict)
    """By ``models/owner/name`` and ``datasets/owner/name``."""
    broken: int = 0
    """The status that everything gets; 0 where it works."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Method and path of every request."""

    @property
    def host(self) -> str:
        """Where it listens, as messages name it."""
        return urlsplit(self.url).netloc

    def add(self, name: str, *folders: Path, gated: int = 0) -> list[str]:
        """Serve folders as the commits of a repository; the last one is ``main``.

        Args:
            name: ``models/owner/name`` or ``datasets/owner/name``.
            folders: oldest first; they are also the tags ``v1``, ``v2`` …
            gated: the status that asking for files gets, such as 403.

        Returns:
            the commits.

        """
        commits = [hashlib.sha1(f"{name}{f}".encode()).hexdigest() for f in folders]  # noqa: S324
        tags = {f"v{n}": commit for n, commit in enumerate(commits, start=1)}
        self.repos[name] = Served(
            commits=dict(zip(commits, folders, strict=True)),
            refs={"main": commits[-1], **tags},
            gated=gated,
        )
        return commits


@contextmanager
def serve() -> Iterator[Hub]:
    """Serve an empty Hub until the end of the block."""
    hub = Hub()

    class Bound(_Handler):
        served = hub

    with ThreadingHTTPServer(("127.0.0.1", 0), Bound) as server:
        server.daemon_threads = True
        hub.url = f"http://127.0.0.1:{server.server_port}"
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield hub
        finally:
            server.shutdown()


def environment(url: str, home: Path, **more: str) -> dict[str, str]:
    """Return the environment of a process for which the Hub is `url`."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
    proxies = [k for k in kept if k.lower().endswith("_proxy")]
    for key in proxies:
        del kept[key]
    return {**kept, "HF_ENDPOINT": url, "HF_HOME": str(home), **more}


def ask(code: str, env: Mapping[str, str], *arguments: object) -> dict[str, Any]:
    """Run code in a process of its own and return the JSON document that it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert TOKEN not in done.stdout + done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {**answer, "stderr": done.stderr}


class _RefusedError(Exception):
    """A request that gets an error."""

    def __init__(self, status: int, code: str = "") -> None:
        super().__init__(status, code)
        self.status = status
        self.code = code


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    served: Hub
    _paths: list[str]
    """Which files and folders a POST asks about."""
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._paths = parse_qs(body.decode()).get("paths", [])
        self._answer()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep quiet: requests are in `Hub.asked`."""

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        self.served.asked.append((self.command, path))
        try:
            self._check()
            if path.startswith("api/"):
                self._send_json(self._api(path.removeprefix("api/").split("/")))
            else:
                self._resolve(path.split("/"))
        except _RefusedError as refused:
            headers = {"X-Error-Code": refused.code} if refused.code else {}
            self._send(refused.status, b"{}", headers)

    def _check(self) -> None:
        if self.served.broken:
            raise _RefusedError(self.served.broken)

    def _api(self, parts: list[str]) -> object:
        """Answer what is asked about a repository."""
        name, rest = "/".join(parts[:3]), parts[3:]
        match rest:
            case [] | ["revision", _]:
                commit, folder = self._commit(name, rest[1] if rest else "main")
                files = (p for p in sorted(folder.rglob("*")) if p.is_file())
                siblings = [{"rfilename": str(p.relative_to(folder))} for p in files]
                return {
                    "id": name.partition("/")[2],
                    "sha": commit,
                    "siblings": siblings,
                }
            case ["tree", revision, *below]:
                _, folder = self._commit(name, revision)
                start = folder.joinpath(*below)
                if not start.is_dir():
                    raise _RefusedError(404, "EntryNotFound")
                return [_entry(folder, path) for path in sorted(start.rglob("*"))]
            case ["paths-info", revision]:
                _, folder = self._commit(name, revision)
                asked = (folder / path for path in self._paths)
                return [_entry(folder, path) for path in asked if path.exists()]
        raise _RefusedError(404)

    def _resolve(self, parts: list[str]) -> None:
        """Send a file, or what its header says."""
        if parts[0] != "datasets":
            parts = ["models", *parts]
        name, rest = "/".join(parts[:3]), parts[3:]
        if len(rest) < 3 or rest[0] != "resolve":
            raise _RefusedError(404)
        commit, folder = self._commit(name, rest[1])
        if gated := self.served.repos[name].gated:
            raise _RefusedError(gated, "GatedRepo")
        file = folder.joinpath(*rest[2:])
        if not file.is_file():
            raise _RefusedError(404, "EntryNotFound")
        entry = _entry(folder, file)
        linked = entry.get("lfs")
        headers = {"X-Repo-Commit": commit, "ETag": f'"{entry["oid"]}"'}
        if linked:
            headers["X-Linked-ETag"] = f'"{linked["oid"]}"'
            headers["X-Linked-Size"] = str(linked["size"])
        self._send(200, file.read_bytes(), headers)

    def _commit(self, name: str, revision: str) -> tuple[str, Path]:
        """Return the commit and the folder of a revision."""
        repo = self.served.repos.get(name)
        if repo is None:
            raise _RefusedError(401, "RepoNotFound")
        commit = repo.refs.get(revision, revision)
        if commit not in repo.commits:
            raise _RefusedError(404, "RevisionNotFound")
        return commit, repo.commits[commit]

    def _send_json(self, value: object) -> None:
        self._send(
            200, json.dumps(value).encode(), {"Content-Type": "application/json"}
        )

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _entry(folder: Path, path: Path) -> dict[str, Any]:
    """Return one file or folder as the Hub lists it."""
    name = path.relative_to(folder).as_posix()
    if path.is_dir():
        oid = hashlib.sha1(name.encode()).hexdigest()  # noqa: S324
        return {"type": "directory", "path": name, "size": 0, "oid": oid}
    content = path.read_bytes()
    oid = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()  # noqa: S324
    entry: dict[str, Any] = {
        "type": "file",
        "path": name,
        "size": len(content),
        "oid": oid,
    }
    if path.suffix in LARGE:
        sha256 = hashlib.sha256(content).hexdigest()
        entry["lfs"] = {"oid": sha256, "size": len(content), "pointerSize": 130}
    return entry
