"""The main process's memory: every result and completion arrives here once."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_awsbench.errors import InfraError
from pytest_awsbench.flags import ROOT
from pytest_awsbench.gateplan import GatePlan
from pytest_awsbench.records import RIGHT, Result, answer_from_json
from pytest_awsbench.runfile import episode_rows, run_document
from pytest_awsbench.session import (
    EXIT_INFRA,
    BenchSession,
    blamed,
    library_versions,
)
from pytest_awsbench.stores import write_run


LETTERS = {
    "exact": ".",
    "operation": "o",
    "service": "s",
    "format": "f",
    "miss": "m",
    "truncated": "t",
    "complete": ".",
    "partly": "p",
    "incomplete": "i",
}


class Recorder:
    """Keeps results, journals completions, and decides the exit status."""

    def __init__(self, bench: BenchSession) -> None:
        self._bench = bench
        self.notes: list[str] = []
        self.folder: Path | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take what a report carries, and leave on it only what is shown."""
        self.record_completions(report.__dict__.pop("awsbench_completions", ()))
        lost = getattr(report, "awsbench_lost", None)
        if lost is not None:
            account = self._bench.accounts[lost["model"], lost["suite"]]
            account.lost.add(lost["sample_id"])
        sent = report.__dict__.pop("awsbench", None)
        if sent is not None:
            account = self._bench.accounts[sent["model"], sent["suite"]]
            result = Result.from_json(sent["result"])
            account.results[sent["sample_id"]] = result
            account.lost.discard(sent["sample_id"])
            self._bench.stopper.look(account)
            change = _change(account.was(result.sample_id), result.outcome)
            report.awsbench_shown = (result.outcome, change)  # type: ignore[attr-defined]

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(
        self, report: pytest.TestReport
    ) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
        """Show an outcome as a word and a letter; faults of infrastructure apart."""
        if getattr(report, "awsbench_rerun", False):
            return "rerun", "R", ("RERUN", {"yellow": True})
        if hasattr(report, "awsbench_lost"):
            return "error", "E", ("INFRA", {"red": True})
        shown = getattr(report, "awsbench_shown", None)
        if shown is None or not report.passed:
            return None
        outcome, change = shown
        colour = {"regressed": "red", "fixed": "green"}.get(change)
        if colour is None:
            colour = "green" if outcome in RIGHT else "yellow"
        word = outcome.upper() + (f" ({change})" if change else "")
        return outcome, LETTERS.get(outcome, "x"), (word, {colour: True})

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the run, and say what kind of failure this was."""
        bench = self._bench
        self.record_completions(bench.finished())
        if bench.role == "local":
            self.notes += bench.notes()
        for account in bench.accounts.values():
            account.journal.close()
        bench.stopper.close()
        if any(account.results for account in bench.accounts.values()):
            self._adjust()
            with blamed():
                document = run_document(
                    list(bench.accounts.values()),
                    date=bench.date,
                    versions=library_versions(),
                    notes=list(dict.fromkeys(self.notes)),
                )
                keep = bench.options.settings.keep_runs
                episodes = episode_rows(bench.accounts.values())
                self.folder = write_run(bench.options.out, document, keep, episodes)
        self._set_exit_status(session)

    def _adjust(self) -> None:
        """Adjust p for all gates that share the session's alpha, now that all ran."""
        from pytest_awsbench.judging import adjusted

        spenders = self._bench.gates.spenders
        shared = [
            (account, place)
            for key, account in self._bench.accounts.items()
            for place, verdict in enumerate(account.verdicts)
            if (key, verdict.name) in spenders
        ]
        found = adjusted([a.verdicts[n] for a, n in shared], len(spenders))
        for (account, place), verdict in zip(shared, found, strict=True):
            account.verdicts[place] = verdict

    def record_completions(self, sent: Iterable[Mapping[str, Any]]) -> None:
        """Journal completions, whichever process generated them."""
        for entry in sent:
            account = self._bench.accounts.get((entry["model"], entry["suite"]))
            if account is not None:
                rows = [(i, answer_from_json(row)) for i, row in entry["completions"]]
                account.journal.append(rows)
                account.meter.note(rows, entry["ages"], entry["began"])

    def _set_exit_status(self, session: pytest.Session) -> None:
        """75 where infrastructure failed: trying again may help."""
        failure = self._bench.failure
        lost = any(account.lost for account in self._bench.accounts.values())
        if lost or isinstance(failure, InfraError):
            session.exitstatus = EXIT_INFRA
        elif failure is not None:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR


class GateMemory:
    """Keeps a failed gate among the last failed after a partial run skipped it.

    pytest forgets what is skipped; then ``--lf`` would find nothing to repair.
    """

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Iterator[None]:
        """Put a gate back that pytest forgets."""
        plugin = self._config.pluginmanager.get_plugin("lfplugin")
        failed = getattr(plugin, "lastfailed", {})
        # Newer versions of pytest remember a value of its own, and no text.
        key = getattr(report, "id", report.nodeid)
        forgets = report.skipped and key in failed and self._is_gate(report.nodeid)
        yield
        if forgets:
            failed[key] = True

    def __init__(self, config: pytest.Config, gates: GatePlan) -> None:
        self._config = config
        self._gates = {
            f"{ROOT}::{'::'.join((*key, planned.name))}"
            for key, several in gates.gates.items()
            for planned in several
        }

    def _is_gate(self, nodeid: str) -> bool:
        """Whether a node id is a gate's, whatever its title."""
        return nodeid in self._gates


def _change(was: str | None, now: str) -> str:
    """Say how an outcome changed against the baseline, in terms of right and wrong."""
    if was is None or (was in RIGHT) == (now in RIGHT):
        return ""
    return "fixed" if now in RIGHT else "regressed"
