"""Gates: a rule on a metric, judged on everything that was measured.

A `Verdict` holds every number that is shown anywhere: terminal, JUnit, ``run.json``.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from pytest_awsbench.records import ItemStats
from pytest_awsbench.stats.paired import Paired, Rule, paired_gate
from pytest_awsbench.stats.status import Status


MIN_OVERLAP = 0.9
"""Share of the baseline's items that must be there again, with the same prompt."""
UNGATEABLE = 3
"""With so few items no drop can be significant."""
SMALLEST_P = 0.001
NAMED = 3
"""Ids that a note names."""

Means = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A rule on one metric of one suite."""

    suite: str
    metric: str
    min: float | None = None
    """Hard threshold: no statistics."""
    max: float | None = None
    max_drop: float = 0.0
    margin: float = 0.10
    alpha: float = 0.05
    against: str | None = None
    """Another model; None compares with the model's own baseline."""
    inconclusive: Literal["warn", "fail"] = "warn"

    @property
    def name(self) -> str:
        """Part of the gate's node id."""
        against = f"-vs-{self.against}" if self.against else ""
        return f"gate-{self.metric}{against}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One side of a comparison: a run, or a baseline."""

    label: str
    items: Mapping[str, ItemStats]
    metric_versions: Mapping[str, int]
    data_digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a gate says, with every number that it rests on."""

    name: str
    metric: str
    status: Status
    new: float | None
    """Weighted mean of this run."""
    against: str = ""
    """Label of the other side, where it is not the model's own baseline."""
    old: float | None = None
    change: float | None = None
    noise_floor: float | None = None
    """Smallest drop that would be called a regression; None if none would."""
    low: float | None = None
    """Of the two-sided 90 % interval of the change."""
    high: float | None = None
    p: float | None = None
    n: int = 0
    """Items that were compared."""
    clusters: int = 0
    worse: int = 0
    better: int = 0
    deff: float | None = None
    items_needed: int | None = None
    max_drop: float = 0.0
    margin: float = 0.10
    thresholds: bool = False
    """Whether the gate has hard thresholds."""
    threshold_missed: str | None = None
    inconclusive_is_red: bool = False
    regressed: tuple[str, ...] = ()
    """Ids of items that got worse."""
    fixed: tuple[str, ...] = ()
    by_tier: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Tier → (old, new) mean of the compared items."""
    notes: tuple[str, ...] = ()

    @property
    def changed(self) -> int:
        """How many items differ."""
        return self.worse + self.better

    @property
    def red(self) -> bool:
        """Whether the gate fails."""
        if self.threshold_missed is not None:
            return True
        if self.status is Status.INCONCLUSIVE:
            return self.inconclusive_is_red
        return self.status in {Status.REGRESSED, Status.INVALID}

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            **asdict(self),
            "status": str(self.status),
            "changed": self.changed,
            "red": self.red,
        }


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
    mean = _mean(new.items.values(), gate.metric)
    verdict = {
        "name": gate.name,
        "metric": gate.metric,
        "new": mean,
        "against": old.label if old is not None and gate.against else "",
        "max_drop": gate.max_drop,
        "margin": gate.margin,
        "thresholds": gate.min is not None or gate.max is not None,
        "inconclusive_is_red": gate.inconclusive == "fail",
    }
    if lost:
        note = f"{len(lost)} answers lost to infrastructure ({_named(lost)})"
        # The mean of what is left is not the suite's.
        verdict["new"] = None
        return Verdict(**verdict, status=Status.INVALID, notes=(note,))
    verdict["threshold_missed"] = _missed(gate, mean)
    why = _incomparable(gate, new, old)
    if old is None or why is not None:
        status = Status.SKIPPED if old is None else Status.INVALID
        note = why or _no_baseline(gate)
        return Verdict(**verdict, status=status, notes=(note,))
    return _compared(gate, verdict, new, old)


def line(verdict: Verdict) -> str:
    """Return a verdict as one line.

    The verdict leads, because pytest's short summary cuts what is long.
    """
    head = f"{verdict.metric} {verdict.status}"
    if verdict.threshold_missed:
        head += f", {verdict.threshold_missed}"
    if verdict.change is None or verdict.p is None or verdict.deff is None:
        return ": ".join([head, "; ".join(verdict.notes)] if verdict.notes else [head])
    floor = verdict.noise_floor
    shown = "n/a" if floor is None else f"{100 * floor:.1f}pp"
    allowed = f", allowed drop {100 * verdict.max_drop:.1f}pp"
    return (
        f"{head}: {100 * verdict.change:+.1f}pp, noise floor {shown}"
        f"{allowed if verdict.max_drop else ''}"
        f" (n={verdict.n}, {verdict.clusters} tasks, {verdict.changed} answers changed:"
        f" {verdict.worse} worse, {verdict.better} better, deff {verdict.deff:.1f})"
        f" {p_text(verdict.p)} 90% CI {100 * (verdict.low or 0):+.1f} ..."
        f" {100 * (verdict.high or 0):+.1f}"
    )


def p_text(p: float) -> str:
    """Return a p value as papers print it.

    >>> p_text(0.0301), p_text(0.00001)
    ('p=.030', 'p<.001')
    """
    return "p<.001" if p < SMALLEST_P else f"p={p:.3f}".replace("=0.", "=.")


def _compared(gate: Gate, verdict: dict[str, Any], new: Arm, old: Arm) -> Verdict:
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
    return Verdict(
        **verdict,
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
        regressed=tuple(
            i for i, a, b in zip(ids, before, after, strict=True) if b < a
        ),
        fixed=tuple(i for i, a, b in zip(ids, before, after, strict=True) if b > a),
        by_tier=_by_tier(items, before, after),
        notes=_notes(result, new, old, ids),
    )


def _incomparable(gate: Gate, new: Arm, old: Arm | None) -> str | None:
    """Say why two arms cannot be compared; None if they can."""
    if old is None:
        return None
    versions = [arm.metric_versions.get(gate.metric) for arm in (old, new)]
    if versions[0] is None:
        return (
            f"{old.label} has no metric {gate.metric}; run with --snapshot-update"
            " to store it"
        )
    if versions[0] != versions[1]:
        return (
            f"{old.label} measured version {versions[0]} of {gate.metric}, this run"
            f" version {versions[1]}; run with --snapshot-update to measure it anew"
        )
    same = sum(
        i in new.items and new.items[i].prompt_hash == item.prompt_hash
        for i, item in old.items.items()
    )
    if same < MIN_OVERLAP * len(old.items) or not _shared(gate, new, old):
        return (
            f"baseline stale: {same} of the {len(old.items)} prompts of {old.label}"
            f" are in this run's data (data {old.data_digest[:8]} then,"
            f" {new.data_digest[:8]} now); run with --snapshot-update"
        )
    return None


def _no_baseline(gate: Gate) -> str:
    """Say what is missing, and how to get it."""
    of = f" of {gate.against}" if gate.against else ""
    return (
        f"no baseline{of} yet; run with --snapshot-update, review the file,"
        " and commit it"
    )


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


def _shared(gate: Gate, new: Arm, old: Arm) -> list[str]:
    """Return the ids of the same prompts that have the metric on both sides."""
    return sorted(
        i
        for i, item in new.items.items()
        if i in old.items
        and old.items[i].prompt_hash == item.prompt_hash
        and gate.metric in item.sums
        and gate.metric in old.items[i].sums
    )


def _notes(
    result: Paired, new: Arm, old: Arm, ids: Sequence[str]
) -> tuple[str, ...]:
    """Return what a reader must know besides the numbers."""
    notes = []
    if result.n <= UNGATEABLE:
        notes.append(
            f"ungateable: {result.n} items can never show a regression;"
            " add items, or set min"
        )
    if result.few_clusters:
        notes.append(f"few tasks ({result.clusters}): interval approximate")
    if result.noise_floor is None and 0 < result.changed:
        notes.append(
            f"only {result.changed} answers changed; at least {result.min_flips}"
            " must change the same way to be a regression"
        )
    if result.items_needed is not None:
        notes.append(f"about {result.items_needed} items would settle it")
    notes += _changes_of_data(new, old, ids)
    return tuple(notes)


def _changes_of_data(new: Arm, old: Arm, ids: Sequence[str]) -> list[str]:
    """Say which items only one side has."""
    added = sorted(new.items.keys() - old.items.keys())
    removed = sorted(old.items.keys() - new.items.keys())
    edited = sorted((new.items.keys() & old.items.keys()) - set(ids))
    named = (("added", added), ("removed", removed), ("edited", edited))
    parts = [f"{len(x)} {word} ({_named(x)})" for word, x in named if x]
    return [f"not compared: {', '.join(parts)}"] if parts else []


def _named(ids: Sequence[str]) -> str:
    """Name some ids."""
    more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
    return ", ".join(ids[:NAMED]) + more


def _value(item: ItemStats, metric: str) -> float:
    """Return an item's mean over its runs."""
    return item.sums[metric][0] / item.k


def _mean(items: Iterable[ItemStats], metric: str) -> float | None:
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
