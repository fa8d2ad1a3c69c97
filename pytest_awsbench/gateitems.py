"""Gates as pytest items: always last, always in the main process."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from pytest_awsbench.baselines import Baseline
from pytest_awsbench.config import GateTable
from pytest_awsbench.errors import AwsbenchError, ConfigError
from pytest_awsbench.gates import Gate, Verdict, line
from pytest_awsbench.ledger import Account, arm_of
from pytest_awsbench.records import Arm
from pytest_awsbench.scoring.episodes import CONDITIONAL
from pytest_awsbench.session import BenchSession
from pytest_awsbench.snapshots import accept
from pytest_awsbench.stats.status import Status
from pytest_awsbench.stores import find_baseline


class GateFailedError(AssertionError):
    """A gate is red; the message is the verdict."""


@dataclass(frozen=True, slots=True)
class GateCall:
    """A gate's name and what runs when its turn comes."""

    name: str
    call: Callable[..., Any]


class GateItem(pytest.Function):
    """A gate; a function, so that it may use fixtures."""

    def __init__(
        self, *, bench: BenchSession, model: str, suite: str, **kw: Any
    ) -> None:
        super().__init__(**kw)
        self.bench = bench
        self.model = model
        self.suite = suite
        self.add_marker("gate")
        if self.config.pluginmanager.hasplugin("rerunfailures"):
            # Running a gate again until it is green would defeat it.
            self.add_marker(pytest.mark.flaky(reruns=0))

    @property
    def account(self) -> Account:
        """What is known of its model and suite."""
        return self.bench.accounts[self.model, self.suite]

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None
    ) -> Any:
        """Say the verdict; a traceback of ours helps nobody."""
        if excinfo.errisinstance((GateFailedError, AwsbenchError)):
            return str(excinfo.value)
        del style  # pytest's functions choose it by themselves
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Any, int, str]:
        """Tell where the item stands: nowhere in a file."""
        return self.path, 0, self.name


def gates_of(bench: BenchSession, model: str, suite: str) -> Iterator[GateCall]:
    """Yield the gates of a model and suite: configured ones, then those of hooks."""
    gates: list[Gate | Callable[..., Any]] = [
        _gate(bench, model, table)
        for table in bench.options.settings.gates
        if table.suite == suite and table.applies_to(model)
    ]
    if not gates:
        primary = GateTable(suite=suite, metric=bench.suites[suite].primary)
        gates.append(_gate(bench, model, primary))
    for more in bench.config.hook.pytest_awsbench_gates(
        config=bench.config, model=model, suite=suite
    ):
        gates += [more] if isinstance(more, Gate) or callable(more) else more
    taken: dict[str, int] = {}
    for gate in gates:
        name, call = _named(gate)
        taken[name] = taken.get(name, 0) + 1
        suffix = f"-{taken[name]}" if taken[name] > 1 else ""
        yield GateCall(name + suffix, call)


def check_gates(bench: BenchSession) -> None:
    """Refuse gates that name what does not exist, before anything is loaded.

    Raises:
        ConfigError: naming the gate, and what there is.

    """
    own_metrics = bool(bench.config.hook.pytest_awsbench_score.get_hookimpls())
    for number, table in enumerate(bench.options.settings.gates):
        where = f"[tool.awsbench] gates.{number}"
        if table.suite not in {*bench.suites, "dataset", "env"}:
            known = ", ".join(bench.suites)
            raise ConfigError(f"{where}.suite = {table.suite!r}: known: {known}")
        if table.suite == "env" and table.metric in CONDITIONAL:
            raise ConfigError(
                f"{where}.metric = {table.metric!r} is shown, but cannot be gated:"
                f" {CONDITIONAL[table.metric]}"
            )
        suite = bench.suites.get(table.suite)
        if suite and table.metric not in suite.scorers and not own_metrics:
            known = ", ".join(suite.scorers)
            raise ConfigError(f"{where}.metric = {table.metric!r}: known: {known}")
        if suite and table.metric in suite.lower:
            raise ConfigError(
                f"{where}.metric = {table.metric!r}: less of it is better, and a gate"
                " judges what may not drop; gate completion_rate"
            )
        if table.against is not None and table.against not in bench.options.known:
            known = ", ".join(bench.options.known)
            raise ConfigError(f"{where}.against = {table.against!r}: known: {known}")


