"""Who is playing: waiting for a seat, for the environment, or for the model."""

import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Any

from pytest_awsbench.envs.protocol import Environment, Observation
from pytest_awsbench.episodes import Episode, Play, Turn
from pytest_awsbench.errors import InfraError, TooLongError
from pytest_awsbench.records import Answer, Completion, Decoding, Sample
from pytest_awsbench.suites.prompting import PromptAdapter


TRIES = 3
"""How often an episode is begun before it counts as lost."""
IN_A_ROW = 5
"""Episodes lost one after the other that end the run."""
SLICE_S = 0.5
"""How long a wait may last before stopping is considered, seconds."""

Connect = Callable[[], Environment]
"""Opens a session with the environment."""
Keep = Callable[[Sample, Answer | InfraError], None]
"""Called for each item as its last trial ends, or with what lost one of them."""
Turned = Callable[[Completion], Turn]
"""Makes an answer the beginning of a turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How episodes are played; all of it is part of an answer's identity."""

    adapter: PromptAdapter
    decoding: Decoding
    max_steps: int = 15
    trials: int = 1
    live: int = 16
    """Episodes at once; for greedy decoding nothing depends on it."""


@dataclass(slots=True)
class Live:
    """One episode on its way."""

    sample: Sample
    task: dict[str, Any]
    trial: int
    seed: int
    tries: int = 0
    env: Environment | None = None
    first: Observation = field(default_factory=Observation)
    turns: list[Turn] = field(default_factory=list)
    next: Turn | None = None
    """What was sent, and is not answered yet."""
    dropped: int = 0
    """Oldest turns that the context has no room for any more."""


