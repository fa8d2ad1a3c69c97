"""The embedded environment: steps, throughput, memory, against `aws` processes."""

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from benchmarks.performance.process import environment
from pytest_awsbench.envs.client import Client
from pytest_awsbench.envs.embedded import EmbeddedServer
from pytest_awsbench.envs.server.pool import ENVIRONMENT


STEPS = 100
LIVE = 8
MANY = 64
TASK = {"task_id": 1, "description": "", "success_criteria": {"services": ["s3"]}}
CHECKED = {
    "task_id": 2,
    "description": "",
    "success_criteria": {
        "services": ["s3"],
        "state_checks": [
            {"command": "aws s3api list-buckets", "output_contains": "none"},
            {"command": "aws sqs list-queues", "output_contains": "none"},
        ],
    },
}
COMMANDS = (
    "aws s3api create-bucket --bucket b-{n}",
    "aws s3api list-buckets",
    "aws sqs create-queue --queue-name q-{n}",
    "aws sts get-caller-identity",
)
WHO = ("sts", "get-caller-identity")


def measure_environment() -> dict[str, Any]:
    """Return milliseconds, commands per second, and megabytes."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        server = EmbeddedServer([f"--sessions={MANY + 2}"], Path(folder) / "log")
        try:
            url = server.url
            ready = time.perf_counter() - began
            found = {"ready, seconds": round(ready, 1), **_one(url), **_live(url)}
            found |= _beside_processes(url)
            found["memory of 64 sessions, MB"] = _memory(url)
        finally:
            server.close()
    return found


def _one(url: str) -> dict[str, Any]:
    """Measure one session."""
    client = Client(url)
    resets = [_timed(lambda: client.reset(TASK)) for _ in range(20)]
    steps = [_step(client, n) for n in range(STEPS)]
    client.reset(CHECKED)
    checked = [_step(client, n) for n in range(STEPS)]
    client.close()
    return {
        "reset, ms p50": round(1000 * median(resets), 1),
        "step, ms p50": round(1000 * median(steps), 1),
        "step with two checks, ms p50": round(1000 * median(checked), 1),
    }


def _live(url: str) -> dict[str, Any]:
    """Measure several live sessions."""
    clients = [Client(url) for _ in range(LIVE)]
    for client in clients:
        client.reset(TASK)
    began = time.perf_counter()
    with ThreadPoolExecutor(LIVE) as pool:
        list(pool.map(_play, clients))
    taken = time.perf_counter() - began
    for client in clients:
        client.close()
    return {"commands/s, 8 live": round(LIVE * STEPS / taken, 1)}


def _beside_processes(url: str) -> dict[str, Any]:
    """Measure the same commands as `aws` processes, interleaved.

    They ask a server that answers at once: an emulator would only make them slower.
    """
    client = Client(url)
    client.reset(TASK)
    ours, theirs = [], []
    with _answering() as endpoint:
        for n in range(10):
            ours.append(_step(client, 4 * n + 3))
            theirs.append(_timed(lambda: _process(endpoint)))
    client.close()
    ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
    return {
        "`aws` process, ms p50": round(1000 * median(theirs), 1),
        "times as fast as a process": round(median(ratios), 1),
    }


def _memory(url: str) -> int:
    """Return the megabytes of all processes of the server with 64 sessions."""
    clients = [Client(url) for _ in range(MANY)]
    for n, client in enumerate(clients):
        client.reset(TASK)
        client.step(_command(n))
    tree = [p for p in psutil.Process().children(recursive=True) if _is_server(p)]
    total = sum(process.memory_full_info().uss for process in tree)
    for client in clients:
        client.close()
    return int(total / 1e6)


def _is_server(process: psutil.Process) -> bool:
    """Whether a process is of the environment."""
    return any("envs.server" in word for word in process.cmdline())


def _play(client: Client) -> None:
    """Run commands in a session."""
    for n in range(STEPS):
        client.step(_command(n))


def _step(client: Client, n: int) -> float:
    """Return the seconds of a step."""
    command = _command(n)
    return _timed(lambda: client.step(command))


def _command(n: int) -> str:
    """Return one of the commands, with a name of its own."""
    return COMMANDS[n % len(COMMANDS)].format(n=n)


def _timed(call: Callable[[], object]) -> float:
    """Return the seconds of a call."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _process(endpoint: str) -> None:
    """Run `aws` as a process."""
    subprocess.run(
        [sys.executable, "-m", "awscli", *WHO, "--endpoint-url", endpoint],
        check=True,
        capture_output=True,
        env={**environment(), **ENVIRONMENT},
    )


@contextmanager
def _answering() -> Iterator[str]:
    """Serve one canned answer on the loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = (
                b'<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/'
                b'2011-06-15/"><GetCallerIdentityResult><Account>000000000000</Account>'
                b"</GetCallerIdentityResult></GetCallerIdentityResponse>"
            )
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
