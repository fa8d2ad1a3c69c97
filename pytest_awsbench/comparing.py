"""From values to a comparison: which statistics a gate uses, as one kind of value.

Everything here is oriented: more is better, whatever the metric says.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from statistics import NormalDist
from typing import Literal

import numpy as np

from pytest_awsbench.gates import ALPHA, MARGIN, Gate, Published
from pytest_awsbench.pairing import Pairs
from pytest_awsbench.records import Arm, ItemStats
from pytest_awsbench.stats.continuous import (
    Continuous,
    ContinuousRule,
    cluster_mean,
    continuous_gate,
)
from pytest_awsbench.stats.labels import numbered
from pytest_awsbench.stats.paired import Paired, Rule, paired_gate
from pytest_awsbench.stats.power import can_fail
from pytest_awsbench.stats.published import Counts, Estimate, published_counts
from pytest_awsbench.stats.rerun import (
    Repeats,
    decode_share,
    rerun_discordance,
    rerun_floor,
    run_noise,
    run_test,
)
from pytest_awsbench.stats.status import Status
from pytest_awsbench.stats.tango import Interval
from pytest_awsbench.stats.unpaired import Unpaired, unpaired_gate


Test = Literal["paired", "continuous", "unpaired"]

MANY = 100
"""Repeats beyond which more tasks are the better advice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What a gate rests on; differences are oriented."""

    test: Test
    status: Status
    n: int
    clusters: int
    change: float | None
    interval: Interval | None
    """Two-sided 90 %."""
    lower: float | None
    """Bounds at the gate's own alpha."""
    upper: float | None
    p: float | None
    noise_floor: float | None
    worse: int = 0
    better: int = 0
    deff: float | None = None
    discordance: float | None = None
    items_needed: int | None = None
    rerun_discordance: float | None = None
    rerun_floor: float | None = None
    notes: tuple[str, ...] = ()


def compare_pairs(gate: Gate, pairs: Pairs, old: Arm) -> Comparison:
    """Compare two measurements of the same items."""
    before, after = (
        _oriented(gate, pairs.unit, v) for v in (pairs.before, pairs.after)
    )
    if pairs.unit == "number":
        return _continuous(gate, pairs, before, after)
    rule = rule_of(gate)
    result = paired_gate(before, after, pairs.clusters, pairs.weights, rule)
    status, shock = _after_shocks(gate, pairs, result, old)
    rerun = _rerun(gate, pairs)
    return Comparison(
        test="paired",
        status=status,
        n=result.n,
        clusters=result.clusters,
        change=result.change,
        interval=result.interval,
        lower=result.lower,
        upper=result.upper,
        p=result.p,
        noise_floor=result.noise_floor,
        worse=result.worse,
        better=result.better,
        deff=result.deff,
        discordance=result.discordance,
        items_needed=result.items_needed,
        rerun_discordance=None if rerun is None else rerun_discordance(rerun),
        rerun_floor=None if rerun is None else rerun_floor(rerun, result.n),
        notes=(
            *infallible(gate, before, pairs),
            *_paired_notes(result),
            *_settled_by(result, pairs, rerun),
            *shock,
        ),
    )


def compare_published(
    gate: Gate, new: Arm, clusters: Sequence[str], weights: Sequence[float]
) -> Comparison:
    """Compare a run with a published number.

    Args:
        gate: with a published number.
        new: only items that have the metric, in the order of `clusters`.
        clusters: what each item belongs to.
        weights: what each item counts.

    """
    assert gate.published is not None  # noqa: S101 - what it is for
    values = [item.sums[gate.metric][0] / item.k for item in new.items.values()]
    old, notes = _published(gate.published)
    if gate.lower:
        old = _mirrored(old)
    result = unpaired_gate(
        _oriented(gate, "share", values), clusters, old, weights, rule_of(gate)
    )
    return Comparison(
        test="unpaired",
        status=result.status,
        n=result.n,
        clusters=result.clusters,
        change=result.change,
        interval=result.interval,
        lower=result.lower,
        upper=result.upper,
        p=result.p,
        noise_floor=result.noise_floor,
        deff=result.deff,
        notes=(*notes, *_unpaired_notes(gate.published, result)),
    )


def rule_of(gate: Gate) -> Rule:
    """Return a gate on a share as the library judges it; a guard has its margin."""
    return Rule(
        alpha=gate.alpha or ALPHA,
        max_drop=0.0 if gate.guard else gate.max_drop,
        margin=MARGIN if gate.margin is None else gate.margin,
    )


