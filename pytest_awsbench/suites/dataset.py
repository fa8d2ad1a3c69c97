"""Held-out prompts: a data set as samples, and what must be said of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pytest_awsbench.records import DataCard, Sample
from pytest_awsbench.suites.rows import samples_of
from pytest_awsbench.suites.sources import read_rows
from pytest_awsbench.suites.suite import data_card


BUILTIN = "builtin"


@dataclass(frozen=True, slots=True)
class Dataset:
    """A loaded data set."""

    samples: tuple[Sample, ...]
    card: DataCard
    warnings: tuple[str, ...] = ()


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
            ``[@revision]``.
        split: of a Hub data set.
        max_per_combo: take the first K rows per (tier, source), in file order.
        root: what a relative path is relative to.
        builtin: the file that stands for ``builtin``.

    Raises:
        DataError: naming file and row, where the data cannot be used.
        InfraError: if the Hub cannot be reached.

    """
    place = str(builtin) if source == BUILTIN else source
    samples = tuple(samples_of(read_rows(place, split, root)))
    subset = ""
    if max_per_combo is not None:
        samples = tuple(_first(samples, max_per_combo))
        subset = f"max_per_combo={max_per_combo}"
    card = data_card(source, samples, subset)
    return Dataset(samples, card, tuple(_warnings(samples)))


def _first(samples: Iterable[Sample], count: int) -> Iterable[Sample]:
    """Yield the first samples of each tier and source."""
    taken: dict[tuple[str, str], int] = {}
    for sample in samples:
        combo = sample.tier, sample.source
        taken[combo] = taken.get(combo, 0) + 1
        if taken[combo] <= count:
            yield sample


def _warnings(samples: Iterable[Sample]) -> Iterable[str]:
    """Say which targets no answer can match."""
    odd = [sample.id for sample in samples if not sample.target.startswith("aws ")]
    if odd:
        yield (
            f"{len(odd)} targets are no AWS command (first: {odd[0]});"
            " no answer can be right there"
        )
