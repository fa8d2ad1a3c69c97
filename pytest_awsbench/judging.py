"""Judging a gate: thresholds, whether two sides can be compared, and the comparison."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pytest_awsbench.comparing import (
    Comparison,
    compare_pairs,
    compare_published,
    published_share,
)
from pytest_awsbench.gates import ALPHA, MARGIN, Gate, Group, Verdict
from pytest_awsbench.pairing import (
    Pairs,
    clusters_of,
    cut_off_notes,
    gate_mean,
    has_metric,
    in_tiers,
    incomparable,
    left_out,
    named,
    no_share,
    pairs_of,
    unfit,
    value_of,
    weighted,
    weights_of,
)
from pytest_awsbench.records import Arm
from pytest_awsbench.stats.guards import guard
from pytest_awsbench.stats.multiplicity import holm, q_values
from pytest_awsbench.stats.paired import paired_gate
from pytest_awsbench.stats.status import Status


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
    new, old = in_tiers(new, gate.tiers), old and in_tiers(old, gate.tiers)
    verdict = _blank(gate, new, old)
    if lost:
        note = f"{len(lost)} answers lost to infrastructure ({named(lost)})"
        notes = (note, *_bounds_of_lost(gate, new, old, lost))
        # The mean of what is left is not the suite's.
        return replace(verdict, new=None, status=Status.INVALID, notes=notes)
    verdict = replace(verdict, threshold_missed=_missed(gate, verdict.new))
    if not has_metric(new, gate.metric):
        # Nothing to judge must not pass for nothing to blame.
        of = f" of {', '.join(gate.tiers)}" if gate.tiers else ""
        note = f"no item{of} has {gate.metric}"
        return replace(verdict, status=Status.INVALID, notes=(note,))
    if gate.published is not None:
        return _against_published(gate, verdict, new)
    if old is None or not has_metric(old, gate.metric):
        return replace(verdict, notes=(_no_baseline(gate, old),))
    why = incomparable(gate, new, old)
    if why is not None:
        return replace(verdict, status=Status.INVALID, notes=(why,))
    return _against_items(gate, verdict, new, old)


def adjusted(verdicts: Sequence[Verdict], gates: int) -> list[Verdict]:
    """Return verdicts with p adjusted by Holm.

    Args:
        verdicts: of the gates that share an alpha, as far as they were judged.
        gates: how many share it; one that was not judged, or has no p, showed nothing.

    """
    if gates < 2:  # noqa: PLR2004 - one is its own adjustment
        return list(verdicts)
    known = [1.0 if v.p is None else v.p for v in verdicts]
    ps = holm([*known, *[1.0] * (gates - len(known))]).tolist()
    return [
        v if v.p is None else replace(v, p_holm=p)
        for v, p in zip(verdicts, ps, strict=False)
    ]


def _blank(gate: Gate, new: Arm, old: Arm | None) -> Verdict:
    """Return a verdict before anything was compared."""
    label = old.label if old is not None and gate.against else ""
    if gate.published is not None:
        label = gate.published.source or "published"
    return Verdict(
        name=gate.name,
        metric=gate.metric,
        status=Status.SKIPPED,
        new=gate_mean(gate, new),
        direction=gate.direction or "higher",
        unit=gate.unit or "share",
        against=label,
        alpha=gate.alpha or ALPHA,
        max_drop=gate.max_drop,
        min_gain=gate.min_gain,
        margin=MARGIN if gate.margin is None and gate.unit != "number" else gate.margin,
        thresholds=gate.min is not None or gate.max is not None,
        inconclusive_is_red=gate.inconclusive == "fail",
    )


def _against_items(gate: Gate, verdict: Verdict, new: Arm, old: Arm) -> Verdict:
    """Compare two arms, item by item."""
    pairs = pairs_of(gate, new, old)
    why = unfit(gate, pairs)
    if why is not None:
        return replace(verdict, status=Status.INVALID, notes=(why,))
    found = compare_pairs(gate, pairs, old)
    if pairs.unit == "number" and gate.margin is None:
        verdict = replace(verdict, margin=None)
    compared = _with(gate, replace(verdict, unit=pairs.unit), found)
    sign = -1 if gate.lower else 1
    changes = [
        (i, sign * (now - was))
        for i, was, now in zip(pairs.ids, pairs.before, pairs.after, strict=True)
    ]
    return replace(
        compared,
        old=weighted(pairs.before, pairs.weights),
        regressed=tuple(i for i, change in changes if change < 0),
        fixed=tuple(i for i, change in changes if change > 0),
        groups=tuple(_groups(gate, pairs)) if pairs.unit == "share" else (),
        notes=(
            *found.notes,
            *cut_off_notes(pairs),
            *_uneven(pairs),
            *left_out(gate, new, old),
        ),
    )


def _against_published(gate: Gate, verdict: Verdict, new: Arm) -> Verdict:
    """Compare a run with a number that was published without its items."""
    assert gate.published is not None  # noqa: S101 - asked only with one
    known = {i: item for i, item in new.items.items() if gate.metric in item.sums}
    items = list(known.values())
    why = no_share(gate, [value_of(item, gate.metric) for item in items])
    if why is not None:
        return replace(verdict, status=Status.INVALID, notes=(why,))
    found = compare_published(
        gate,
        replace(new, items=known),
        clusters_of(gate, known, items),
        weights_of(gate, items),
    )
    compared = _with(gate, verdict, found)
    old = published_share(gate.published)
    if compared.change is not None and verdict.new is not None:
        # Of several counts that print alike the middle one was compared.
        compared = replace(compared, change=verdict.new - old)
    return replace(compared, old=old, notes=found.notes)


def _with(gate: Gate, verdict: Verdict, found: Comparison) -> Verdict:
    """Return a verdict with the numbers of a comparison, in the metric's own sense."""
    low, high = found.interval or (None, None)
    if gate.lower:
        low, high = _negative(high), _negative(low)
    verdict = replace(
        verdict,
        status=found.status,
        test=found.test,
        change=_negative(found.change) if gate.lower else found.change,
        noise_floor=found.noise_floor,
        low=low,
        high=high,
        p=found.p,
        n=found.n,
        clusters=found.clusters,
        worse=found.worse,
        better=found.better,
        deff=found.deff,
        discordance=found.discordance,
        rerun_discordance=found.rerun_discordance,
        rerun_floor=found.rerun_floor,
        items_needed=found.items_needed,
    )
    if gate.guard and verdict.margin is not None:
        said = guard(found, verdict.margin, gate.alpha or ALPHA)
        verdict = replace(verdict, guard=str(said))
    if gate.min_gain is not None and found.status is not Status.INVALID:
        missed = _gain_missed(gate.min_gain, found.lower, verdict.unit)
        verdict = replace(verdict, threshold_missed=verdict.threshold_missed or missed)
    return verdict


