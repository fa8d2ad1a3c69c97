"""What a run says in the terminal: its header, its tables, its flips."""

from collections.abc import Iterator

import pytest

from pytest_awsbench.ledger import Account
from pytest_awsbench.recording import LETTERS, Recorder
from pytest_awsbench.records import RIGHT
from pytest_awsbench.remarks import claim_lines, gate_warnings
from pytest_awsbench.session import BenchSession
from pytest_awsbench.showing import explain
from pytest_awsbench.stats.status import Status
from pytest_awsbench.verdicts import line


FLIPS = 3
"""Node ids of changed items that are shown without ``-v``."""


class Summary:
    """Writes the header and one section per model and suite."""

    def __init__(self, bench: BenchSession, recorder: Recorder) -> None:
        self._bench = bench
        self._recorder = recorder

    def pytest_report_header(self) -> list[str]:
        """Say which models, which data and which baselines."""
        heads = [self._header(account) for account in self._bench.accounts.values()]
        # With pytest-xdist the main process collects nothing, and finishes nothing.
        distributed = self._bench.role == "controller"
        return heads + (gate_warnings(self._bench) if distributed else [])

    def pytest_report_collectionfinish(self) -> list[str]:
        """Say which gates cannot do what they are there for, before anything runs."""
        return [] if self._bench.options.collect_only else gate_warnings(self._bench)

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter
    ) -> None:
        """Write every section, and where the run is stored."""
        reporter = terminalreporter
        if self._bench.options.collect_only:
            return
        if self._bench.failure is not None:
            reporter.write_line(f"ERROR: awsbench: {self._bench.failure}", red=True)
            return
        for account in self._bench.accounts.values():
            self._section(reporter, account)
        self._comparisons(reporter)
        for text in claim_lines(self._bench):
            reporter.write_line(text)
        for note in dict.fromkeys(self._recorder.notes):
            reporter.write_line(f"note: {note}")
        if self._recorder.writer.folder is not None:
            reporter.write_line(f"run: {self._recorder.writer.folder}")

    def _header(self, account: Account) -> str:
        """Say who answers what, compared with what."""
        model, data = account.model, account.suite.data
        items, clusters = account.suite.counted
        subset = f", {data.subset}" if data.subset else ""
        head = (
            f"awsbench: model {model.name} = {model.description}"
            f"{f' (weights {model.digest[:8]})' if model.digest else ''}"
            f" | {account.suite.name} {data.name} ({data.samples} {items},"
            f" {data.tasks} {clusters}{subset}, {data.digest[:8]})"
            f" | {self._baseline(account)}"
        )
        leakage = account.suite.leakage
        more = [f"  {leakage.text}"] if leakage is not None else []
        more += [f"  warning: {w}" for w in account.suite.warnings]
        return "\n".join([head, *more])

    def _baseline(self, account: Account) -> str:
        """Say which baseline is there."""
        baseline = account.baseline
        if baseline is None:
            return "no baseline yet"
        packaged = "packaged " if account.baseline_path is None else ""
        plural = "s" if baseline.runs > 1 else ""
        return f"{packaged}baseline {baseline.date[:10]}, {baseline.runs} run{plural}"

    def _section(self, reporter: pytest.TerminalReporter, account: Account) -> None:
        """Write one model's section."""
        if not account.results and not account.lost:
            return
        model, suite = account.key
        reporter.write_sep("=", f"awsbench: {model} / {suite}")
        if account.missing and account.key in self._bench.stopper.decided:
            self._stopped(reporter, account)
            return
        if account.missing:
            self._partial(reporter, account)
            return
        from pytest_awsbench.tables import suite_lines

        writer = self._recorder.writer
        named = None if reporter.verbosity > 0 else FLIPS
        flips = writer.findings[account.key].flips
        for text in suite_lines(account, writer.figures[account.key], flips, named):
            red = "REGRESSED" in text or "INVALID" in text or "MISSED" in text
            reporter.write_line(text, red=red)
        if reporter.verbosity > 1 or set(reporter.reportchars) & set("pAP"):
            for text in _explained(account):
                reporter.write_line(text)

    def _partial(self, reporter: pytest.TerminalReporter, account: Account) -> None:
        """Show counts alone: a score of some items is not the suite's."""
        total = len(account.suite.samples)
        answered = total - len(account.missing)
        lost = f", {len(account.lost)} lost to infrastructure" if account.lost else ""
        reporter.write_line(
            f"partial: {answered} of {total} answered{lost}; no score, no verdict"
        )
        if account.lost:
            reporter.write_line(
                "run again with --awsbench-resume: only what is missing is asked",
                yellow=True,
            )

    def _stopped(self, reporter: pytest.TerminalReporter, account: Account) -> None:
        """Show verdicts alone: a run that stopped early has no score."""
        total = len(account.suite.samples)
        answered = total - len(account.missing)
        reporter.write_line(f"early stop: {answered} of {total} answered; no score")
        for verdict in account.verdicts:
            red = verdict.status is Status.REGRESSED
            reporter.write_line(line(verdict), red=red)

    def _comparisons(self, reporter: pytest.TerminalReporter) -> None:
        """Put the models of one run beside each other.

        Two get each difference with its interval; more, or some that lost answers, are
        ranked.
        """
        from pytest_awsbench.ranking import ranking_lines
        from pytest_awsbench.tables import comparison_lines

        writer = self._recorder.writer
        for ranking in writer.rankings.values():
            reporter.write_sep("=", f"awsbench: {ranking.suite}: {ranking.title}")
            for text in (*ranking_lines(ranking), *self._truncated(ranking.suite)):
                reporter.write_line(text)
        for pairs in writer.compared:
            suite = self._bench.suites[pairs[0].suite]
            if suite.name in writer.rankings:
                continue
            names = [pairs[0].first, *(pair.other for pair in pairs)]
            reporter.write_sep("=", f"awsbench: {suite.name}: {' | '.join(names)}")
            figures = {name: writer.figures[name, suite.name] for name in names}
            lines = comparison_lines(suite, figures, pairs)
            for text in (*lines, *self._truncated(suite.name)):
                reporter.write_line(text)

    def _truncated(self, suite: str) -> Iterator[str]:
        """Yield which models of a suite were cut off, if any."""
        from pytest_awsbench.truncation import truncated_line, truncation_of

        yield from truncated_line({
            account.model.name: truncation_of(account)
            for account in self._bench.accounts.values()
            if account.suite.name == suite
        })


def _explained(account: Account) -> Iterator[str]:
    """Yield every answer that is not exact, with prompt, target and difference."""
    for sample in account.suite.samples:
        result = account.results[sample.id]
        if result.outcome not in RIGHT:
            name = "::".join(("awsbench", *account.key, sample.id))
            letter = LETTERS.get(result.outcome, "x")
            yield f"\n{letter} {result.outcome}  {name}"
            yield explain(sample, result.completion)
