"""Which prompts are generated together: a plan that depends on the suite alone.

The same prompt is always asked in the same company, whatever is selected, resumed
or distributed; so its answer cannot depend on that.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_awsbench.records import Prompt, Sample


@dataclass(frozen=True, slots=True)
class Chunk:
    """Prompts that are generated as one batch."""

    index: int
    samples: tuple[Sample, ...]

    @property
    def prompts(self) -> list[Prompt]:
        """Their prompts, in order."""
        return [sample.prompt for sample in self.samples]


def plan_chunks(samples: Iterable[Sample], size: int) -> tuple[Chunk, ...]:
    """Split all samples of a suite into chunks of prompts of similar length.

    The longest come first, so that a chunk that does not fit into memory shows at
    once, and workers finish together. Length is counted in characters: it is the
    same for every tokenizer and needs no model.
    """
    ordered = sorted(samples, key=lambda sample: (-_length(sample.prompt), sample.id))
    return in_order(ordered, size)


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
