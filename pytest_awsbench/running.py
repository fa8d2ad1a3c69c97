"""Items on their way through one process: asked ahead, answered, reported."""

from collections.abc import Generator, Iterator

import pytest

from pytest_awsbench.collection import SampleItem
from pytest_awsbench.engine import describe
from pytest_awsbench.errors import AwsbenchError, InfraError
from pytest_awsbench.session import BenchSession, blamed
from pytest_awsbench.suites.env import NAME as ENV
from pytest_awsbench.userprompts import UserPrompts


class Runner:
    """Loads before the first item, asks ahead, and attaches results to reports."""

    def __init__(self, bench: BenchSession) -> None:
        self._bench = bench
        self._prompts = UserPrompts(bench)
        self._ahead: Iterator[pytest.Item] = iter(())

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Plan the prompts of all tests, before any is deselected."""
        self._prompts.plan(items)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Wait for the models before the first item, so that no item fails for them.

        A worker must not raise here: it stops, and the main process says why.
        """
        if self._bench.role == "controller" or session.config.option.collectonly:
            return None
        self._ahead = iter(session.items)
        self._select(session.items)
        if self._bench.role == "local":
            with blamed():
                self._load(session.items)
            return None
        try:
            self._load(session.items)
        except AwsbenchError as error:
            output = session.config.workeroutput  # type: ignore[attr-defined]
            output["awsbench_failure"] = describe(error)
            session.shouldstop = f"awsbench: {error}"
            return True
        return None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        """Have this item's chunk generated, and the next one after it."""
        self._ask(item)
        for upcoming in self._upcoming(item):
            if self._bench.engine.busy:
                return
            self._ask(upcoming)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Send results home on reports, as plain values."""
        report = yield
        if isinstance(item, SampleItem) and call.when == "call":
            _attach(report, item, call)
        if finished := self._bench.finished():
            report.awsbench_completions = finished  # type: ignore[attr-defined]
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Stop the engine; send home what no report carried."""
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output["awsbench_completions"] = self._bench.finished()
            output["awsbench_notes"] = self._bench.notes()
            output["awsbench_devices"] = self._bench.devices()
        self._bench.engine.close()
        if self._bench.source is not None:
            self._bench.source.close()

    def _select(self, items: list[pytest.Item]) -> None:
        """Say which samples are selected: no episode is played for nothing."""
        selected: dict[tuple[str, str], list[str]] = {}
        for item in items:
            if isinstance(item, SampleItem):
                selected.setdefault(item.request_key, []).append(item.sample.id)
        for key, sample_ids in selected.items():
            self._bench.answers[key].select(sample_ids)

    def _load(self, items: list[pytest.Item]) -> None:
        """Wait for the models, and for the environment, if any item needs them."""
        needing = [item for item in items if self._needs(item)]
        if needing:
            self._bench.engine.models()
        source = self._bench.source
        if source is not None and any(_is_live(item) for item in needing):
            source.preflight()

    def _needs(self, item: pytest.Item) -> bool:
        """Whether an item needs an answer that is not there yet."""
        request = self._prompts.request_of(item)
        return request is not None and not request[0].has(request[1])

    def _ask(self, item: pytest.Item) -> None:
        """Have an item's chunk generated."""
        request = self._prompts.request_of(item)
        if request is not None:
            request[0].request(request[1], self._bench.engine)

    def _upcoming(self, item: pytest.Item) -> Iterator[pytest.Item]:
        """Yield what runs next: all items here, or those that a worker was sent."""
        if self._bench.role == "local":
            return self._ahead
        return iter(_queued(item.session))


def _is_live(item: pytest.Item) -> bool:
    """Whether an item is played in an environment."""
    return isinstance(item, SampleItem) and item.suite == ENV


def _attach(
    report: pytest.TestReport, item: SampleItem, call: pytest.CallInfo[None]
) -> None:
    """Put an item's result on its report, or say that infrastructure lost it."""
    key = {"model": item.model, "suite": item.suite, "sample_id": item.sample.id}
    if item.result is not None:
        report.awsbench = {**key, "result": item.result.to_json()}  # type: ignore[attr-defined]
    elif call.excinfo is not None and call.excinfo.errisinstance(InfraError):
        report.awsbench_lost = key  # type: ignore[attr-defined]


def _queued(session: pytest.Session) -> list[pytest.Item]:
    """Return the items that this worker was sent and has not begun.

    pytest-xdist shows a hook only the next one; its queue is found by its shape, and
    without it nothing is asked ahead.
    """
    plugins = session.config.pluginmanager.get_plugins()
    worker = next((p for p in plugins if hasattr(p, "torun")), None)
    if worker is None:
        return []
    with worker.torun.lock() as queue:
        return [session.items[i] for i in queue if isinstance(i, int)]
