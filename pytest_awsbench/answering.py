"""The answers of one model to one suite: recorded, on their way, or to be asked."""

from collections import deque
from collections.abc import Iterable, Mapping
from concurrent.futures import Future

from pytest_awsbench.chunks import Chunk, plan_chunks
from pytest_awsbench.engine import Engine, attempt, wait
from pytest_awsbench.models.spec import Model
from pytest_awsbench.records import Completion, Decoding, Sample


class Answers:
    """Asks for whole chunks, ahead of time, and hands out single answers.

    A selected or unfinished sample is generated with its whole chunk; answers that
    are already recorded are kept; a finished chunk never runs again.
    """

    def __init__(
        self,
        model: str,
        decoding: Decoding,
        chunks: tuple[Chunk, ...],
        recorded: Mapping[str, Completion],
    ) -> None:
        self._model = model
        self._decoding = decoding
        self._chunks = chunks
        self._chunk_of = {s.id: chunk for chunk in chunks for s in chunk.samples}
        self._known = dict(recorded)
        self._pending: dict[int, Future[None]] = {}
        self._finished: deque[tuple[str, Completion]] = deque()

    @classmethod
    def planned(
        cls,
        model: str,
        decoding: Decoding,
        samples: Iterable[Sample],
        size: int,
    ) -> "Answers":
        """Plan chunks for samples of which no answer is recorded."""
        return cls(model, decoding, plan_chunks(samples, size), {})

    def chunk_index(self, sample_id: str) -> int:
        """Return which chunk a sample belongs to."""
        return self._chunk_of[sample_id].index

    def has(self, sample_id: str) -> bool:
        """Whether the answer is there without generating anything."""
        return sample_id in self._known

    def request(self, sample_id: str, engine: Engine) -> None:
        """Have the sample's chunk generated, unless it is answered or asked for."""
        chunk = self._chunk_of[sample_id]
        if self.has(sample_id) or chunk.index in self._pending:
            return
        self._pending[chunk.index] = engine.post(
            self._model, lambda model: self._generate(model, chunk)
        )

    def take(self, sample_id: str, engine: Engine) -> Completion:
        """Wait for one answer.

        Raises:
            AwsbenchError: what went wrong while generating its chunk.

        """
        if not self.has(sample_id):
            self.request(sample_id, engine)
            wait(self._pending[self._chunk_of[sample_id].index])
        return self._known[sample_id]

    def finished(self) -> list[tuple[str, Completion]]:
        """Return the answers generated since the last call, to be recorded."""
        return [self._finished.popleft() for _ in range(len(self._finished))]

    def _generate(self, model: Model, chunk: Chunk) -> None:
        """Generate a chunk on the engine's thread, and keep it before anyone wakes."""
        completions = attempt(model, chunk.prompts, self._decoding)
        for sample, completion in zip(chunk.samples, completions, strict=True):
            if sample.id not in self._known:
                self._known[sample.id] = completion
                self._finished.append((sample.id, completion))
