"""What a gate will be able to see, before anything is run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pytest_awsbench.baselines import Baseline
from pytest_awsbench.comparing import decode_variance, published_share, rule_of
from pytest_awsbench.gates import ALPHA, Gate
from pytest_awsbench.pairing import clusters_of, in_tiers, value_of, weights_of
from pytest_awsbench.records import Arm, ItemStats, Sample
from pytest_awsbench.stats.clusters import clustered
from pytest_awsbench.stats.labels import numbered
from pytest_awsbench.stats.power import (
    ASSUMED_DISCORDANCE,
    GatePower,
    can_fail,
    gate_power,
    unpaired_variance,
)
from pytest_awsbench.stats.rerun import rerun_discordance


NOTHING = "no item"
NUMBER = "no share: its noise is known once repeats or two runs are stored"


@dataclass(frozen=True, slots=True, kw_only=True)
class Foresight:
    """A gate, what it can see, and what must be said of it."""

    gate: Gate
    power: GatePower | None
    """None of numbers without bounds: how they scatter is not known before a run."""
    notes: tuple[str, ...] = ()


def foresee(
    gate: Gate, samples: Sequence[Sample], baseline: Baseline | None
) -> Foresight:
    """Say what a gate on the items of a suite can see.

    Args:
        gate: with its alpha.
        samples: of the suite.
        baseline: of the model; None if there is none yet.

    """
    stored = in_tiers(baseline.arm("baseline"), gate.tiers) if baseline else None
    asked = {s.id: s for s in samples if not gate.tiers or s.tier in gate.tiers}
    if not asked:
        return Foresight(gate=gate, power=None, notes=(NOTHING,))
    items = [_item(sample, stored, gate.metric) for sample in asked.values()]
    known = [item for item in items if gate.metric in item.sums]
    if _is_number(gate, known):
        return Foresight(gate=gate, power=None, notes=(NUMBER,))
    clusters = clusters_of(gate, asked, items)
    deff = _design_effect(gate, items, clusters)
    power = gate_power(
        len(items),
        len(set(clusters)),
        deff=deff,
        discordance=_discordance(gate, known, len(items)),
        alpha=gate.alpha or ALPHA,
    )
    measured = (
        gate.published is None and decode_variance(known, gate.metric) is not None
    )
    notes = (*_blind(gate, items, known, clusters), *_beyond(gate, power))
    return Foresight(gate=gate, power=replace(power, measured=measured), notes=notes)


def warnings_of(
    gate: Gate, samples: Sequence[Sample], baseline: Baseline | None
) -> tuple[str, ...]:
    """Say before a run that a gate cannot do what it is there for, if it cannot.

    Without a baseline nothing is known yet but the number of items.
    """
    if gate.unit == "number" or gate.published is not None:
        return ()
    said = foresee(gate, samples, baseline).notes
    return tuple(note for note in said if note not in {NOTHING, NUMBER})


def _item(sample: Sample, stored: Arm | None, metric: str) -> ItemStats:
    """Return an item with what the baseline knows of it, if that is the same prompt."""
    blank = ItemStats(
        prompt_hash=sample.prompt_hash,
        cluster=sample.task_id,
        tier=sample.tier,
        source=sample.source,
        weight=sample.weight,
    )
    then = stored.items.get(sample.id) if stored else None
    if (
        then is None
        or then.prompt_hash != sample.prompt_hash
        or metric not in then.sums
    ):
        return blank
    return replace(blank, k=then.k, sums=then.sums)


def _is_number(gate: Gate, known: Sequence[ItemStats]) -> bool:
    """Whether a metric has no bounds."""
    values = [value_of(item, gate.metric) for item in known]
    return gate.unit == "number" or any(not 0 <= value <= 1 for value in values)


def _design_effect(
    gate: Gate, items: Sequence[ItemStats], clusters: Sequence[str]
) -> float:
    """Return the design effect of clusters, which a baseline shows, and of weights."""
    place = [n for n, item in enumerate(items) if gate.metric in item.sums]
    weights = np.asarray(weights_of(gate, items))
    kish = float(weights.sum() ** 2 / np.square(weights).sum())
    by_weight = max(1.0, len(items) / kish)
    if not place:
        return by_weight
    values = np.asarray([value_of(items[n], gate.metric) for n in place])
    if values.min() == values.max():
        return by_weight
    codes = numbered([clusters[n] for n in place])
    return by_weight * clustered(values, np.ones(len(place)), codes).deff


def _discordance(gate: Gate, known: Sequence[ItemStats], n: int) -> float | None:
    """Return the share of answers that change in a re-run; None if it is unknown."""
    if gate.published is not None:
        share = published_share(gate.published)
        # Twice p(1 - p) at most: of shares near 0 or 1 little is left to change.
        return min(unpaired_variance(share, n, gate.published.n or n), 0.99)
    variance = decode_variance(known, gate.metric) if known else None
    return None if variance is None else min(rerun_discordance(variance), 0.99)


def _blind(
    gate: Gate,
    items: Sequence[ItemStats],
    known: Sequence[ItemStats],
    clusters: Sequence[str],
) -> Iterator[str]:
    """Say that a gate can never be red, if it cannot."""
    thresholds = {gate.min, gate.max, gate.min_gain} != {None}
    if gate.published or thresholds or gate.inconclusive == "fail":
        return
    if known and len(known) == len(items):
        before = [value_of(item, gate.metric) for item in items]
        before = [1 - value for value in before] if gate.lower else before
        if not any(before):
            yield "can never fail: the baseline has nothing right that could get worse"
            return
    else:
        before = [1.0] * len(items)
    weights = weights_of(gate, items)
    if not can_fail(before, clusters, weights, rule_of(gate)):
        tasks = len(set(clusters))
        yield (
            f"can never fail: {len(items)} items in {tasks} tasks are too few at alpha"
            f" {gate.alpha or ALPHA:.2g}; add items, or set min"
        )


def _beyond(gate: Gate, power: GatePower) -> Iterator[str]:
    """Say that a guard asks for more than these items can certify."""
    if gate.guard and gate.margin is not None and gate.margin < power.margin:
        how = "measured" if power.measured else f"assumed {ASSUMED_DISCORDANCE:.0%}"
        yield (
            f"margin {100 * gate.margin:.1f}pp is smaller than what {power.n} items can"
            f" certify ({100 * power.margin:.1f}pp, with {how} discordance): an"
            " unchanged model would often be INCONCLUSIVE"
        )
