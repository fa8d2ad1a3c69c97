"""Unbounded metrics: reference vectors, size, and what must never matter."""

from math import inf, sqrt
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_awsbench.stats.continuous import (
    Continuous,
    ContinuousRule,
    Ratio,
    cluster_mean,
    continuous_gate,
    ratio_gate,
    ratio_scores,
)
from pytest_awsbench.stats.paired import paired_gate
from pytest_awsbench.stats.signflip import sign_flip
from pytest_awsbench.stats.status import Status


REGRESSED, IMPROVED = Status.REGRESSED, Status.IMPROVED
WITHIN_NOISE, INCONCLUSIVE = Status.WITHIN_NOISE, Status.INCONCLUSIVE

properties = settings(derandomize=True, deadline=None, max_examples=40)

#: Differences of episode rewards between the original base and tuned models.
REWARDS = [-1, 0, 0, 0, 0, 0, 1.5, -0.6, 0, 0, 4.37, 1.75, 7.48, -2.6, 1.46]
#: Patients of each of 29 psychiatrists, and of how many only the patient or only the
#: psychiatrist said yes (Donner & Petryshen 1989).
PSYCHIATRY = [
    (7, 0, 4),
    (6, 1, 2),
    (7, 1, 3),
    (6, 1, 2),
    (4, 0, 1),
    (6, 3, 3),
    (5, 3, 0),
    (8, 3, 2),
    (4, 1, 2),
    (7, 0, 4),
    (3, 0, 2),
    (6, 1, 4),
    (7, 0, 3),
    (6, 0, 2),
    (5, 0, 1),
    (4, 0, 3),
    (6, 0, 1),
    (5, 0, 2),
    (4, 3, 0),
    (3, 1, 0),
    (5, 1, 0),
    (4, 2, 2),
    (4, 0, 1),
    (2, 0, 2),
    (3, 0, 2),
    (2, 0, 0),
    (2, 0, 0),
    (3, 0, 1),
    (1, 0, 1),
]

#: Old value, new value and task of every episode.
EPISODES = st.lists(
    st.tuples(st.integers(-9, 9), st.integers(-9, 9), st.integers(0, 8)),
    min_size=1,
    max_size=30,
)


def gate(differences: list[float], rule: ContinuousRule | None = None) -> Continuous:
    """Judge one difference per task."""
    n = len(differences)
    return continuous_gate([0.0] * n, differences, range(n), rule)


def psychiatry() -> tuple[list[int], list[int]]:
    """Return the differences of the 135 pairs, and whose patients they are."""
    differences, codes = [], []
    for code, (patients, up, down) in enumerate(PSYCHIATRY):
        differences += [1] * up + [-1] * down + [0] * (patients - up - down)
        codes += [code] * patients
    return differences, codes


def test_original_rewards() -> None:
    """V16: the original's rewards are within noise."""
    result = gate(REWARDS)

    assert result.change == pytest.approx(0.8240)
    assert result.se == pytest.approx(0.6189, abs=5e-5)
    assert result.change / result.se == pytest.approx(1.3315, abs=5e-5)
    assert result.p_up == pytest.approx(0.111328125)
    assert result.status is INCONCLUSIVE
    assert result.dominance == pytest.approx(0.62, abs=0.005)
    assert result.dominated
    t_95 = 2.144787
    assert result.change - t_95 * result.se == pytest.approx(-0.50, abs=0.005)
    assert result.change + t_95 * result.se == pytest.approx(2.15, abs=0.005)


def test_interval_is_t() -> None:
    """The 90 % interval is ±t of 14 degrees of freedom."""
    result = gate(REWARDS)

    low, high = result.interval
    assert (high - low) / 2 == pytest.approx(1.761310 * result.se, rel=1e-6)
    assert result.upper == high


def test_cluster_error() -> None:
    """V4: the cluster-robust error of the psychiatry data, as statsmodels has it."""
    differences, codes = psychiatry()

    mean = cluster_mean(differences, np.ones(135), codes)

    assert (len(differences), mean.clusters) == (135, 29)
    assert mean.mean == pytest.approx(-0.21481, abs=5e-6)
    assert mean.se == pytest.approx(0.067291, abs=5e-7)


def test_psychiatry_is_a_regression() -> None:
    """V4: the paired gate on the same data."""
    differences, codes = psychiatry()
    d = np.array(differences)

    result = paired_gate(d == -1, d == 1, codes)

    assert (result.worse, result.better) == (50, 21)
    assert result.p == pytest.approx(0.002411, abs=5e-7)
    assert (result.deff, result.n_eff) == pytest.approx((1.2741, 105.957), abs=5e-4)
    assert result.interval == pytest.approx((-0.32266, -0.10130), abs=5e-6)
    assert result.noise_floor == pytest.approx(0.14074, abs=5e-6)
    assert result.status is REGRESSED


