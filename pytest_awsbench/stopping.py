"""Stopping early: items are skipped once no answer can change any verdict.

The verdicts are those of the full run (`stats.curtail`), whichever items came first.
The main process decides; workers see it by a file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import nan
from pathlib import Path

from pytest_awsbench.gateplan import Key, Planned
from pytest_awsbench.gates import ALPHA, Gate, Verdict
from pytest_awsbench.ledger import Account
from pytest_awsbench.options import Options
from pytest_awsbench.records import Sample
from pytest_awsbench.stats.status import Status


CHECKS = 20
"""How often a run is looked at, at the most: each look costs as much as a verdict."""


@dataclass(kw_only=True)
class Stopper:
    """Which suites need no more answers."""

    folder: Path
    """Holds an empty file per decided suite, for other processes."""
    gates: Mapping[Key, Sequence[Gate]]
    """Of suites that may stop early."""
    decided: dict[Key, dict[str, Verdict]] = field(default_factory=dict)
    """By gate; of suites that need no more answers."""
    _looked: dict[Key, int] = field(default_factory=dict)

    def look(self, account: Account) -> None:
        """See whether enough is known, now and then as answers arrive."""
        key, gates = account.key, self.gates.get(account.key, ())
        answered = len(account.results)
        every = max(1, len(account.suite.samples) // CHECKS)
        if not gates or key in self.decided:
            return
        if answered - self._looked.get(key, 0) < every or not account.missing:
            return
        self._looked[key] = answered
        verdicts = [curtailed(gate, account) for gate in gates]
        known = [verdict for verdict in verdicts if verdict is not None]
        if len(known) == len(gates):
            self.decided[key] = {verdict.name: verdict for verdict in known}
            self.folder.mkdir(parents=True, exist_ok=True)
            self._mark(key).touch()

    def forget(self) -> None:
        """Remove what a killed process of the same number left: it decided nothing."""
        for key in self.gates:
            self._mark(key).unlink(missing_ok=True)

    def stops(self, key: Key) -> bool:
        """Whether a suite needs no more answers; asked in any process."""
        return key in self.decided or (key in self.gates and self._mark(key).exists())

    def close(self) -> None:
        """Leave nothing behind."""
        for key in self.decided:
            self._mark(key).unlink(missing_ok=True)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _mark(self, key: Key) -> Path:
        """Return the file that says that a suite is decided."""
        # No name of a model has a plus: with a dash a-b, c would be a, b-c.
        return self.folder / "+".join(key)


def open_stopper(
    options: Options,
    gates: Mapping[Key, Sequence[Planned]],
    accounts: Mapping[Key, Account],
    folder: Path,
) -> Stopper:
    """Return what stops suites early; without ``early_stop`` it stops none.

    A run that is stored is never stopped: a baseline needs every item.
    """
    may = options.settings.early_stop and not options.update
    found = {
        key: rules
        for key, account in accounts.items()
        if may and (rules := _rules(gates[key], account))
    }
    return Stopper(folder=folder, gates=found)


def curtailed(gate: Gate, account: Account) -> Verdict | None:
    """Return the verdict that a gate will have whatever is still to come, if any."""
    from pytest_awsbench.comparing import rule_of
    from pytest_awsbench.stats.curtail import Stop, curtail

    assert account.baseline is not None  # noqa: S101 - of suites that may stop
    items, metric = account.baseline.items, gate.metric
    samples = [s for s in account.suite.samples if metric in items[s.id].sums]
    before = [items[s.id].sums[metric][0] / items[s.id].k for s in samples]
    after = [_value(account, s.id, metric) for s in samples]
    if not _bounded(before, after) or _unscored(account, samples, metric):
        return None
    if gate.lower:
        before, after = [1 - v for v in before], [1 - v for v in after]
    found = curtail(
        before,
        after,
        [sample.task_id for sample in samples],
        [sample.weight for sample in samples],
        rule_of(gate),
    )
    if found.stop is Stop.CONTINUE:
        return None
    red = found.stop is Stop.REGRESSED
    p = found.p_most if red else found.p_least
    note = (
        f"stopped at {found.answered}/{found.n}: no answer that is still to come can"
        f" change this (p {'at most' if red else 'at least'} {p:.3f})"
    )
    return Verdict(
        name=gate.name,
        metric=metric,
        status=Status.REGRESSED if red else Status.NOT_REGRESSED,
        new=None,
        direction=gate.direction or "higher",
        unit="share",
        alpha=gate.alpha or ALPHA,
        max_drop=gate.max_drop,
        margin=gate.margin,
        n=found.answered,
        notes=(note,),
    )


def _value(account: Account, sample_id: str, metric: str) -> float:
    """Return an item's value; nan where it is still to come."""
    result = account.results.get(sample_id)
    value = result.scores.get(metric) if result is not None else None
    return nan if value is None else value


def _bounded(before: Sequence[float], after: Sequence[float]) -> bool:
    """Whether all values lie in [0, 1]; of others the full run says what is wrong."""
    return all(not (value < 0 or value > 1) for value in (*before, *after))


def _unscored(account: Account, samples: Sequence[Sample], metric: str) -> bool:
    """Whether an answer has no value: too many of them make the full run INVALID."""
    return any(
        account.results[s.id].scores.get(metric) is None
        for s in samples
        if s.id in account.results
    )


def _rules(gates: Sequence[Planned], account: Account) -> list[Gate]:
    """Return the gates of a suite if all of them can be decided early."""
    rules = [entry.gate for entry in gates if isinstance(entry.gate, Gate)]
    whole = len(rules) == len(gates) and _as_stored(account)
    return rules if whole and all(map(_simple, rules)) else []


def _as_stored(account: Account) -> bool:
    """Whether every item is there to be compared, so that only answers are missing."""
    baseline = account.baseline
    if baseline is None or baseline.items.keys() != {
        s.id for s in account.suite.samples
    }:
        return False
    if baseline.run_means:
        # With the noise of whole runs a red verdict may become INCONCLUSIVE.
        return False
    asked = {s.id: s.prompt_hash for s in account.suite.samples}
    return (
        baseline.data["digest"] == account.suite.data.digest
        and all(i.prompt_hash == asked[key] for key, i in baseline.items.items())
        and dict(baseline.settings) == dict(account.suite.settings)
        and all(
            baseline.metrics.get(name, version) == version
            for name, version in account.suite.versions.items()
        )
    )


def _simple(gate: Gate) -> bool:
    """Whether a gate only asks if a share dropped against the baseline."""
    plain = Gate(suite=gate.suite, metric=gate.metric)
    kept = ("max_drop", "margin", "alpha", "direction", "unit", "title")
    same = replace(plain, **{key: getattr(gate, key) for key in kept})
    return gate == same and gate.unit == "share"
