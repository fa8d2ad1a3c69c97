"""A run's folder: begun before the first item, finished after the last gate."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_awsbench.earlier import new_side, side_of_account, side_of_baseline
from pytest_awsbench.figures import Figures, Ranking, SideBySide
from pytest_awsbench.flips import Flip, OldSide, flips_of
from pytest_awsbench.hardware import hardware
from pytest_awsbench.ledger import Account, this_run
from pytest_awsbench.remarks import claim_lines, gate_warnings
from pytest_awsbench.runfile import (
    Findings,
    Head,
    Story,
    Tail,
    episode_rows,
    run_document,
)
from pytest_awsbench.session import BenchSession, library_versions
from pytest_awsbench.stores import (
    find_baseline,
    new_folder,
    prune,
    write_episodes,
    write_run,
)


CUT_SHORT = {pytest.ExitCode.INTERRUPTED, pytest.ExitCode.INTERNAL_ERROR}
"""Exit statuses of a run that did not come to its end."""


class RunWriter:
    """Writes run.json twice: when a run begins, and when it ends."""

    def __init__(self, bench: BenchSession) -> None:
        self._bench = bench
        self._started = time.monotonic()
        self._offsets: dict[tuple[str, str], int] = {}
        self.devices: list[str] = []
        self.folder: Path | None = None
        self.findings: dict[tuple[str, str], Findings] = {}
        self.compared: list[list[SideBySide]] = []
        self.rankings: dict[str, Ranking] = {}
        """By suite, where more than two models were asked, or answers are lost."""

    @property
    def figures(self) -> dict[tuple[str, str], Figures]:
        """What complete accounts show."""
        found = self.findings.items()
        return {key: one.figures for key, one in found if one.figures is not None}

    @property
    def seconds(self) -> float:
        """Seconds since the session began."""
        return time.monotonic() - self._started

    def begin(self) -> None:
        """Leave word of a run that may be killed.

        Raises:
            StoreError: if the output folder cannot be written.

        """
        bench = self._bench
        self._opened()
        for key, account in bench.accounts.items():
            kept = bool(account.recorded)
            self._offsets[key] = 0 if kept else account.journal.size
            self.findings[key] = Findings(journal_offset=self._offsets[key])
        self._write(self._story())

    def forget(self) -> None:
        """Leave nothing of a run that answered nothing."""
        if self.folder is not None:
            for path in self.folder.iterdir():
                path.unlink()
            self.folder.rmdir()
            self.folder = None

    def finish(
        self,
        exit_status: int,
        notes: Sequence[str],
        infra: Mapping[str, str],
    ) -> None:
        """Write everything, and clean up what is old.

        Args:
            exit_status: of the run.
            notes: what a reader must know.
            infra: node id → why infrastructure lost it.

        Raises:
            StoreError: if the output folder cannot be written.

        """
        bench = self._bench
        folder = self._opened()
        tail = Tail(
            status="incomplete" if exit_status in CUT_SHORT else "complete",
            exit_status=int(exit_status),
            duration=round(self.seconds, 3),
            notes=notes,
            infra=[{"node_id": i, "reason": why} for i, why in infra.items()],
            claims=list(claim_lines(bench)),
            comparisons=[pair for compared in self.compared for pair in compared],
            rankings=list(self.rankings.values()),
        )
        self._write(replace(self._story(), tail=tail))
        write_episodes(folder, episode_rows(bench.accounts.values()))
        prune(bench.options.out, bench.options.settings.keep_runs)

    def find(
        self, gates: Mapping[tuple[str, str], Sequence[Mapping[str, str]]]
    ) -> None:
        """Compute what every account shows, and complete models beside each other.

        Args:
            gates: how the items of gates ended, by model and suite.

        """
        from pytest_awsbench.measuring import figures_of, side_by_side
        from pytest_awsbench.ranking import ranking_of

        accounts = self._bench.accounts
        for key, account in accounts.items():
            whole = bool(account.results) and not account.missing
            self.findings[key] = Findings(
                figures=figures_of(account) if whole else None,
                flips=self._flips(account) if whole else (),
                gates=gates.get(key, ()),
                throughput=account.throughput,
                journal_offset=self._offsets.get(key, 0),
            )
        for suite in self._bench.suites.values():
            asked = [one for one in accounts.values() if one.suite is suite]
            whole_ones = [one for one in asked if self.findings[one.key].figures]
            ranking = ranking_of(asked)
            if ranking is not None:
                self.rankings[suite.name] = ranking
            if len(whole_ones) > 1:
                self.compared.append(list(side_by_side(whole_ones)))

    def _flips(self, account: Account) -> list[Flip]:
        """Return the items of an account that changed, with their old answers."""
        versions = library_versions()
        labels = {v.against for v in account.verdicts if v.regressed or v.fixed}
        olds = {label: self._side(account, label, versions) for label in labels}
        known = {label: side for label, side in olds.items() if side is not None}
        return list(flips_of(account.verdicts, new_side(account, versions), known))

    def _side(
        self, account: Account, label: str, versions: Mapping[str, str]
    ) -> OldSide | None:
        """Return what a verdict's label stands for."""
        options, suite = self._bench.options, account.suite
        name = label.partition(", ")[0]
        other = self._bench.accounts.get((name, suite.name))
        if other is not None and label == this_run(name):
            return side_of_account(other, versions)
        baseline = account.baseline
        if label:
            spec = options.known.get(name)
            baseline, _ = find_baseline(options.baselines, name, spec, suite)
        if baseline is None:
            return None
        backend = account.model.backend
        return side_of_baseline(options.out, baseline, self._opened().name, backend)

    def _opened(self) -> Path:
        """Return the run's folder."""
        if self.folder is None:
            self.folder = new_folder(self._bench.options.out)
        return self.folder

    def _story(self) -> Story:
        """Return what is known of the run so far."""
        bench = self._bench
        arguments = bench.config.invocation_params.args
        return Story(
            Head(
                id=self._opened().name,
                date=bench.date,
                command=["pytest", *map(str, arguments)],
                versions=library_versions(),
                hardware=hardware([*self.devices, *bench.devices()]),
                warnings=[
                    text.removeprefix("awsbench: warning: ")
                    for text in gate_warnings(bench)
                ],
            ),
            bench.options.out,
            findings=self.findings,
        )

    def _write(self, story: Story) -> None:
        """Write the document."""
        document = run_document(story, list(self._bench.accounts.values()))
        write_run(self._opened(), document)
