"""Requests to a served model: spread over its replicas, tried again, and counted."""

import random
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception_type

from pytest_awsbench.errors import ConfigError, InfraError, ModelError
from pytest_awsbench.models.endpoints import Secrets, ServedSpec
from pytest_awsbench.models.refusals import (
    MISSING,
    OverflowingError,
    PassingError,
    decoded,
    no_json,
    refused,
    server_words,
    unreached,
)
from pytest_awsbench.models.replicas import Replica, Replicas
from pytest_awsbench.models.replies import error_text, model_ids, overflow_of
from pytest_awsbench.models.startup import PAUSE_S, Startup


TRIES = 5
"""How often a request is tried before its item counts as lost."""
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 60.0
LISTED = 20
"""Models that a message names."""
SHOWN = 300
"""Characters of a server's words that a message repeats."""
CONNECT_S = 10.0
"""Seconds that a connection may take."""
PEEK_S = 10.0
"""Seconds for what a run can do without."""

T = TypeVar("T")

Read = Callable[[object, float], T]
"""Makes something of a decoded body and the seconds that it took; a ValueError says
what is wrong with it."""

_TRIED = f"after {TRIES} tries"
# Not the generator of the session, whose draws are the user's to seed.
_JITTER = random.SystemRandom()


class Requests:
    """Asks the replicas of one endpoint; usable from many threads.

    No error has the library's own as its cause: those hold headers, and with them
    keys, in frames that a traceback with locals would show.

    Args:
        spec: where it is, and how it is asked.
        sleep: waits between tries.
        startup: patience with a server that is still loading; by default none.

    """

    def __init__(
        self,
        spec: ServedSpec,
        sleep: Callable[[float], None] = time.sleep,
        startup: Startup | None = None,
    ) -> None:
        self.spec = spec
        self.secrets = Secrets.of(spec)
        self.server = ""
        """What the server calls itself in its headers."""
        self._replicas = Replicas(spec.base_urls)
        self._retrying = Retrying(
            stop=self._gives_up,
            wait=self._pause,
            retry=retry_if_exception_type(PassingError),
            sleep=sleep,
            before_sleep=self._count,
            reraise=True,
        )
        self._startup = startup or Startup()
        self._again: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._tls = _tls(spec)

    @property
    def notes(self) -> list[str]:
        """What a report must say."""
        with self._lock:
            again = self._again.most_common()
        kinds = ", ".join(f"{count} × {label}" for label, count in again)
        tried = f"requests were tried again: {kinds}"
        return [*self._replicas.notes, *([tried] if kinds else [])]

    def client(self) -> httpx.Client:
        """Return a client with the endpoint's headers, for one thread at a time.

        Raises:
            ConfigError: if the proxy of this machine is none.

        """
        try:
            return httpx.Client(
                headers=self.secrets.headers,
                verify=self._tls,
                timeout=httpx.Timeout(self.spec.timeout, connect=CONNECT_S),
            )
        except (ImportError, ValueError, httpx.InvalidURL) as error:
            told = type(error).__name__
        raise ConfigError(
            f"the proxy of this machine cannot be used: {told}; mend HTTP_PROXY or"
            " ALL_PROXY, or name the host in NO_PROXY"
        )

    def post(self, client: httpx.Client, body: Mapping[str, Any], read: Read[T]) -> T:
        """Ask for a completion; see `_send` for what it raises."""
        return self._send(client, "/chat/completions", body, read)

    def get(self, client: httpx.Client, path: str, read: Read[T]) -> T:
        """Ask for something else; see `_send` for what it raises."""
        return self._send(client, path, None, read)

    def peek(self, client: httpx.Client, url: str) -> object:
        """Return the JSON at a URL, None for whatever else is there; asked once."""
        try:
            response = client.get(url, timeout=PEEK_S)
            return response.json() if response.is_success else None
        except (httpx.HTTPError, ValueError):
            return None

    def _send(
        self,
        client: httpx.Client,
        path: str,
        body: Mapping[str, Any] | None,
        read: Read[T],
    ) -> T:
        """Send a request until it is answered.

        Raises:
            InfraError: if it fails for good.
            ModelError: if the server refuses it, and always will.
            OverflowingError: if prompt and budget do not fit into the context.

        """
        answered = self._replicas.answered
        trying = _Trying(self, client, path, body)
        try:
            answer: T = self._retrying(trying.once, read)
        except PassingError as error:
            tried = self._startup.told if self._startup.waited else _TRIED
            told, gone = f"{error} ({tried})", error.gone
        else:
            self._startup.heard()
            return answer
        if gone:
            self._replicas.give_up(answered, told)
        raise InfraError(told)

    def _gives_up(self, state: RetryCallState) -> bool:
        """Whether no further try is worth it."""
        if self._startup.waits(_failure(state)):
            return False
        return self._startup.waited or state.attempt_number >= TRIES

    def _pause(self, state: RetryCallState) -> float:
        """Return the seconds until the next try."""
        return PAUSE_S if self._startup.waits(_failure(state)) else _wait(state)

    def _count(self, state: RetryCallState) -> None:
        """Count a try that was not the last."""
        with self._lock:
            self._again[_failure(state).label] += 1