def test_obuchowski_is_its_normal_law() -> None:
    """V4: as normal, the sign-flip test is Obuchowski's, but for (G-1)/G."""
    differences, codes = psychiatry()
    sums = np.bincount(codes, differences)

    z = sums.sum() / sign_flip(sums).scale

    assert 28 / 29 * z**2 == pytest.approx(7.186, abs=5e-4)


def test_durkalski_is_the_normal_law_of_means() -> None:
    """V4: as normal, the test on cluster means is Durkalski's: χ² = 7.542."""
    differences, codes = psychiatry()
    means = np.bincount(codes, differences) / np.bincount(codes)

    z = means.sum() / sign_flip(means).scale

    assert z**2 == pytest.approx(7.542, abs=5e-4)


def test_psychiatry_by_means() -> None:
    """V4: the gate that averages within a cluster finds the same drop."""
    differences, codes = psychiatry()

    result = continuous_gate(np.zeros(135), differences, codes)

    assert result.clusters == 29
    assert result.status is REGRESSED


def test_repeats_of_a_task_are_one() -> None:
    """Seeds are averaged within a task; ten seeds of two tasks are two tasks."""
    result = continuous_gate([9] * 20, [5] * 20, [0] * 10 + [1] * 10)

    assert result.clusters == 2
    assert result.p == 0.125
    assert result.status is INCONCLUSIVE


def test_tasks_count_once() -> None:
    """A task with more episodes does not count more."""
    result = continuous_gate([0, 0, 0, 0], [4, 4, 4, 0], "aaab")

    assert result.change == 2
    assert (result.worse, result.better) == (0, 1)


def test_lower_is_better() -> None:
    """More steps are a drop; the change is oriented."""
    rule = ContinuousRule(higher_is_better=False)

    result = continuous_gate([5, 6, 5, 7], [8, 9, 7, 9], "abcd", rule)

    assert result.change == -2.5
    assert result.status is REGRESSED
    assert (result.worse, result.better) == (4, 0)


def test_allowed_drop_and_margin() -> None:
    """Both are in units of the metric."""
    drop = [-1.0, -1.2, -0.8, -1.1, -0.9, *[-1.0] * 10]

    assert gate(drop, ContinuousRule(max_drop=0.5)).status is REGRESSED
    assert gate(drop, ContinuousRule(max_drop=1.0)).status is INCONCLUSIVE
    inside = ContinuousRule(max_drop=1.0, margin=1.5)
    assert gate(drop, inside).status is WITHIN_NOISE


def test_improvement() -> None:
    """More of what is good is an improvement."""
    assert gate([1.0, 1.2, 0.8, *[1.0] * 12]).status is IMPROVED


def test_one_task() -> None:
    """One task has no standard error, and no verdict."""
    result = continuous_gate([9, 9, 9], [0, 1, 0], "aaa")

    assert result.se == inf
    assert result.interval == (-inf, inf)
    assert result.status is INCONCLUSIVE


def test_noise_floor_is_a_task_mean() -> None:
    """The floor is what the sign-flip test needs, per task."""
    result = gate([-1.0, 1.0, *[-1.0] * 6, *[0.0] * 7])

    assert result.noise_floor == pytest.approx(6 / 15)
    assert result.min_flips == 4


@given(EPISODES, st.randoms(use_true_random=False))
@properties
def test_order_and_labels_do_not_matter(
    episodes: list[tuple[int, int, int]], random: Random
) -> None:
    """Episodes in another order, and tasks of other names, give the same."""
    shuffled = [(old, new, f"task {task}") for old, new, task in episodes]
    random.shuffle(shuffled)

    first, second = (
        continuous_gate(
            [e[0] for e in some], [e[1] for e in some], [e[2] for e in some]
        )
        for some in (episodes, shuffled)
    )

    assert [*second.interval, second.p, second.dominance] == pytest.approx([
        *first.interval,
        first.p,
        first.dominance,
    ])


@given(EPISODES)
@properties
def test_swapping_mirrors(episodes: list[tuple[int, int, int]]) -> None:
    """Old and new swapped, or the direction turned, mirror the comparison."""
    old, new, tasks = map(list, zip(*episodes, strict=True))
    there = continuous_gate(old, new, tasks)

    back = continuous_gate(new, old, tasks)
    turned = continuous_gate(old, new, tasks, ContinuousRule(higher_is_better=False))

    assert turned == back
    assert (back.p, back.p_up) == pytest.approx((there.p_up, there.p))
    low, high = there.interval
    assert back.interval == pytest.approx((-high, -low))


