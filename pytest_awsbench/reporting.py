"""After a run: its reports, its place in the history, and what CI is told."""

from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_awsbench.errors import ReportError
from pytest_awsbench.garbage import collector_paused
from pytest_awsbench.recording import Recorder
from pytest_awsbench.session import BenchSession


if TYPE_CHECKING:
    from pytest_awsbench.reports.reading import RunDocument


class Reporter:
    """Writes reports in the main process, once; what fails is a warning."""

    def __init__(self, bench: BenchSession, recorder: Recorder) -> None:
        self._bench = bench
        self._recorder = recorder
        self._written: tuple[Path, ...] = ()
        self._problems: list[str] = []
        self._errors: list[str] = []
        self._history: list[dict[str, Any]] = []

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self) -> Generator[None, object, object]:
        """Report what the recorder wrote, before the terminal sums up."""
        result = yield
        folder = self._recorder.writer.folder
        if folder is not None:
            with collector_paused():
                self._attempt(lambda: self._report(folder))
        return result

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter
    ) -> None:
        """Name the report, and what could not be written."""
        for text in self._problems:
            terminalreporter.write_line(f"warning: {text}", yellow=True)
        for path in self._written[-1:]:
            terminalreporter.write_line(f"report: {self._near(path)}")
        for text in self._errors:
            terminalreporter.write_line(text)

    def _near(self, path: Path) -> Path:
        """Return a path as seen from where pytest was started, if it is below."""
        here = self._bench.config.invocation_params.dir
        return path.relative_to(here) if path.is_relative_to(here) else path

    def _attempt(self, step: Callable[[], None]) -> None:
        """Do something that may fail without failing the run."""
        try:
            step()
        except ReportError as error:
            self._problems.append(str(error))

    def _report(self, folder: Path) -> None:
        """Write everything that a finished run is told by."""
        from pytest_awsbench.reports.reading import read_run

        document = read_run(folder)
        self._attempt(lambda: self._tell_github(document))
        self._attempt(lambda: self._remember(document))
        if self._bench.options.settings.report:
            self._attempt(lambda: self._draw(document))

    def _tell_github(self, document: "RunDocument") -> None:
        """Annotate red gates, and append to the summary of the step."""
        from pytest_awsbench.reports.github import annotations, summarise

        options = self._bench.options
        if options.annotate:
            self._errors = list(annotations(document.data))
        if options.step_summary is not None:
            summarise(document, options.step_summary)

    def _remember(self, document: "RunDocument") -> None:
        """Add the run to the history."""
        from pytest_awsbench.reports.history import add_to_history

        self._history = add_to_history(self._bench.options.out, document.data)

    def _draw(self, document: "RunDocument") -> None:
        """Write the reports that people look at."""
        from pytest_awsbench.reports.files import write_reports

        found = write_reports(document, self._history)
        self._written = found.paths
        self._problems += [*found.problems, *filter(None, [found.missing])]
