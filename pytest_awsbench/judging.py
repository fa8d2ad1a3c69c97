"""Judging a gate: thresholds, whether two sides can be compared, and the comparison."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pytest_awsbench.gates import Gate, Verdict
from pytest_awsbench.records import Arm, ItemStats
from pytest_awsbench.stats.paired import Paired, Rule, paired_gate
from pytest_awsbench.stats.status import Status


MIN_OVERLAP = 0.9
"""Share of the baseline's items that must be there again, with the same prompt."""
UNGATEABLE = 3
"""With so few items no drop can be significant."""
TRIALS = "trials"
"""The setting that says how often each item was measured."""
NAMED = 3
"""Ids that a note names."""


def judge(
    gate: Gate, new: Arm, old: Arm | None, *, lost: Sequence[str] = ()
) -> Verdict:
    """Judge a gate.

    Args:
        gate: the rule.
        new: this run, complete but for items that infrastructure lost.
        old: what it is compared with; None if there is nothing.
        lost: ids of lost items; they are missing, never wrong.

    """
    mean = mean_of(new.items.values(), gate.metric)
    verdict = Verdict(
        name=gate.name,
        metric=gate.metric,
        status=Status.SKIPPED,
        new=mean,
        against=old.label if old is not None and gate.against else "",
        max_drop=gate.max_drop,
        margin=gate.margin,
        thresholds=gate.min is not None or gate.max is not None,
        inconclusive_is_red=gate.inconclusive == "fail",
    )
    if lost:
        note = f"{len(lost)} answers lost to infrastructure ({_named(lost)})"
        # The mean of what is left is not the suite's.
        return replace(verdict, new=None, status=Status.INVALID, notes=(note,))
    verdict = replace(verdict, threshold_missed=_missed(gate, mean))
    if old is None or not _having(old, gate.metric):
        return replace(verdict, notes=(_no_baseline(gate, old),))
    why = _incomparable(gate, new, old)
    if why is not None:
        return replace(verdict, status=Status.INVALID, notes=(why,))
    return _compared(gate, verdict, new, old)


def _compared(gate: Gate, verdict: Verdict, new: Arm, old: Arm) -> Verdict:
    """Compare two arms, item by item."""
    ids = _shared(gate, new, old)
    before = [_value(old.items[i], gate.metric) for i in ids]
    after = [_value(new.items[i], gate.metric) for i in ids]
    items = [new.items[i] for i in ids]
    result = paired_gate(
        before,
        after,
        [item.cluster for item in items],
        [item.weight for item in items],
        Rule(alpha=gate.alpha, max_drop=gate.max_drop, margin=gate.margin),
    )
    changes = list(zip(ids, before, after, strict=True))
    return replace(
        verdict,
        status=result.status,
        old=_weighted(before, items),
        change=result.change,
        noise_floor=result.noise_floor,
        low=result.interval.low,
        high=result.interval.high,
        p=result.p,
        n=result.n,
        clusters=result.clusters,
        worse=result.worse,
        better=result.better,
        deff=result.deff,
        items_needed=result.items_needed,
        regressed=tuple(i for i, was, now in changes if now < was),
        fixed=tuple(i for i, was, now in changes if now > was),
        by_tier=_by_tier(items, before, after),
        notes=_notes(result, gate, new, old),
    )


def _incomparable(gate: Gate, new: Arm, old: Arm) -> str | None:
    """Say why two arms cannot be compared; None if they can."""
    then, now = (arm.metric_versions.get(gate.metric) for arm in (old, new))
    if then != now:
        return (
            f"{old.label} measured version {then} of {gate.metric}, this run"
            f" version {now}; run with --snapshot-update to measure it anew"
        )
    # A run that declares a subset is measured on that, not on all of the baseline.
    had = _having(new if new.subset else old, gate.metric)
    same = _shared(gate, new, old)
    if len(same) < MIN_OVERLAP * len(had) or not same:
        whose, there = (
            ("this subset", old.label) if new.subset else (old.label, "this run's data")
        )
        return (
            f"baseline stale: {len(same)} of the {len(had)} prompts of {whose} are in"
            f" {there} (data {old.data_digest[:8]} then, {new.data_digest[:8]} now);"
            " run with --snapshot-update"
        )
    if changed := _set_otherwise(new, old):
        return (
            f"{old.label} was measured with {changed}; run with --snapshot-update to"
            " measure it anew"
        )
    if _retargeted(new, old):
        return (
            f"right answers were edited: the prompts are those of {old.label}, the data"
            f" is not (data {old.data_digest[:8]} then, {new.data_digest[:8]} now);"
            " run with --snapshot-update"
        )
    values = [_value(arm.items[i], gate.metric) for arm in (old, new) for i in same]
    if not 0 <= min(values) <= max(values) <= 1:
        return (
            f"{gate.metric} has values from {min(values):g} to {max(values):g};"
            " only shares in [0, 1] can be compared; scale it, or set min or max alone"
        )
    return None


