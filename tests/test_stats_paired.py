"""The paired gate: reference vectors, size, and what must never matter."""

from collections.abc import Hashable, Sequence
from functools import cache
from math import ceil, comb
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_awsbench.stats.paired import Paired, Rule, paired_gate
from pytest_awsbench.stats.status import Status


REGRESSED, IMPROVED = Status.REGRESSED, Status.IMPROVED
WITHIN_NOISE, INCONCLUSIVE = Status.WITHIN_NOISE, Status.INCONCLUSIVE

properties = settings(derandomize=True, deadline=None, max_examples=30)

#: Old value, new value, cluster and weight of every item.
Items = list[tuple[int, int, int, int]]
ITEMS = st.lists(
    st.tuples(
        st.integers(0, 1), st.integers(0, 1), st.integers(0, 6), st.integers(1, 2)
    ),
    min_size=1,
    max_size=40,
)


def gate(
    differences: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    weights: Sequence[float] | None = None,
    rule: Rule | None = None,
) -> Paired:
    """Judge differences in [-1, 1]."""
    d = np.asarray(differences, dtype=float)
    labels = clusters or range(len(d))
    return paired_gate(np.maximum(-d, 0), np.maximum(d, 0), labels, weights, rule)


def flips(worse: int, better: int, n: int) -> list[float]:
    """Return the differences of n answers of which some changed."""
    return [-1.0] * worse + [1.0] * better + [0.0] * (n - worse - better)


def judged(items: Items, rule: Rule | None = None) -> Paired:
    """Judge drawn items."""
    old, new, clusters, weights = zip(*items, strict=True)
    return paired_gate(old, new, clusters, weights, rule)


# V18: worse, better, n → p; 90 % interval and floor in points; verdict.
@pytest.mark.parametrize(
    ("counts", "p", "interval", "floor", "status"),
    [
        ((1, 0, 1), 0.25, (-100, 46.0), None, INCONCLUSIVE),
        ((3, 0, 3), 0.0625, (-100, -5.2), None, INCONCLUSIVE),
        ((4, 0, 4), 0.03125, (-100, -19.3), 100, REGRESSED),
        ((4, 0, 10), 0.03125, (-64.8, -10.2), 40, REGRESSED),
        ((0, 0, 10), 0.5, (-21.29, 21.29), None, INCONCLUSIVE),
        ((0, 0, 27), 0.5, (-9.11, 9.11), None, WITHIN_NOISE),
        ((0, 0, 150), 0.5, (-1.77, 1.77), None, WITHIN_NOISE),
        ((3, 0, 150), 0.0625, (-4.90, -0.19), None, WITHIN_NOISE),
        ((9, 3, 150), 0.04614, (-8.33, -0.23), 4.0, REGRESSED),
        ((25, 10, 150), 0.00567, (-16.57, -3.64), 7.33, REGRESSED),
    ],
)
def test_singletons(
    counts: tuple[int, int, int],
    p: float,
    interval: tuple[float, float],
    floor: float | None,
    status: Status,
) -> None:
    """V18: the table of unclustered comparisons."""
    result = gate(flips(*counts))

    assert result.p == pytest.approx(p, abs=6e-6)
    assert [100 * x for x in result.interval] == pytest.approx(interval, abs=0.06)
    shown = result.noise_floor and 100 * result.noise_floor
    assert shown == (floor if floor is None else pytest.approx(floor, abs=0.005))
    assert result.status is status


def test_screen_of_27() -> None:
    """V17: 4 worse and 2 better of 27 prompts of 25 tasks say nothing yet."""
    clusters = ["a", 1, 2, 3, 4, 5, "a", *range(6, 24), "b", "b"]

    result = gate(flips(4, 2, 27), clusters)

    assert (result.n, result.clusters, result.changed) == (27, 25, 6)
    assert result.p == pytest.approx(0.2265625)
    assert result.change == pytest.approx(-0.07407, abs=5e-6)
    assert result.deff == pytest.approx(1.0192, abs=5e-5)
    assert result.interval == pytest.approx((-0.23875, 0.08741), abs=5e-6)
    assert result.noise_floor == pytest.approx(0.22222, abs=5e-6)
    assert result.status is INCONCLUSIVE


