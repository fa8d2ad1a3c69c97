"""Time and chance of a session: decided by its seed, whoever runs beside it."""

import random
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import time_machine
from moto.moto_api._internal import mock_random


START = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
TICK_S = 1.0
"""How far time moves from one command to the next."""
_uuid4 = uuid.uuid4


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
        with time_machine.travel(self._now, tick=False) as traveller:
            time.sleep = traveller.shift
            try:
                yield
            finally:
                time.sleep = sleep
                uuid.uuid4 = _uuid4
                self._now = time.time() + TICK_S
                self._general = random.getstate()
                self._ids = mock_random.getstate()
                random.setstate(before)


def no_waiting(params: dict[str, Any], **_: object) -> None:
    """Keep a long poll from waiting: nothing arrives while it does."""
    if "WaitTimeSeconds" in params:
        params["WaitTimeSeconds"] = 0
