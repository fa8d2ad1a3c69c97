"""pytest-xdist: whole chunks to workers, a share of the machine for each."""

from collections import Counter
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from pytest_awsbench.collection import RootCollector
from pytest_awsbench.errors import AwsbenchError, InfraError, ModelError
from pytest_awsbench.flags import ROOT
from pytest_awsbench.opening import sent_to_workers
from pytest_awsbench.recording import Recorder
from pytest_awsbench.session import BenchSession


CRASHES = 2
"""How often an item may take its worker down before it counts as lost."""


class ChunkScheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist is untyped
    """Hands out whole chunks, so that a prompt keeps its company.

    What crashed its worker is run once more; after that it is given up.
    """

    def __init__(self, config: pytest.Config, log: Any, units: dict[str, str]) -> None:
        super().__init__(config, log)
        self.crashes: Counter[str] = Counter()
        self._units = units

    def _split_scope(self, nodeid: str) -> str:
        """Return the chunk of an item; a test of the project is one by itself."""
        return self._units.get(nodeid, nodeid)

    def remove_node(self, node: Any) -> str | None:
        """Take a worker out; what it left is handed to others."""
        work = self.assigned_work[node]
        left = [n for unit in work.values() for n, done in unit.items() if not done]
        if not left:
            super().remove_node(node)
            return None
        crashed: str = left[0]
        self.crashes[crashed] += 1
        if self.crashes[crashed] >= CRASHES:
            work[self._split_scope(crashed)][crashed] = True
        # A unit without anything to do would be handed out, and never reported done.
        for unit in [unit for unit, items in work.items() if all(items.values())]:
            del work[unit]
        super().remove_node(node)
        return crashed


class Distribution:
    """What the main process does for its workers, and with what they leave behind."""

    def __init__(self, bench: BenchSession, recorder: Recorder) -> None:
        self._bench = bench
        self._recorder = recorder
        self._slots: dict[str, int] = {}

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(
        self, config: pytest.Config, log: Any
    ) -> ChunkScheduling | None:
        """Schedule chunks, unless the user asked for files, groups or copies."""
        if config.getoption("dist") not in {"load", "worksteal"}:
            return None
        return ChunkScheduling(config, log, dict(self._units()))

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Give a worker its place, and the answers that are kept."""
        taken = set(self._slots.values())
        slot = next(i for i in range(len(taken) + 1) if i not in taken)
        self._slots[node.gateway.id] = slot
        node.workerinput |= {
            "awsbench_wanted": True,
            "awsbench_slot": slot,
            "awsbench_recorded": self._recorded(),
            "awsbench_chunk_sizes": [
                (*key, account.limits.size)
                for key, account in self._bench.accounts.items()
            ],
            "awsbench_found": {k: [*v] for k, v in self._bench.options.found.items()},
            "awsbench_served": sent_to_workers(self._bench.prepared),
            "awsbench_decided": str(self._bench.stopper.folder.absolute()),
        }
        if self._bench.source is not None:
            node.workerinput["awsbench_env_url"] = self._bench.source.url

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Free a worker's place for the one that replaces it; hear why it stopped."""
        self._slots.pop(node.gateway.id, None)
        output = getattr(node, "workeroutput", None) or {}
        self._recorder.record_completions(output.get("awsbench_completions", []))
        self._recorder.notes += output.get("awsbench_notes", [])
        self._recorder.writer.devices += output.get("awsbench_devices", [])
        failure = output.get("awsbench_failure")
        if failure is not None and self._bench.failure is None:
            self._bench.failure = _revived(failure)

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(
        self, crashitem: str, report: pytest.TestReport, sched: Any
    ) -> None:
        """Blame the worker, not the model: run the item again, or count it as lost."""
        request = self._request_of(crashitem)
        if request is None or not isinstance(sched, ChunkScheduling):
            return
        if sched.crashes[crashitem] < CRASHES:
            # Neither passed nor failed: whoever runs it next will tell.
            report.outcome = "skipped"
            report.longrepr = (crashitem, 0, "its worker crashed; it is run again")
            report.awsbench_rerun = True  # type: ignore[attr-defined]
        else:
            report.awsbench_lost = request  # type: ignore[attr-defined]

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtestloop(
        self, session: pytest.Session
    ) -> Generator[None, object, object]:
        """Run the gates here, after the workers are done."""
        outcome = yield
        if self._bench.failure is None:
            self._run_gates(session)
        return outcome

    def _run_gates(self, session: pytest.Session) -> None:
        """Collect the gates, let pytest select among them, and run them."""
        items = list(_leaves(RootCollector.of(session, self._bench, gates_only=True)))
        # Not all plugins expect a second collection; these select.
        select = session.config.pluginmanager.subset_hook_caller(
            "pytest_collection_modifyitems",
            [session.config.pluginmanager.get_plugin("syrupy")],
        )
        select(session=session, config=session.config, items=items)
        session.items = items
        session.testscollected += len(items)
        for item, following in zip(items, [*items[1:], None], strict=True):
            item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.shouldfail:
                raise session.Failed(session.shouldfail)
            if session.shouldstop:
                raise session.Interrupted(session.shouldstop)

    def _units(self) -> Iterator[tuple[str, str]]:
        """Yield every item's node id and its chunk."""
        for model, suite in self._bench.accounts:
            for chunk in self._bench.chunks[model, suite]:
                for sample in chunk.samples:
                    prefix = f"{ROOT}::{model}::{suite}"
                    yield f"{prefix}::{sample.id}", f"{prefix}::chunk-{chunk.index}"

    def _recorded(self) -> list[dict[str, Any]]:
        """Return the answers that are kept, as plain values."""
        return [
            {
                "model": model,
                "suite": suite,
                "completions": [(i, c.to_json()) for i, c in account.recorded.items()],
            }
            for (model, suite), account in self._bench.accounts.items()
        ]

    def _request_of(self, nodeid: str) -> dict[str, str] | None:
        """Return which sample of which model a node id names."""
        for (model, suite), account in self._bench.accounts.items():
            sample_id = nodeid.removeprefix(f"{ROOT}::{model}::{suite}::")
            if sample_id != nodeid and any(
                s.id == sample_id for s in account.suite.samples
            ):
                return {"model": model, "suite": suite, "sample_id": sample_id}
        return None


def _leaves(node: pytest.Collector | pytest.Item) -> Iterator[pytest.Item]:
    """Yield the items below a node, without pytest's progress output."""
    if isinstance(node, pytest.Item):
        yield node
        return
    for child in node.collect():
        yield from _leaves(child)


def _revived(failure: dict[str, str]) -> AwsbenchError:
    """Return the error that a worker described."""
    kind = InfraError if failure["kind"] == "InfraError" else ModelError
    return kind(failure["message"])
