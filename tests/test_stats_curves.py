"""pass@k, pass^k, recovery curves: published values, exact values, coverage."""

from fractions import Fraction
from math import comb, inf, log, nan, sqrt
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_awsbench.stats.curves import (
    mean_share,
    pass_at_k,
    pass_hat_k,
    recovered,
    recovery_curve,
)
from pytest_awsbench.stats.intervals import Count, wilson_interval
from pytest_awsbench.stats.tango import Interval


Z_90 = 1.644853627
properties = settings(derandomize=True, deadline=None, max_examples=60)

#: Runs, successes and k that fit together.
COUNTED = st.integers(1, 60).flatmap(
    lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))
)
#: Steps of 20 episodes or more, some of which never recovered.
STEPS = st.lists(
    st.one_of(st.integers(0, 9), st.just(inf), st.just(nan)), min_size=20, max_size=40
)


def exactly(hits: int, n: int, k: int) -> float:
    """Return C(hits, k) / C(n, k) from whole numbers."""
    return float(Fraction(comb(hits, k), comb(n, k)))


def width(interval: Interval) -> float:
    """Return how wide an interval is."""
    return interval.high - interval.low


@pytest.mark.parametrize(
    ("n", "c", "k", "expected"),
    [(10, 3, 1, 0.3), (5, 2, 2, 0.7), (20, 4, 5, 0.718266)],
)
def test_reference_values(n: int, c: int, k: int, expected: float) -> None:
    """V9: the published pass@k."""
    assert pass_at_k([c], n, k) == pytest.approx([expected], abs=1e-6)


@given(COUNTED)
@properties
def test_binomial_coefficients(counted: tuple[int, int, int]) -> None:
    """Both shares are those of whole numbers."""
    n, c, k = counted

    [at_least_one], [all_of_them] = pass_at_k([c], n, k), pass_hat_k([c], n, k)

    assert at_least_one == pytest.approx(1 - exactly(n - c, n, k), abs=1e-12)
    assert all_of_them == pytest.approx(exactly(c, n, k), abs=1e-12)


def test_large_numbers() -> None:
    """Thousands of runs neither overflow nor vanish."""
    n, k = 20_000, 5_000

    values = pass_at_k([0, 1, 3, n], n, k)

    expected = [1 - exactly(n - c, n, k) for c in (0, 1, 3, n)]
    assert values == pytest.approx(expected, abs=1e-10)
    assert pass_hat_k([n - 1], n, k) == pytest.approx([0.75], abs=1e-10)


def test_runs_of_each_item() -> None:
    """Items may have been run differently often."""
    assert pass_at_k([1, 1], [2, 4], 2).tolist() == pytest.approx([1, 0.5])
    assert pass_hat_k([2, 2], [2, 4], 2).tolist() == pytest.approx([1, 1 / 6])


def test_estimates_are_unbiased() -> None:
    """Their means over all outcomes of n runs are 1-(1-p)^k and p^k."""
    n, k, p = 7, 3, 0.3
    law = np.array([comb(n, c) * p**c * (1 - p) ** (n - c) for c in range(n + 1)])

    at_least_one = law @ pass_at_k(range(n + 1), n, k)
    all_of_them = law @ pass_hat_k(range(n + 1), n, k)

    assert at_least_one == pytest.approx(1 - (1 - p) ** k)
    assert all_of_them == pytest.approx(p**k)


@pytest.mark.parametrize(
    ("successes", "runs", "k", "message"),
    [
        ([], 3, 1, "n > 0 items"),
        ([[1]], 3, 1, "n > 0 items"),
        ([4], 3, 1, "0 <= successes <= runs"),
        ([-1], 3, 1, "0 <= successes <= runs"),
        ([0.5], 3, 1, "whole numbers"),
        ([nan], 3, 1, "whole numbers"),
        ([1], 3, 0, "1 <= k <= runs of every item, got k=0 of 3"),
        ([1, 1], [9, 3], 4, "1 <= k <= runs of every item, got k=4 of 3"),
    ],
)
def test_wrong_counts(
    successes: list[float], runs: int | list[int], k: int, message: str
) -> None:
    """Counts that do not fit are refused by name."""
    with pytest.raises(ValueError, match=message):
        pass_at_k(successes, runs, k)
    with pytest.raises(ValueError, match=message):
        pass_hat_k(successes, runs, k)


def test_mean_of_answers_is_wilsons() -> None:
    """Answers of 0 and 1 have Wilson's interval, all but for t in place of z."""
    share = mean_share([1] * 300 + [0] * 700, range(1000))

    expected = wilson_interval(Count(300, 1000), Z_90)
    assert share.interval == pytest.approx(expected, abs=1e-4)
    assert (share.n, share.clusters, share.deff) == (1000, 1000, 1)


