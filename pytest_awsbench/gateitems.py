"""Gates as pytest items: always last, always in the main process."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from pytest_awsbench.baselines import Baseline
from pytest_awsbench.confirming import confirmed
from pytest_awsbench.errors import AwsbenchError
from pytest_awsbench.gates import Gate, GateFailedError, Verdict
from pytest_awsbench.ledger import Account, arm_of, this_run
from pytest_awsbench.records import Arm
from pytest_awsbench.session import BenchSession
from pytest_awsbench.snapshots import accept
from pytest_awsbench.stats.status import Status
from pytest_awsbench.stores import find_baseline
from pytest_awsbench.verdicts import line


FIRST = "no baseline before this run"


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
    """Yield the gates of a model and suite as what their items run."""
    for planned in bench.gates.gates[model, suite]:
        yield GateCall(planned.name, _call(planned.gate))


def _call(gate: Gate | Callable[..., Any]) -> Callable[..., Any]:
    """Return the function that a gate's item runs."""
    if not isinstance(gate, Gate):
        return gate

    def judge_gate(request: pytest.FixtureRequest) -> None:
        _judge(request.node, gate)

    return judge_gate


def _judge(item: GateItem, gate: Gate) -> None:
    """Judge a gate on everything measured; red is an exception.

    Raises:
        GateFailedError: the verdict, where it is red.

    """
    # Statistics need numpy, which listing and answering do without.
    from pytest_awsbench.judging import judge

    account, bench = item.account, item.bench
    decided = bench.stopper.decided.get(account.key, {}).get(gate.name)
    if decided is not None and account.missing and not account.lost:
        _record(item, decided)
        _raise_if_red(decided, account, required=False)
        return
    skip_partial(bench, account)
    new = arm_of(bench.run_of(account), account.suite, account.model.name)
    old = _old(bench, account, gate)
    verdict = judge(gate, new, old, lost=sorted(account.lost))
    if _needs_confirming(bench, gate, verdict):
        verdict = confirmed(bench, account, gate, verdict, (new, old))
    if bench.options.update and gate.against is None and account.baseline is None:
        # What a verdict without a baseline advises is being done.
        verdict = replace(verdict, notes=(FIRST,))
    _record(item, verdict)
    if not account.lost:
        accept(item, account, _fresh(bench, account))
    _raise_if_red(verdict, account, required=bench.options.settings.require_gates)


def _record(item: GateItem, verdict: Verdict) -> None:
    """Keep a verdict for the report, and for JUnit."""
    item.account.verdicts.append(verdict)
    item.user_properties += [
        (f"awsbench_{key}", value)
        for key, value in verdict.to_json().items()
        if isinstance(value, str | int | float | bool)
    ]
    item.user_properties += [
        ("awsbench_word", verdict.word),
        ("awsbench_line", line(verdict)),
    ]


def _needs_confirming(bench: BenchSession, gate: Gate, verdict: Verdict) -> bool:
    """Whether fresh runs shall decide: only of a drop, never of a threshold."""
    dropped = verdict.status is Status.REGRESSED and verdict.red
    return (
        gate.confirm > 0
        and dropped
        and verdict.threshold_missed is None
        and not bench.options.update
    )


def _fresh(bench: BenchSession, account: Account) -> Baseline:
    """Return what this run would store as the baseline."""
    fresh = Baseline.from_run(
        bench.run_of(account), account.suite.versions, bench.options.selected_from
    )
    if bench.options.add_run and account.baseline is not None:
        return account.baseline.with_run(fresh)
    return fresh


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
            return arm_of(bench.run_of(other), other.suite, this_run(gate.against))
    spec = bench.options.known.get(gate.against)
    found, _ = find_baseline(bench.options.baselines, gate.against, spec, account.suite)
    return found.arm(f"{gate.against}, baseline") if found else None
