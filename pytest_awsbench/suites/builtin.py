"""The suite ``dataset``: one-shot answers on held-out prompts."""

from pathlib import Path

from pytest_awsbench import demo
from pytest_awsbench.suites import dataset
from pytest_awsbench.suites.suite import Suite


NAME = "dataset"


def load_dataset(
    source: str, *, split: str | None, max_per_combo: int | None, root: Path
) -> Suite:
    """Load the held-out prompts as a suite.

    Raises:
        DataError: naming file and row, where the data cannot be used.
        InfraError: if the Hub cannot be reached.

    """
    loaded = dataset.load(
        source,
        split=split,
        max_per_combo=max_per_combo,
        root=root,
        builtin=demo.DATASETS["heldout"],
    )
    return Suite(
        name=NAME,
        samples=loaded.samples,
        data=loaded.card,
        warnings=loaded.warnings,
    )
