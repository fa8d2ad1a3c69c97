"""A model told by its answers: a few fixed questions, and what of the answers is sure.

Greedy answers of a server are not the same for ever: how requests are batched changes
log-probabilities in their second or third digit, and where the two best tokens lie
that close, the answer may go either way. Rounded numbers would only move the doubt to
the edges of rounding. So no number is kept: where a server gives log-probabilities,
an answer counts up to the first token that another one could have won.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx

from pytest_awsbench.errors import ModelError
from pytest_awsbench.models.refusals import OverflowingError
from pytest_awsbench.models.replies import Answered, read_reply
from pytest_awsbench.models.served import ServedModel
from pytest_awsbench.records import Decoding, Message, Prompt


#: Short, and each leaves a model several ways to go on.
PROBES: Final[Sequence[Prompt]] = (
    (Message("user", "Reply with one AWS CLI command that lists all S3 buckets."),),
    (Message("user", "Name a river, a metal, and a colour, then count to five."),),
)
DECODING: Final = Decoding(max_new_tokens=24)
SURE: Final = 1.0
"""Natural logarithms by which a token must lead: noise of 16-bit weights is ten times
smaller."""
_ASKED: Final[Mapping[str, Any]] = {
    "logprobs": True,
    "top_logprobs": 2,
    # Whatever is configured: a drawn answer tells nobody.
    "temperature": 0.0,
}


@dataclass(frozen=True, slots=True)
class Probed:
    """The answer to a probe."""

    answered: Answered
    sure: str
    """Its part that comes again; all of it where the server gives no log-probs."""


def probe(model: ServedModel, probes: Sequence[Prompt]) -> Iterator[Probed]:
    """Ask one question after the other: each is then a batch by itself.

    Raises:
        ModelError: if the server refuses to answer.
        InfraError: if an answer is lost.

    """
    more: Mapping[str, Any] = _ASKED
    with model.requests.client() as client:
        for prompt in probes:
            body = model.body(prompt, DECODING)
            try:
                yield _probed(model, client, {**body, **more})
            except ModelError:
                if not more:
                    raise
                # Not every server knows log-probs; this one may refuse anything.
                more = {}
                yield _probed(model, client, body)


def _probed(
    model: ServedModel, client: httpx.Client, body: Mapping[str, Any]
) -> Probed:
    """Ask once."""

    def read(payload: object, seconds: float) -> Probed:
        budget = int(body.get("max_tokens") or DECODING.max_new_tokens)
        answered = read_reply(payload, budget=budget, seconds=seconds)
        whole = f"{answered.completion.reasoning}\n{answered.completion.text}"
        return Probed(answered, sure_part(payload, whole))

    try:
        return model.requests.post(client, body, read)
    except OverflowingError as overflow:
        raise ModelError(f"{overflow}; serve a larger context") from None


def sure_part(payload: object, whole: str) -> str:
    """Return an answer up to the first token that another one could have won.

    Args:
        payload: the decoded body of a chat completion.
        whole: the answer, for where there are no log-probs.

    >>> leads = [
    ...     {"token": "aws", "top_logprobs": [{"logprob": -0.1}, {"logprob": -4.0}]},
    ...     {"token": " s3", "top_logprobs": [{"logprob": -0.6}, {"logprob": -0.9}]},
    ... ]
    >>> sure_part({"choices": [{"logprobs": {"content": leads}}]}, "aws s3 ls")
    'aws'
    >>> sure_part({"choices": [{"logprobs": None}]}, "aws s3 ls")
    'aws s3 ls'

    """
    tokens = _tokens(payload)
    if not tokens:
        return whole
    sure = []
    for token in tokens:
        if _lead(token) < SURE:
            break
        sure.append(str(token.get("token", "")))
    return "".join(sure)


def _tokens(payload: object) -> list[Mapping[str, Any]]:
    """Return the tokens of an answer with their log-probs; empty without any."""
    found = payload
    for key in ("choices", 0, "logprobs", "content"):
        try:
            found = found[key]  # type: ignore[index]  # JSON of any shape
        except (KeyError, IndexError, TypeError):
            return []
    rows = found if isinstance(found, list) else []
    return [r for r in rows if isinstance(r, Mapping) and len(_best(r)) > 1]


def _lead(token: Mapping[str, Any]) -> float:
    """Return by how much a token is ahead of the next best."""
    first, second, *_ = sorted(_best(token), reverse=True)
    return first - second


def _best(token: Mapping[str, Any]) -> list[float]:
    """Return the log-probs of the best tokens at a place."""
    rows = token.get("top_logprobs")
    rows = rows if isinstance(rows, list) else []
    values = [row.get("logprob") for row in rows if isinstance(row, Mapping)]
    return [float(value) for value in values if isinstance(value, int | float)]
