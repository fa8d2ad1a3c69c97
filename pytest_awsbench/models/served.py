"""The backend of served models: anything with an OpenAI-compatible API."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any

import httpx

from pytest_awsbench.errors import InfraError
from pytest_awsbench.models.endpoints import ServedSpec
from pytest_awsbench.models.fitting import Fitting, limit_of
from pytest_awsbench.models.refusals import DeclinedError
from pytest_awsbench.models.replies import Answered, first_line
from pytest_awsbench.models.requesting import Requests
from pytest_awsbench.models.startup import Startup
from pytest_awsbench.records import Completion, Decoding, ModelCard, Prompt


__all__ = ["Answered", "ServedModel", "ServedSpec"]


class ServedModel:
    """Asks a server, many prompts at a time.

    Each thread has a connection of its own: a pool that they share is searched at every
    request, which costs more than the request once there are many.

    Args:
        spec: where it is, and how it is asked.
        card: who it is.
        sleep: waits between tries.
        startup: patience with a server that is still loading; by default none.

    Raises:
        ConfigError: if an environment variable is missing.

    """

    def __init__(
        self,
        spec: ServedSpec,
        card: ModelCard,
        *,
        sleep: Callable[[float], None] = time.sleep,
        startup: Startup | None = None,
    ) -> None:
        self.card = card
        self.spec = spec
        self.requests = Requests(spec, sleep, startup)
        self._seen: set[tuple[str, str]] = set()
        self._idle: deque[httpx.Client] = deque()
        self._closed = False
        self._fitting = Fitting(self.requests)
        self._waiting: deque[tuple[Future[Completion], Prompt, Decoding]] = deque()
        self._workers = 0
        self._lock = threading.Lock()

    @property
    def notes(self) -> list[str]:
        """What happened that a report must say."""
        return [*self.requests.notes, *self._fitting.notes, *self._changed()]

    def generate(
        self, prompts: Sequence[Prompt], decoding: Decoding
    ) -> list[Completion]:
        """Answer all prompts, in their order.

        Raises:
            InfraError: if a single one is lost; `generate_each` keeps the others.
            ModelError: if the server refuses to answer as configured.

        """
        answers = self.generate_each(prompts, decoding)
        lost = [answer for answer in answers if isinstance(answer, InfraError)]
        if lost:
            raise InfraError(f"{len(lost)} of {len(answers)} answers lost: {lost[0]}")
        return [answer for answer in answers if isinstance(answer, Completion)]

    def generate_each(
        self, prompts: Sequence[Prompt], decoding: Decoding
    ) -> list[Completion | InfraError]:
        """Answer all prompts, in their order; one that is lost leaves the others be.

        Raises:
            ModelError: if the server refuses to answer as configured.

        """
        return [
            answer if isinstance(answer, InfraError) else answer.completion
            for answer in self.answer_each(prompts, decoding)
        ]

    def answer_each(
        self, prompts: Sequence[Prompt], decoding: Decoding
    ) -> list[Answered | InfraError]:
        """Do as `generate_each`, and tell what the server told beside it."""
        todo = deque(enumerate(prompts))
        answers: dict[int, Answered | InfraError] = {}
        ended: SimpleQueue[Exception | None] = SimpleQueue()

        def work() -> None:
            error = None
            try:
                self._work(todo, answers, decoding)
            except Exception as refusal:  # noqa: BLE001 - re-raised by who waits
                todo.clear()
                error = refusal
            ended.put(error)

        workers = min(self.spec.concurrency, len(prompts))
        # Daemons: a server that hangs must not keep the process from ending.
        for number in range(workers):
            name = f"awsbench-served-{number}"
            threading.Thread(target=work, name=name, daemon=True).start()
        try:
            for _ in range(workers):
                if (error := ended.get()) is not None:
                    raise error
        finally:
            todo.clear()
        return [answers[index] for index in range(len(prompts))]

    def submit(self, prompt: Prompt, decoding: Decoding) -> Future[Completion]:
        """Have one prompt answered in the background, `concurrency` at a time.

        The future raises what `generate` raises.
        """
        future: Future[Completion] = Future()
        with self._lock:
            self._waiting.append((future, prompt, decoding))
            hire = self._workers < self.spec.concurrency
            self._workers += hire
        if hire:
            # A daemon: a server that hangs must not keep the process from ending.
            threading.Thread(
                target=self._serve, name="awsbench-served", daemon=True
            ).start()
        return future

    def close(self) -> None:
        """Close the connections; safe to call twice."""
        self._closed = True
        with self._lock:
            while self._waiting:
                self._waiting.popleft()[0].cancel()
        while self._idle:
            self._idle.pop().close()

    def body(self, prompt: Prompt, decoding: Decoding) -> dict[str, Any]:
        """Return the request for one prompt."""
        spec = self.spec
        temperature = _first(spec.temperature, decoding.temperature)
        body: dict[str, Any] = {
            "model": spec.model or None,
            "messages": [{"role": m.role, "content": m.content} for m in prompt],
            "max_tokens": self._budget(decoding),
            "temperature": temperature,
            "top_p": decoding.top_p if decoding.top_p < 1 else None,
            # Some servers refuse a seed; greedy decoding has no use for one.
            "seed": decoding.seed if temperature > 0 else None,
            "stream": False,
        }
        if "max_completion_tokens" in spec.extra_body:
            # The newer name of the same limit; no server takes both.
            del body["max_tokens"]
        body |= spec.extra_body
        if decoding.is_again:
            body[limit_of(body)] = self._budget(decoding)
        return {name: value for name, value in body.items() if value is not None}

    def _budget(self, decoding: Decoding) -> int:
        """Return how many tokens an answer may have."""
        if decoding.is_again:
            return decoding.max_new_tokens
        given = self.spec.extra_body
        named = given.get("max_completion_tokens") or given.get("max_tokens")
        return int(named or self.spec.max_tokens or decoding.max_new_tokens)

    def _work(
        self,
        todo: deque[tuple[int, Prompt]],
        answers: dict[int, Answered | InfraError],
        decoding: Decoding,
    ) -> None:
        """Answer prompts, one after the other, until none is left."""
        client = self._client()
        try:
            while True:
                try:
                    index, prompt = todo.popleft()
                except IndexError:
                    return
                try:
                    answers[index] = self._answer(client, prompt, decoding)
                except InfraError as lost:
                    answers[index] = lost
        finally:
            self._put_back(client)

    def _serve(self) -> None:
        """Answer what was submitted, until nothing waits."""
        client: httpx.Client | None = None
        while (job := self._next()) is not None:
            future, prompt, decoding = job
            if not future.set_running_or_notify_cancel():
                continue
            try:
                client = client or self._client()
                future.set_result(self._answer(client, prompt, decoding).completion)
            except Exception as error:  # noqa: BLE001 - re-raised by who waits
                future.set_exception(error)
        if client is not None:
            self._put_back(client)

    def _next(self) -> tuple[Future[Completion], Prompt, Decoding] | None:
        """Return what waits longest; None sends the worker home."""
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._workers -= 1
            return None

    def _answer(
        self, client: httpx.Client, prompt: Prompt, decoding: Decoding
    ) -> Answered:
        """Answer one prompt.

        Raises:
            InfraError: if it is lost, declined, or longer than the context.
            ModelError: if the server refuses to answer as configured.

        """
        body, budget = self.body(prompt, decoding), self._budget(decoding)
        try:
            answered = self._fitting.ask(client, body, budget)
        except DeclinedError as declined:
            raise InfraError(str(declined)) from None
        self._seen.add((answered.model, answered.fingerprint))
        return first_line(answered) if decoding.stop_at_newline else answered

    def _changed(self) -> list[str]:
        """Say that the server answered as more than one model during the run."""
        asked = self.card.details
        known = (asked.get("served_as", ""), asked.get("fingerprint", ""))
        others = [_who(*who) for who in sorted(self._seen - {known})]
        if "served_as" not in asked or not others:
            return []
        said = (
            f"answers came from {', '.join(others)}, and at the start from"
            f" {_who(*known)}: the model or its server was changed during the run;"
            " run it again"
        )
        return [said]

    def _client(self) -> httpx.Client:
        """Return a client that nobody uses, with its open connections."""
        try:
            return self._idle.pop()
        except IndexError:
            return self.requests.client()

    def _put_back(self, client: httpx.Client) -> None:
        """Keep a client for the next batch."""
        self._idle.append(client)
        if self._closed:
            self.close()


def _who(model: str, fingerprint: str) -> str:
    """Name who answered."""
    return f"{model or 'no name'}" + (f" ({fingerprint})" if fingerprint else "")


def _first(given: float | None, otherwise: float) -> float:
    """Return what is configured, 0 included."""
    return otherwise if given is None else given
