"""What a whole run shows, computed once: for the terminal, run.json and reports."""

from collections.abc import Iterable, Iterator, Sequence
from math import inf, isfinite

from pytest_awsbench.episodes import Play
from pytest_awsbench.figures import Figures, GroupMeans, Mean, SideBySide, StepShare
from pytest_awsbench.gates import Gate
from pytest_awsbench.judging import judge
from pytest_awsbench.ledger import Account, arm_of
from pytest_awsbench.pairing import value_of
from pytest_awsbench.records import Arm, ItemStats
from pytest_awsbench.stats.continuous import cluster_mean
from pytest_awsbench.stats.curves import mean_share, recovery_curve
from pytest_awsbench.stats.labels import numbered
from pytest_awsbench.stats.tango import Interval


TIERS = ("warmup", "beginner", "intermediate", "advanced", "expert")
KINDS = ("tier", "source")
"""What items are grouped by."""
OUTSIDE = 0.05
"""Of the interval of a mean, both sides together: 95 %."""


def figures_of(account: Account) -> Figures:
    """Return what a complete account shows, its baseline beside it."""
    new = own_arm(account)
    old = account.baseline.arm("baseline") if account.baseline else None
    gated = {verdict.metric for verdict in account.verdicts}
    metrics = list(dict.fromkeys([*account.suite.scorers, *gated]))
    judged = {m: judge(orienting(account, m), new, old) for m in metrics}
    compared = {m for m, v in judged.items() if v.old is not None}
    pairs = _paired(new, old)
    return Figures(
        ungated=tuple(v for m, v in judged.items() if m not in gated),
        means=_means(account, metrics, pairs, compared),
        groups={
            by: tuple(_groups(account, metrics, pairs, compared, by)) for by in KINDS
        },
        curve=tuple(_curve(account)),
    )


def side_by_side(accounts: Sequence[Account]) -> Iterator[SideBySide]:
    """Yield every further model of a run against the first, on one suite."""
    first, arms = accounts[0], [own_arm(account) for account in accounts]
    gates = [orienting(first, metric) for metric in first.suite.scorers]
    for account, arm in zip(accounts[1:], arms[1:], strict=True):
        yield SideBySide(
            suite=first.suite.name,
            first=first.model.name,
            other=account.model.name,
            verdicts=tuple(judge(gate, arm, arms[0]) for gate in gates),
        )


def own_arm(account: Account) -> Arm:
    """Return an account as one side of a comparison."""
    return arm_of(account.run({}, ""), account.suite, account.model.name)


def orienting(account: Account, metric: str) -> Gate:
    """Return a gate on a metric that none is configured for."""
    suite = account.suite
    return Gate(
        suite=suite.name,
        metric=metric,
        unit=suite.unit(metric),
        direction=suite.direction(metric),
    )


Pair = tuple[ItemStats, ItemStats | None]
"""An item of this run, and what the baseline holds of the same prompt."""


def _paired(new: Arm, old: Arm | None) -> list[Pair]:
    """Return this run's items, each with the baseline's where that is the same."""
    held = old.items if old is not None else {}
    return [
        (item, was if was and was.prompt_hash == item.prompt_hash else None)
        for i, item in new.items.items()
        for was in [held.get(i)]
    ]


def _means(
    account: Account, metrics: Iterable[str], pairs: Sequence[Pair], compared: set[str]
) -> dict[str, Mean]:
    """Return the metrics that items have."""
    return {
        metric: _mean(orienting(account, metric), known, compared=metric in compared)
        for metric in metrics
        if (known := [pair for pair in pairs if metric in pair[0].sums])
    }


def mean_of(gate: Gate, arm: Arm) -> Mean | None:
    """Return a metric's mean over the items that have it; None where none does."""
    items = [item for item in arm.items.values() if gate.metric in item.sums]
    return (
        _mean(gate, [(item, None) for item in items], compared=False) if items else None
    )


def _mean(gate: Gate, pairs: Sequence[Pair], *, compared: bool) -> Mean:
    """Return one metric's mean over items that all have it."""
    metric, items = gate.metric, [item for item, _ in pairs]
    mean, interval = interval_of(gate, items)
    both = [(new, old) for new, old in pairs if old and metric in old.sums]
    total = sum(new.weight for new, _ in both)
    before = sum(value_of(old, metric) * new.weight for new, old in both)
    return Mean(
        mean=mean,
        low=interval.low if isfinite(interval.low) else None,
        high=interval.high if isfinite(interval.high) else None,
        n=len(items),
        old=before / total if compared and total else None,
        unit=gate.unit or "share",
        direction=gate.direction or "higher",
    )


def interval_of(gate: Gate, items: Sequence[ItemStats]) -> tuple[float, Interval]:
    """Return a weighted mean and its interval: Wilson's of shares, else Student's.

    Args:
        gate: on a metric that all items have.
        items: at least one.

    """
    values = [value_of(item, gate.metric) for item in items]
    weights, clusters = [i.weight for i in items], [i.cluster for i in items]
    if gate.unit == "share" and all(0 <= value <= 1 for value in values):
        draws = float(min(item.k for item in items))
        share = mean_share(values, clusters, draws, weights, OUTSIDE)
        return share.mean, share.interval
    found = cluster_mean(values, weights, numbered(clusters))
    return found.mean, found.interval(OUTSIDE / 2)


def _groups(
    account: Account,
    metrics: Sequence[str],
    pairs: Sequence[Pair],
    compared: set[str],
    by: str,
) -> Iterator[GroupMeans]:
    """Yield the means of every tier or source, easy ones first."""
    found: dict[str, list[Pair]] = {}
    for pair in pairs:
        found.setdefault(getattr(pair[0], by), []).append(pair)
    if set(found) <= {""}:
        return
    for name in sorted(found, key=easy_first):
        means = _means(account, metrics, found[name], compared)
        yield GroupMeans(name=name, n=len(found[name]), means=means)


def easy_first(name: str) -> int:
    """Order the usual tiers by difficulty; others keep the order of the data."""
    return TIERS.index(name) if name in TIERS else len(TIERS)


def _curve(account: Account) -> Iterator[StepShare]:
    """Yield the share of episodes that were complete within 1, 2 … turns."""
    played = [
        (sample.task_id, episode)
        for sample in account.suite.samples
        if isinstance(play := account.results[sample.id].completion, Play)
        for episode in play.episodes
    ]
    if not played:
        return
    turns = [float(len(e.turns)) if e.achieved else inf for _, e in played]
    upto = max(episode.cap for _, episode in played)
    found = recovery_curve(turns, [task for task, _ in played], upto)
    points = zip(found.rates, found.band, strict=True)
    for step, (share, band) in enumerate(points, start=1):
        yield StepShare(step=step, share=share, low=band.low, high=band.high)
