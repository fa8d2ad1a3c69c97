"""Worker processes: sessions pinned to them, replaced when they are stuck or dead.

A session is its seed and the log of its commands. So when a worker is lost, its
sessions are played again in another one, and nobody notices but the clock.
"""

import contextlib
import itertools
import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_awsbench.envs.server.universe import Ran


MODULE = "pytest_awsbench.envs.server.worker"
STUCK_S = 90.0
"""When a worker that does not answer is given up; it stops a command by itself."""
START_S = 180.0
RECYCLE = 150
"""Episodes after which a worker is replaced: the emulator grows with each."""
TRIES = 2
ENVIRONMENT: Mapping[str, str] = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_MAX_ATTEMPTS": "1",
    "MOTO_ACCOUNT_ID": "000000000000",
    "MOTO_ENABLE_AMI_VALIDATION": "true",
    "MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION": "true",
    "HOME": os.devnull,
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    # Sets are listed in the order of hashes.
    "PYTHONHASHSEED": "0",
}
"""All that a worker sees of its environment, besides where Python finds modules."""


class LostWorkerError(Exception):
    """A worker died, or does not answer."""


class Lane:
    """One worker process, and the sessions that are pinned to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._buffer = b""
        self._logs: dict[int, tuple[int, list[str]]] = {}
        self._served = 0

    @property
    def sessions(self) -> int:
        """How many sessions are open."""
        return len(self._logs)

    def start(self) -> None:
        """Start the process, and wait until it is warm."""
        with self._lock:
            self._started()

    def open(self, session: int, seed: int) -> None:
        """Pin a session to this worker."""
        with self._lock:
            self._ask({"do": "open", "id": session, "seed": seed})
            self._logs[session] = (seed, [])
            self._served += 1

    def reset(self, session: int, seed: int) -> None:
        """Empty a session's account."""
        with self._lock:
            if self._served >= RECYCLE:
                self._stop()
            self._ask({"do": "reset", "id": session, "seed": seed})
            self._logs[session] = (seed, [])
            self._served += 1

    def run(self, session: int, command: str) -> Ran:
        """Run a command, in the order in which they come."""
        with self._lock:
            answer = self._ask({"do": "run", "id": session, "command": command})
            self._logs[session][1].append(command)
            return Ran(**answer)

    def close(self, session: int) -> None:
        """End a session."""
        with self._lock:
            if self._logs.pop(session, None) is not None and self._process:
                self._ask({"do": "close", "id": session})

    def stop(self) -> None:
        """End the process."""
        with self._lock:
            self._logs.clear()
            self._stop()

    def _ask(self, line: dict[str, Any]) -> dict[str, Any]:
        """Ask the worker; a lost one is replaced, and its sessions played again.

        A command that costs two workers is answered as one that took too long.
        """
        for _ in range(TRIES):
            try:
                process = self._started()
                return self._exchange(process, line, STUCK_S)
            except LostWorkerError:
                self._stop()
        if line["do"] == "run":
            return {"code": 124, "output": "", "error": "Command timed out"}
        raise LostWorkerError(f"no worker does {line['do']}")

    def _started(self) -> subprocess.Popen[bytes]:
        """Return the process; a fresh one gets the sessions of the lost one."""
        if self._process is not None:
            return self._process
        self._served = len(self._logs)
        self._buffer = b""
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            # Without the working folder, in which another package may lie.
            [sys.executable, "-P", "-m", MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**ENVIRONMENT, "PYTHONPATH": _import_path()},
        )
        self._exchange(self._process, {"do": "ping"}, START_S)
        for session, (seed, commands) in self._logs.items():
            opened = {"do": "open", "id": session, "seed": seed}
            self._exchange(self._process, opened, STUCK_S)
            for command in commands:
                again = {"do": "run", "id": session, "command": command}
                self._exchange(self._process, again, STUCK_S)
        return self._process

    def _exchange(
        self, process: subprocess.Popen[bytes], line: dict[str, Any], timeout: float
    ) -> dict[str, Any]:
        """Send one line and return the answer."""
        assert process.stdin is not None  # noqa: S101 - a pipe
        assert process.stdout is not None  # noqa: S101 - a pipe
        try:
            process.stdin.write(json.dumps(line).encode() + b"\n")
            process.stdin.flush()
        except OSError as error:
            raise LostWorkerError from error
        descriptor = process.stdout.fileno()
        while b"\n" not in self._buffer:
            if not select.select([descriptor], [], [], timeout)[0]:
                raise LostWorkerError
            if not (data := os.read(descriptor, 1 << 16)):
                raise LostWorkerError
            self._buffer += data
        answer, _, self._buffer = self._buffer.partition(b"\n")
        found: dict[str, Any] = json.loads(answer)
        return found

    def _stop(self) -> None:
        """End the process, at once."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                # What a lost worker has not read stays in the pipe's buffer.
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


class Pool:
    """All workers; one per core by default."""

    def __init__(self, workers: int | None = None) -> None:
        self._lanes = [Lane() for _ in range(workers or _cores())]
        self._ids = itertools.count(1)
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start all workers at once, and wait until they are warm."""
        threads = [threading.Thread(target=lane.start) for lane in self._lanes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def open(self, seed: int = 0) -> "Session":
        """Open a session in the worker that has the fewest."""
        with self._lock:
            lane = min(self._lanes, key=lambda lane: lane.sessions)
            session = Session(lane, next(self._ids))
            lane.open(session.id, seed)
        return session

    def close(self) -> None:
        """Leave no process behind."""
        for lane in self._lanes:
            lane.stop()


class Session:
    """An account of its own, in some worker: a `Universe`."""

    def __init__(self, lane: Lane, number: int) -> None:
        self._lane = lane
        self.id = number

    def reset(self, seed: int) -> None:
        """Empty the account; from here on the seed decides everything drawn."""
        self._lane.reset(self.id, seed)

    def run(self, command: str) -> Ran:
        """Run an AWS CLI command, as text, without a shell."""
        return self._lane.run(self.id, command)

    def close(self) -> None:
        """Give the account back."""
        self._lane.close(self.id)


def _cores() -> int:
    """Return the cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _import_path() -> str:
    """Return where this package is found: a worker has no environment of its own."""
    return str(Path(__file__).parents[3])
