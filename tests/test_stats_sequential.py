"""Looks before the end: published bounds, and bets that are fair."""

from itertools import product
from math import comb, inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_awsbench.stats.sequential import (
    conditional_power,
    e_value,
    obrien_fleming,
)


properties = settings(derandomize=True, deadline=None, max_examples=30)

QUARTERS = (0.25, 0.5, 0.75, 1.0)


@pytest.mark.parametrize(
    ("alpha", "expected"),
    [
        (0.025, (4.3326, 2.9631, 2.3590, 2.0140)),
        (0.05, (3.7495, 2.5399, 2.0161, 1.7201)),
    ],
)
def test_bounds(alpha: float, expected: tuple[float, ...]) -> None:
    """V11: the bounds of gsDesign's sfLDOF."""
    assert obrien_fleming(alpha, QUARTERS) == pytest.approx(expected, abs=1.01e-4)


def test_single_look() -> None:
    """One look at the end is the plain test."""
    assert obrien_fleming(0.05, (1.0,)) == pytest.approx((1.644854,), abs=1e-6)


def test_bounds_hold_alpha() -> None:
    """Of unchanged runs 5 % cross at some of four looks."""
    rng = np.random.default_rng(0)
    walks = rng.normal(size=(40_000, 4)).cumsum(axis=1) / np.sqrt([1, 2, 3, 4])

    crossed = (walks >= np.array(obrien_fleming(0.05, QUARTERS))).any(axis=1)

    assert crossed.mean() == pytest.approx(0.05, abs=0.0045)


@pytest.mark.parametrize("share", [0.25, 0.5, 0.8])
def test_conditional_power_is_power(share: float) -> None:
    """It is the share of runs that end significant, given a part of them."""
    rng = np.random.default_rng(1)
    start = 0.7 * share**0.5
    rest = 2.5 * (1 - share) + rng.normal(size=40_000) * (1 - share) ** 0.5

    expected = (start + rest > 1.644854).mean()

    assert conditional_power(0.7, share, 2.5) == pytest.approx(expected, abs=0.011)


@pytest.mark.parametrize(
    ("worse", "better", "expected"),
    [(7, 0, 31.875), (6, 0, 18.142857), (12, 3, 8.906456), (3, 5, 0.257937)],
)
def test_e_values(worse: int, better: int, expected: float) -> None:
    """V10: the mean likelihood ratio over even alternatives."""
    value = e_value([-1] * worse + [1] * better)

    assert value == pytest.approx(expected, abs=5e-7)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=6))
@properties
def test_fair_bet(sums: list[float]) -> None:
    """V10: over all signs of cluster sums the bet wins nothing."""
    signs = product((-1, 1), repeat=len(sums))

    values = [
        e_value([s * x for s, x in zip(pattern, sums, strict=True)])
        for pattern in signs
    ]

    assert np.mean(values) == pytest.approx(1, rel=1e-4)


@given(st.integers(0, 20), st.integers(0, 20))
@properties
def test_e_value_is_an_integral(worse: int, better: int) -> None:
    """It is 2·∫ (2p)^b·(2 - 2p)^c dp over (½, 1)."""
    n = worse + better
    # The integral of p^b·q^c over (½, 1) is a binomial tail.
    tail = sum(comb(n + 1, k) for k in range(worse + 1)) / 2 ** (n + 1)
    expected = 2 ** (n + 1) * tail / ((n + 1) * comb(n, worse))

    assert e_value([-1] * worse + [1] * better) == pytest.approx(expected)


def test_looking_any_time() -> None:
    """Of unchanged runs less than 5 % ever reach 20."""
    rng = np.random.default_rng(2)
    reached = 0
    for _ in range(100):
        signs = rng.choice([-1, 1], size=40)
        reached += any(e_value(signs[:k]) >= 20 for k in range(1, 41))

    assert reached <= 11


def test_overwhelming_evidence() -> None:
    """What no float can hold is infinite, not an error."""
    assert e_value([-1] * 14_042) == inf
    assert e_value([1] * 14_042) < 1e-4


@pytest.mark.parametrize(
    "looks", [(), (0.5,), (0.0, 1.0), (0.5, 0.5, 1.0), (0.7, 0.5, 1.0)]
)
def test_wrong_looks(looks: tuple[float, ...]) -> None:
    """Looks rise to the end of the run."""
    with pytest.raises(ValueError, match="looks must rise"):
        obrien_fleming(0.05, looks)


def test_wrong_numbers() -> None:
    """Numbers out of range are refused by name."""
    with pytest.raises(ValueError, match="0 < alpha < 1"):
        obrien_fleming(0.0, (1.0,))
    with pytest.raises(ValueError, match="share and alpha inside"):
        conditional_power(1.0, 1.0, 2.0)
    with pytest.raises(ValueError, match="finite"):
        e_value([float("nan")])
