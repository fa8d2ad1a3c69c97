"""The sign-flip test: published values, brute force, speed."""

from itertools import product
from math import comb
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_awsbench.stats.signflip import min_flips, sign_flip


#: Heights of cross- and self-fertilised plants, in eighths of an inch (Darwin 1876,
#: tested by Fisher 1935).
DARWIN = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
#: Differences of episode rewards between the original base and tuned models.
REWARDS = [-1, 0, 0, 0, 0, 0, 1.5, -0.6, 0, 0, 4.37, 1.75, 7.48, -2.6, 1.46]
#: Cluster sums of the hyperparathyroidism data (Obuchowski 1998).
THYROIDS = [2, 2, 1, 1, 1, -1, *[0] * 15]

#: Psychiatrists' yes less their patients', by psychiatrist (Donner & Petryshen 1989).
PSYCHIATRISTS = [
    *(4, 1, 2, 1, 1, 0, -3, -1, 1, 4, 2, 3, 3, 2, 1),
    *(3, 1, 2, -3, -1, -1, 0, 1, 2, 2, 0, 0, 1, 1),
]

SUMS = st.lists(st.integers(-9, 9), min_size=1, max_size=12)
properties = settings(derandomize=True, deadline=None, max_examples=40)


def brute_mid_p(sums: list[int], t: int) -> float:
    """Return the mid-p from every pattern of signs."""
    totals = [
        sum(sign * abs(s) for sign, s in zip(signs, sums, strict=True))
        for signs in product((-1, 1), repeat=len(sums))
    ]
    return (sum(x < t for x in totals) + sum(x == t for x in totals) / 2) / len(totals)


def mcnemar_mid_p(worse: int, better: int) -> float:
    """Return McNemar's one-sided mid-p from the binomial law."""
    changed = worse + better
    below = sum(comb(changed, k) for k in range(better))
    return (below + comb(changed, better) / 2) / 2.0**changed


@pytest.mark.parametrize(
    ("sums", "expected"),
    [
        pytest.param([-1] * 7 + [1], 0.0390625 / 2, id="V1-fagerland"),
        pytest.param([-x for x in DARWIN], 849 / 32768, id="V3-darwin"),
        pytest.param([-x for x in THYROIDS], 3 / 64, id="V4-thyroids"),
        pytest.param([-x for x in REWARDS], 0.111328125, id="V16-rewards"),
        pytest.param([-1] * 4 + [1] * 2, 0.2265625, id="V17-screen"),
        pytest.param([-2, -2, -1, -1, 1], 0.078125, id="V19-weights"),
        pytest.param([-1.5, -0.5, -0.5, -0.5, -1], 0.015625, id="V20-repeats"),
        pytest.param([0, 0, 0], 0.5, id="nothing-changed"),
        pytest.param([], 0.5, id="nothing"),
    ],
)
def test_reference_values(sums: list[float], expected: float) -> None:
    """The mid-p is the published one."""
    assert sign_flip(sums).p_at_most(sum(sums)) == pytest.approx(expected, abs=1e-9)


def exact_p(sums: list[int]) -> float:
    """Return P(T ≤ Σ S), ties in full: the p of the exact test."""
    null = sign_flip(sums)
    # Between two values of T there is nothing: the mid-p there is the exact p.
    return null.p_at_most(sum(sums) + null.unit)


@pytest.mark.parametrize(
    ("sums", "expected"),
    [
        pytest.param([-1] * 7 + [1], 0.03515625, id="V1-fagerland"),
        pytest.param([-x for x in DARWIN], 863 / 32768, id="V3-darwin"),
        pytest.param([-x for x in PSYCHIATRISTS], 0.003218, id="V4-psychiatrists"),
        pytest.param([-x for x in THYROIDS], 5 / 64, id="V4-thyroids"),
    ],
)
def test_exact_test(sums: list[int], expected: float) -> None:
    """V1, V3, V4: with ties in full it is the published exact test."""
    assert exact_p(sums) == pytest.approx(expected, abs=5e-7)


def test_normal_test() -> None:
    """V1: as normal, and two-sided, it is the published asymptotic test."""
    z = -6 / sign_flip([-1] * 7 + [1]).scale

    assert 2 * NormalDist().cdf(z) == pytest.approx(0.033895, abs=5e-7)


