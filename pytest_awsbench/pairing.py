"""Two arms as pairs of values: which items can be compared, and why others cannot."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pytest_awsbench.gates import Gate, Unit
from pytest_awsbench.records import Arm, ItemStats


MIN_OVERLAP = 0.9
"""Share of the baseline's items that must be there again, with the same prompt."""
TRIALS = "trials"
"""The setting that says how often each item was measured."""
NAMED = 3
"""Ids that a note names."""
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """The same items, measured twice; in the metric's own units."""

    ids: Sequence[str]
    old: Sequence[ItemStats]
    new: Sequence[ItemStats]
    before: Sequence[float]
    after: Sequence[float]
    weights: Sequence[float]
    clusters: Sequence[str]
    unit: Unit


def pairs_of(gate: Gate, new: Arm, old: Arm) -> Pairs:
    """Return the items that both arms have, with the same prompt and the metric."""
    ids = _shared(gate, new, old)
    now, then = [new.items[i] for i in ids], [old.items[i] for i in ids]
    before = [value_of(item, gate.metric) for item in then]
    after = [value_of(item, gate.metric) for item in now]
    return Pairs(
        ids=ids,
        old=then,
        new=now,
        before=before,
        after=after,
        weights=weights_of(gate, now),
        clusters=clusters_of(gate, ids, now),
        unit=gate.unit or _unit((*before, *after)),
    )


def in_tiers(arm: Arm, tiers: Sequence[str]) -> Arm:
    """Return an arm with the items of some tiers; all of it if none are named."""
    if not tiers:
        return arm
    kept = {i: item for i, item in arm.items.items() if item.tier in tiers}
    return replace(arm, items=kept, data_digest="")


def clusters_of(
    gate: Gate, ids: Iterable[str], items: Iterable[ItemStats]
) -> list[str]:
    """Return what each item belongs to."""
    kind = gate.cluster
    return [
        {"task_id": item.cluster, "tier": item.tier, "source": item.source, "id": i}[
            kind
        ]
        for i, item in zip(ids, items, strict=True)
    ]


def weights_of(gate: Gate, items: Sequence[ItemStats]) -> list[float]:
    """Return what each item counts.

    Where groups are weighted, their items share the group's weight by their own.
    """
    own = [item.weight for item in items]
    if gate.weight is None:
        return own
    by = gate.weight if isinstance(gate.weight, str) else "tier"
    groups = [getattr(item, by) for item in items]
    shares = (
        dict.fromkeys(groups, 1.0)
        if isinstance(gate.weight, str)
        else dict(gate.weight)
    )
    totals: dict[str, float] = {}
    for group, weight in zip(groups, own, strict=True):
        totals[group] = totals.get(group, 0.0) + weight
    return [
        shares.get(group, 0.0) * weight / totals[group]
        for group, weight in zip(groups, own, strict=True)
    ]


def value_of(item: ItemStats, metric: str) -> float:
    """Return an item's mean over its runs."""
    return item.sums[metric][0] / item.k


def mean_of(items: Iterable[ItemStats], metric: str) -> float | None:
    """Return the mean over the items that have the metric, by their own weights."""
    known = [item for item in items if metric in item.sums]
    return weighted(
        [value_of(item, metric) for item in known], [item.weight for item in known]
    )


def cut_off_notes(pairs: Pairs) -> list[str]:
    """Say how many changes a token budget may have made: what is not over counts as 0.

    Where most of what got worse was cut off, the model may be as good as before.
    """
    both = list(zip(pairs.old, pairs.new, pairs.before, pairs.after, strict=True))
    worse = [new for _, new, was, now in both if now < was]
    better = [old for old, _, was, now in both if now > was]
    told = [("worse", worse, "now"), ("better", better, "in the baseline")]
    return [
        f"{cut} of {len(items)} that got {word} were cut off {when} (truncated)"
        for word, items, when in told
        if (cut := sum(item.outcome == "truncated" for item in items))
    ]


def gate_mean(gate: Gate, arm: Arm) -> float | None:
    """Return the mean of an arm as a gate weighs it."""
    known = [item for item in arm.items.values() if gate.metric in item.sums]
    values = [value_of(item, gate.metric) for item in known]
    return weighted(values, weights_of(gate, known))


def weighted(values: Sequence[float], weights: Sequence[float]) -> float | None:
    """Return a weighted mean; None of nothing."""
    total = sum(weights)
    if not total:
        return None
    pairs = zip(values, weights, strict=True)
    return sum(value * weight for value, weight in pairs) / total