def _set_otherwise(new: Arm, old: Arm) -> str:
    """Say which settings differ; more or fewer trials of a task do not matter."""
    if not old.settings:
        return ""
    return ", ".join(
        f"{key} = {old.settings.get(key)!r} (now {new.settings.get(key)!r})"
        for key in sorted({*old.settings, *new.settings} - {TRIALS})
        if old.settings.get(key) != new.settings.get(key)
    )


def _retargeted(new: Arm, old: Arm) -> bool:
    """Whether only targets differ: a digest is of ids, prompts and targets."""
    prompts = [
        {i: item.prompt_hash for i, item in arm.items.items()} for arm in (new, old)
    ]
    known = new.data_digest and old.data_digest
    return (
        bool(known) and prompts[0] == prompts[1] and new.data_digest != old.data_digest
    )


def _no_baseline(gate: Gate, old: Arm | None) -> str:
    """Say what is missing, and how to get it."""
    of = f" of {gate.against}" if gate.against else ""
    what = "no baseline" if old is None else f"{old.label} has no {gate.metric}"
    return f"{what}{of} yet; run with --snapshot-update, review the file, and commit it"


def _missed(gate: Gate, mean: float | None) -> str | None:
    """Say which hard threshold was missed."""
    if mean is None:
        wanted = gate.min is not None or gate.max is not None
        return f"no item has {gate.metric}" if wanted else None
    if gate.min is not None and mean < gate.min:
        return f"{mean:.3f} < min {gate.min:g}"
    if gate.max is not None and mean > gate.max:
        return f"{mean:.3f} > max {gate.max:g}"
    return None


def _having(arm: Arm, metric: str) -> list[str]:
    """Return the ids of the items that have a metric."""
    return sorted(i for i, item in arm.items.items() if metric in item.sums)


def _shared(gate: Gate, new: Arm, old: Arm) -> list[str]:
    """Return the ids of the same prompts that have the metric on both sides."""
    return [
        i
        for i in _having(new, gate.metric)
        if i in old.items
        and gate.metric in old.items[i].sums
        and old.items[i].prompt_hash == new.items[i].prompt_hash
    ]


def _notes(result: Paired, gate: Gate, new: Arm, old: Arm) -> tuple[str, ...]:
    """Return what a reader must know besides the numbers."""
    notes = []
    if result.n <= UNGATEABLE:
        notes.append(
            f"ungateable: {result.n} items can never show a regression;"
            " add items, or set min"
        )
    if result.few_clusters:
        notes.append(f"few tasks ({result.clusters}): interval approximate")
    if result.noise_floor is None and result.changed:
        notes.append(
            f"only {result.changed} answers changed; at least {result.min_flips}"
            " must change the same way to be a regression"
        )
    if result.items_needed is not None:
        notes.append(f"about {result.items_needed} items would settle it")
    notes += _not_compared(gate, new, old)
    return tuple(notes)


def _not_compared(gate: Gate, new: Arm, old: Arm) -> list[str]:
    """Say which items only one side has, or which differ in their prompt."""
    both = new.items.keys() & old.items.keys()
    edited = {i for i in both if new.items[i].prompt_hash != old.items[i].prompt_hash}
    named = {
        "added": new.items.keys() - both,
        "removed": set() if new.subset else old.items.keys() - both,
        "edited": edited,
        f"without {gate.metric}": both - edited - set(_shared(gate, new, old)),
    }
    parts = [f"{len(x)} {word} ({_named(sorted(x))})" for word, x in named.items() if x]
    return [f"not compared: {', '.join(parts)}"] if parts else []


def _named(ids: Sequence[str]) -> str:
    """Name some ids."""
    more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
    return ", ".join(ids[:NAMED]) + more


def _value(item: ItemStats, metric: str) -> float:
    """Return an item's mean over its runs."""
    return item.sums[metric][0] / item.k


def mean_of(items: Iterable[ItemStats], metric: str) -> float | None:
    """Return the weighted mean over the items that have the metric."""
    known = [item for item in items if metric in item.sums]
    return _weighted([_value(item, metric) for item in known], known)


def _weighted(values: Sequence[float], items: Sequence[ItemStats]) -> float | None:
    """Return a weighted mean; None of nothing."""
    total = sum(item.weight for item in items)
    if not total:
        return None
    pairs = zip(values, items, strict=True)
    return sum(value * item.weight for value, item in pairs) / total


def _by_tier(
    items: Sequence[ItemStats], before: Sequence[float], after: Sequence[float]
) -> dict[str, tuple[float, float]]:
    """Return old and new mean by tier."""
    means = {}
    for tier in dict.fromkeys(item.tier for item in items):
        place = [k for k, item in enumerate(items) if item.tier == tier]
        means[tier] = (
            sum(before[k] for k in place) / len(place),
            sum(after[k] for k in place) / len(place),
        )
    return means
