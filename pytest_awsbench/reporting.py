"""After a run: its reports, its place in the history, and what CI is told."""

from collections.abc import Generator
from pathlib import Path

import pytest

from pytest_awsbench.errors import ReportError
from pytest_awsbench.recording import Recorder
from pytest_awsbench.session import BenchSession


class Reporter:
    """Writes reports in the main process, once; what fails is a warning."""

    def __init__(self, bench: BenchSession, recorder: Recorder) -> None:
        self._bench = bench
        self._recorder = recorder
        self._written: tuple[Path, ...] = ()
        self._problems: list[str] = []
        self._errors: list[str] = []

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self) -> Generator[None, object, object]:
        """Report what the recorder wrote, before the terminal sums up."""
        result = yield
        folder = self._recorder.writer.folder
        if folder is not None:
            try:
                self._report(folder)
            except ReportError as error:
                self._problems.append(str(error))
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

    def _report(self, folder: Path) -> None:
        """Write everything that a finished run is told by."""
        from pytest_awsbench.reports.files import write_reports
        from pytest_awsbench.reports.github import annotations, summarise
        from pytest_awsbench.reports.history import add_to_history
        from pytest_awsbench.reports.reading import read_run

        options = self._bench.options
        document = read_run(folder)
        if options.annotate:
            self._errors = list(annotations(document.data))
        if options.step_summary is not None:
            summarise(document, options.step_summary)
        history = add_to_history(options.out, document.data)
        if options.settings.report:
            found = write_reports(document, history)
            self._written = found.paths
            self._problems += [*found.problems, *filter(None, [found.missing])]
