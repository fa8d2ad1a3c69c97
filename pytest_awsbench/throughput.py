"""How fast a model answers: items and tokens a second, and how far it has come."""

import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pytest_awsbench.episodes import Play
from pytest_awsbench.records import Answer, Draws


POINTS = 200
"""Most points of a stored timeline."""

Clock = Callable[[], float]
"""Seconds since some moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How far one model has come with one suite."""

    done: int
    total: int | None
    """None before it is known what is selected."""
    seconds: float
    """Since the first question."""
    live: int | None = None
    """Episodes being played; None where none are, or nobody here knows."""

    def __str__(self) -> str:
        """Say it in a few words.

        >>> str(Tally(done=64, total=150, seconds=3.0))
        '64/150, 21.3 items/s, 0:04 left'
        >>> str(Tally(done=0, total=126, seconds=75.0, live=16))
        '0/126, 1:15 so far, 16 live'
        """
        total = "" if self.total is None else f"/{self.total}"
        parts = [f"{self.done}{total}"]
        if not self.done or not self.seconds:
            parts.append(f"{duration(self.seconds)} so far")
        else:
            pace = self.done / self.seconds
            parts.append(f"{rate(pace)} items/s")
            if self.total is not None:
                parts.append(f"{duration((self.total - self.done) / pace)} left")
        if self.live is not None:
            parts.append(f"{self.live} live")
        return ", ".join(parts)


@dataclass
class Meter:
    """When the answers of one model to one suite came, wherever they were made."""

    clock: Clock = time.monotonic
    began: float | None = None
    """When the first was asked, by the clock."""
    _came: dict[str, tuple[float, int | None]] = field(default_factory=dict)
    """Item id → when its answer came, and its tokens."""

    @property
    def items(self) -> int:
        """Answers that came."""
        return len(self._came)

    @property
    def latest(self) -> float | None:
        """When the last answer came."""
        return max((at for at, _ in self._came.values()), default=None)

    def note(
        self, answers: Iterable[tuple[str, Answer]], ages: Iterable[float], began: float
    ) -> None:
        """Take note of answers that another process, or thread, tells of.

        Args:
            answers: item ids with their answers.
            ages: seconds ago that each of them came.
            began: seconds ago that the first of all was asked there.

        """
        now = self.clock()
        earlier = now - began
        self.began = earlier if self.began is None else min(self.began, earlier)
        for (item_id, answer), age in zip(answers, ages, strict=True):
            self._came.setdefault(item_id, (now - age, tokens_of(answer)))

    def throughput(self) -> dict[str, Any] | None:
        """Return what was reached, as plain values; None where nothing took time.

        ``seconds`` are those from the first question to the last answer;
        ``tokens_per_s`` is None where not all tokens were counted; ``timeline`` has
        pairs of seconds and answers until then.
        """
        times = sorted(at for at, _ in self._came.values())
        if self.began is None or not times or times[-1] <= self.began:
            return None
        seconds = times[-1] - self.began
        counts = [tokens for _, tokens in self._came.values()]
        known = [tokens for tokens in counts if tokens is not None]
        counted = len(known) == len(counts)
        return {
            "items": self.items,
            "seconds": round(seconds, 3),
            "items_per_s": _short(self.items / seconds),
            "tokens_per_s": _short(sum(known) / seconds) if counted else None,
            "timeline": _timeline([at - self.began for at in times]),
        }


def tokens_of(answer: Answer) -> int | None:
    """Return the generated tokens of an answer; None unless all were counted."""
    counts = list(_counts(answer))
    known = [tokens for tokens in counts if tokens is not None]
    return sum(known) if len(known) == len(counts) else None


def speed_line(throughput: dict[str, Any]) -> str:
    """Say how fast a model was.

    >>> speed_line({"items": 150, "seconds": 2.41, "items_per_s": 62.24,
    ...             "tokens_per_s": 1079.7})
    ' speed: 150 items in 2.4 s, 62.2 items/s, 1080 tokens/s'
    """
    tokens = throughput["tokens_per_s"]
    more = "" if tokens is None else f", {rate(tokens)} tokens/s"
    return (
        f" speed: {throughput['items']} items in {throughput['seconds']:.1f} s,"
        f" {rate(throughput['items_per_s'])} items/s{more}"
    )


def rate(value: float) -> str:
    """Return a rate with three digits.

    >>> rate(1079.7), rate(62.24), rate(0.3149)
    ('1080', '62.2', '0.315')
    """
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004


def duration(seconds: float) -> str:
    """Return a span of time as people read it.

    >>> duration(4.2), duration(125), duration(7322)
    ('0:04', '2:05', '2:02:02')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _counts(answer: Answer) -> Iterator[int | None]:
    """Yield the tokens of each part of an answer."""
    if isinstance(answer, Play):
        yield from (turn.tokens for e in answer.episodes for turn in e.turns)
    elif isinstance(answer, Draws):
        yield from (one.tokens for one in answer.completions)
    else:
        yield answer.tokens


def _timeline(times: list[float]) -> list[list[float | int]]:
    """Return how many had come by when: at most `POINTS`, the last one included."""
    ends = sorted({round(at, 3) for at in times})
    step = -(-len(ends) // POINTS)
    kept = ends[::-1][::step][::-1]
    rounded = [round(at, 3) for at in times]
    return [[at, bisect_right(rounded, at)] for at in kept]


def _short(value: float) -> float:
    """Return a figure without digits that say nothing."""
    return float(f"{value:.5g}")
