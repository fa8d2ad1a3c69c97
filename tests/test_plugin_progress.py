"""Long work says how far it has come, and leaves pytest's own output as it is."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import chat_server
import pyte
import pytest
from chat_server import Answer, Asked, says

from pytest_awsbench.episodes import Episode, Play, Turn
from pytest_awsbench.records import Completion, Draws
from pytest_awsbench.throughput import POINTS, Meter, Tally, tokens_of


ROWS, COLUMNS = 40, 80
HURRIED = """
import itertools
import time

import pytest

@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    progress = config.pluginmanager.get_plugin("awsbench-progress")
    if progress is not None:
        ticks = itertools.count(time.monotonic(), 31.0)
        progress.clock = lambda: next(ticks)
"""
"""A conftest by which a log is due at every look at the clock."""


@pytest.fixture
def gate() -> threading.Event:
    """Opened by a test when the server may answer."""
    return threading.Event()


@pytest.fixture
def server(gate: threading.Event) -> Iterator[chat_server.Chat]:
    """A server that answers the first items at once, and the rest on demand."""

    def behave(asked: Asked) -> Answer:
        if asked.words.endswith(tuple(f"b-{n}" for n in range(10, 40))):
            gate.wait(120)
        return says("aws s3api list-objects-v2 --bucket b-1")

    with chat_server.serve(behave) as chat:
        yield chat


class Terminal:
    """A run on a terminal of its own, and what can be seen there."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._screen = pyte.HistoryScreen(COLUMNS, ROWS, history=1000)
        self._stream = pyte.ByteStream(self._screen)
        self._master, slave = os.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pytest", *arguments],
            cwd=folder,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**os.environ, "TERM": "xterm", "COLUMNS": str(COLUMNS)},
        )
        os.close(slave)

    def read_until(self, seen: Callable[[list[str]], bool]) -> list[str]:
        """Read until something can be seen, or the run ends; return the lines."""
        while not seen(self.lines):
            try:
                data = os.read(self._master, 4096)
            except OSError:  # Linux says so when the other side is closed
                break
            if not data:
                break
            self._stream.feed(data)
        return self.lines

    @property
    def lines(self) -> list[str]:
        """Everything that stands there, what was scrolled away included."""
        above = [
            "".join(row[x].data for x in range(COLUMNS))
            for row in self._screen.history.top
        ]
        return [line.rstrip() for line in (*above, *self._screen.display)]

    def end(self) -> int:
        """Wait for the end of the run."""
        self.read_until(lambda _: False)
        os.close(self._master)
        return self._process.wait()


def live(lines: list[str]) -> list[str]:
    """Return the lines that tell of progress."""
    return [x for x in lines if x.startswith("awsbench: small / dataset ")]


@pytest.mark.parametrize("verbose", [[], ["-v"]], ids=["dots", "verbose"])
def test_live_line_comes_and_goes(
    project: pytest.Pytester,
    server: chat_server.Chat,
    gate: threading.Event,
    verbose: list[str],
) -> None:
    """While a chunk is awaited the terminal says how far, and forgets it after."""
    model = f"--awsbench-model=openai:{server.url}#small"
    terminal = Terminal(project.path, model, "-m", "dataset", *verbose)

    during = terminal.read_until(lambda lines: bool(live(lines)))
    gate.set()
    terminal.end()

    [line] = live(during)
    assert "/40, " in line
    assert not live(terminal.lines)
    results = [x for x in terminal.lines if x.startswith("awsbench::")]
    if verbose:
        assert len([x for x in results if x.endswith("%]")]) == 41
    else:
        [dots] = [x for x in terminal.lines if x.startswith("awsbench") and "%]" in x]
        assert len(dots.split()[1]) >= 40


def test_output_is_pytests_own(
    project: pytest.Pytester, server: chat_server.Chat, gate: threading.Event
) -> None:
    """What is left on a terminal is what is left of a run that shows no progress."""
    model = f"--awsbench-model=openai:{server.url}#small"
    watched = Terminal(project.path, model, "-m", "dataset")
    watched.read_until(lambda lines: bool(live(lines)))
    gate.set()
    watched.end()

    plain = Terminal(project.path, model, "-m", "dataset", "-p", "no:awsbench-progress")
    plain.end()

    assert settled(watched.lines) == settled(plain.lines)


def settled(lines: list[str]) -> list[str]:
    """Return what two runs have in common: all until the first figure of time."""
    end = next(n for n, line in enumerate(lines) if line.startswith(" mean answer: "))
    return [line for line in lines[:end] if line]


