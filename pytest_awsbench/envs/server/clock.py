"""Time and chance of a session: decided by its seed, whoever runs beside it."""

import os
import random
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import time_machine
from moto.core import base_backend
from moto.moto_api._internal import mock_random
from moto.sqs.models import Queue


START = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
TICK_S = 1.0
"""How far time moves from one command to the next."""
_uuid4, _urandom = uuid.uuid4, os.urandom


def _unlike_any_other() -> uuid.UUID:
    """Return an id that no seed decides."""
    return uuid.UUID(bytes=_urandom(16), version=4)


# moto keeps backends in caches by these ids: two of one id would share an account.
base_backend.uuid4 = _unlike_any_other


class Clock:
    """What a session draws, and what time it is there."""

    def __init__(self, seed: int) -> None:
        self._now = START
        self._general = random.Random(seed).getstate()  # noqa: S311 - not secret
        self._ids = random.Random(f"ids-{seed}").getstate()  # noqa: S311 - not secret

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let this session's time and chance hold, and go on by one command.

        Sleeping costs nothing: it moves the time.
        """
        sleep = time.sleep
        before = random.getstate()
        random.setstate(self._general)
        mock_random.setstate(self._ids)
        uuid.uuid4 = mock_random.uuid4
        os.urandom = mock_random.randbytes
        with time_machine.travel(self._now, tick=False) as traveller:
            time.sleep = traveller.shift
            try:
                yield
            finally:
                time.sleep = sleep
                uuid.uuid4 = _uuid4
                os.urandom = _urandom
                self._now = time.time() + TICK_S
                self._general = random.getstate()
                self._ids = mock_random.getstate()
                random.setstate(before)


def _arrived(self: Queue, wait_seconds_timeout: int) -> None:
    """Let the time pass: no message arrives while a poll waits."""
    del self
    time.sleep(wait_seconds_timeout)


# The time to wait may be an attribute of the queue, which no parameter shows.
Queue.wait_for_messages = _arrived


def no_waiting(params: dict[str, Any], **_: object) -> None:
    """Keep a long poll from waiting: nothing arrives while it does."""
    if "WaitTimeSeconds" in params:
        params["WaitTimeSeconds"] = 0