def _continuous(
    gate: Gate, pairs: Pairs, before: list[float], after: list[float]
) -> Comparison:
    """Compare values without bounds, task by task."""
    rule = ContinuousRule(
        alpha=gate.alpha or ALPHA,
        max_drop=0.0 if gate.guard else gate.max_drop,
        margin=gate.margin,
    )
    result = continuous_gate(before, after, pairs.clusters, rule)
    return Comparison(
        test="continuous",
        status=result.status,
        n=len(pairs.ids),
        clusters=result.clusters,
        change=result.change,
        interval=result.interval,
        lower=result.lower,
        upper=result.upper,
        p=result.p,
        noise_floor=result.noise_floor,
        worse=result.worse,
        better=result.better,
        notes=tuple(_continuous_notes(gate, result)),
    )


def _oriented(gate: Gate, unit: str, values: Sequence[float]) -> list[float]:
    """Return values of which more is better."""
    if not gate.lower:
        return list(values)
    return [1 - v if unit == "share" else -v for v in values]


def _after_shocks(
    gate: Gate, pairs: Pairs, result: Paired, old: Arm
) -> tuple[Status, list[str]]:
    """Take the noise of whole runs into account, where three or more are stored."""
    means = old.run_means.get(gate.metric, ())
    variance = _rerun(gate, pairs)
    if variance is None or len(set(pairs.clusters)) < 2:  # noqa: PLR2004 - no error
        return result.status, []
    # Of items that each run asks several times less noise of decoding is left.
    answers = sum(item.k for item in pairs.old) // max(len(means), 1)
    noise = run_noise(means, variance, answers)
    if noise is None:
        held = f"{len(means) or 1} stored run{'s' if len(means) > 1 else ''}"
        return result.status, [f"run-to-run noise unknown ({held}; three would tell)"]
    differences = np.subtract(
        _oriented(gate, "share", pairs.after), _oriented(gate, "share", pairs.before)
    )
    mean = cluster_mean(
        differences, np.asarray(pairs.weights), numbered(pairs.clusters)
    )
    test = run_test(mean.mean, mean.se, mean.clusters, noise)
    text = (
        f"run-to-run noise: sd {100 * noise.run_sd:.1f}pp over {noise.runs} runs, of"
        f" which {100 * noise.shock_variance**0.5:.1f}pp hit all items alike"
    )
    if result.status is Status.REGRESSED and not test.worse(gate.alpha or ALPHA):
        return Status.INCONCLUSIVE, [f"{text}; the drop is within it (p={test.p:.3f})"]
    return result.status, [text]


def _rerun(gate: Gate, pairs: Pairs) -> float | None:
    """Return the variance of one answer around its item's mean, where repeated."""
    items = [item for item in (*pairs.old, *pairs.new) if gate.metric in item.sums]
    return decode_variance(items, gate.metric)


def decode_variance(items: Sequence[ItemStats], metric: str) -> float | None:
    """Return σ_w² of a metric over repeated items; None if none was repeated."""
    if all(item.k == 1 for item in items):
        return None
    return Repeats(
        np.asarray([item.k for item in items], dtype=float),
        np.asarray([item.sums[metric][0] for item in items]),
        np.asarray([item.sums[metric][1] for item in items]),
    ).decode_variance()


def _settled_by(result: Paired, pairs: Pairs, rerun: float | None) -> list[str]:
    """Say how many items, tasks or repeats would settle an inconclusive comparison."""
    if result.items_needed is None:
        return []
    text = f"about {result.items_needed} items"
    if result.clusters < result.n:
        tasks = ceil(result.items_needed * result.clusters / result.n)
        text += f" of {tasks} tasks"
    if rerun is not None and (k := _repeats_needed(result, pairs, rerun)):
        text += f", or {k} repeats of each on both sides,"
    return [f"{text} would settle it"]


def _repeats_needed(result: Paired, pairs: Pairs, rerun: float) -> int | None:
    """Return the repeats that would shrink the interval enough, if any would."""
    assert result.items_needed is not None  # noqa: S101 - asked only with it
    then, now = (min(i.k for i in side) for side in (pairs.old, pairs.new))
    variance = max(result.discordance - result.change**2, 0.0)
    share = decode_share(variance, rerun, then, now)
    wanted = result.n / result.items_needed
    left = wanted - (1 - share)
    if share == 0 or left <= 0:
        return None
    # With K on both sides the decoding part is 2·σ_w²/K of the variance.
    k = ceil(2 * rerun / (variance * left))
    return k if max(then, now) < k <= MANY else None


