"""Patience with a server that is still loading its model."""

import threading
import time
from collections.abc import Callable
from typing import Final

from pytest_awsbench.models.refusals import PassingError


PAUSE_S: Final = 1.0
"""Seconds between two looks at whether it is up."""
#: vLLM and SGLang listen once they have loaded; llama.cpp answers 503 until then.
_LOADING: Final = frozenset({"503", "ConnectError"})

Say = Callable[[str], None]
"""Shows the user one line."""


def silent(_: str) -> None:
    """Say nothing."""


class Startup:
    """Waits while nothing but "not yet" was heard, and no longer than is allowed.

    Args:
        seconds: that a server may take from the first refusal; 0: no patience.
        say: told once that the run waits.
        clock: seconds from anywhere.

    """

    def __init__(
        self,
        seconds: float = 0.0,
        say: Say = silent,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds = seconds
        self._say = say
        self._clock = clock
        self._began: float | None = None
        self._up = False
        self._lock = threading.Lock()

    @property
    def waited(self) -> bool:
        """Whether it was waited for in vain."""
        return self._began is not None and not self._up

    def heard(self) -> None:
        """Note that the server is up: what fails from now on is no matter of time."""
        self._up = True

    def waits(self, failure: PassingError) -> bool:
        """Whether a try failed because the server is still loading."""
        if self._up or not self._seconds:
            return False
        if failure.label not in _LOADING:
            self.heard()
            return False
        with self._lock:
            if self._began is None:
                self._began = self._clock()
                self._say(
                    f"{failure}; waiting up to {self._seconds:g} s for it to start"
                    " (startup_timeout)"
                )
            return self._clock() - self._began < self._seconds

    @property
    def told(self) -> str:
        """How long it was waited for."""
        return f"after {self._seconds:g} s, which is startup_timeout"