class _Trying:
    """One request, from its first try to its last."""

    def __init__(
        self,
        requests: Requests,
        client: httpx.Client,
        path: str,
        body: Mapping[str, Any] | None,
    ) -> None:
        self._requests = requests
        self._client = client
        self._path = path
        self._body = body
        self._replicas = requests._replicas  # noqa: SLF001 - one thing in two classes
        self._failed: Replica | None = None

    def once(self, read: Read[T]) -> T:
        """Try once, at whoever did not fail just now."""
        replica, strikes = self._replicas.take(but=self._failed)
        try:
            answer = self._asked(replica.url, read)
        except PassingError as error:
            self._failed = replica
            if error.strike:
                self._replicas.strike(replica, strikes, str(error))
            else:
                self._replicas.answer(replica)
            raise
        except BaseException:
            self._replicas.answer(replica)
            raise
        self._replicas.answer(replica)
        return answer

    def _asked(self, url: str, read: Read[T]) -> T:
        """Ask a replica and read its answer."""
        start = time.perf_counter()
        outcome = self._exchanged(url)
        seconds = time.perf_counter() - start
        if isinstance(outcome, Exception):
            raise outcome
        payload = self._payload(url, outcome)
        try:
            return read(payload, seconds)
        except ValueError as error:
            told = f"{url}: the server {self._shown(str(error))}; see its log"
        raise PassingError(told, label="no answer in the reply")

    def _exchanged(self, url: str) -> httpx.Response | PassingError | ModelError:
        """Send a request; return the response, or why there is none."""
        try:
            if self._body is None:
                return self._client.get(url + self._path)
            return self._client.post(url + self._path, json=self._body)
        except httpx.RequestError as error:
            return unreached(url, error, self._shown(str(error)))

    def _payload(self, url: str, response: httpx.Response) -> object:
        """Return the decoded body of a response that is an answer."""
        told = "" if response.is_success else self._shown(server_words(response))
        if response.status_code == MISSING:
            raise self._missing(url, told)
        if not response.is_success:
            raise refused(url, response, told)
        self._requests.server = response.headers.get("Server", "")
        payload = decoded(response)
        if payload is None:
            raise no_json(url, response)
        if isinstance(payload, Mapping) and payload.get("error"):
            raise self._error_in_success(url, payload)
        return payload

    def _error_in_success(self, url: str, payload: object) -> Exception:
        """Return what an error means that comes with status 200."""
        told = self._shown(error_text(payload))
        if "unexpected endpoint" in told.lower():
            return self._missing(url, told)
        if (overflow := overflow_of(payload)) is not None:
            return OverflowingError(f"{url}: {told}", overflow)
        return PassingError(
            f"{url}: the server answered an error: {told}; see its log",
            label="error in the reply",
        )

    def _missing(self, url: str, told: str) -> ModelError:
        """Say what a 404 means: another model's name, or another address."""
        said = f"{url}: the server answered 404" + (f": {told}" if told else "")
        peek = self._requests.peek
        if names := model_ids(peek(self._client, f"{url}/models")):
            listed = ", ".join(names[:LISTED]) + (" …" if names[LISTED:] else "")
            return ModelError(f"{said}; it serves {listed}: set model to one of these")
        if model_ids(peek(self._client, f"{url}/v1/models")) is not None:
            return ModelError(f"{said}; the API is at {url}/v1: give that as base_url")
        return ModelError(
            f"{said}; check base_url (most end in /v1) and the model's name"
        )

    def _shown(self, text: str) -> str:
        """Return the server's words, short, and without what is secret."""
        # In this order: half of a key is still a secret.
        return self._requests.secrets.redact(text)[:SHOWN]


def _wait(state: RetryCallState) -> float:
    """Return how long to wait before the next try.

    Waits differ by chance, or those who were refused together would come back together.
    """
    wait = FIRST_WAIT_S * 2.0 ** (state.attempt_number - 1)
    after = _failure(state).after
    if after is not None:
        return min(after, LONGEST_WAIT_S) + wait * _JITTER.uniform(0.0, 0.5)
    return wait * _JITTER.uniform(0.75, 1.5)


def _failure(state: RetryCallState) -> PassingError:
    """Return why a try failed."""
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, PassingError)  # noqa: S101 - nothing else is tried again
    return error


def _tls(spec: ServedSpec) -> ssl.SSLContext:
    """Return what all clients share: making it takes longer than many requests."""
    if any(url.startswith("https:") for url in spec.base_urls):
        return httpx.create_ssl_context()
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
