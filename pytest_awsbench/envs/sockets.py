"""One WebSocket to a server, on which every question has one answer."""

from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from pytest_awsbench.envs.frames import Frame, parse, request
from pytest_awsbench.envs.reaching import reaching, require
from pytest_awsbench.envs.urls import is_loopback
from pytest_awsbench.errors import InfraError


if TYPE_CHECKING:
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import ClientConnection

PING_S = 20.0
#: A server pings, too, and waits 20 s. Ours may wait longer: while a model generates
#: this process can be slow, and the server is when all of its cores run commands.
PONG_S = 60.0
CLOSE_S = 1.0
#: A server closes our session, and then the socket: so long we wait for the slot.
LEAVE_S = 5.0
MAX_BYTES = 100 * 2**20
#: Closed for what was sent or asked (RFC 6455): the same would be closed again.
_FINAL = {1002, 1003, 1007, 1008, 1009, 1010}


class UnreadyError(InfraError):
    """The server has no room yet; the same on a new socket may do."""


class Line:
    """A socket that is open; the protocol knows no ids, so order is everything.

    After any error it has to be dropped: a late answer would pass for the next one.
    """

    def __init__(self, url: str, connection: "ClientConnection") -> None:
        self.url = url
        self._connection = connection
        self._fresh = True

    @classmethod
    def open(cls, url: str, timeout: float, token: str | None) -> Self:
        """Connect.

        Raises:
            ConfigError: if the URL or the token cannot be right.
            InfraError: if the server cannot be reached.

        """
        require(url)
        from websockets.sync.client import connect

        headers = {"Authorization": f"Bearer {token}"} if token else None
        with reaching(url, timeout):
            # Entered, for what connect() returns is about to change; and never left,
            # for we close it.
            connection = ExitStack().enter_context(
                connect(
                    url,
                    additional_headers=headers,
                    proxy=None if is_loopback(url) else True,
                    open_timeout=timeout,
                    ping_interval=PING_S,
                    ping_timeout=PONG_S,
                    close_timeout=CLOSE_S,
                    max_size=MAX_BYTES,
                )
            )
        return cls(url, connection)

    def ask(self, message: str, timeout: float) -> Frame:
        """Send a message and return its answer.

        Raises:
            UnreadyError: if the connection ended, or answers are out of order.
            InfraError: if no answer came in time, or none that can be read.

        """
        unasked = self._pending()
        if unasked is not None:
            return self._greeting(unasked)
        self._fresh = False
        self._send(message)
        try:
            return self._received(timeout)
        except TimeoutError as error:
            raise InfraError(
                f"{self.url}: no answer in {timeout:g} s, so the episode is lost; see"
                " what the server is busy with, run fewer sessions at a time, or allow"
                " it more time"
            ) from error

    def leave(self) -> None:
        """Close, and wait until the server has freed the session."""
        from websockets.exceptions import ConnectionClosed

        try:
            # A bare close would be answered before the session is gone, and who
            # opens the next one then finds no room.
            self._connection.send(request("close"))
            self._connection.recv(timeout=LEAVE_S)
        except (ConnectionClosed, TimeoutError):
            pass
        self.drop()

    def drop(self) -> None:
        """Close, whatever is still to come."""
        self._connection.close()

    def _pending(self) -> Frame | None:
        """Return a frame that came unasked, such as that the server is full."""
        try:
            return self._received(0)
        except TimeoutError:
            return None

    def _greeting(self, unasked: Frame) -> Frame:
        """Let an error that meets a new session stand for its first answer.

        Raises:
            UnreadyError: if it is anything else: an answer to who knows what.

        """
        if self._fresh and unasked.kind == "error":
            return unasked
        raise UnreadyError(
            f"{self.url}: the server sent {unasked.kind!r} unasked, so its answers no"
            " longer belong to our questions; run again, and report it to those who"
            " made the server if it comes back"
        )

    def _send(self, message: str) -> None:
        """Send; a server that hung up may have said why, which is then to be read."""
        from websockets.exceptions import ConnectionClosed

        try:
            self._connection.send(message)
        except ConnectionClosed:
            return

    def _received(self, timeout: float) -> Frame:
        """Return the next frame."""
        from websockets.exceptions import ConnectionClosed

        try:
            raw = self._connection.recv(timeout=timeout)
        except ConnectionClosed as error:
            raise _ended(self.url, error) from error
        return parse(raw, self.url)


def _ended(url: str, error: "ConnectionClosed") -> InfraError:
    """Say that the connection was closed, and by which words."""
    close = error.rcvd or error.sent
    code = close.code if close else "lost"
    told = f"{code} {close.reason if close else ''}".rstrip()
    kind = InfraError if code in _FINAL else UnreadyError
    return kind(
        f"{url}: the connection ended ({told}), and the session with it; see the"
        " server's log, and run again"
    )