@pytest.mark.parametrize(
    ("sums", "flips", "mcnemar", "obuchowski"),
    [
        pytest.param(PSYCHIATRISTS, 71, 11.8451, 7.186, id="V4-psychiatrists"),
        pytest.param(THYROIDS, 8, 4.5, 2.857, id="V4-thyroids"),
    ],
)
def test_chi_squares(
    sums: list[int], flips: int, mcnemar: float, obuchowski: float
) -> None:
    """V4: with and without clusters, z² is the published χ².

    Obuchowski's has a factor (G - 1)/G. Durkalski's of the thyroids, 2.315, cannot be
    had from cluster sums: it needs the number of glands of each patient.
    """
    groups = len(sums)
    total = sum(sums)

    alone = sign_flip([1] * ((flips + total) // 2) + [-1] * ((flips - total) // 2))
    together = sign_flip(sums)

    assert (total / alone.scale) ** 2 == pytest.approx(mcnemar, abs=5e-5)
    chi = (groups - 1) / groups * (total / together.scale) ** 2
    assert chi == pytest.approx(obuchowski, abs=5e-4)


def test_darwin_by_counting() -> None:
    """V3: 863 of 32768 patterns are as extreme as Darwin's, 28 of them as ties.

    So the mid-p is 849/32768. The 850.5/32768 that the reference list names would take
    25 ties; there are 28.
    """
    totals = [
        sum(sign * abs(s) for sign, s in zip(signs, DARWIN, strict=True))
        for signs in product((-1, 1), repeat=len(DARWIN))
    ]

    assert sum(t >= 314 for t in totals) == 863
    assert sum(t == 314 for t in totals) == 28


def test_darwin_by_brute_force() -> None:
    """All 32768 patterns of signs give the same p."""
    total = -sum(DARWIN)

    mid_p = sign_flip(DARWIN).p_at_most(total)

    assert mid_p == pytest.approx(brute_mid_p(DARWIN, total), abs=1e-12)


@given(SUMS)
@properties
def test_convolution_equals_brute_force(sums: list[int]) -> None:
    """The convolved law is the law over every pattern of signs."""
    null = sign_flip(sums)

    for t in (sum(sums), -sum(sums), 0):
        assert null.p_at_most(t) == pytest.approx(brute_mid_p(sums, t), abs=1e-12)


@given(SUMS, st.sampled_from([2, 3, 7, 10, 100]))
@properties
def test_units_do_not_matter(sums: list[int], parts: int) -> None:
    """Halves, thirds and hundredths give the p of the whole numbers."""
    scaled = [s / parts for s in sums]

    mid_p = sign_flip(scaled).p_at_most(sum(scaled))

    assert mid_p == pytest.approx(sign_flip(sums).p_at_most(sum(sums)), abs=1e-12)


@given(SUMS, st.integers(-40, 40))
@properties
def test_mirror(sums: list[int], t: int) -> None:
    """What is as bad in one direction is as good in the other."""
    null = sign_flip(sums)

    assert null.p_at_most(t) + null.p_at_most(-t) == pytest.approx(1)


@given(st.integers(0, 60), st.integers(0, 60))
@properties
def test_singletons_are_mcnemar(worse: int, better: int) -> None:
    """With one item per cluster the test is McNemar's mid-p test."""
    sums = [-1.0] * worse + [1.0] * better

    mid_p = sign_flip(sums).p_at_most(better - worse)

    assert mid_p == pytest.approx(mcnemar_mid_p(worse, better), abs=1e-12)


@given(SUMS, st.sampled_from([0.05, 0.025, 0.01]))
@properties
def test_floor_is_the_smallest_significant_drop(sums: list[int], alpha: float) -> None:
    """A drop of the floor is significant; no smaller drop of the support is."""
    null = sign_flip(sums)
    support = {
        sum(sign * abs(s) for sign, s in zip(signs, sums, strict=True))
        for signs in product((-1, 1), repeat=len(sums))
    }
    significant = [-t for t in support if t < 0 and brute_mid_p(sums, t) <= alpha]

    floor = null.floor(alpha)

    assert floor == (pytest.approx(min(significant)) if significant else None)


def test_floor_of_few_changes() -> None:
    """Three answers that changed can never be significant; four of four can."""
    assert sign_flip([1.0] * 3).floor(0.05) is None
    assert sign_flip([1.0] * 4).floor(0.05) == 4


@pytest.mark.parametrize(
    ("alpha", "expected"),
    [(0.05, 4), (0.025, 5), (0.0125, 6), (0.01, 6), (0.005, 7), (0.001, 9)],
)
def test_min_flips(alpha: float, expected: int) -> None:
    """The fewest flips are the first count whose mid-p fits under alpha."""
    assert min_flips(alpha) == expected
    assert 0.5 ** (expected + 1) <= alpha < 0.5**expected


def test_many_real_sums_are_normal() -> None:
    """Thousands of real sums give a normal law."""
    sums = np.random.default_rng(0).normal(-0.02, 1, 3000)

    null = sign_flip(sums)

    z = sums.sum() / np.sqrt(np.square(sums).sum())
    assert null.p_at_most(float(sums.sum())) == pytest.approx(
        NormalDist().cdf(z), abs=1e-3
    )
    assert null.floor(0.05) == pytest.approx(
        1.644854 * np.sqrt(np.square(sums).sum()), rel=1e-3
    )


def test_few_real_sums_are_exact() -> None:
    """Six real sums that all fell have mid-p 1/128, whatever their sizes."""
    sums = [-0.1257302, -0.1321049, -0.6404226, -0.1049001, -0.5356694, -0.3615951]

    mid_p = sign_flip(sums).p_at_most(sum(sums))

    assert mid_p == pytest.approx(1 / 128)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_missing_sum_is_refused(wrong: float) -> None:
    """A sum that is not finite is an error, never a 0."""
    with pytest.raises(ValueError, match="finite"):
        sign_flip([1.0, wrong])
