"""One thread that owns the models and turns queued requests into batches."""

import queue
import sys
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, Protocol, TypeVar

from pytest_awsbench.errors import AwsbenchError, ConfigError, InfraError
from pytest_awsbench.garbage import collector_paused, keep_all
from pytest_awsbench.models.spec import Model
from pytest_awsbench.records import Completion, Decoding, Prompt


T = TypeVar("T")

SLICE_S = 0.5
"""How long a wait may block signals, seconds."""
CLOSE_S = 5.0
"""How long closing waits for a batch in progress, seconds; then it is abandoned."""
TRIES = 2
"""How often a batch is tried before its items count as lost."""


class Watch(Protocol):
    """Hears, on the thread of the tests, that it waits, and may say so."""

    def waiting(self, answers: object | None) -> None:
        """Hear, again and again, what is waited for; without answers, a model."""
        ...

    def over(self) -> None:
        """Hear that the wait is over."""
        ...


class Unwatched:
    """Says nothing."""

    def waiting(self, answers: object | None) -> None:
        """Do nothing."""

    def over(self) -> None:
        """Do nothing."""


class Engine:
    """Loads the models on a thread and runs what is submitted, in order.

    Nothing in the thread may print, warn or raise: pytest would blame whichever
    test is running. Every error travels in a future to the one that asked.
    """

    def __init__(self, load: Callable[[], Mapping[str, Model]]) -> None:
        self._load = load
        self.watch: Watch = Unwatched()
        self._loaded: Future[Mapping[str, Model]] = Future()
        self._queue: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self._quiet = threading.Event()

    @property
    def started(self) -> bool:
        """Whether loading was asked for."""
        return self._thread is not None

    @property
    def loaded(self) -> bool:
        """Whether the models are ready."""
        return self._loaded.done() and self._loaded.exception() is None

    @property
    def busy(self) -> bool:
        """Whether a batch waits behind the one in progress: enough is asked ahead."""
        return not self._queue.empty()

    @property
    def closing(self) -> bool:
        """Whether the run ends."""
        return self._closing.is_set()

    def start(self) -> None:
        """Begin to load, in the background; a second call does nothing."""
        if self._thread is None and not self._closing.is_set():
            self._thread = threading.Thread(
                target=self._run, name="awsbench-engine", daemon=True
            )
            self._thread.start()

    def models(self) -> Mapping[str, Model]:
        """Wait until the models are loaded and return them by name.

        Raises:
            AwsbenchError: what went wrong while loading.

        """
        self.start()
        if self.loaded:
            return self._loaded.result()
        # Filters of warnings belong to the process: only the thread that runs the
        # tests may change them, and only while it does nothing but wait.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._quiet.set()
            return wait(self._loaded, self.watch)

    def submit(
        self, model: str, prompts: Sequence[Prompt], decoding: Decoding
    ) -> Future[list[Completion]]:
        """Queue one batch; the answers come in the order of the prompts."""
        return self.post(model, lambda loaded: attempt(loaded, list(prompts), decoding))

    def post(self, model: str, task: Callable[[Model], T]) -> Future[T]:
        """Run a task with a loaded model, on the one thread that may touch it."""
        future: Future[T] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(task(self._loaded.result()[model]))
            except BaseException as error:  # noqa: BLE001 - re-raised by who waits
                future.set_exception(error)

        self._queue.put(run)
        self.start()
        return future

    def close(self) -> None:
        """Stop after the batch in progress, and free the models."""
        self._closing.set()
        if self._thread is None:
            return
        self._queue.put(None)
        self._thread.join(CLOSE_S)
        if not self._thread.is_alive() and self._loaded.exception() is None:
            for model in self._loaded.result().values():
                model.close()
        self._thread = None

    def _run(self) -> None:
        """Load, then work until closed."""
        try:
            fresh = "torch" not in sys.modules
            # A fifth of the time of a short run.
            with collector_paused():
                loaded = self._loaded_models()
            if fresh and "torch" in sys.modules:
                keep_all()
            self._loaded.set_result(loaded)
        except BaseException as error:  # noqa: BLE001 - re-raised by who waits
            self._loaded.set_exception(error)
        while (task := self._queue.get()) is not None and not self._closing.is_set():
            task()

    def _loaded_models(self) -> Mapping[str, Model]:
        """Load, and once more, alone, where another thread may have been in the way.

        Under ``-W error`` a library's advice is an error here; and two threads that
        import the same packages at once may each see half of them.
        """
        try:
            return self._load()
        except (Warning, ImportError, ConfigError):
            while not self._quiet.wait(SLICE_S):
                if self._closing.is_set():
                    raise
            return self._load()


def wait(future: Future[T], watch: Watch | None = None) -> T:
    """Wait for a future in slices, so that Ctrl-C and timeouts get through."""
    watch = watch or Unwatched()
    try:
        while True:
            try:
                return future.result(timeout=SLICE_S)
            except FutureTimeoutError:
                if future.done():
                    return future.result()
                watch.waiting(None)
    finally:
        watch.over()


def attempt(
    model: Model, prompts: list[Prompt], decoding: Decoding
) -> list[Completion]:
    """Generate one batch; what fails twice is infrastructure, never the model's."""
    failure: Exception | None = None
    for _ in range(TRIES):
        try:
            return model.generate(prompts, decoding)
        except AwsbenchError:
            raise
        except Exception as error:  # noqa: BLE001 - classified here, once
            failure = error
    raise InfraError(
        f"generating {len(prompts)} answers failed {TRIES} times:"
        f" {type(failure).__name__}: {failure}"
    ) from failure


def describe(error: BaseException) -> dict[str, Any]:
    """Return an error as plain values, to send it to another process."""
    return {"kind": type(error).__name__, "message": str(error)}