def test_log_has_lines_of_its_own(
    project: pytest.Pytester,
    server: chat_server.Chat,
    gate: threading.Event,
    workers: list[str],
) -> None:
    """Where nobody watches, whole lines come now and then, and no control character."""
    gate.set()
    project.makeconftest(HURRIED)

    result = project.runpytest_subprocess(
        f"--awsbench-model=openai:{server.url}#small", "-m", "dataset", *workers
    )

    result.stdout.re_match_lines([
        r"awsbench: small / dataset \d+/40, [\d.]+ items/s, 0:\d\d left$"
    ])
    assert "\x1b" not in result.stdout.str()
    assert "\r" not in result.stdout.str()


def test_verbose_log_keeps_node_and_outcome_together(
    project: pytest.Pytester, server: chat_server.Chat, gate: threading.Event
) -> None:
    """Under -v each item has one line, whole, whatever stands between them."""
    gate.set()
    project.makeconftest(HURRIED)

    result = project.runpytest_subprocess(
        f"--awsbench-model=openai:{server.url}#small", "-m", "dataset", "-v"
    )

    shown = [x for x in result.outlines if x.startswith("awsbench::small::dataset::r")]
    assert len([x for x in shown if x.rstrip().endswith("%]")]) == 40
    assert any(x.startswith("awsbench: small / dataset ") for x in result.outlines)


def test_nothing_under_q(
    project: pytest.Pytester, server: chat_server.Chat, gate: threading.Event
) -> None:
    """Under -q no progress is shown."""
    gate.set()
    project.makeconftest(HURRIED)

    result = project.runpytest_subprocess(
        f"--awsbench-model=openai:{server.url}#small", "-m", "dataset", "-q"
    )

    assert result.ret == 0
    result.stdout.no_fnmatch_line("awsbench: small / dataset *")


def test_throughput_in_the_footer(
    project: pytest.Pytester,
    server: chat_server.Chat,
    gate: threading.Event,
    workers: list[str],
) -> None:
    """Items and tokens a second stand below the table, with workers, too."""
    gate.set()

    result = project.runpytest_subprocess(
        f"--awsbench-model=openai:{server.url}#small", "-m", "dataset", *workers
    )

    result.stdout.re_match_lines([
        r" speed: 40 items in [\d.]+ s, [\d.]+ items/s, [\d.]+ tokens/s$"
    ])


def test_recorded_answers_have_no_speed(project: pytest.Pytester) -> None:
    """What was recorded took no time here."""
    result = project.runpytest("--awsbench-model=tuned", "-m", "dataset")

    result.stdout.no_fnmatch_line(" speed: *")


def test_meter_counts_each_item_once() -> None:
    """Rates go from the first question to the last answer; repeats do not count."""
    meter = Meter(clock=iter([100.0, 110.0]).__next__)
    answer = Completion(text="aws s3 ls", tokens=5)

    meter.note([("a", answer), ("b", answer)], [0.0, 0.0], began=4.0)
    meter.note([("b", answer), ("c", answer)], [2.0, 2.0], began=14.0)

    assert meter.throughput() == {
        "items": 3,
        "seconds": 12.0,
        "items_per_s": 0.25,
        "tokens_per_s": 1.25,
        "timeline": [[4.0, 2], [12.0, 3]],
    }


def test_timeline_stays_short() -> None:
    """A long run keeps some points, in order, and the last one."""
    meter = Meter(clock=lambda: 1000.0)
    answers = [(str(n), Completion(text="aws s3 ls")) for n in range(999)]

    meter.note(answers, [float(999 - n) for n in range(999)], began=999)

    found = meter.throughput()
    assert found is not None
    assert len(found["timeline"]) <= POINTS
    assert found["timeline"] == sorted(found["timeline"])
    assert found["timeline"][-1] == [998.0, 999]
    assert found["tokens_per_s"] is None


def test_tokens_of_every_kind_of_answer() -> None:
    """Tokens of draws and of turns add up; one that is not counted leaves None."""
    one, silent = Completion(text="a", tokens=3), Completion(text="a")
    turns = tuple(Turn(prompt_hash="", answer="", command="", tokens=n) for n in (2, 5))
    episode = Episode(seed=0, achieved=True, turns=turns, cap=15)

    assert tokens_of(Draws((one, one))) == 6
    assert tokens_of(Play((episode, episode))) == 14
    assert tokens_of(Draws((one, silent))) is None


def test_tally_without_a_total() -> None:
    """Before the workers said what is selected no end is foretold."""
    assert str(Tally(done=8, total=None, seconds=4.0)) == "8, 2 items/s"
