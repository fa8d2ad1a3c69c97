"""What a chat completion says: pure functions of the server's JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from pytest_awsbench.episodes import StopReason
from pytest_awsbench.models.overflows import Overflow
from pytest_awsbench.records import Completion, well_formed
from pytest_awsbench.scoring.reasoning import from_message


#: Words of OpenAI, vLLM, SGLang, llama.cpp, LM Studio, Ollama and TGI.
_STOPS: Final[Mapping[str, StopReason]] = {
    "stop": "eos",
    "eos": "eos",
    "eos_token": "eos",
    "stop_sequence": "eos",
    "end_turn": "eos",
    "tool_calls": "eos",
    "function_call": "eos",
    "length": "length",
    "max_tokens": "length",
    "max_length": "length",
    "model_length": "context",
}
#: The server stopped it: what there is, is not the model's answer.
_BROKEN: Final = frozenset({"abort", "content_filter", "error", "load", "unload"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A completion, and what a server tells beside it."""

    completion: Completion
    """Its text is the answer alone, its tokens are those of the reasoning, too."""
    reasoning_closed: bool = True
    """False where the answer was still to come."""
    model: str = ""
    """As the server calls it."""
    fingerprint: str = ""


def read_reply(payload: object, *, budget: int, seconds: float) -> Answered:
    """Read a chat completion.

    Args:
        payload: the decoded body.
        budget: the tokens that were asked for.
        seconds: that the request took.

    Raises:
        ValueError: if there is no whole answer in it.

    """
    body = payload if isinstance(payload, Mapping) else {}
    message, reason = _choice(body)
    usage = _mapping(body.get("usage"))
    tokens = _count(usage.get("completion_tokens"))
    found = from_message(message)
    return Answered(
        completion=Completion(
            text=well_formed(found.answer),
            stop=stop_reason(reason, tokens, budget),
            prompt_tokens=_count(usage.get("prompt_tokens")),
            tokens=tokens,
            latency=round(seconds, 4),
            reasoning=well_formed(found.reasoning),
            reasoning_tokens=_reasoning_tokens(usage) if found.reasoning else None,
        ),
        reasoning_closed=found.closed,
        model=str(body.get("model") or ""),
        fingerprint=str(body.get("system_fingerprint") or ""),
    )


def stop_reason(reason: object, tokens: int | None, budget: int) -> StopReason:
    """Return why a completion ended, in our words.

    >>> stop_reason("stop", 12, 128), stop_reason("length", 128, 128)
    ('eos', 'length')

    Fewer tokens than asked for: the context was full.

    >>> stop_reason("length", 90, 128)
    'context'

    Raises:
        ValueError: if the server broke the answer off.

    """
    word = str(reason or "stop").lower()
    if word in _BROKEN:
        raise ValueError(f"broke the answer off (finish_reason {word!r})")
    stop = _STOPS.get(word, "eos")
    if stop == "length" and tokens is not None and tokens < budget:
        return "context"
    return stop


def first_line(answered: Answered) -> Answered:
    """Cut an answer at its first line break, as decoding on this machine does.

    The server is not asked to: it would stop at a break before the answer, or in the
    reasoning.
    """
    text, newline, _ = answered.completion.text.lstrip().partition("\n")
    done = replace(answered.completion, text=text)
    return replace(
        answered, completion=replace(done, stop="newline") if newline else done
    )


def error_text(payload: object) -> str:
    """Return what a server says is wrong, empty if it says nothing.

    >>> error_text({"error": {"message": "no such model", "code": 404}})
    'no such model'
    >>> error_text({"object": "error", "message": "too long"}), error_text([])
    ('too long', '')
    >>> error_text({"detail": "Not Found"}), error_text({"error": "loading"})
    ('Not Found', 'loading')
    """
    body = _mapping(payload)
    error = body.get("error")
    nested = _mapping(error).get("message")
    for text in (nested, error, body.get("message"), body.get("detail")):
        if text and isinstance(text, str | list):
            return str(text)
    return str(error) if error else ""


def overflow_of(payload: object) -> Overflow | None:
    """Return by how much a request did not fit; None if it was refused otherwise.

    >>> told = "The input (5000 tokens) is longer than the model's context length (4096"
    >>> overflow_of({"object": "error", "message": told}).room(128)
    -904
    >>> overflow_of({"error": "unknown parameter: context_length"}) is None
    True
    """
    nested = _mapping(_mapping(payload).get("error"))
    return Overflow.read(error_text(payload), nested)


def model_ids(payload: object) -> list[str] | None:
    """Return the names in a list of models, without repeats; None if it is none.

    >>> model_ids({"object": "list", "data": [{"id": "b"}, {"id": "a"}, {"id": "b"}]})
    ['b', 'a']
    >>> model_ids({"detail": "Not Found"}) is None
    True
    """
    data = _mapping(payload).get("data")
    if not isinstance(data, list):
        return None
    ids = (_mapping(row).get("id") for row in data)
    return list(dict.fromkeys(i for i in ids if isinstance(i, str) and i))


def _choice(body: Mapping[str, Any]) -> tuple[Mapping[str, Any], object]:
    """Return the message of the first choice, and why it ended."""
    choices = body.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, Mapping) else None
    if isinstance(first, Mapping) and isinstance(message, Mapping):
        return message, first.get("finish_reason")
    there = ", ".join(map(str, body)) or "nothing that is known"
    raise ValueError(f"sent an answer without 'choices', it holds {there}")


def _reasoning_tokens(usage: Mapping[str, Any]) -> int | None:
    """Return the tokens of the reasoning, where they are counted apart.

    Some servers that do not count say 0, whatever the model thought.
    """
    details = _mapping(usage.get("completion_tokens_details"))
    told = details.get("reasoning_tokens", usage.get("reasoning_tokens"))
    return _count(told) or None


def _mapping(value: object) -> Mapping[str, Any]:
    """Return a JSON object; anything else as an empty one."""
    return value if isinstance(value, Mapping) else {}


def _count(value: object) -> int | None:
    """Return a count, or None for what is none."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    return None