def test_weights() -> None:
    """V19: weights count in the test, the change and Kish's n."""
    result = gate([-1, -1, -1, -1, 1, 0, 0, 0, 0, 0], weights=[2, 2, *[1] * 8])

    assert result.p == pytest.approx(0.078125)
    assert result.change == pytest.approx(-0.41667, abs=5e-6)
    assert result.n_eff == pytest.approx(9.0)
    assert result.interval == pytest.approx((-0.70110, 0.00234), abs=5e-6)


def test_repeats_in_clusters() -> None:
    """V20: means over two runs, five clusters of two."""
    differences = [-0.5, -1, -0.5, 0, 0.5, -1, -0.5, 0, 0, -1]

    result = gate(differences, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4])

    assert result.p == pytest.approx(0.015625)
    assert result.change == pytest.approx(-0.4)
    assert result.interval == pytest.approx((-0.64836, -0.10188), abs=5e-6)
    assert (result.worse, result.better) == (6, 1)


@pytest.mark.parametrize(("drop", "k", "n"), [(0.5, 10, 10), (1 / 3, 3, 33)])
def test_repeats_that_all_fell(drop: float, k: int, n: int) -> None:
    """Means over repeats that moved one way only are judged, too."""
    result = gate([-drop] * k + [0.0] * (n - k))

    assert result.change == pytest.approx(-drop * k / n)
    assert result.interval.low < result.change < result.interval.high


def test_five_of_five_are_red() -> None:
    """Five answers that all broke are proof enough."""
    assert gate(flips(5, 0, 5)).status is REGRESSED


def test_allowed_drop_shifts_the_bound() -> None:
    """An allowed drop excuses what lies within it, beyond the noise."""
    drop = flips(25, 10, 150)

    assert gate(drop, rule=Rule(max_drop=0.03)).status is REGRESSED
    assert gate(drop, rule=Rule(max_drop=0.04)).status is INCONCLUSIVE


def test_smaller_alpha_needs_more() -> None:
    """At α = .01 four of four are not enough; six are."""
    rule = Rule(alpha=0.01)

    four, six = gate(flips(4, 0, 10), rule=rule), gate(flips(6, 0, 10), rule=rule)

    assert (four.status, six.status) == (INCONCLUSIVE, REGRESSED)
    assert four.min_flips == 6
    assert four.upper > four.interval.high


def test_improvement() -> None:
    """The mirror of a regression is an improvement."""
    result = gate(flips(10, 25, 150))

    assert result.status is IMPROVED
    assert result.p_up == pytest.approx(0.00567, abs=5e-6)


def test_one_cluster_is_one_item() -> None:
    """Ten items of one task show as much as one."""
    result = gate(flips(10, 0, 10), ["t"] * 10)

    assert result.n_eff == pytest.approx(1)
    assert result.p == 0.25
    assert result.status is INCONCLUSIVE


def test_clusters_that_fall_together_are_few_items() -> None:
    """Two tasks of five items each are worth two, where each moves as one."""
    result = gate(flips(5, 0, 10), [0] * 5 + [1] * 5)

    assert result.deff == pytest.approx(10)
    assert result.few_clusters