def _gate(bench: BenchSession, model: str, table: GateTable) -> Gate:
    """Return a configured gate as the library judges it."""
    return Gate(
        suite=table.suite,
        metric=table.metric,
        min=table.min,
        max=table.max,
        max_drop=table.max_drop,
        margin=table.margin,
        alpha=table.alpha,
        # A model compared with itself says nothing; its own baseline does.
        against=table.against if table.against != model else None,
        inconclusive=table.inconclusive or bench.options.settings.inconclusive,
    )


def _named(gate: Gate | Callable[..., Any]) -> tuple[str, Callable[..., Any]]:
    """Return a gate's name and the function that its item runs."""
    if not isinstance(gate, Gate):
        name = gate.__name__.removeprefix("gate_")
        return f"gate-{name}", gate

    def judge_gate(request: pytest.FixtureRequest) -> None:
        _judge(request.node, gate)

    return gate.name, judge_gate


def _judge(item: GateItem, gate: Gate) -> None:
    """Judge a gate on everything measured; red is an exception.

    Raises:
        GateFailedError: the verdict, where it is red.

    """
    # Statistics need numpy, which listing and answering do without.
    from pytest_awsbench.judging import judge

    account, bench = item.account, item.bench
    skip_partial(bench, account)
    verdict = judge(
        gate,
        arm_of(bench.run_of(account), account.suite, account.model.name),
        _old(bench, account, gate),
        lost=sorted(account.lost),
    )
    account.verdicts.append(verdict)
    item.user_properties += [
        (f"awsbench_{key}", value)
        for key, value in verdict.to_json().items()
        if isinstance(value, str | int | float | bool)
    ]
    if not account.lost:
        fresh = Baseline.from_run(bench.run_of(account), account.suite.versions)
        accept(item, account, fresh)
    _raise_if_red(verdict, account, required=bench.options.settings.require_gates)


def _raise_if_red(verdict: Verdict, account: Account, *, required: bool) -> None:
    """Fail or skip the item, as the verdict says."""
    missed = verdict.threshold_missed is not None
    accepted = account.accepted and not missed
    if verdict.red and not accepted:
        raise GateFailedError(line(verdict))
    if verdict.status is Status.SKIPPED and not accepted and not verdict.thresholds:
        reason = "; ".join(verdict.notes) or "no baseline"
        if required:
            raise GateFailedError(f"{verdict.name}: {reason} (require_gates = true)")
        pytest.skip(reason)


def skip_partial(bench: BenchSession, account: Account) -> None:
    """Skip what needs all answers where some were not asked for.

    Answers lost to infrastructure are another matter: they make a gate INVALID.
    """
    bench.complete(account)
    absent = [i for i in account.missing if i not in account.lost]
    if not absent:
        return
    total = len(account.suite.samples)
    reason = f"partial: {total - len(absent)}/{total} answered"
    if bench.options.update:
        reason += "; the baseline is not touched"
    if bench.options.settings.require_gates:
        raise GateFailedError(f"{reason} (require_gates = true)")
    pytest.skip(reason)


def _old(bench: BenchSession, account: Account, gate: Gate) -> Arm | None:
    """Return what a gate compares with: a baseline, or a model of the same run."""
    if gate.against is None:
        baseline = account.baseline
        return baseline.arm("baseline") if baseline else None
    other = bench.accounts.get((gate.against, account.suite.name))
    if other is not None:
        bench.complete(other)
        if not other.missing:
            return arm_of(bench.run_of(other), other.suite, f"{gate.against}, this run")
    spec = bench.options.known.get(gate.against)
    found, _ = find_baseline(bench.options.baselines, gate.against, spec, account.suite)
    return found.arm(f"{gate.against}, baseline") if found else None
