"""What GitHub Actions is told: errors of red gates, as workflow commands."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_awsbench.errors import ReportError
from pytest_awsbench.reports.headline import red_gates
from pytest_awsbench.reports.markdown import markdown_report
from pytest_awsbench.reports.reading import RunDocument
from pytest_awsbench.reports.visible import visible


WIDTH = 1_000
"""Characters of a message that are shown."""
_DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY = str.maketrans({
    "%": "%25",
    "\r": "%0D",
    "\n": "%0A",
    ":": "%3A",
    ",": "%2C",
})


def summarise(document: RunDocument, path: Path) -> None:
    """Append the markdown report to the summary of a step.

    Raises:
        ReportError: if the file cannot be written.

    """
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(markdown_report(document) + "\n")
    except OSError as error:
        raise ReportError(
            f"GITHUB_STEP_SUMMARY: {path} cannot be written: {error}"
        ) from error


def annotations(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield one ``::error`` for each red gate.

    Args:
        data: the document.

    """
    for node_id, reason in red_gates(data):
        yield error(node_id, reason)


def error(title: str, message: str) -> str:
    r"""Return a workflow command that marks a step with an error.

    >>> error("a,b", "50%\nmore")
    '::error title=a%2Cb::50%25%0Amore'
    """
    # Line breaks are sent as such; all else that shows nothing is made visible.
    lines = [visible(line) for line in message[:WIDTH].splitlines()]
    text = "\n".join(lines).translate(_DATA)
    return f"::error title={visible(title).translate(_PROPERTY)}::{text}"