def test_no_spread_counts_clusters() -> None:
    """Where nothing changed, every cluster counts as one item."""
    result = gate([0.0] * 20, [i // 4 for i in range(20)])

    assert (result.deff, result.n_eff) == (4, 5)


@given(ITEMS, st.randoms(use_true_random=False))
@properties
def test_order_does_not_matter(items: Items, random: Random) -> None:
    """Items in another order give the same comparison."""
    shuffled = items.copy()
    random.shuffle(shuffled)

    first, second = judged(items), judged(shuffled)

    assert first.status is second.status
    assert (first.worse, first.better) == (second.worse, second.better)
    assert [*first.interval, first.p, first.deff] == pytest.approx([
        *second.interval,
        second.p,
        second.deff,
    ])


@given(ITEMS)
@properties
def test_swapping_mirrors(items: Items) -> None:
    """Old and new swapped turn the comparison around."""
    there = judged(items)

    back = judged([(new, old, cluster, weight) for old, new, cluster, weight in items])

    assert back.change == pytest.approx(-there.change)
    assert (back.p, back.p_up) == pytest.approx((there.p_up, there.p))
    mirrored = (-there.interval.high, -there.interval.low)
    assert back.interval == pytest.approx(mirrored, abs=1e-9)
    assert (back.worse, back.better) == (there.better, there.worse)


@given(ITEMS, st.integers(1, 30), st.integers(0, 1))
@properties
def test_unchanged_items_keep_p(items: Items, more: int, value: int) -> None:
    """Items that did not change say nothing about the direction."""
    added = [(value, value, 100 + i, 1) for i in range(more)]

    assert judged(items + added).p == pytest.approx(judged(items).p)


@given(ITEMS)
@properties
def test_weights_have_no_unit(items: Items) -> None:
    """All weights ten times as large change nothing."""
    heavy = judged([(o, n, cluster, 10 * weight) for o, n, cluster, weight in items])

    light = judged(items)

    assert heavy.status is light.status
    assert [*heavy.interval, heavy.p] == pytest.approx([*light.interval, light.p])


@given(ITEMS, st.sampled_from([0.0, 0.1]), st.sampled_from([0.05, 0.01]))
@properties
def test_verdict_follows_from_its_numbers(
    items: Items, max_drop: float, alpha: float
) -> None:
    """Red needs both a small p and a bound beyond the allowed drop."""
    result = judged(items, Rule(alpha=alpha, max_drop=max_drop))

    if result.status is REGRESSED:
        assert result.p <= alpha
        assert result.upper < -max_drop
        assert result.noise_floor is not None
        assert -result.change >= result.noise_floor - 1e-12
    if result.status is WITHIN_NOISE:
        assert result.interval.low > -0.10
    if result.status is not INCONCLUSIVE:
        assert result.items_needed is None


@given(ITEMS.filter(lambda items: len(items) <= 3))
@properties
def test_three_items_never_fail(items: Items) -> None:
    """Up to three items can never be red."""
    assert judged(items).status is not REGRESSED


@cache
def red(worse: int, better: int, n: int) -> bool:
    """Whether these counts are called a regression."""
    return gate(flips(worse, better, n)).status is REGRESSED


@pytest.mark.parametrize("n", [27, 32])
@pytest.mark.parametrize("discordance", [0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8])
def test_size(n: int, discordance: float) -> None:
    """Of unchanged models at most 5.01 % are called worse: every outcome counted.

    Only where nearly every answer flips may it be more: 6.1 % at 27 of 27.
    """
    size = 0.0
    for changed in range(n + 1):
        share = (
            comb(n, changed) * discordance**changed * (1 - discordance) ** (n - changed)
        )
        reds = [b for b in range(changed + 1) if red(b, changed - b, n)]
        size += share * sum(comb(changed, b) for b in reds) / 2**changed

    assert size <= 0.0501


def test_inconclusive_says_how_many_items() -> None:
    """Ten unchanged items settle nothing; the number that it names does."""
    needed = gate([0.0] * 10).items_needed

    assert needed == 25
    assert gate([0.0] * needed).status is WITHIN_NOISE


def test_more_items_of_the_kind_settle_it() -> None:
    """About as many items as named settle it, if the same share of answers changes."""
    few = gate(flips(2, 2, 20))
    assert few.status is INCONCLUSIVE
    assert few.items_needed is not None

    times = ceil(1.25 * few.items_needed / 20)

    assert gate(flips(2 * times, 2 * times, 20 * times)).status is WITHIN_NOISE


@pytest.mark.parametrize(
    ("old", "new", "clusters", "weights", "message"),
    [
        ([1, 0], [1], [1, 2], None, "one shape"),
        ([[1, 0]], [[1, 0]], [1, 2], None, "one shape"),
        ([1, 0], [1, 0], [1, 2], [1], "one shape"),
        ([1, 0], [1, 0], [1], None, "2 > 0 clusters, got 1"),
        ([], [], [], None, "0 > 0 clusters"),
        ([1, float("nan")], [1, 0], [1, 2], None, "missing item is not a 0"),
        ([1, 0], [1, float("inf")], [1, 2], None, "must be in \\[0, 1\\]"),
        ([1, 0], [1, 0], [1, 2], [1, 0], "weights must be positive"),
        ([1, 0], [1, 0], [1, 2], [1, float("nan")], "weights must be positive"),
    ],
)
def test_wrong_input(
    old: list[float],
    new: list[float],
    clusters: list[int],
    weights: list[float] | None,
    message: str,
) -> None:
    """Input that cannot be judged is refused by name."""
    with pytest.raises(ValueError, match=message):
        paired_gate(old, new, clusters, weights)