@given(EPISODES, st.sampled_from([0.5, 2.0, 10.0]))
@properties
def test_units_do_not_matter(
    episodes: list[tuple[int, int, int]], scale: float
) -> None:
    """In other units p is the same, and the interval is in those units."""
    old, new, tasks = map(list, zip(*episodes, strict=True))
    there = continuous_gate(old, new, tasks)

    scaled = continuous_gate([scale * x for x in old], [scale * x for x in new], tasks)

    assert scaled.p == pytest.approx(there.p, abs=1e-6)
    low, high = there.interval
    assert scaled.interval == pytest.approx((scale * low, scale * high))


@given(st.lists(st.integers(-9, 9), min_size=2, max_size=30))
@properties
def test_one_item_per_cluster_is_the_textbook(values: list[int]) -> None:
    """Without clusters the error is s/√n."""
    mean = cluster_mean(values, np.ones(len(values)), range(len(values)))

    assert mean.se == pytest.approx(np.std(values, ddof=1) / sqrt(len(values)))


COUNTS = st.lists(
    st.tuples(
        st.integers(0, 9), st.integers(1, 9), st.integers(0, 9), st.integers(1, 9)
    ),
    min_size=1,
    max_size=20,
)


@given(COUNTS)
@properties
def test_scores_add_up_to_the_ratio(counts: list[tuple[int, int, int, int]]) -> None:
    """The mean score is the change of the pooled ratio."""
    x0, n0, x1, n1 = (np.array(column) for column in zip(*counts, strict=True))

    scores = ratio_scores(Ratio(x0, n0), Ratio(x1, n1))

    change = x1.sum() / n1.sum() - x0.sum() / n0.sum()
    assert scores.mean() == pytest.approx(change, abs=1e-12)


def test_ratio_gate() -> None:
    """More failures per command are a regression, however many commands there are."""
    rng = np.random.default_rng(3)
    n0, n1 = rng.integers(3, 12, size=(2, 40))
    rule = ContinuousRule(higher_is_better=False)

    worse = ratio_gate(
        Ratio(rng.binomial(n0, 0.1), n0), Ratio(rng.binomial(n1, 0.35), n1), rule
    )
    same = ratio_gate(
        Ratio(rng.binomial(n0, 0.2), n0), Ratio(rng.binomial(n1, 0.2), n1), rule
    )

    assert worse.status is REGRESSED
    assert same.status is INCONCLUSIVE


def test_ratio_size() -> None:
    """Of unchanged ratios about 5 % are called worse, though lengths differ."""
    rng = np.random.default_rng(5)
    reds = 0
    for _ in range(60):
        ease = rng.beta(2, 6, size=30)
        sides = []
        for _side in range(2):
            n = rng.geometric(0.2, size=30) + 2
            sides.append(Ratio(rng.binomial(n, ease), n))
        reds += ratio_gate(sides[0], sides[1]).status is REGRESSED

    # 3 are expected; 3 + 4 standard errors.
    assert reds <= 9


@pytest.mark.parametrize("tasks", [15, 40])
def test_size(tasks: int) -> None:
    """Of unchanged models about 5 % are called worse, with 4 seeds per task."""
    rng = np.random.default_rng(2)
    codes = np.repeat(np.arange(tasks), 4).tolist()
    reds = 0
    for _ in range(200):
        level = rng.gamma(2, 2, size=tasks)
        sides = [
            np.rint(np.repeat(level + rng.normal(size=tasks), 4) + noise)
            for noise in rng.normal(size=(2, 4 * tasks))
        ]
        reds += continuous_gate(sides[0], sides[1], codes).status is REGRESSED

    # 10 are expected; 10 + 4 standard errors.
    assert reds <= 22


@pytest.mark.parametrize(
    ("old", "new", "clusters", "message"),
    [
        ([], [], [], "one shape"),
        ([1], [1, 2], "ab", "one shape"),
        ([1, 2], [1, 2], "a", "need 2 clusters, got 1"),
        ([1, 2], [1, float("nan")], "ab", "missing item is not a 0"),
    ],
)
def test_wrong_input(
    old: list[float], new: list[float], clusters: str, message: str
) -> None:
    """Input that cannot be judged is refused by name."""
    with pytest.raises(ValueError, match=message):
        continuous_gate(old, new, clusters)


def test_wrong_ratios() -> None:
    """A ratio needs something to be divided by, and the same tasks."""
    with pytest.raises(ValueError, match="divided by"):
        ratio_gate(Ratio([1, 1], [0, 0]), Ratio([1, 1], [2, 2]))
    with pytest.raises(ValueError, match="same tasks"):
        ratio_gate(Ratio([1], [2]), Ratio([1, 1], [2, 2]))
