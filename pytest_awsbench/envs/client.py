"""A session with an OpenEnv server, wherever it runs."""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from pytest_awsbench.envs import outages
from pytest_awsbench.envs.frames import Frame, observation, request
from pytest_awsbench.envs.protocol import Observation
from pytest_awsbench.envs.sockets import Line, UnreadyError
from pytest_awsbench.envs.urls import socket_url
from pytest_awsbench.errors import AwsbenchError, DataError, InfraError


#: A slot is free again 60 to 200 ms after its session: the first wait is of that order.
FIRST_WAIT_S = 0.05
LONGEST_WAIT_S = 2.0
_FULL = {
    "CAPACITY_REACHED": "close other sessions, or start it with more of them",
    "FACTORY_ERROR": "see its log, and start it anew",
}
# Not the generator of the session, whose draws are the user's to seed.
_JITTER = random.SystemRandom()
_Read = TypeVar("_Read")


class Client:
    """An environment behind a WebSocket; one session, and one thread at a time.

    The socket is opened by the first reset, and serves every episode after it. What
    goes wrong ends it: the next reset opens another.

    Args:
        url: any URL of the server, see `socket_url`.
        timeout: seconds that a command may take; one that checks a lot on a busy
            machine needs more than a minute.
        connect_timeout: seconds that a connection may take.
        token: sent as a bearer token, such as to a private Space.

    Raises:
        ConfigError: if the URL is none.

    """

    patience: float = 30.0
    """Seconds in which a server that has no room is asked again."""

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 300.0,
        connect_timeout: float = 10.0,
        token: str | None = None,
    ) -> None:
        self.url = socket_url(url)
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._token = token
        self._line: Line | None = None
        self._best = Observation()
        self._probes = 0
        self._begun = False

    def reset(
        self,
        task: Mapping[str, Any] | None = None,
        *,
        seed: int | None = None,
        episode_id: str | None = None,
    ) -> Observation:
        """Begin an episode in an empty world.

        Args:
            task: the task to inject; None lets the server choose.
            seed: of what the server draws; the reference server ignores it.
            episode_id: what the server shall call it.

        Raises:
            ConfigError: if the URL or the token cannot be right.
            DataError: if the server refuses the task, naming it.
            InfraError: if the server cannot be reached, fails, or stays full.

        """
        given = {"task": task, "seed": seed, "episode_id": episode_id}
        data = {key: value for key, value in given.items() if value is not None}
        self._best, self._probes, self._begun = Observation(), 0, False
        first = self._admitted(request("reset", data), task)
        self._begun = True
        return self._shown(first)

    def step(self, command: str) -> Observation:
        """Run one command.

        Progress and hints never fall, though a server that answers by itself, without
        running anything, may show less.

        Raises:
            InfraError: if the server or the emulator behind it fails.

        """
        seen = self._run(command)
        shown = self._shown(seen)
        if outages.is_astray(command, seen):
            raise self._broken(
                f"its AWS CLI asks AWS itself, not the emulator: {seen.error.strip()};"
                " run it with AWS CLI 2.13 or newer and AWS_ENDPOINT_URL"
            )
        if outages.is_out(seen) or (outages.is_suspect(seen) and self._is_out()):
            raise self._broken(
                f"the emulator behind it is gone: {seen.error.strip()};"
                " start the server anew, and run again"
            )
        return shown

    def state(self) -> Mapping[str, Any]:
        """Return what the server keeps of the episode, as it sends it."""

        def read(frame: Frame) -> Mapping[str, Any]:
            if frame.kind == "error":
                raise _failure(self.url, frame)
            if frame.kind != "state":
                raise InfraError(
                    f"{self.url}: asked for its state, the server sent {frame.kind!r};"
                    " check that it is an OpenEnv server"
                )
            return frame.data

        return self._ask(self._opened(), request("state"), read)

    def close(self) -> None:
        """End the session; safe to call twice."""
        line, self._line = self._line, None
        if line is not None:
            line.leave()

    def _admitted(self, message: str, task: Mapping[str, Any] | None) -> Observation:
        """Reset as soon as the server has room: who comes after others may wait."""
        tries = 0
        waits = _waits(self.patience)
        while True:
            tries += 1
            try:
                return self._reset(message, task)
            except UnreadyError as error:
                wait = next(waits, None)
                if wait is None:
                    raise InfraError(f"{error} (after {tries} tries)") from error
            time.sleep(wait)

    def _reset(self, message: str, task: Mapping[str, Any] | None) -> Observation:
        """Reset once."""
        if self._line is None:
            self._line = Line.open(self.url, self._connect_timeout, self._token)

        def read(frame: Frame) -> Observation:
            if frame.kind == "error" and frame.code == "VALIDATION_ERROR" and task:
                raise DataError(
                    f"task {task.get('task_id')}: the server at {self.url} refuses it:"
                    f" {frame.message}; mend the task"
                )
            return self._observed(frame)

        return self._ask(self._line, message, read)

    def _run(self, command: str) -> Observation:
        """Run a command, whatever comes of it."""
        message = request("step", {"command": command})
        return self._ask(self._opened(), message, self._observed)

    def _is_out(self) -> bool:
        """Ask whether the emulator is gone, in a way that is not graded."""
        self._probes += 1
        seen = self._run(outages.PROBE)
        return outages.is_out(seen) or outages.is_suspect(seen)

    def _opened(self) -> Line:
        """Return the socket of this episode."""
        if self._line is None or not self._begun:
            raise InfraError(f"{self.url}: no episode is open there; reset first")
        return self._line

    def _ask(self, line: Line, message: str, read: Callable[[Frame], _Read]) -> _Read:
        """Ask, and read the answer."""
        try:
            return read(line.ask(message, self._timeout))
        except DataError:
            # The server is well, and waits for a better task.
            raise
        except BaseException:
            # Ctrl-C, too: the answer is still to come, and would pass for another's.
            self._line = None
            line.drop()
            raise

    def _observed(self, frame: Frame) -> Observation:
        """Return what a frame shows; blame the server for errors."""
        if frame.kind == "error":
            raise _failure(self.url, frame)
        return observation(frame, self.url)

    def _shown(self, seen: Observation) -> Observation:
        """Return an observation as if there were no probes, and nothing fell."""
        best = self._best = replace(
            seen,
            step=max(0, seen.step - self._probes),
            progress=max(seen.progress, self._best.progress),
            hints=max(seen.hints, self._best.hints),
        )
        return best

    def _broken(self, why: str) -> InfraError:
        """End the session, whose server is unfit, and say why."""
        self.close()
        return InfraError(f"{self.url}: {why}")


def _failure(url: str, frame: Frame) -> AwsbenchError:
    """Return what an error frame means."""
    told = f"{url}: the server answered {frame.code or 'an error'}: {frame.message}"
    if frame.code in _FULL:
        return UnreadyError(f"{told}; {_FULL[frame.code]}")
    return InfraError(
        f"{told}; see its log, check that it and its emulator run, and run again"
    )


def _waits(patience: float) -> Iterator[float]:
    """Yield how long to wait before each next try, until patience is at an end.

    Waits differ by chance, or those who were refused together would come back together.
    """
    end = time.monotonic() + patience
    wait = FIRST_WAIT_S
    # A socket that was closed while nobody used it: the next is as good as the first.
    yield 0.0
    while (left := end - time.monotonic()) > 0:
        yield min(left, wait * _JITTER.uniform(0.5, 1.5))
        wait = min(LONGEST_WAIT_S, wait * 2)
