"""What a kept run says of answers that were cut off: what made its figures lower."""

from collections.abc import Iterator

from pytest_awsbench.reports.units import Document
from pytest_awsbench.truncation import Truncation, truncated_line, truncation_lines


def run_lines(run: Document, asked: Document) -> Iterator[str]:
    """Yield what was cut off of one model, as its table in the terminal says it.

    Args:
        run: the model on one suite.
        asked: the suite.

    """
    if run["truncation"] is None:
        return
    primary = asked["primary"]
    metrics = sorted(asked["metrics"], key=lambda metric: metric["name"] != primary)
    units = {metric["name"]: metric["unit"] for metric in metrics}
    yield from truncation_lines(Truncation.from_json(run["truncation"]), units)


def suite_line(data: Document, suite: str) -> Iterator[str]:
    """Yield which models were cut off on one suite, if any."""
    yield from truncated_line({
        run["model"]["name"]: Truncation.from_json(run["truncation"])
        for run in data["runs"]
        if run["suite"] == suite and run["truncation"] is not None
    })
