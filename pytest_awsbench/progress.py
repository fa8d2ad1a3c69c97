"""Progress on long work: one live line on a terminal, a line now and then in a log.

Everything is written by the thread that runs the tests, and only while it waits: so
nothing can come between what pytest itself writes.
"""

import os
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, nullcontext
from queue import Empty, Queue
from typing import Any, Protocol

import pytest

from pytest_awsbench.answering import Answers
from pytest_awsbench.engine import SLICE_S
from pytest_awsbench.flags import ROOT
from pytest_awsbench.ledger import Account
from pytest_awsbench.session import BenchSession
from pytest_awsbench.throughput import Clock, Tally, duration


LIVE_S = 0.4
"""A wait that is shorter shows nothing; nor is the live line drawn more often."""
LOG_S = 30.0
"""Between two lines of a log."""


class Shown(Protocol):
    """Where progress is shown."""

    every: float
    """Seconds between two times."""
    patience: float
    """Seconds of one wait before anything is shown."""

    def show(self, text: str) -> None:
        """Show how things stand."""
        ...

    def clear(self) -> None:
        """Leave nothing behind that the next words of pytest could run into."""
        ...


class LiveLine:
    """The line below the one that pytest is writing; it goes without a trace.

    The cursor is always put back to where pytest left it, so to go on writing, and
    to erase everything after it, is enough.
    """

    every = patience = LIVE_S

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def show(self, text: str) -> None:
        """Draw the line, and return to pytest's place."""
        writer = self._config.get_terminal_writer()
        column = writer.width_of_current_line
        # Negative while pytest-xdist rewrites a line of its own.
        if not 0 <= column < writer.fullwidth:
            return
        text = text[: writer.fullwidth - 1]
        if column:
            text = f"\x1b[J\r\n{text}\x1b[A\r\x1b[{column}C"
        else:
            text = f"\r\x1b[J{text}\r"
        _write(self._config, text)

    def clear(self) -> None:
        """Erase what stands after pytest's place."""
        _write(self._config, "\x1b[J")


class LogLine:
    """Whole lines, for output that is read later: seldom, and they stay."""

    every = LOG_S
    patience = 0.0

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def show(self, text: str) -> None:
        """Write a line of its own; pytest goes on below it."""
        writer = self._config.get_terminal_writer()
        begun = "\n" if writer.width_of_current_line else ""
        reporter: Any = self._config.pluginmanager.get_plugin("terminalreporter")
        place = reporter.currentfspath
        # Under -v pytest is about to put a word behind a node id, or begins a line.
        end = f"\n{place}" if isinstance(place, str) else "\n"
        with _uncaptured(self._config):
            writer.write(f"{begun}{text}{end}", flush=True)

    def clear(self) -> None:
        """Leave the lines."""


class Progress:
    """Says how far the run has come; the main process has one."""

    def __init__(self, bench: BenchSession, clock: Clock = time.monotonic) -> None:
        self._bench = bench
        self._screen: Shown | None = None
        self.clock = clock
        self._began = clock()
        self._last = self._began
        self._since: float | None = None
        self._drawn = False
        self._scheduler: Any = None

    def pytest_sessionstart(self) -> None:
        """Find the terminal, which is there now if it is at all."""
        reporter: Any = self._bench.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            live = reporter.isatty() and os.environ.get("TERM") != "dumb"
            self._screen = (LiveLine if live else LogLine)(self._bench.config)

    def waiting(self, answers: object | None) -> None:
        """Hear that the tests wait for these answers, or, without any, for a model."""
        if self._screen is None:
            return
        now = self.clock()
        self._since = now if self._since is None else self._since
        patient = now - self._since >= self._screen.patience
        if patient and now - self._last >= self._screen.every:
            self._last = now
            self._drawn = True
            self._screen.show(f"awsbench: {self._doing(answers)}")

    def over(self) -> None:
        """Hear that they wait no more."""
        self._since = None
        if self._drawn and self._screen is not None:
            self._drawn = False
            self._screen.clear()

    def pytest_runtest_logfinish(self) -> None:
        """Write into a log also where no single wait is long."""
        now = self.clock()
        if isinstance(self._screen, LogLine) and now - self._last >= LOG_S:
            self._last = now
            self._screen.show(f"awsbench: {self._main_process()}")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """With pytest-xdist the main process waits for its workers: listen there."""
        xdist: Any = session.config.pluginmanager.get_plugin("dsession")
        if self._bench.role == "controller" and hasattr(xdist, "queue"):
            xdist.queue = Overheard(xdist.queue, self)
            self._scheduler = lambda: getattr(xdist, "sched", None)
        return (yield)

    def _doing(self, answers: object | None) -> str:
        """Say what is waited for."""
        if isinstance(answers, Answers):
            name = next((k for k, v in self._bench.answers.items() if v is answers), ())
            # What confirms a verdict belongs to no suite of the session.
            return f"{' / '.join(name) or 'asking again'} {answers.tally()}"
        return self._main_process()

    def _main_process(self) -> str:
        """Say what the main process knows: of the suite that was heard of last."""
        heard = [a for a in self._bench.accounts.values() if a.meter.latest is not None]
        if not heard:
            names = ", ".join(self._bench.prepared)
            doing = "loading" if self._bench.role == "local" else "workers are loading"
            return f"{doing} {names}, {duration(self.clock() - self._began)} so far"
        account = max(heard, key=lambda account: account.meter.latest or 0.0)
        return f"{' / '.join(account.key)} {self._tally(account)}"

    def _tally(self, account: Account) -> Tally:
        """Return how far the workers have come, or this process."""
        began = account.meter.began
        seconds = 0.0 if began is None else self.clock() - began
        if self._bench.role == "local":
            return self._bench.answers[account.key].tally()
        done, total = account.meter.items, self._selected(account)
        # A chunk is asked as a whole; not all of it need have been selected.
        done = done if total is None else min(done, total)
        return Tally(done=done, total=total, seconds=seconds)

    def _selected(self, account: Account) -> int | None:
        """Return how many items the workers were to ask; None until they said so."""
        scheduler = self._scheduler() if self._scheduler else None
        collection = getattr(scheduler, "collection", None)
        if collection is None:
            return None
        start = f"{ROOT}::{'::'.join(account.key)}::"
        ids = (node.removeprefix(start) for node in collection if start in node)
        return sum(item_id not in account.recorded for item_id in ids)


class Overheard:
    """The queue on which the main process of pytest-xdist waits for its workers."""

    def __init__(self, queue: Queue[object], progress: Progress) -> None:
        self.put = queue.put
        self._queue = queue
        self._progress = progress

    def get(self, *, timeout: float) -> object:
        """Return the next event; say how things stand while there is none.

        Raises:
            Empty: if there is none in time.

        """
        try:
            while timeout > 0:
                try:
                    return self._queue.get(timeout=min(SLICE_S, timeout))
                except Empty:
                    timeout -= SLICE_S
                    self._progress.waiting(None)
            raise Empty
        finally:
            self._progress.over()


def _write(config: pytest.Config, text: str) -> None:
    """Write what pytest shall not count as a part of its line."""
    with _uncaptured(config):
        config.get_terminal_writer().write_raw(text, flush=True)


@contextmanager
def _uncaptured(config: pytest.Config) -> Iterator[None]:
    """Write to the terminal, although an item is running."""
    manager: Any = config.pluginmanager.get_plugin("capturemanager")
    with nullcontext() if manager is None else manager.global_and_fixture_disabled():
        yield
