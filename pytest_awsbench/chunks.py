"""Which prompts are generated together: a plan that depends on the suite alone.

The same prompt is always asked in the same company, whatever is selected, resumed
or distributed; so its answer cannot depend on that.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_awsbench.records import Prompt, Sample


DEFAULT = 32
"""Prompts in a chunk unless something else is configured."""
BYTES_PER_TOKEN = 3
"""Of English text and commands; most tokenizers need fewer tokens."""
TURN_TOKENS = 8
"""What a chat template puts around a message."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Prompts that are generated as one batch."""

    index: int
    samples: tuple[Sample, ...]

    @property
    def prompts(self) -> list[Prompt]:
        """Their prompts, in order."""
        return [sample.prompt for sample in self.samples]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How large a chunk may be; it ends where the first of them is reached."""

    size: int = DEFAULT
    """Prompts."""
    tokens: int | None = None
    """Padded tokens, answers included, by `estimated`; None: as many as there are."""
    answer: int = 0
    """Tokens that each answer may take."""


def plan_chunks(samples: Iterable[Sample], limits: Limits) -> tuple[Chunk, ...]:
    """Split all samples of a suite into chunks of prompts of similar length.

    The longest come first, so that a chunk that does not fit into memory shows at
    once, and workers finish together. Length is counted in characters: it is the
    same for every tokenizer and needs no model.
    """
    ordered = sorted(samples, key=lambda sample: (-_length(sample.prompt), sample.id))
    if limits.tokens is None:
        return in_order(ordered, limits.size)
    lengths = [estimated(sample.prompt) + limits.answer for sample in ordered]
    chunks: list[Chunk] = []
    start = 0
    while start < len(ordered):
        # Of all that may belong to it: bytes do not fall quite as characters do.
        longest = max(lengths[start : start + limits.size])
        end = start + min(limits.size, max(1, limits.tokens // longest))
        chunks.append(Chunk(len(chunks), tuple(ordered[start:end])))
        start = end
    return tuple(chunks)


def estimated(prompt: Prompt) -> int:
    """Return about how many tokens a prompt has, rather too many than too few.

    No tokenizer is asked: a plan must be the same for all of them.

    >>> from pytest_awsbench.records import Message
    >>> estimated((Message("user", "List all buckets of the account."),))
    18
    """
    return sum(
        TURN_TOKENS + len(message.content.encode()) // BYTES_PER_TOKEN
        for message in prompt
    )


def in_order(samples: Sequence[Sample], size: int) -> tuple[Chunk, ...]:
    """Split samples into chunks as they stand."""
    starts = range(0, len(samples), size)
    return tuple(
        Chunk(index, tuple(samples[start : start + size]))
        for index, start in enumerate(starts)
    )


def _length(prompt: Prompt) -> int:
    """Return the characters of a prompt."""
    return sum(len(message.content) for message in prompt)
