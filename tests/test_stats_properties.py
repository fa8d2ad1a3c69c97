"""What must hold of every comparison, whatever its numbers are."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from decimal import ROUND_DOWN, ROUND_HALF_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from fractions import Fraction
from math import nan
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pytest_awsbench.stats.continuous import (
    Continuous,
    ContinuousRule,
    Ratio,
    continuous_gate,
    ratio_gate,
)
from pytest_awsbench.stats.curtail import Stop, curtail
from pytest_awsbench.stats.paired import Paired, Rule, paired_gate
from pytest_awsbench.stats.published import Counts, Estimate, published_counts
from pytest_awsbench.stats.status import Status
from pytest_awsbench.stats.unpaired import Unpaired, unpaired_gate


Floats = NDArray[np.float64]

TINY = 1e-9
K = 4
"""Repeats that values are means of: quarters are exact, so that ties are ties."""
CASES = 300

properties = settings(derandomize=True, deadline=None, max_examples=60)


@dataclass(frozen=True, slots=True)
class Item:
    """What a comparison knows of an item: successes of K, task and weight."""

    old: int
    new: int
    task: int
    weight: int = 1


ITEM = st.builds(
    Item, st.integers(0, K), st.integers(0, K), st.integers(0, 7), st.integers(1, 3)
)
ITEMS = st.lists(ITEM, min_size=1, max_size=40)
#: Old value, new value and task of an episode.
EPISODES = st.lists(
    st.tuples(st.integers(-9, 9), st.integers(-9, 9), st.integers(0, 8)),
    min_size=1,
    max_size=30,
)
#: Right or wrong, and task.
ANSWERS = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 9)), min_size=2, max_size=50
)


def judged(items: Sequence[Item]) -> Paired:
    """Compare items that were measured before and now."""
    return paired_gate(
        [item.old / K for item in items],
        [item.new / K for item in items],
        [item.task for item in items],
        [item.weight for item in items],
    )


def numbers(result: Paired | Continuous) -> list[float]:
    """Return what a comparison measured, as far as rounding can change it."""
    floor = -1.0 if result.noise_floor is None else result.noise_floor
    return [result.change, result.p, result.p_up, *result.interval, floor]


# Paired.


@given(ITEMS, st.randoms(use_true_random=False))
@properties
def test_order_and_labels(items: list[Item], random: Random) -> None:
    """Items in another order, and tasks of other names, give the same comparison."""
    names = random.sample(range(-100, 100), 8)
    other = [replace(item, task=names[item.task]) for item in items]
    random.shuffle(other)

    first, second = judged(items), judged(other)

    assert numbers(second) == pytest.approx(numbers(first), abs=TINY)
    assert second.n_eff == pytest.approx(first.n_eff)
    assert second.status is first.status


@pytest.mark.parametrize("seed", range(6))
def test_order_and_labels_of_real_numbers(seed: int) -> None:
    """Values and weights that fit no grid do not depend on the order, either."""
    rng = np.random.default_rng(seed)
    old, new, weights = rng.random((3, 80))
    tasks = rng.integers(0, 25, 80)
    order = rng.permutation(80)

    first = paired_gate(old, new, tasks.tolist(), weights)
    second = paired_gate(
        old[order], new[order], [f"task {t}" for t in tasks[order]], weights[order]
    )

    assert numbers(second) == pytest.approx(numbers(first), abs=1e-6)


@given(ITEMS, st.data())
@properties
def test_a_loss_never_raises_p(items: list[Item], data: st.DataObject) -> None:
    """One item that got worse makes "nothing got worse" less credible, never more."""
    place = data.draw(st.integers(0, len(items) - 1))
    lower = data.draw(st.integers(0, items[place].new))
    worse = items.copy()
    worse[place] = replace(items[place], new=lower)

    before, after = judged(items), judged(worse)

    assert after.p <= before.p + TINY
    assert after.p_up >= before.p_up - TINY
    assert after.change <= before.change + TINY


@given(ITEMS)
@properties
def test_exchange_mirrors(items: list[Item]) -> None:
    """Old and new exchanged turn the comparison around."""
    there = judged(items)

    back = judged([replace(item, old=item.new, new=item.old) for item in items])

    assert (back.p, back.p_up) == pytest.approx((there.p_up, there.p), abs=TINY)
    low, high = there.interval
    assert back.interval == pytest.approx((-high, -low), abs=TINY)
    assert (back.worse, back.better) == (there.better, there.worse)
    assert (back.deff, back.discordance) == pytest.approx((
        there.deff,
        there.discordance,
    ))
    turned = {Status.REGRESSED: Status.IMPROVED, Status.IMPROVED: Status.REGRESSED}
    if there.status in turned:
        assert back.status is turned[there.status]


@given(ITEMS)
@properties
def test_weights_of_one(items: list[Item]) -> None:
    """Weights of 1 are no weights."""
    old, new, tasks, _ = zip(*map(astuple, items), strict=True)
    before, after = np.array(old) / K, np.array(new) / K

    weighted = paired_gate(before, after, tasks, [1.0] * len(items))

    assert weighted == paired_gate(before, after, tasks)


@given(ITEMS, st.data())
@properties
def test_splitting_a_task(items: list[Item], data: st.DataObject) -> None:
    """However a task is split, n items are never worth more than n."""
    chosen = data.draw(st.sets(st.integers(0, len(items) - 1)))
    split = [
        replace(item, task=item.task + 100 * (place in chosen))
        for place, item in enumerate(items)
    ]

    result = judged(split)

    assert result.n_eff <= result.n + TINY
    assert result.deff >= 1


@given(ITEMS)
@properties
def test_items_of_their_own_are_worth_themselves(items: list[Item]) -> None:
    """Without tasks and weights, n items are worth n."""
    alone = [replace(item, task=i, weight=1) for i, item in enumerate(items)]

    assert judged(alone).n_eff == pytest.approx(len(items))


@given(st.integers(0, 80), st.integers(0, 80), st.integers(1, 80))
@properties
def test_singletons_are_mcnemar(worse: int, better: int, same: int) -> None:
    """With an item per task, p is McNemar's mid-p: scipy's binomial law."""
    binom = pytest.importorskip("scipy.stats").binom
    old = [1] * worse + [0] * better + [1] * same
    new = [0] * worse + [1] * better + [1] * same

    result = paired_gate(old, new, range(len(old)))

    changed = worse + better
    expected = binom.cdf(better - 1, changed, 0.5) + binom.pmf(better, changed, 0.5) / 2
    assert result.p == pytest.approx(float(expected), rel=1e-9, abs=1e-15)


# Curtailment.


@dataclass(frozen=True, slots=True)
class Part:
    """A run of which not every answer is there."""

    old: Floats
    new: Floats
    tasks: list[int]
    weights: list[float] | None
    rule: Rule

    def completed(self, filling: Floats | float) -> Paired:
        """Judge the run with these answers where one is missing."""
        new = np.where(np.isnan(self.new), filling, self.new)
        return paired_gate(self.old, new, self.tasks, self.weights, self.rule)


def part(rng: np.random.Generator) -> Part:
    """Draw a run that goes on task by task, of a model that may be worse."""
    n, alpha = int(rng.integers(4, 70)), float(rng.choice([0.05, 0.01, 0.2]))
    tasks = np.sort(rng.integers(0, rng.integers(2, n + 1), n))
    old = (rng.random(n) < rng.uniform(0.3, 1)).astype(float)
    kept, gained = rng.random(n) < rng.uniform(0.1, 1), rng.random(n) < 0.2
    new = np.where(old == 1, kept, gained).astype(float)
    answered = rng.integers(0, n + 1)
    new[answered:] = nan
    if rng.random() < 0.25:
        weights = rng.integers(1, 4, n).astype(float).tolist()
        old, new = old * 0.75, np.where(new == 1, 0.5, new)
        return Part(old, new, tasks.tolist(), weights, Rule(alpha=alpha))
    return Part(old, new, tasks.tolist(), None, Rule(alpha=alpha))


def test_curtailment_agrees_with_the_full_run() -> None:
    """V23: whatever is announced early, no way to go on contradicts it."""
    rng = np.random.default_rng(23)
    stops: Counter[Stop] = Counter()
    for _ in range(CASES):
        run = part(rng)
        early = curtail(run.old, run.new, run.tasks, run.weights, run.rule)
        random = (rng.random((6, len(run.old))) < 0.5).astype(float)
        full = [run.completed(filling) for filling in (0.0, 1.0, run.old, *random)]
        stops[early.stop] += 1
        assert full[0].p == pytest.approx(early.p_least, abs=TINY)
        assert full[1].p == pytest.approx(early.p_most, abs=TINY)
        for result in full:
            assert early.p_least - TINY <= result.p <= early.p_most + TINY
            red = result.status is Status.REGRESSED
            assert early.stop is Stop.CONTINUE or red == (early.stop is Stop.REGRESSED)

    # Claims that are never made would hold, too.
    assert min(stops[stop] for stop in Stop) >= CASES // 20


# Published numbers.


@given(st.integers(1, 400), st.data(), st.integers(0, 4))
@properties
def test_grim_inverts_rounding(n: int, data: st.DataObject, digits: int) -> None:
    """The candidates are all counts that print like this, and no other."""
    x = data.draw(st.integers(0, n))
    unit = Decimal(1).scaleb(-digits)
    for rounding in (ROUND_HALF_UP, ROUND_HALF_DOWN, ROUND_HALF_EVEN):
        printed = (Decimal(x) / n).quantize(unit, rounding)

        candidates = published_counts(str(printed), n).candidates

        assert x in candidates
        half = Fraction(unit) / 2
        near = [
            k for k in range(n + 1) if abs(Fraction(k, n) - Fraction(printed)) <= half
        ]
        assert list(candidates) == near


def test_grim_does_not_invert_truncation() -> None:
    """Digits that were cut off are another number: 11 of 27 are not .40."""
    cut = (Decimal(11) / 27).quantize(Decimal("0.01"), ROUND_DOWN)

    assert 11 not in published_counts(str(cut), 27).candidates


# Unpaired.


def compared(answers: list[tuple[int, int]], old: Counts | Estimate) -> Unpaired:
    """Compare answers with a published number."""
    values, tasks = zip(*answers, strict=True)
    return unpaired_gate(values, tasks, old)


PUBLISHED = st.one_of(
    st.integers(0, 40).map(lambda x: Counts((float(x),), 40)),
    st.integers(1, 19).map(lambda x: Estimate(x / 20, 0.03)),
)


@given(ANSWERS, PUBLISHED, st.randoms(use_true_random=False))
@properties
def test_unpaired_order_and_labels(
    answers: list[tuple[int, int]], old: Counts | Estimate, random: Random
) -> None:
    """Answers in another order, and tasks of other names, give the same."""
    other = [(value, task + 1000) for value, task in answers]
    random.shuffle(other)

    first, second = compared(answers, old), compared(other, old)

    assert second.interval == pytest.approx(first.interval)
    assert second.upper == pytest.approx(first.upper)
    assert (second.p, second.deff) == pytest.approx((first.p, first.deff))
    assert second.status is first.status


@given(ANSWERS, PUBLISHED)
@properties
def test_unpaired_direction(
    answers: list[tuple[int, int]], old: Counts | Estimate
) -> None:
    """Failures in place of successes turn the comparison around."""
    there = compared(answers, old)
    match old:
        case Counts():
            failures: Counts | Estimate = Counts((old.n - old.candidates[0],), old.n)
        case Estimate():
            failures = Estimate(1 - old.mean, old.stderr)

    back = compared([(1 - value, task) for value, task in answers], failures)

    assert there.p is not None
    assert back.p == pytest.approx(1 - there.p, abs=1e-6)
    assert there.interval is not None
    low, high = there.interval
    assert back.interval == pytest.approx((-high, -low), abs=TINY)


@given(ANSWERS, PUBLISHED, st.data())
@properties
def test_unpaired_loss(
    answers: list[tuple[int, int]], old: Counts | Estimate, data: st.DataObject
) -> None:
    """An answer of its own task that is lost never makes the mean look better."""
    alone = [(value, task) for task, (value, _) in enumerate(answers)]
    place = data.draw(st.integers(0, len(alone) - 1))
    worse = alone.copy()
    worse[place] = (0, place)

    before, after = compared(alone, old), compared(worse, old)

    assert after.new <= before.new
    if isinstance(old, Counts):
        assert after.p is not None
        assert before.p is not None
        assert after.p <= before.p + TINY


# Continuous.


def played(
    episodes: Sequence[tuple[float, float, int]], rule: ContinuousRule | None = None
) -> Continuous:
    """Compare episodes that were played before and now."""
    old, new, tasks = zip(*episodes, strict=True)
    return continuous_gate(old, new, tasks, rule)


@given(EPISODES, st.randoms(use_true_random=False))
@properties
def test_continuous_order_and_labels(
    episodes: list[tuple[int, int, int]], random: Random
) -> None:
    """Episodes in another order, and tasks of other names, give the same."""
    other = [(old, new, 77 - task) for old, new, task in episodes]
    random.shuffle(other)

    first, second = played(episodes), played(other)

    assert numbers(second) == pytest.approx(numbers(first))
    assert second.status is first.status


@given(EPISODES)
@properties
def test_continuous_direction(episodes: list[tuple[int, int, int]]) -> None:
    """Where less is better, a rise is what a drop is elsewhere."""
    there = played(episodes)

    turned = played(episodes, ContinuousRule(higher_is_better=False))
    negated = played([(-old, -new, task) for old, new, task in episodes])

    assert numbers(turned) == pytest.approx(numbers(negated))
    assert (turned.p, turned.p_up) == pytest.approx((there.p_up, there.p))
    low, high = there.interval
    assert turned.interval == pytest.approx((-high, -low))


@given(EPISODES, st.data())
@properties
def test_continuous_loss(
    episodes: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    """A task that got worse never raises p."""
    alone = [(old, new, task) for task, (old, new, _) in enumerate(episodes)]
    place = data.draw(st.integers(0, len(alone) - 1))
    old, new, task = alone[place]
    worse = alone.copy()
    worse[place] = (old, new - data.draw(st.integers(0, 9)), task)

    assert played(worse).p <= played(alone).p + TINY


@given(st.integers(0, 2**32 - 1), st.integers(1, 20))
@properties
def test_ratio_direction(seed: int, tasks: int) -> None:
    """Old and new exchanged turn the comparison of ratios around."""
    rng = np.random.default_rng(seed)
    amounts, per = rng.integers(0, 9, (2, tasks)), rng.integers(1, 9, (2, tasks))
    old, new = (Ratio(amounts[side], per[side]) for side in (0, 1))

    there, back = ratio_gate(old, new), ratio_gate(new, old)

    assert back.change == pytest.approx(-there.change, abs=TINY)
    low, high = there.interval
    assert back.interval == pytest.approx((-high, -low), abs=TINY)
    assert (back.p, back.p_up) == pytest.approx((there.p_up, there.p), abs=1e-6)
