"""Held-out prompts: a data set as samples, and what must be said of it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_awsbench.errors import ConfigError
from pytest_awsbench.records import DataCard, Sample
from pytest_awsbench.suites.rows import samples_of
from pytest_awsbench.suites.sources import read_rows
from pytest_awsbench.suites.suite import data_card


BUILTIN = "builtin"

Placed = tuple[str, Sample]
"""Where a sample's row stands, and the sample."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A loaded data set."""

    samples: tuple[Sample, ...]
    card: DataCard
    warnings: tuple[str, ...] = ()
    """What a report must say."""


def load(
    source: str,
    *,
    split: str | None,
    max_per_combo: int | None,
    root: Path,
    builtin: Path,
) -> Dataset:
    """Load a data set.

    Args:
        source: ``builtin``, a ``.jsonl`` or ``.parquet`` path, or a Hub id
            ``owner/name[@revision]``.
        split: of a Hub data set; None takes ``validation``, else ``test``, else the
            only one.
        max_per_combo: take the first K rows per (tier, source), in file order.
        root: what a relative path is relative to.
        builtin: the file that stands for ``builtin``.

    Raises:
        ConfigError: if `max_per_combo` is below 1.
        DataError: naming file and row, where the data cannot be used.
        InfraError: if the Hub cannot be reached and its cache does not do.

    """
    if max_per_combo is not None and max_per_combo < 1:
        raise ConfigError(f"max_per_combo = {max_per_combo}: must be at least 1")
    rows = read_rows(str(builtin) if source == BUILTIN else source, split, root)
    places = (where for where, _ in rows.located)
    placed = list(zip(places, samples_of(rows.located), strict=True))
    subset = ""
    if max_per_combo is not None:
        # After the ids were given: a subset has those of the whole.
        placed = list(_first(placed, max_per_combo))
        subset = f"max_per_combo={max_per_combo}"
    samples = tuple(sample for _, sample in placed)
    warnings = (*rows.notes, *_unanswerable(placed))
    return Dataset(samples, data_card(source, samples, subset), warnings)


def _first(placed: Iterable[Placed], count: int) -> Iterator[Placed]:
    """Yield the first samples of each tier and source."""
    taken: dict[tuple[str, str], int] = {}
    for where, sample in placed:
        combo = sample.tier, sample.source
        taken[combo] = taken.get(combo, 0) + 1
        if taken[combo] <= count:
            yield where, sample


def _unanswerable(placed: Iterable[Placed]) -> Iterator[str]:
    """Say which targets no answer can match."""
    odd = [(w, s) for w, s in placed if not s.target.startswith("aws ")]
    if odd:
        [(where, sample), *_] = odd
        many = "1 target is" if len(odd) == 1 else f"{len(odd)} targets are"
        yield (
            f"{many} not an AWS command (first: {where}, {sample.target!r:.40});"
            f" no answer can be exact there"
        )
