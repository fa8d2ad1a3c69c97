"""The answers of one model to one suite: recorded, on their way, or to be asked."""

import hashlib
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Protocol

from pytest_awsbench.chunks import Chunk, Limits, plan_chunks
from pytest_awsbench.engine import SLICE_S, Engine, attempt
from pytest_awsbench.errors import InfraError, ModelError, TooLongError
from pytest_awsbench.models.spec import Model
from pytest_awsbench.records import (
    Answer,
    Completion,
    Decoding,
    Draws,
    Prompt,
    Sample,
)
from pytest_awsbench.throughput import Tally


Keep = Callable[[Sample, Answer | InfraError], None]
"""Called for each sample as it is answered, or lost."""
Truncated = Callable[[Completion], bool]
"""Tells whether an answer was cut off before it was over."""


class Ask(Protocol):
    """How samples are answered, on the engine's thread."""

    def __call__(
        self, model: Model, chunk: Chunk, spare: Collection[str], keep: Keep
    ) -> None:
        """Answer the samples of a chunk; nobody waits for those that are to spare."""
        ...


@dataclass(frozen=True, slots=True)
class Finished:
    """Answers that were not told of before."""

    rows: list[tuple[str, Answer]]
    ages: list[float]
    """Seconds ago that each of them came."""
    began: float
    """Seconds ago that the first of all was asked."""


class Answers:
    """Asks for whole chunks, ahead of time, and hands out single answers.

    A selected or unfinished sample is asked with its whole chunk; answers that are
    already recorded are kept; a finished chunk never runs again.
    """

    def __init__(
        self,
        model: str,
        ask: Ask,
        chunks: tuple[Chunk, ...],
        recorded: Mapping[str, Answer],
    ) -> None:
        self._model = model
        self._ask = ask
        self._chunk_of = {s.id: chunk for chunk in chunks for s in chunk.samples}
        self._known = dict(recorded)
        self._kept = frozenset(recorded)
        self._selected: frozenset[str] | None = None
        self._lost: dict[str, InfraError] = {}
        self._pending: dict[int, Future[None]] = {}
        self._finished: deque[tuple[str, Answer, float]] = deque()
        self._began: float | None = None
        self._news = threading.Condition()

    @classmethod
    def planned(
        cls,
        model: str,
        decoding: Decoding,
        samples: Iterable[Sample],
        limits: Limits,
    ) -> "Answers":
        """Plan chunks for samples of which no answer is recorded."""
        return cls(model, completing(decoding), plan_chunks(samples, limits), {})

    def chunk_index(self, sample_id: str) -> int:
        """Return which chunk a sample belongs to."""
        return self._chunk_of[sample_id].index

    def has(self, sample_id: str) -> bool:
        """Whether the answer is there without generating anything."""
        return sample_id in self._known

    def select(self, sample_ids: Iterable[str]) -> None:
        """Say which samples this run has selected; before, all are."""
        self._selected = frozenset(sample_ids)

    def request(self, sample_id: str, engine: Engine) -> None:
        """Have the sample's chunk answered, unless it is answered or asked for."""
        chunk = self._chunk_of[sample_id]
        if self.has(sample_id) or chunk.index in self._pending:
            return
        pending = engine.post(self._model, lambda model: self._answer(model, chunk))
        self._pending[chunk.index] = pending
        pending.add_done_callback(lambda _: self._tell())

    def take(self, sample_id: str, engine: Engine) -> Answer:
        """Wait for one answer, in slices, so that Ctrl-C and timeouts get through.

        Raises:
            AwsbenchError: what went wrong while answering it.

        """
        self.request(sample_id, engine)
        pending = self._pending.get(self.chunk_index(sample_id))
        try:
            while pending and not (self._settled(sample_id) or pending.done()):
                with self._news:
                    self._news.wait(SLICE_S)
                engine.watch.waiting(self)
        finally:
            engine.watch.over()
        if sample_id in self._lost:
            raise self._lost[sample_id]
        if pending and not self.has(sample_id):
            pending.result()
        return self._known[sample_id]

    def finished(self) -> Finished:
        """Return the answers generated since the last call, to be recorded."""
        now = time.monotonic()
        came = [self._finished.popleft() for _ in range(len(self._finished))]
        return Finished(
            rows=[(sample_id, answer) for sample_id, answer, _ in came],
            ages=[now - at for _, _, at in came],
            began=now - (self._began or now),
        )

    def tally(self) -> Tally:
        """Return how far the selected samples have come, kept answers apart."""
        wanted = self._chunk_of.keys() if self._selected is None else self._selected
        asked = wanted - self._kept
        return Tally(
            done=sum(self._settled(sample_id) for sample_id in asked),
            total=len(asked),
            seconds=time.monotonic() - self._began if self._began else 0.0,
            live=getattr(self._ask, "live", None),
        )

    def _answer(self, model: Model, chunk: Chunk) -> None:
        """Have a chunk answered, on the engine's thread."""
        self._began = self._began or time.monotonic()
        self._ask(model, chunk, self._spare(chunk), self._keep)

    def _spare(self, chunk: Chunk) -> frozenset[str]:
        """Return the ids of a chunk that are answered, or were not selected."""
        ids = frozenset(sample.id for sample in chunk.samples)
        wanted = ids if self._selected is None else ids & self._selected
        return ids - (wanted - self._known.keys())

    def _settled(self, sample_id: str) -> bool:
        """Whether nothing more will be heard of a sample."""
        return sample_id in self._known or sample_id in self._lost

    def _keep(self, sample: Sample, answer: Answer | InfraError) -> None:
        """Keep what the engine's thread found, before anyone wakes."""
        if isinstance(answer, InfraError):
            self._lost[sample.id] = answer
        elif sample.id not in self._known:
            self._known[sample.id] = answer
            self._finished.append((sample.id, answer, time.monotonic()))
        self._tell()

    def _tell(self) -> None:
        """Wake who waits."""
        with self._news:
            self._news.notify_all()