def test_clusters_widen() -> None:
    """Copies of an item are worth no more than the item."""
    values = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0]

    once, copied, apart = (
        width(mean_share(values * copies, clusters).interval)
        for copies, clusters in (
            (1, [*range(6)]),
            (5, [*range(6)] * 5),
            (5, [*range(30)]),
        )
    )

    assert copied > 0.99 * once
    assert apart < 0.5 * once


def test_draws_narrow() -> None:
    """Five runs of an item are worth more than one, but at most five."""
    values = np.linspace(0.4, 0.8, 30)

    widths = [
        width(mean_share(values, range(30), draws).interval) for draws in (1, 2.5, 5)
    ]

    assert widths[0] > widths[1] > widths[2] > widths[0] / sqrt(5) * 0.95


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_nothing_varies(value: float) -> None:
    """Values that are all alike are no proof: their interval is no point."""
    share = mean_share([value] * 12, range(12), draws=4)

    assert share.interval.low <= value <= share.interval.high
    assert width(share.interval) > 0.2


def test_one_cluster_says_little() -> None:
    """However many items one cluster has, it is one draw."""
    share = mean_share([1.0, 0.0] * 50, ["same"] * 100)

    assert width(share.interval) > 0.9


@pytest.mark.parametrize(
    ("values", "clusters", "draws", "message"),
    [
        ([], [], 1, "n > 0 values"),
        ([0.5], ["a", "b"], 1, "as many clusters"),
        ([1.5], ["a"], 1, r"in \[0, 1\]"),
        ([nan], ["a"], 1, r"in \[0, 1\]"),
        ([0.5], ["a"], 0.5, "one draw or more"),
        ([0.5], ["a"], nan, "one draw or more"),
    ],
)
def test_wrong_values(
    values: list[float], clusters: list[str], draws: float, message: str
) -> None:
    """Values that are no shares are refused by name."""
    with pytest.raises(ValueError, match=message):
        mean_share(values, clusters, draws)


def test_mean_share_covers() -> None:
    """The 90 % interval of pass@2 holds the truth in about 90 % of samples."""
    rng = np.random.default_rng(3)
    truth = 1 - 0.5 * (0.9**2 + 0.3**2)
    held = 0
    for _ in range(400):
        ease = rng.choice([0.1, 0.7], size=24)
        values = pass_at_k(rng.binomial(6, ease), 6, 2)
        low, high = mean_share(values, range(24), draws=6 / 2).interval
        held += low <= truth <= high

    assert 0.86 <= held / 400 <= 0.96


def test_recovered_within() -> None:
    """Recovery in turn 2 counts from k = 2 on; never is not even the last k."""
    assert recovered([0, 2, 3, inf, nan], 2).tolist() == [
        [1, 1],
        [0, 1],
        [0, 0],
        [0, 0],
        [0, 0],
    ]


def test_never_recovered_stays_in_the_denominator() -> None:
    """Ten of forty episodes recovered: a quarter, whatever became of the others."""
    curve = recovery_curve([1.0] * 10 + [inf] * 15 + [nan] * 15, range(40), 2)

    assert curve.rates == (0.25, 0.25)
    assert (curve.n, curve.clusters) == (40, 40)


def test_one_point_is_wilsons() -> None:
    """A curve of one k has Wilson's pointwise interval, but for the fixed draws."""
    curve = recovery_curve([1.0] * 30 + [inf] * 70, range(100), 1)

    expected = wilson_interval(Count(30, 100), Z_90)
    assert curve.critical == pytest.approx(Z_90, abs=0.02)
    assert curve.band[0] == pytest.approx(expected, abs=0.002)


def test_more_points_need_more_room() -> None:
    """The more independent looks at a curve, the larger the critical value."""
    steps = [float(n % 16) for n in range(160)]

    values = [recovery_curve(steps, range(160), upto).critical for upto in (1, 4, 15)]

    assert values[0] is not None
    assert values[1] is not None
    assert values[2] is not None
    assert values[0] < values[1] < values[2] < 2.8


@pytest.mark.parametrize("ends", [1, 50, 125, 200])
def test_two_points(ends: int) -> None:
    """Two normal values are both within the critical value with 90 %."""
    # Of 500 episodes `ends` recover at once, as many never, the others in turn 3: the
    # points are sums that have `ends` in common.
    steps = [1.0] * ends + [3.0] * (500 - 2 * ends) + [inf] * ends

    critical = recovery_curve(steps, range(500), 3).critical

    assert critical is not None
    rho = ends / (500 - ends)
    x, step = np.linspace(-critical, critical, 2001, retstep=True)
    normal = NormalDist()
    apart = sqrt(1 - rho * rho)
    inside = sum(
        normal.pdf(v)
        * (
            normal.cdf((critical - rho * v) / apart)
            - normal.cdf((-critical - rho * v) / apart)
        )
        for v in x.tolist()
    )
    assert inside * step == pytest.approx(0.90, abs=0.006)


