"""The files of a run's reports: written when it ends, and again on request."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pytest_awsbench.errors import ReportError
from pytest_awsbench.reports.markdown import markdown_report
from pytest_awsbench.reports.reading import RunDocument


HTML = "report.html"
MARKDOWN = "report.md"
NEEDS = ("jinja2", "matplotlib")
"""What the page is made with: the extra ``[report]``."""


@dataclass(frozen=True, slots=True)
class Written:
    """What came of writing reports."""

    paths: tuple[Path, ...]
    problems: tuple[str, ...]
    """What could not be written, why, and what to do."""
    missing: str = ""
    """What is not installed, and how to get it."""


def write_reports(
    document: RunDocument, history: Sequence[Mapping[str, Any]] = ()
) -> Written:
    """Write ``report.md`` and ``report.html`` beside run.json.

    What cannot be written is a problem that is told, never an error: a report says
    nothing of a model that run.json does not.
    """
    paths, problems, missing = [], [], missing_extra()
    reports: dict[str, Callable[[], str]] = {
        MARKDOWN: lambda: markdown_report(document)
    }
    if not missing:
        reports[HTML] = lambda: html_report(document, history)
    for name, make in reports.items():
        path = document.folder / name
        problem = _write(path, make)
        if problem is None:
            paths.append(path)
        else:
            problems.append(f"{problem}; `awsbench report {path.parent}` tries again")
    return Written(tuple(paths), tuple(problems), missing)


def missing_extra() -> str:
    """Say what the page needs that is not installed; empty if nothing is."""
    lacking = [name for name in NEEDS if find_spec(name) is None]
    if not lacking:
        return ""
    return (
        f"no {HTML}: it needs {' and '.join(lacking)}:"
        ' pip install "pytest-awsbench[report]"'
    )


def write_page(
    path: Path, document: RunDocument, history: Sequence[Mapping[str, Any]] = ()
) -> None:
    """Write a page where it was asked for.

    Raises:
        ReportError: if it cannot be made or written.

    """
    if missing := missing_extra():
        raise ReportError(missing)
    problem = _write(path, lambda: html_report(document, history))
    if problem is not None:
        raise ReportError(problem)


def html_report(
    document: RunDocument, history: Sequence[Mapping[str, Any]] = ()
) -> str:
    """Return the page; what draws it is imported for it alone."""
    from pytest_awsbench.reports import html

    return html.html_report(document, history)


def _write(path: Path, make: Callable[[], str]) -> str | None:
    """Write one report; return what went wrong, if anything did."""
    try:
        path.write_text(make(), encoding="utf-8")
    except OSError as error:
        return f"{path} cannot be written ({error})"
    except Exception as error:  # noqa: BLE001 - a report must never fail a run
        return f"{path.name} cannot be made ({type(error).__name__}: {error})"
    return None
