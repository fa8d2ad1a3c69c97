"""A server of chat completions on the loopback that answers as it is told to."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one request gets."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    fault: str = ""
    """``close`` hangs up instead, ``hang`` says nothing until the server ends."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request."""

    number: int
    """How many there were before it."""
    headers: Mapping[str, str]
    body: dict[str, Any]

    @property
    def words(self) -> str:
        """What the user said last."""
        return str(self.body["messages"][-1]["content"])


Behaviour = Callable[[Asked], Answer]


@dataclass
class Chat:
    """The server, seen from a test."""

    url: str = ""
    """The base URL, with ``/v1``."""
    asked: list[Asked] = field(default_factory=list)
    """Every request for a completion, in order."""
    connections: int = 0
    pages: dict[str, Answer | list[Answer]] = field(default_factory=dict)
    """What else is there, by path; of several each request gets the next one."""
    behave: Behaviour = field(default=lambda _: says("aws s3 ls"))
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def root(self) -> str:
        """The URL without ``/v1``."""
        return self.url.removesuffix("/v1")

    @property
    def words(self) -> list[str]:
        """What was asked."""
        return [asked.words for asked in self.asked]


@contextmanager
def serve(behave: Behaviour | None = None, port: int = 0) -> Iterator[Chat]:
    """Serve until the end of the block; on any free port unless one is given."""
    chat = Chat()
    chat.behave = behave or chat.behave
    chat.pages["/v1/models"] = models("small", "large")

    class Bound(_Handler):
        served = chat

    with _Server(("127.0.0.1", port), Bound) as server:
        chat.url = f"http://127.0.0.1:{server.server_port}/v1"
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield chat
        finally:
            chat.over.set()
            server.shutdown()


# Answers


def says(text: str | None, *, stop: str | None = "stop", **message: Any) -> Answer:
    """Answer as a model does."""
    return plain({
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "small",
        "system_fingerprint": "fp_1",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, **message},
                "finish_reason": stop,
            }
        ],
        "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13},
    })


def plain(value: object, status: int = 200, **headers: str) -> Answer:
    """Answer by JSON; underscores in names of headers stand for hyphens."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(
        status=status,
        body=json.dumps(value, ensure_ascii=False).encode(),
        headers={"Content-Type": "application/json", **named},
    )


def refuses(status: int, message: str = "so it is", **headers: str) -> Answer:
    """Answer by an error."""
    error = {"error": {"message": message, "type": "error", "code": status}}
    return plain(error, status, **headers)


def models(*names: str) -> Answer:
    """Answer by a list of models."""
    rows = [{"id": name, "object": "model", "owned_by": "us"} for name in names]
    return plain({"object": "list", "data": rows})


def in_order(*answers: Answer) -> Behaviour:
    """Give each request the next of these; the last one to all that follow."""
    return lambda asked: answers[min(asked.number, len(answers) - 1)]


class _Server(ThreadingHTTPServer):
    """Takes many connections at once, and is silent about those that break."""

    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that hang up are what tests are about."""


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    served: Chat
    protocol_version = "HTTP/1.1"
    # One packet for an answer: two would wait for each other.
    wbufsize = -1
    _lock = threading.Lock()

    def setup(self) -> None:
        """Count the connection."""
        super().setup()
        with self._lock:
            self.served.connections += 1

    def do_GET(self) -> None:
        """Answer by a page."""
        self._send(self._page())

    def do_POST(self) -> None:
        """Answer a request for a completion."""
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length))
        if self.path != "/v1/chat/completions":
            self._send(self._page())
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        with self._lock:
            asked = Asked(number=len(self.served.asked), headers=headers, body=body)
            self.served.asked.append(asked)
        self._send(self.served.behave(asked))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep quiet: requests are in `Chat.asked`."""

    def _page(self) -> Answer:
        page = self.served.pages.get(self.path, refuses(404, "Not Found"))
        if isinstance(page, Answer):
            return page
        return page.pop(0) if page[1:] else page[0]

    def _send(self, answer: Answer) -> None:
        if answer.fault:
            self.close_connection = True
            if answer.fault == "hang":
                self.served.over.wait()
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)
