"""The answers of one model to one suite: recorded, on their way, or to be asked."""

from collections import deque
from collections.abc import Iterable, Mapping
from concurrent.futures import Future

from pytest_awsbench.chunks import Chunk, plan_chunks
from pytest_awsbench.engine import Engine, wait
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
        self._pending: dict[int, Future[list[Completion]]] = {}
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
        future = engine.submit(self._model, chunk.prompts, self._decoding)
        self._pending[chunk.index] = future
        future.add_done_callback(lambda done: self._keep(chunk, done))

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

    def _keep(self, chunk: Chunk, done: Future[list[Completion]]) -> None:
        """Keep the answers of a chunk, on the engine's thread, before anyone waits."""
        if done.cancelled() or done.exception() is not None:
            return
        for sample, completion in zip(chunk.samples, done.result(), strict=True):
            if sample.id not in self._known:
                self._known[sample.id] = completion
                self._finished.append((sample.id, completion))