class Table:
    """Seats for as many episodes as may be live."""

    def __init__(
        self,
        rules: Rules,
        connect: Connect,
        pool: ThreadPoolExecutor,
        jobs: deque[Live],
        keep: Keep,
    ) -> None:
        self._rules = rules
        self._connect = connect
        self._pool = pool
        self._jobs = jobs
        self._keep = keep
        self._idle: list[Environment] = []
        self._pending: dict[Future[tuple[Observation, float]], Live] = {}
        self._asked: dict[Future[Completion], tuple[Live, Turned]] = {}
        self._ready: list[Live] = []
        self._done: dict[str, dict[int, Episode]] = {}
        self._lost: set[str] = set()
        self._row = 0
        self._answering = 0

    @property
    def open(self) -> bool:
        """Whether anything is left to be played."""
        return bool(self._jobs or self._seated)

    @property
    def _seated(self) -> int:
        """Episodes at the table: in the environment, in the model, or between them."""
        return len(self._pending) + len(self._asked) + len(self._ready)

    @property
    def live(self) -> int:
        """Episodes at the table, and those that the model is answering."""
        return len(self._pending) + len(self._ready) + self._answering

    def begin(self) -> None:
        """Reset the next episodes while there are seats."""
        while self._jobs and self._seated < self._rules.live:
            live = self._jobs.popleft()
            if live.sample.id in self._lost:
                continue
            live.tries += 1
            live.env = self._idle.pop() if self._idle else self._connect()
            self._pending[self._pool.submit(_reset, live)] = live

    def batch(self) -> list[Live]:
        """Return the episodes to ask the model for: half of those at the table.

        So one half is in the environment while the other is in the model.
        """
        if not self._ready:
            return []
        half = (len(self._pending) + len(self._ready) + 1) // 2
        if self._pending and len(self._ready) < half:
            return []
        return self.ready()

    def ready(self) -> list[Live]:
        """Return all episodes that wait for the model."""
        batch, self._ready = self._ready, []
        self._answering = len(batch)
        return batch

    def ask(self, live: Live, answer: Future[Completion], turned: Turned) -> None:
        """Take note that a server is asked for an episode's next turn."""
        self._asked[answer] = live, turned

    def send(self, batch: Iterable[Live]) -> None:
        """Send the commands of a batch."""
        self._answering = 0
        for live in batch:
            self._pending[self._pool.submit(_step, live)] = live

    def hear(self) -> None:
        """Wait for the environment, or the server, and see how episodes go on."""
        waiting: list[Future[Any]] = [*self._pending, *self._asked]
        wait(waiting, SLICE_S, FIRST_COMPLETED)
        for answer in [future for future in self._asked if future.done()]:
            self._hear_model(answer)
        for step in [future for future in self._pending if future.done()]:
            live = self._pending.pop(step)
            error = step.exception()
            if isinstance(error, InfraError):
                self._failed(live, error)
            else:
                self._advance(live, *step.result())

    def _hear_model(self, answer: Future[Completion]) -> None:
        """Send what a server answered, or see why it did not."""
        live, turned = self._asked.pop(answer)
        error = answer.exception()
        if isinstance(error, TooLongError) and live.dropped < len(live.turns):
            live.dropped += 1
            self._ready.append(live)
        elif isinstance(error, InfraError):
            self._failed(live, error)
        else:
            live.next = turned(answer.result())
            self.send([live])

    def lost(self, live: Live, error: InfraError) -> None:
        """Take note that the model's answer was lost: the episode begins again."""
        self._failed(live, error)

    def close(self) -> None:
        """Leave no session open, and have nothing asked that nobody waits for."""
        for answer in self._asked:
            answer.cancel()
        asked = (live for live, _ in self._asked.values())
        for live in (*self._pending.values(), *asked, *self._ready):
            if live.env is not None:
                self._idle.append(live.env)
        for env in self._idle:
            env.close()

    def _advance(self, live: Live, seen: Observation, seconds: float) -> None:
        """Take note of a turn, and go on or end the episode."""
        if live.next is None:
            live.first = seen
            self._ready.append(live)
            return
        live.turns.append(_answered(live, seen, seconds))
        live.next = None
        if not seen.done and len(live.turns) < self._rules.max_steps:
            self._ready.append(live)
            return
        assert live.env is not None  # noqa: S101 - it has just answered
        self._idle.append(live.env)
        self._row = 0
        self._ended(live, achieved=seen.achieved)

    def _ended(self, live: Live, *, achieved: bool) -> None:
        """Keep an item when its last trial is over."""
        trials = self._done.setdefault(live.sample.id, {})
        trials[live.trial] = Episode(
            seed=live.seed,
            achieved=achieved,
            turns=tuple(live.turns),
            cap=self._rules.max_steps,
            tries=live.tries,
        )
        if len(trials) == self._rules.trials and live.sample.id not in self._lost:
            self._keep(live.sample, Play(tuple(trials[n] for n in sorted(trials))))

    def _failed(self, live: Live, error: InfraError) -> None:
        """Begin an episode again on a new session; give it up after a few times."""
        if live.env is not None:
            live.env.close()
        if live.tries < TRIES:
            again = Live(
                live.sample, live.task, live.trial, live.seed, tries=live.tries
            )
            self._jobs.appendleft(again)
            return
        if live.sample.id not in self._lost:
            self._lost.add(live.sample.id)
            self._keep(live.sample, error)
        self._row += 1
        if self._row >= IN_A_ROW:
            raise InfraError(
                f"{self._row} episodes in a row were lost, {TRIES} tries each; the last"
                f" one: {error}"
            )


def _reset(live: Live) -> tuple[Observation, float]:
    """Begin an episode, on a thread of the pool."""
    assert live.env is not None  # noqa: S101 - seated before
    began = time.perf_counter()
    name = f"{live.sample.id}-{live.trial}"
    seen = live.env.reset(live.task, seed=live.seed, episode_id=name)
    return seen, time.perf_counter() - began


def _step(live: Live) -> tuple[Observation, float]:
    """Run a command, on a thread of the pool."""
    assert live.env is not None  # noqa: S101 - seated before
    assert live.next is not None  # noqa: S101 - answered before
    began = time.perf_counter()
    seen = live.env.step(live.next.command)
    return seen, time.perf_counter() - began


def _answered(live: Live, seen: Observation, seconds: float) -> Turn:
    """Return a turn with what the environment made of it."""
    assert live.next is not None  # noqa: S101 - sent before
    best = max((turn.progress for turn in live.turns), default=0.0)
    return replace(
        live.next,
        success=seen.success,
        output=seen.output,
        error=seen.error,
        reward=seen.reward,
        progress=1.0 if seen.achieved else max(best, seen.progress),
        hints=seen.hints,
        env_s=round(seconds, 4),
    )
