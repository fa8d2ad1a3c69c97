"""An OpenEnv server on the loopback that fails as it is told to."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection
from websockets.sync.server import serve as listen

from pytest_awsbench.envs.frames import encode
from pytest_awsbench.envs.protocol import Observation


@dataclass
class Session:
    """One connection, seen from the server."""

    socket: ServerConnection
    number: int
    """How many there were before it."""
    heard: list[Any]
    steps: int = 0

    def hear(self) -> dict[str, Any]:
        """Return the next message."""
        message: dict[str, Any] = json.loads(self.socket.recv())
        self.heard.append(message)
        return message

    def send(self, kind: str, **data: Any) -> None:
        """Send a frame."""
        self.socket.send(json.dumps({"type": kind, "data": data}))

    def show(self, **shown: Any) -> None:
        """Send an observation."""
        self.send("observation", **encode(Observation(**shown)))

    def error(self, code: str, message: str = "so it is", **more: Any) -> None:
        """Send an error."""
        self.send("error", code=code, message=message, **more)

    def answer(self, message: dict[str, Any]) -> bool:
        """Answer as a server should; return whether the session goes on."""
        match message:
            case {"type": "reset"}:
                self.steps = 0
                self.show(output="Environment reset. Infra state wiped.")
            case {"type": "step", "data": {"command": command}}:
                self.steps += 1
                self.show(step=self.steps, output=f"ran {command}")
            case {"type": "state"}:
                self.send("state", step_count=self.steps)
            case _:
                return False
        return True


Behaviour = Callable[[Session], None]


@dataclass
class Faulty:
    """The server, seen from a test."""

    url: str
    heard: list[Any] = field(default_factory=list)
    """Every message of every session."""
    sessions: list[Session] = field(default_factory=list)

    def commands(self) -> list[str]:
        """Return the commands that were sent."""
        return [m["data"]["command"] for m in self.heard if m["type"] == "step"]


@contextmanager
def serve(behave: Behaviour, **options: Any) -> Iterator[Faulty]:
    """Serve, and let every session go as told.

    Args:
        behave: what a session does; when it returns, the connection is closed.
        options: of the WebSocket server.

    """
    faulty = Faulty("")

    def handle(connection: ServerConnection) -> None:
        session = Session(connection, len(faulty.sessions), faulty.heard)
        faulty.sessions.append(session)
        with suppress(ConnectionClosed):
            behave(session)

    with listen(handle, "127.0.0.1", 0, close_timeout=0.5, **options) as server:
        faulty.url = f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield faulty
        finally:
            server.shutdown()
            thread.join()


# Behaviours


def good(session: Session) -> None:
    """Answer every question."""
    while session.answer(session.hear()):
        pass


def silent(session: Session) -> None:
    """Never answer."""
    while True:
        session.hear()


def full(session: Session) -> None:
    """Refuse the session as soon as it is there."""
    session.error(
        "CAPACITY_REACHED",
        "Server at capacity: 1/1 sessions active. Cannot accept new connections.",
        active_sessions=1,
        max_sessions=1,
    )


def leaving(_: Session) -> None:
    """Close without a word."""


def scripted(*answers: Callable[[Session], None]) -> Behaviour:
    """Answer questions by these, in order, and as a good server from then on."""

    def behave(session: Session) -> None:
        for answer in answers:
            session.hear()
            answer(session)
        good(session)

    return behave


def saying(**shown: Any) -> Callable[[Session], None]:
    """Answer with this observation."""
    return lambda session: session.show(**shown)


def failing(code: str, message: str = "so it is", **more: Any) -> Behaviour:
    """Answer with this error."""
    return lambda session: session.error(code, message, **more)


def raw(data: str | bytes) -> Behaviour:
    """Answer with this."""
    return lambda session: session.socket.send(data)


def closing(code: int, reason: str = "") -> Behaviour:
    """Close instead of answering."""
    return lambda session: session.socket.close(code, reason)


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """Let each session behave differently; the last one for all that follow."""

    def behave(session: Session) -> None:
        behaviours[min(session.number, len(behaviours) - 1)](session)

    return behave


def late(seconds: float) -> Behaviour:
    """Answer the first step late, though the client may have given up."""

    def behave(session: Session) -> None:
        session.answer(session.hear())
        message = session.hear()
        time.sleep(seconds)
        session.answer(message)
        good(session)

    return behave


# What is no WebSocket server


@contextmanager
def http(status: int, **headers: str) -> Iterator[str]:
    """Serve HTTP that answers everything with a status."""

    class Handler(BaseHTTPRequestHandler):
        """Answers everything alike."""

        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            """Answer."""
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def uttering(data: bytes) -> Iterator[str]:
    """Serve what answers anything by these bytes, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def utter() -> None:
            with suppress(OSError):
                while True:
                    peer, _ = server.accept()
                    with peer:
                        peer.recv(65536)
                        peer.sendall(data)

        thread = threading.Thread(target=utter)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
