"""The main process's memory: every result and completion arrives here once."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

import pytest

from pytest_awsbench.errors import InfraError
from pytest_awsbench.flags import ROOT
from pytest_awsbench.gateplan import GatePlan
from pytest_awsbench.ledger import Account
from pytest_awsbench.options import EXIT_INFRA
from pytest_awsbench.records import RIGHT, Result, answer_from_json
from pytest_awsbench.session import BenchSession, blamed
from pytest_awsbench.writing import RunWriter


SYMBOLS = {
    "exact": "✓",
    "complete": "✓",
    "miss": "✗",
    "truncated": "✗",
}
"""With ``-v``: right, or no command at all; all else is a command, but another one."""
ANOTHER = "~"
ASCII = {"✓": "+", "✗": "x"}
"""For terminals that cannot show them."""
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
        self.writer = RunWriter(bench)
        self.notes: list[str] = []
        self._judged = False
        self._told: set[tuple[tuple[str, str], str]] = set()
        self._infra: dict[str, str] = {}
        self._gates: dict[tuple[str, str], list[dict[str, str]]] = {}
        self._gate_ids = {
            f"{ROOT}::{'::'.join((*key, planned.name))}": (key, planned.name)
            for key, several in bench.gates.gates.items()
            for planned in several
        }

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Leave word of the run before anything is asked."""
        if not session.config.option.collectonly and self._bench.accounts:
            with blamed():
                self.writer.begin()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take what a report carries, and leave on it only what is shown."""
        self.record_completions(report.__dict__.pop("awsbench_completions", ()))
        lost = getattr(report, "awsbench_lost", None)
        if lost is not None:
            account = self._bench.accounts[lost["model"], lost["suite"]]
            account.lost.add(lost["sample_id"])
            self._infra[report.nodeid] = _reason(report)
            self._once(report, account)
        sent = report.__dict__.pop("awsbench", None)
        if sent is not None:
            account = self._bench.accounts[sent["model"], sent["suite"]]
            result = Result.from_json(sent["result"])
            account.results[sent["sample_id"]] = result
            account.lost.discard(sent["sample_id"])
            self._infra.pop(report.nodeid, None)
            self._bench.stopper.look(account)
            change = _change(account.was(result.sample_id), result.outcome)
            report.awsbench_shown = (result.outcome, change)  # type: ignore[attr-defined]
        self._note_gate(report)

    def _note_gate(self, report: pytest.TestReport) -> None:
        """Keep how a gate ended; of its three phases the one that decides."""
        decides = report.when == "call" or not report.passed
        if report.nodeid not in self._gate_ids or not decides:
            return
        key, name = self._gate_ids[report.nodeid]
        ended = {
            "name": name,
            "node_id": report.nodeid,
            "outcome": report.outcome,
            "reason": "" if report.passed else _reason(report),
        }
        self._gates.setdefault(key, []).append(ended)

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(
        self, report: pytest.TestReport
    ) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
        """Show an outcome as a word and a letter; faults of infrastructure apart."""
        if getattr(report, "awsbench_rerun", False):
            return "rerun", "R", ("RERUN", {"yellow": True})
        if hasattr(report, "awsbench_lost"):
            # pytest explains every error; those that only repeat one are counted.
            again = getattr(report, "awsbench_again", False)
            return "lost" if again else "error", "E", ("INFRA", {"red": True})
        shown = getattr(report, "awsbench_shown", None)
        if shown is None or not report.passed:
            return None
        outcome, change = shown
        colour = {"regressed": "red", "fixed": "green"}.get(change)
        if colour is None:
            colour = "green" if outcome in RIGHT else "yellow"
        symbol = SYMBOLS.get(outcome, ANOTHER)
        symbol = symbol if self._unicode else ASCII.get(symbol, symbol)
        word = f"{symbol} {outcome.upper()}" + (f" ({change})" if change else "")
        return outcome, LETTERS.get(outcome, "x"), (word, {colour: True})

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the run, and say what kind of failure this was."""
        bench = self._bench
        self.record_completions(bench.finished())
        self.notes += bench.opening_notes()
        if bench.role == "local":
            self.notes += bench.notes()
        for account in bench.accounts.values():
            account.journal.close()
        bench.stopper.close()
        self._set_exit_status(session)
        if any(account.results or account.lost for account in bench.accounts.values()):
            self.judge()
            notes = list(dict.fromkeys(self.notes))
            with blamed():
                status = int(session.exitstatus)
                self.writer.finish(status, notes, self._infra)
        else:
            self.writer.forget()

    def judge(self) -> None:
        """Settle all numbers, once every gate has run."""
        if not self._judged:
            self._judged = True
            self._adjust()
            self.writer.find(self._gates)

    @cached_property
    def _unicode(self) -> bool:
        """Whether the terminal shows all symbols; it is there once items run."""
        return _shows("".join(ASCII), self._bench.config)

    def _once(self, report: pytest.TestReport, account: Account) -> None:
        """Mark a loss whose reason was told for another item of the same model."""
        why = (account.key, str(report.longrepr))
        report.awsbench_again = why in self._told  # type: ignore[attr-defined]
        self._told.add(why)

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
        """75 where infrastructure failed, and nothing else: trying again may help."""
        failure = self._bench.failure
        accounts = self._bench.accounts.values()
        lost = any(account.lost for account in accounts)
        if isinstance(failure, InfraError) or (lost and not _red(accounts)):
            session.exitstatus = EXIT_INFRA
        elif failure is not None:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR


def _reason(report: pytest.TestReport) -> str:
    """Return why an item failed or was skipped."""
    longrepr = report.longrepr
    text = str(longrepr[2] if isinstance(longrepr, tuple) else longrepr or "")
    return text.removeprefix("Skipped: ")


def _red(accounts: Iterable[Account]) -> bool:
    """Whether a gate is red that no lost answer made so."""
    return any(
        v.red for account in accounts if not account.lost for v in account.verdicts
    )


def _shows(text: str, config: pytest.Config) -> bool:
    """Whether the terminal can show a text."""
    if not config.pluginmanager.hasplugin("terminalreporter"):
        return False
    stream = getattr(config.get_terminal_writer(), "_file", None)
    try:
        text.encode(getattr(stream, "encoding", None) or "ascii")
    except (LookupError, UnicodeEncodeError):
        return False
    return True


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
