"""Asking for no more than fits into the context with which a model is served."""

import threading
from collections import Counter
from typing import Any

import httpx

from pytest_awsbench.errors import TooLongError
from pytest_awsbench.models.refusals import OverflowingError
from pytest_awsbench.models.replies import Answered, read_reply
from pytest_awsbench.models.requesting import Requests


class Fitting:
    """Repeats a request that asks for more than fits; usable from many threads.

    An answer that began and has no room to end is the model's, and cut off. One that
    could not begin is lost: the context was chosen when the server was started, the
    model was never asked, and a larger one mends it.
    """

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self._squeezed: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def notes(self) -> list[str]:
        """What a report must say."""
        with self._lock:
            return [f"{n} × {what}" for what, n in self._squeezed.most_common()]

    def ask(self, client: httpx.Client, body: dict[str, Any], budget: int) -> Answered:
        """Ask for a completion; an answer that fills the context says so.

        Args:
            client: of this thread.
            body: of the request.
            budget: the tokens that it asks for.

        Raises:
            InfraError: if the answer is lost.
            TooLongError: if the context has no room for any answer.
            ModelError: if the server refuses to answer as configured.

        """
        try:
            return self._asked(client, body, budget)
        except OverflowingError as refusal:
            return self._squeeze(client, body, budget, refusal)

    def _asked(
        self, client: httpx.Client, body: dict[str, Any], budget: int
    ) -> Answered:
        """Send a request; what is shorter than its budget has filled the context."""
        return self._requests.post(
            client,
            body,
            lambda payload, seconds: read_reply(
                payload, budget=budget, seconds=seconds
            ),
        )

    def _squeeze(
        self,
        client: httpx.Client,
        body: dict[str, Any],
        budget: int,
        refusal: OverflowingError,
    ) -> Answered:
        """Ask again for as many tokens as fit beside the prompt."""
        _refuse_prompt(refusal, budget)
        found, limit = refusal.overflow, limit_of(body)
        if found.context is None:
            raise _no_room(refusal) from refusal
        room = found.room(budget)
        # Without a limit servers give what is left, which is less than was asked for.
        smaller = {name: value for name, value in body.items() if name != limit}
        smaller |= {} if room is None else {limit: room}
        try:
            answered = self._asked(client, smaller, budget)
        except OverflowingError as again:
            _refuse_prompt(again, room or 0)
            raise _no_room(again) from again
        self._count(
            f"answers had less room than {budget} tokens: the served context is"
            f" {found.context}"
        )
        return answered

    def _count(self, what: str) -> None:
        """Count what a note says."""
        with self._lock:
            self._squeezed[what] += 1


def limit_of(body: dict[str, Any]) -> str:
    """Return by which name a request limits its answer."""
    newer = "max_completion_tokens"
    return newer if newer in body else "max_tokens"


def _refuse_prompt(refusal: OverflowingError, budget: int) -> None:
    """Refuse what no smaller budget would mend.

    Raises:
        TooLongError: if the prompt alone is longer than the context.

    """
    found = refusal.overflow
    if not found.is_prompt(budget):
        return
    length = found.length(budget)
    tokens = f"at least {found.at_least}" if length is None else str(length)
    raise TooLongError(
        f"the prompt has {tokens} tokens, the served context holds {found.context}:"
        f" shorten the prompt, or serve a larger context; {refusal}"
    )


def _no_room(refusal: OverflowingError) -> TooLongError:
    """Return the error for a prompt beside which no answer fits."""
    return TooLongError(
        "prompt and answer do not fit into the served context: shorten the prompt,"
        f" lower max_tokens, or serve a larger context; {refusal}"
    )
