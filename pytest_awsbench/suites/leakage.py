"""Leakage: how much of the held-out rows the model may have seen in training.

A score on rows that were trained on measures memory. Only what is the same after
`normalised` is found; rewording is not. Tasks are told apart by their ids, so both
sides must number them alike.
"""

import re
import unicodedata
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from pytest_awsbench.errors import DataError
from pytest_awsbench.records import Sample
from pytest_awsbench.suites.rows import Located, samples_of
from pytest_awsbench.suites.sources import read_rows


TRAIN: Final = "train"
"""The split of a Hub data set that is taken where none is given."""
TOLERATED: Final = 0.05
"""Share of prompts, or of pairs, above which a report must warn."""
EXAMPLES: Final = 3
_END = re.compile(r"[\s.,;:!?。]+$")

Keys = Mapping[str, Hashable]
"""What of a row is looked for, by what it is called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """How many held-out rows have something in common with a training row."""

    what: str
    """Such as ``prompts``."""
    count: int
    of: int
    """Held-out rows."""
    examples: tuple[str, ...] = ()
    """Ids of the first held-out samples, at most three."""

    @property
    def share(self) -> float:
        """Rows in common over held-out rows."""
        return self.count / self.of

    def __str__(self) -> str:
        """Return it as a report shows it, such as ``2.0% of prompts``."""
        return f"{self.share:.1%} of {self.what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leakage:
    """What of the held-out rows stands in the training rows.

    Prompts and pairs should not; answers alone may well, as ``aws s3 ls`` is right
    for many tasks: their share is shown, and never warned about.
    """

    train: int
    """Training rows."""
    prompts: Overlap
    """The last user message, normalised."""
    verbatim: Overlap
    """The whole prompt, system message and history included, to the letter."""
    pairs: Overlap
    """Task and normalised answer; of rows without a task, prompt and answer."""
    answers: Overlap
    """The target, normalised."""

    @property
    def worst(self) -> Overlap:
        """The larger overlap of those that should not be: prompts or pairs."""
        return max(self.prompts, self.pairs, key=lambda overlap: overlap.share)

    @property
    def text(self) -> str:
        """One line for the header of a report."""
        return (
            f"leakage: {self.prompts}, {self.pairs}, {self.answers} stand in train"
            f" ({self.train:,} {'row' if self.train == 1 else 'rows'})"
        )

    @property
    def warning(self) -> str:
        """What a report must say; empty up to 5 % of prompts and of pairs."""
        worst = self.worst
        if worst.share <= TOLERATED:
            return ""
        return (
            f"{worst} of the held-out rows stand in the training rows"
            f" ({worst.count} of {worst.of}; first: {', '.join(worst.examples)}):"
            " scores on them may measure memory; take them out of one side"
        )


def leakage(held_out: Sequence[Sample], train: Iterable[Sample]) -> Leakage:
    """Count which held-out rows stand in the training rows.

    Training rows are seen once and never kept: their number does not matter.

    Args:
        held_out: what the model is judged by.
        train: what it was trained on; may be an iterator, as of `read_train`.

    Raises:
        ValueError: if a side has no rows, as an iterator has that was used up.

    >>> held_out = [Sample.of("List the buckets.", "aws s3 ls")]
    >>> trained_on = [Sample.of("list the  buckets", "aws s3 ls --debug")]
    >>> found = leakage(held_out, trained_on)
    >>> found.prompts.share, found.verbatim.share, found.answers.share
    (1.0, 0.0, 0.0)

    """
    if not held_out:
        raise ValueError("no held-out rows: nothing can leak")
    keys = [_keys(sample) for sample in held_out]
    wanted = {what: {key[what] for key in keys} for what in _NAMES}
    found: dict[str, set[Hashable]] = {what: set() for what in _NAMES}
    rows = 0
    for sample in train:
        rows += 1
        for what, key in _keys(sample).items():
            if key in wanted[what]:
                found[what].add(key)
    if not rows:
        raise ValueError("no training rows: nothing to compare with")
    overlaps = {}
    for what, name in _NAMES.items():
        pairs = zip(held_out, keys, strict=True)
        ids = [sample.id for sample, key in pairs if key[what] in found[what]]
        overlaps[what] = Overlap(
            what=name, count=len(ids), of=len(keys), examples=tuple(ids[:EXAMPLES])
        )
    return Leakage(train=rows, **overlaps)


def read_train(source: str, split: str | None, root: Path) -> Iterator[Sample]:
    """Read training rows with the reader of held-out rows.

    Ids need not be unique here: the same row twice has the same id twice.

    Args:
        source: a ``.jsonl`` or ``.parquet`` path, or a Hub id
            ``owner/name[@revision]``.
        split: of a Hub data set; None takes ``train``. A file has none.
        root: what a relative path is relative to.

    Returns:
        The samples, each made when it is asked for.

    Raises:
        DataError: if there is no such data, or it cannot be read; later, naming where
            a row stands that cannot be used, such as one that does not end with the
            assistant's message.
        InfraError: if the Hub cannot be reached.

    """
    try:
        rows = read_rows(source, split or TRAIN, root)
    except DataError as error:
        raise DataError(f"training data: {error}") from error
    return _samples(rows.located)


def normalised(text: str) -> str:
    r"""Return what two texts that say the same have in common.

    Unicode NFKC, case folded, space collapsed, punctuation at the end dropped.

    >>> normalised("  List the\n BUCKETS ...")
    'list the buckets'

    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    # Folding may leave letters and marks apart that were one.
    collapsed = " ".join(unicodedata.normalize("NFKC", folded).split())
    # A text that is nothing but punctuation is still that text.
    return _END.sub("", collapsed) or collapsed


_NAMES: Final[Mapping[str, str]] = MappingProxyType({
    "prompts": "prompts",
    "verbatim": "whole prompts",
    "pairs": "(task, answer) pairs",
    "answers": "answers",
})
"""Field of `Leakage` → what it is called."""


def _keys(sample: Sample) -> Keys:
    """Return what of a sample is looked for."""
    asked = next((m.content for m in reversed(sample.prompt) if m.role == "user"), "")
    prompt, answer = normalised(asked), normalised(sample.target)
    # A row without a task has its own id there, which says nothing of another file.
    own = sample.task_id == sample.id
    return {
        "prompts": prompt,
        "verbatim": sample.prompt_hash,
        "pairs": (own, prompt if own else sample.task_id, answer),
        "answers": answer,
    }


def _samples(located: Iterable[Located]) -> Iterator[Sample]:
    """Yield a sample per row, one at a time."""
    for row in located:
        yield from samples_of([row])