def has_metric(arm: Arm, metric: str) -> bool:
    """Whether any item of an arm has a metric."""
    return any(metric in item.sums for item in arm.items.values())


def incomparable(gate: Gate, new: Arm, old: Arm) -> str | None:
    """Say why two arms cannot be compared; None if they can."""
    then, now = (arm.metric_versions.get(gate.metric) for arm in (old, new))
    if then != now:
        return (
            f"{old.label} measured version {then} of {gate.metric}, this run"
            f" version {now}; run with --snapshot-update to measure it anew"
        )
    if stale := _stale(gate, new, old):
        return stale
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
    return None


def unfit(gate: Gate, pairs: Pairs) -> str | None:
    """Say why the values of two arms cannot be judged as the gate asks."""
    values = (*pairs.before, *pairs.after)
    if gate.unit == "share" and (why := _outside(gate, values)):
        return why
    if pairs.unit == "number" and gate.weight is not None:
        return f"{gate.metric} is no share; weight is for shares"
    if pairs.unit == "share" and (over := _beyond_one(gate)):
        return f"{over}: {gate.metric} is a share; write 5 points as 0.05"
    if not all(weight > 0 for weight in pairs.weights):
        absent = sorted({
            i.tier for i, w in zip(pairs.new, pairs.weights, strict=True) if not w > 0
        })
        return (
            f"weight has no share for {', '.join(absent)}; give each tier one above 0"
        )
    return None


def no_share(gate: Gate, values: Sequence[float]) -> str | None:
    """Say why values cannot be compared with a published share; None if they can."""
    if over := _beyond_one(gate):
        return f"{over}: {gate.metric} is a share; write 5 points as 0.05"
    return _outside(gate, values)


def left_out(gate: Gate, new: Arm, old: Arm) -> list[str]:
    """Say which items only one side has, or which differ in their prompt."""
    both = new.items.keys() & old.items.keys()
    edited = {i for i in both if new.items[i].prompt_hash != old.items[i].prompt_hash}
    kinds = {
        "added": new.items.keys() - both,
        "removed": set() if new.subset else old.items.keys() - both,
        "edited": edited,
        f"without {gate.metric}": both - edited - set(_shared(gate, new, old)),
    }
    parts = [f"{len(x)} {word} ({named(sorted(x))})" for word, x in kinds.items() if x]
    return [f"not compared: {', '.join(parts)}"] if parts else []


def named(ids: Sequence[str]) -> str:
    """Name some ids."""
    more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
    return ", ".join(ids[:NAMED]) + more


def _stale(gate: Gate, new: Arm, old: Arm) -> str | None:
    """Say that too few of the baseline's items are there again."""
    # A run that declares a subset is measured on that, not on all of the baseline.
    had = _having(new if new.subset else old, gate.metric)
    same = _shared(gate, new, old)
    if same and len(same) >= MIN_OVERLAP * len(had):
        return None
    whose, there = (
        ("this subset", old.label) if new.subset else (old.label, "this run's data")
    )
    counts = "".join(f"; {text}" for text in left_out(gate, new, old))
    digests = (
        f" (data {old.data_digest[:8]} then, {new.data_digest[:8]} now)"
        if old.data_digest and new.data_digest
        else ""
    )
    return (
        f"baseline stale: {len(same)} of the {len(had)} prompts of {whose} are in"
        f" {there}{digests}{counts}; run with --snapshot-update"
    )


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


def _outside(gate: Gate, values: Sequence[float]) -> str | None:
    """Say that values are no shares."""
    if -ROUNDING <= min(values) <= max(values) <= 1 + ROUNDING:
        return None
    return (
        f"{gate.metric} has values from {min(values):g} to {max(values):g};"
        " a share must be in [0, 1]"
    )


def _beyond_one(gate: Gate) -> str:
    """Name a key of a gate on a share that is no share itself."""
    keys = ("max_drop", "min_gain", "margin")
    given = {key: getattr(gate, key) for key in keys}
    return next(
        (f"{k} = {v:g}" for k, v in given.items() if v is not None and v > 1), ""
    )


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


def _unit(values: Iterable[float]) -> Unit:
    """Return what values look like."""
    inside = all(-ROUNDING <= value <= 1 + ROUNDING for value in values)
    return "share" if inside else "number"
