"""Suites as pytest sees them: a virtual tree of model, suite and items."""

from collections.abc import Generator, Iterable, Iterator
from typing import Any, Self

import pytest

from pytest_awsbench.errors import AwsbenchError
from pytest_awsbench.flags import ROOT, is_ours
from pytest_awsbench.garbage import collector_paused, keep_all
from pytest_awsbench.gateitems import GateItem, gates_of
from pytest_awsbench.records import RIGHT, Result, Sample
from pytest_awsbench.reports.visible import visible
from pytest_awsbench.session import BenchSession
from pytest_awsbench.showing import explain


class RegressedError(AssertionError):
    """An item that must not fail did (``strict = true``)."""


class SampleItem(pytest.Item):
    """One sample, asked of one model."""

    def __init__(
        self, *, bench: BenchSession, model: str, suite: str, sample: Sample, **kw: Any
    ) -> None:
        super().__init__(**kw)
        self.bench = bench
        self.model = model
        self.suite = suite
        self.sample = sample
        self.result: Result | None = None

    @property
    def request_key(self) -> tuple[str, str]:
        """Under which model and suite its answer is asked for."""
        return self.model, self.suite

    def runtest(self) -> None:
        """Wait for the answer and score it."""
        if self.bench.stopper.stops(self.request_key):
            pytest.skip("decided: no answer can change the verdict any more")
        self.result = self.bench.answer(self.model, self.suite, self.sample)
        self.user_properties += [
            ("awsbench_outcome", self.result.outcome),
            *((f"awsbench_{k}", v) for k, v in self.result.scores.items()),
        ]
        if self.result.outcome not in RIGHT:
            text = explain(self.sample, self.result.completion)
            self.add_report_section("call", "awsbench", text)
            self._strict(self.result)

    def _strict(self, result: Result) -> None:
        """Fail where ``strict`` is configured and a right answer became wrong."""
        if not self.bench.options.settings.strict:
            return
        was = self.bench.was(self.model, self.suite, self.sample.id)
        if was is None or was in RIGHT:
            before = f"{was} in the baseline" if was else "no baseline"
            raise RegressedError(f"{result.outcome} ({before}, strict = true)")

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None
    ) -> Any:
        """Say what failed in one line; a traceback of ours helps nobody."""
        if excinfo.errisinstance((AwsbenchError, RegressedError)):
            # A server's words may stand in it.
            return visible(str(excinfo.value))
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Any, int, str]:
        """Tell where the item stands: nowhere in a file."""
        return self.path, 0, self.name


class SuiteCollector(pytest.Collector):
    """All samples of a suite for one model; its gates last."""

    def __init__(
        self,
        *,
        bench: BenchSession,
        model: str,
        suite: str,
        gates_only: bool,
        **kw: Any,
    ) -> None:
        super().__init__(**kw)
        self.bench = bench
        self.model = model
        self.suite = suite
        self._gates_only = gates_only
        self.add_marker(suite)

    def collect(self) -> Iterator[pytest.Item]:
        """Yield samples in the order in which they are generated, then gates."""
        if not self._gates_only:
            yield from self._samples()
        if self._gates_only or self.bench.role == "local":
            for gate in gates_of(self.bench, self.model, self.suite):
                yield GateItem.from_parent(
                    self,
                    name=gate.name,
                    callobj=gate.call,
                    bench=self.bench,
                    model=self.model,
                    suite=self.suite,
                )

    def _samples(self) -> Iterator[SampleItem]:
        """Yield one item per sample."""
        for chunk in self.bench.chunks[self.model, self.suite]:
            for sample in chunk.samples:
                yield SampleItem.from_parent(
                    self,
                    name=sample.id,
                    bench=self.bench,
                    model=self.model,
                    suite=self.suite,
                    sample=sample,
                )


class ModelCollector(pytest.Collector):
    """All suites of one model."""

    def __init__(self, *, bench: BenchSession, gates_only: bool, **kw: Any) -> None:
        super().__init__(**kw)
        self.bench = bench
        self._gates_only = gates_only

    def collect(self) -> Iterator[pytest.Collector]:
        """Yield one collector per suite."""
        for suite in self.bench.suites:
            yield SuiteCollector.from_parent(
                self,
                name=suite,
                bench=self.bench,
                model=self.name,
                suite=suite,
                gates_only=self._gates_only,
            )


class RootCollector(pytest.Collector):
    """All models of a run."""

    def __init__(self, *, bench: BenchSession, gates_only: bool, **kw: Any) -> None:
        super().__init__(**kw)
        self.bench = bench
        self._gates_only = gates_only

    @classmethod
    def of(
        cls, session: pytest.Session, bench: BenchSession, *, gates_only: bool = False
    ) -> Self:
        """Hang the tree below the session.

        Its path is the root folder: with any other, pytest would hide the hooks of
        the root ``conftest.py`` from our items.
        """
        root: Self = cls.from_parent(
            session,
            name=ROOT,
            path=bench.options.root,
            nodeid=ROOT,
            bench=bench,
            gates_only=gates_only,
        )
        return root

    def collect(self) -> Iterator[pytest.Collector]:
        """Yield one collector per model."""
        for model in self.bench.prepared:
            yield ModelCollector.from_parent(
                self, name=model, bench=self.bench, gates_only=self._gates_only
            )


class Collection:
    """Adds the suites to what pytest collects, and puts gates last."""

    def __init__(self, bench: BenchSession) -> None:
        self._bench = bench
        self._selected: list[str] = []

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection(
        self, session: pytest.Session
    ) -> Generator[None, object, object]:
        """Take node ids of ours out of the arguments: they name no file."""
        config = session.config
        self._selected = [arg for arg in config.args if is_ours(arg)]
        config.args[:] = [arg for arg in config.args if not is_ours(arg)]
        with collector_paused():
            result = yield
        keep_all()
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Append the tree to what the session itself collects."""
        report = yield
        if isinstance(collector, pytest.Session) and report.passed:
            report.result.append(RootCollector.of(collector, self._bench))
        return report

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Deselect what the node ids on the command line do not name."""
        if self._selected:
            deselect(config, items, self._unselected(items))

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Put gates last, after all that may reorder."""
        session.items.sort(key=lambda item: isinstance(item, GateItem))

    def _unselected(self, items: Iterable[pytest.Item]) -> list[pytest.Item]:
        """Return our items that no argument names; refuse an argument without any.

        Raises:
            pytest.UsageError: naming the argument that matches nothing.

        """
        ours = [item for item in items if is_ours(item.nodeid)]
        for arg in self._selected:
            known = (*self._bench.node_ids, *(item.nodeid for item in ours))
            if not any(_below(nodeid, arg) for nodeid in known):
                raise pytest.UsageError(f"not found: {arg} (no such item or suite)")
        return [
            item
            for item in ours
            if not any(_below(item.nodeid, arg) for arg in self._selected)
        ]


def deselect(
    config: pytest.Config, items: list[pytest.Item], drop: list[pytest.Item]
) -> None:
    """Take items out of a collection, the way pytest counts them."""
    if drop:
        gone = set(drop)
        config.hook.pytest_deselected(items=drop)
        items[:] = [item for item in items if item not in gone]


def _below(nodeid: str, arg: str) -> bool:
    """Whether a node is what an argument names, or stands below it."""
    return nodeid == arg or nodeid.startswith(f"{arg}::")