def _paired_notes(result: Paired) -> list[str]:
    """Return what a reader must know besides the numbers."""
    notes = []
    if result.few_clusters:
        notes.append(f"few tasks ({result.clusters}): interval approximate")
    if result.noise_floor is None and result.changed:
        notes.append(
            f"only {result.changed} answers changed; at least {result.min_flips}"
            " must change the same way to be a regression"
        )
    return notes


def infallible(gate: Gate, before: Sequence[float], pairs: Pairs) -> list[str]:
    """Say that a gate would be green whatever happens, if it would.

    Args:
        gate: on a share.
        before: the baseline's values, oriented.
        pairs: clusters and weights of the items.

    """
    if can_fail(before, pairs.clusters, pairs.weights, rule_of(gate)):
        return []
    if not any(before):
        return ["ungateable: the baseline has nothing right that could get worse"]
    tasks = len(set(pairs.clusters))
    of = f" of {tasks} task{'s' if tasks > 1 else ''}" if tasks < len(before) else ""
    items = f"{len(before)} items{of}"
    why = f"ungateable: {items} can never show a regression; add items, or set min"
    return [why]


def _continuous_notes(gate: Gate, result: Continuous) -> list[str]:
    """Return what a reader must know besides the numbers."""
    notes = []
    if result.dominated:
        notes.append(
            f"one task holds {100 * result.dominance:.0f}% of the evidence:"
            " look at it before you believe the mean"
        )
    if result.few_clusters:
        notes.append(f"few tasks ({result.clusters}): interval approximate")
    if result.status is Status.INCONCLUSIVE:
        notes.append(_continuous_advice(gate, result))
    return notes


def _continuous_advice(gate: Gate, result: Continuous) -> str:
    """Say what would settle a comparison of unbounded values."""
    if gate.margin is None:
        return (
            f"set margin, in units of {gate.metric}, to the change that matters:"
            " without it nothing can be ruled out"
        )
    room = gate.margin + min(result.change, 0.0)
    if room <= 0 or result.clusters < 2:  # noqa: PLR2004 - no spread of one
        return "more tasks are needed"
    z = NormalDist().inv_cdf(1 - ALPHA)
    tasks = ceil(result.clusters * (z * result.se / room) ** 2)
    return f"about {max(tasks, result.clusters + 1)} tasks would settle it"


def _published(given: Published) -> tuple[Counts | Estimate, list[str]]:
    """Return a published number as the library takes it."""
    if given.n is not None:
        counts = published_counts(_printed(given.value), given.n)
        several = len(counts.candidates) > 1
        shown = " or ".join(f"{x:g}" for x in counts.candidates)
        return counts, [
            f"published: {shown} of {given.n}; the worst case counts"
        ] if several else []
    if given.stderr is None:
        return Estimate(published_share(given)), [
            "the published number names neither n nor stderr: nothing can be shown"
        ]
    return Estimate(published_share(given), given.stderr), []


def _printed(value: float | str) -> str:
    """Return a number as it was printed, never with an exponent."""
    return (
        value if isinstance(value, str) else np.format_float_positional(value, trim="0")
    )


def _mirrored(old: Counts | Estimate) -> Counts | Estimate:
    """Return a published share of which less is better as its complement."""
    if isinstance(old, Estimate):
        return Estimate(1 - old.mean, old.stderr)
    flipped = tuple(sorted(old.n - x for x in old.candidates))
    return Counts(flipped, old.n, old.deff)


def _unpaired_notes(given: Published, result: Unpaired) -> list[str]:
    """Return what a reader must know of a comparison with a published number."""
    notes = []
    if result.status is Status.INVALID and given.n is not None:
        share = published_share(given)
        near = round(share * given.n)
        notes.append(
            f"no count of {given.n} is {given.value} when rounded (nearest: {near} of"
            f" {given.n} = {near / given.n:.4g}); check value and n"
        )
    if result.boschloo_p is not None:
        notes.append(f"Boschloo's exact p={result.boschloo_p:.3f}")
    if result.change is not None and result.noise_floor is not None:
        notes.append(
            "a baseline with items (--snapshot-update) would see smaller changes"
        )
    return notes


def published_share(given: Published) -> float:
    """Return a published number as a share."""
    text = str(given.value).strip()
    return float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