def completing(
    decoding: Decoding, draws: int = 1, is_truncated: Truncated | None = None
) -> Ask:
    """Return how prompts are answered: the whole chunk as one batch.

    Those that the first budget cut off are asked again together, where the decoding
    names a larger one: their company, too, is the same in every run.

    Args:
        decoding: how answers are sampled; what is not greedy gets a seed of its own
            for each chunk and each draw, whoever else is asked.
        draws: answers to each prompt.
        is_truncated: whether an answer that was cut off is not over; default: always.

    """
    truncated = is_truncated or (lambda completion: completion.cut_off)

    def ask(model: Model, chunk: Chunk, spare: Collection[str], keep: Keep) -> None:
        del spare  # whoever is left out would change the company of the others
        batches = [
            _each_twice(
                model,
                chunk.prompts,
                _seeded(decoding, chunk.index, draw),
                truncated,
            )
            for draw in range(draws)
        ]
        for sample, *answers in zip(chunk.samples, *batches, strict=True):
            keep(sample, _together(answers))

    return ask


def each(
    model: Model, prompts: list[Prompt], decoding: Decoding
) -> list[Completion | InfraError]:
    """Have prompts answered; a server that loses one does not lose the others."""
    ask = getattr(model, "generate_each", None)
    if ask is None:
        return list(attempt(model, prompts, decoding))
    answers: list[Completion | InfraError] = ask(prompts, decoding)
    return answers


def losing(ask: Ask) -> Ask:
    """Return a way to ask by which what a server refuses is lost, and not wrong.

    It answered at the start: who refuses now has lost its model, or runs no more.
    """

    def lost(model: Model, chunk: Chunk, spare: Collection[str], keep: Keep) -> None:
        try:
            ask(model, chunk, spare, keep)
        except ModelError as refusal:
            raise InfraError(str(refusal)) from None

    return lost


def _each_twice(
    model: Model, prompts: list[Prompt], decoding: Decoding, truncated: Truncated
) -> list[Completion | InfraError]:
    """Have prompts answered, those again that the first budget cut off."""
    answers = each(model, prompts, decoding)
    if decoding.retry_truncated is None:
        return answers
    # A full context has no room for a larger budget.
    cut = {
        place: answer
        for place, answer in enumerate(answers)
        if isinstance(answer, Completion)
        and answer.stop == "length"
        and truncated(answer)
    }
    if cut:
        again = each(model, [prompts[place] for place in cut], decoding.again)
        for (place, first), answer in zip(cut.items(), again, strict=True):
            answers[place] = _second(first, answer)
    return answers


def _second(
    first: Completion, answer: Completion | InfraError
) -> Completion | InfraError:
    """Return what counts of two tries to answer a prompt.

    Where the larger budget does not fit into a server's context, and nobody knows what
    would, the first answer is not lost: the context is what keeps it short.
    """
    if isinstance(answer, TooLongError):
        answer = replace(first, stop="context")
    return replace(answer, first=first) if isinstance(answer, Completion) else answer


def _together(answers: Sequence[Completion | InfraError]) -> Answer | InfraError:
    """Return all answers to one prompt, or what lost one of them."""
    known = [answer for answer in answers if isinstance(answer, Completion)]
    if len(known) < len(answers):
        return next(answer for answer in answers if isinstance(answer, InfraError))
    return known[0] if len(known) == 1 else Draws(tuple(known))


def _seeded(decoding: Decoding, chunk: int, draw: int) -> Decoding:
    """Return the decoding of one batch; greedy decoding has no use for a seed."""
    if decoding.temperature == 0:
        return decoding
    text = f"{decoding.seed}\0{chunk}\0{draw}".encode()
    seed = int.from_bytes(hashlib.sha256(text).digest()[:4]) >> 1
    return replace(decoding, seed=seed)