@pytest.mark.parametrize(("n", "groups"), [(19, 19), (60, 14), (1, 1)])
def test_few_episodes_or_tasks(n: int, groups: int) -> None:
    """Below 20 episodes or 15 tasks the band is that of DKW, with n = G."""
    steps = [float(1 + i % 4) for i in range(n)]

    curve = recovery_curve(steps, [i % groups for i in range(n)], 3)

    half = sqrt(log(2 / 0.10) / (2 * groups))
    assert curve.critical is None
    assert curve.clusters == groups
    assert curve.band[0].high == pytest.approx(min(curve.rates[0] + half, 1))
    assert curve.band[2].low == pytest.approx(max(curve.rates[2] - half, 0))


@pytest.mark.parametrize("step", [0.0, inf])
def test_all_alike(step: float) -> None:
    """Where all or none recovered the band is still no point."""
    curve = recovery_curve([step] * 40, range(40), 3)

    assert set(curve.rates) == {float(step == 0)}
    assert curve.critical == pytest.approx(Z_90)
    low, high = curve.band[1]
    assert high - low == pytest.approx(Z_90**2 / (40 + Z_90**2))


@given(STEPS, st.integers(1, 12))
@properties
def test_band_rises_and_holds_the_curve(steps: list[float], upto: int) -> None:
    """Rates and limits never fall, and the rates lie between the limits."""
    curve = recovery_curve(steps, [i // 2 for i in range(len(steps))], upto)

    rates, (low, high) = np.array(curve.rates), np.array(curve.band).T
    assert (np.diff([rates, low, high]) >= 0).all()
    assert (low <= rates + 1e-12).all()
    assert (rates <= high + 1e-12).all()
    assert 0 <= low.min() <= high.max() <= 1


def test_reproducible() -> None:
    """The same data have the same band, whatever was drawn elsewhere."""
    steps = [1.0, 2.0, 5.0, inf] * 10
    first = recovery_curve(steps, range(40), 6)
    np.random.default_rng().normal(size=7)

    second = recovery_curve(steps, range(40), 6)

    assert second == first
    # Libraries of linear algebra differ in the last digits of what is drawn.
    assert first.critical == pytest.approx(2.058, abs=2e-3)


def test_band_covers_all_k_at_once() -> None:
    """A 90 % band holds the whole curve in about 90 %; pointwise intervals do not.

    30 tasks, half of them easy, with one to four failed episodes each.
    """
    rng = np.random.default_rng(5)
    sizes = np.array([1, 2, 3, 4] * 7 + [2, 2])
    tasks = np.repeat(np.arange(30), sizes)
    k = np.arange(1, 9)
    truth = 0.5 * (0.9 * (1 - 0.55**k) + 0.6 * (1 - 0.85**k))
    held = np.zeros(2)
    for _ in range(200):
        easy = (rng.random(30) < 0.5)[tasks]
        steps = rng.geometric(np.where(easy, 0.45, 0.15)).astype(float)
        steps[rng.random(len(tasks)) > np.where(easy, 0.9, 0.6)] = inf
        curve = recovery_curve(steps, tasks.tolist(), 8)
        n = len(tasks)
        naive = [wilson_interval(Count(r * n, n), Z_90) for r in curve.rates]
        for place, limits in enumerate((curve.band, naive)):
            low, high = np.array(limits).T
            held[place] += ((low <= truth) & (truth <= high)).all()

    assert 0.83 <= held[0] / 200 <= 0.98
    assert held[1] / 200 < 0.75


@pytest.mark.parametrize(
    ("steps", "clusters", "upto", "alpha", "message"),
    [
        ([], [], 3, 0.1, "n > 0 steps"),
        ([1.0], ["a"], 0, 0.1, "upto >= 1"),
        ([-1.0], ["a"], 3, 0.1, "0 or more"),
        ([-inf], ["a"], 3, 0.1, "nan or inf for never"),
        ([1.0], ["a", "b"], 3, 0.1, "need 1 clusters, got 2"),
        ([1.0], ["a"], 3, 0.0, "0 < alpha < 1"),
        ([1.0], ["a"], 3, 1.0, "0 < alpha < 1"),
    ],
)
def test_wrong_episodes(
    steps: list[float], clusters: list[str], upto: int, alpha: float, message: str
) -> None:
    """Episodes that no curve can be drawn of are refused by name."""
    with pytest.raises(ValueError, match=message):
        recovery_curve(steps, clusters, upto, alpha)
