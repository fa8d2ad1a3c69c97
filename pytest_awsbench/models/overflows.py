"""Requests that a server refuses because they do not fit into its context.

Most servers say how long the prompt is and what the context holds, each in words of its
own; from these follows how many tokens are left for an answer.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self


_OVERFLOW: Final = re.compile(
    r"context[_ ]length|context[_ ]size|context window"
    r"|longer than the (?:model's context|maximum model length)"
    r"|greater than max_model_len|exceeds the maximum allowed length"
    r"|overflows?\b.{0,80}context|context the overflows"
    r"|`inputs` tokens \+ `max_new_tokens`",
    re.IGNORECASE | re.DOTALL,
)
#: A refusal may name a parameter, too.
_BEYOND: Final = re.compile(
    r"exceed|longer|larger|greater|maximum|overflow|must be <=|too (?:long|large|many)",
    re.IGNORECASE,
)
#: The first that is found counts. OpenAI, vLLM, SGLang; TGI; llama.cpp and Ollama; LM
#: Studio; llama-cpp-python.
_CONTEXT: Final = (
    r"maximum (?:context|model) length (?:is|of) (\d+)",
    r"max_model_len=(?:max_total_tokens=)?(\d+)",
    r"context length \((\d+)",
    r"maximum allowed length \((\d+)",
    r"`inputs` tokens \+ `max_new_tokens` must be <= (\d+)",
    r"available context size \((\d+)",
    r"context length of only (\d+)",
    r"n_ctx: (\d+)",
    r"context window of (\d+)",
)
_PROMPT: Final = (
    r"\((\d+) in (?:the messages|your prompt)",
    r"(\d+) tokens from the input messages",
    r"your (?:request has|messages resulted in|prompt contains) (\d+) (?:input )?token",
    r"(?:input|input length) \((\d+) tokens\)",
    r"request \((\d+) tokens\)",
    r"prompt \(length (\d+)\)",
    r"keep the first (\d+) tokens",
    r"n_keep: (\d+)",
    r"given: (\d+) `inputs` tokens",
    r"requested tokens \((\d+)\)",
)
#: vLLM stops to count where it has seen enough.
_AT_LEAST: Final = (
    r"prompt contains at least (\d+) input tokens",
    r"upper bound for (\d+) input tokens",
)
#: Of prompt and answer together.
_TOTAL: Final = (r"you requested (?:a total of )?(\d+) tokens",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overflow:
    """What a server told of a request that did not fit, in tokens."""

    context: int | None = None
    prompt: int | None = None
    at_least: int | None = None
    """Where the prompt was not counted to its end."""
    total: int | None = None
    """Prompt and answer, where they were not told apart."""

    @classmethod
    def read(cls, told: str, error: Mapping[str, Any]) -> Self | None:
        """Read a refusal; None if it is about something else.

        Args:
            told: the server's words.
            error: the object in which they stood, which may hold the numbers.

        """
        named = str(error.get("type")) == "exceed_context_size_error"
        if not named and not (_OVERFLOW.search(told) and _BEYOND.search(told)):
            return None
        return cls(
            context=_count(error.get("n_ctx")) or _found(_CONTEXT, told),
            prompt=_count(error.get("n_prompt_tokens")) or _found(_PROMPT, told),
            at_least=_found(_AT_LEAST, told),
            total=_found(_TOTAL, told),
        )

    def length(self, budget: int) -> int | None:
        """Return the tokens of the prompt, None where they are not known.

        Args:
            budget: the tokens that were asked for.

        """
        if self.prompt is None and self.total is not None:
            return self.total - budget
        return self.prompt

    def is_prompt(self, budget: int) -> bool:
        """Whether the prompt alone is too long, whatever is asked for."""
        least = self.length(budget) or self.at_least
        return least is not None and self.context is not None and least >= self.context

    def room(self, budget: int) -> int | None:
        """Return the tokens that are left for an answer, None where nobody knows."""
        length = self.length(budget)
        if length is None or self.context is None:
            return None
        return self.context - length


def _found(patterns: Sequence[str], text: str) -> int | None:
    """Return the number that the first matching pattern finds."""
    for pattern in patterns:
        if (match := re.search(pattern, text, re.IGNORECASE)) is not None:
            return int(match[1])
    return None


def _count(value: object) -> int | None:
    """Return a count, or None for what is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None