def _negative(value: float | None) -> float | None:
    """Return a difference the other way round."""
    return None if value is None else -value


def _gain_missed(wanted: float, lower: float | None, unit: str) -> str | None:
    """Say that a gain was not shown: its lower bound is what counts."""
    if lower is not None and lower >= wanted:
        return None
    if lower is None:
        return f"a gain of {wanted:g} cannot be shown"
    shown = (
        (f"{100 * wanted:.1f}pp", f"{100 * lower:+.1f}pp")
        if unit == "share"
        else (f"{wanted:g}", f"{lower:+.3g}")
    )
    return f"gain of {shown[0]} not shown: lower bound {shown[1]}"


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


def _no_baseline(gate: Gate, old: Arm | None) -> str:
    """Say what is missing, and how to get it."""
    of = f" of {gate.against}" if gate.against else ""
    what = "no baseline" if old is None else f"{old.label} has no {gate.metric}"
    return f"{what}{of} yet; run with --snapshot-update, review the file, and commit it"


def _uneven(pairs: Pairs) -> list[str]:
    """Say that items were measured unequally often: their means are unequally good."""
    notes = []
    for label, items in (("the baseline", pairs.old), ("this run", pairs.new)):
        ks = {item.k for item in items}
        if len(ks) > 1:
            notes.append(
                f"items of {label} were measured {min(ks)} to {max(ks)} times: means of"
                " fewer are noisier, which the interval knows only on average"
            )
    return notes


def _groups(gate: Gate, pairs: Pairs) -> Iterator[Group]:
    """Yield the change of every tier and source, with q values of each kind."""
    for by in ("tier", "source"):
        names = [getattr(item, by) for item in pairs.new]
        if len(set(names)) < 2:  # noqa: PLR2004 - one group is the whole
            continue
        found = [_group(gate, pairs, by, name) for name in dict.fromkeys(names)]
        qs = q_values([group.p for group in found]).tolist()
        yield from (replace(g, q=q) for g, q in zip(found, qs, strict=True))


def _group(gate: Gate, pairs: Pairs, by: str, name: str) -> Group:
    """Return the change of one tier or source, each item counting by its weight."""
    place = [k for k, item in enumerate(pairs.new) if getattr(item, by) == name]
    before, after = ([v[k] for k in place] for v in (pairs.before, pairs.after))
    sides = (after, before) if gate.lower else (before, after)
    weights = [pairs.new[k].weight for k in place]
    result = paired_gate(*sides, [pairs.clusters[k] for k in place], weights)
    shares = [weight / sum(weights) for weight in weights]
    return Group(
        by=by,
        name=name,
        n=len(place),
        old=float(np.dot(before, shares)),
        new=float(np.dot(after, shares)),
        p=result.p,
        q=1.0,
    )


def _bounds_of_lost(
    gate: Gate, new: Arm, old: Arm | None, lost: Sequence[str]
) -> Iterator[str]:
    """Say what the verdict would be with all lost items as bad, or as good, as can be.

    Only shares are bounded, and only items of the baseline are compared.
    """
    if old is None or gate.published is not None or gate.unit == "number":
        return
    known = [
        i for i in (*new.items.values(), *old.items.values()) if gate.metric in i.sums
    ]
    if any(not 0 <= value_of(item, gate.metric) <= 1 for item in known):
        return
    values = (1.0, 0.0) if gate.lower else (0.0, 1.0)
    words = []
    for value in values:
        sums: Mapping[str, Any] = {gate.metric: (value, value)}
        imputed = {
            i: replace(old.items[i], k=1, sums=sums) for i in lost if i in old.items
        }
        arm = replace(new, items={**new.items, **imputed}, data_digest="")
        words.append(judge(gate, arm, old).word)
    yield f"with all of them wrong: {words[0]}, with all of them right: {words[1]}"
