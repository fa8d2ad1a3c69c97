"""Power: published sample sizes, the specification's tables, simulation."""

from itertools import pairwise
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_awsbench.stats.guards import Guarded, guard
from pytest_awsbench.stats.mcnemar import exact_power
from pytest_awsbench.stats.paired import Rule, paired_gate
from pytest_awsbench.stats.power import (
    can_fail,
    certifiable_margin,
    drop_found,
    formula_drop,
    gate_power,
    items_needed,
    unpaired_variance,
)
from pytest_awsbench.stats.status import Status


properties = settings(derandomize=True, deadline=None, max_examples=40)


@pytest.mark.parametrize(
    ("drop", "expected"),
    [
        (0.10, (67, 86, 137)),
        (0.05, (173, 275, 508)),
        (0.03, (399, 716, 1388)),
        (0.02, (831, 1575, 3105)),
    ],
)
def test_items_needed(drop: float, expected: tuple[int, int, int]) -> None:
    """Items for 80 %, where 5, 10 and 20 % of answers change anyway."""
    items = [items_needed(drop, psi) for psi in (0.05, 0.10, 0.20)]

    assert items == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("alpha", "pairs"), [(0.025, 22), (0.05, 17)])
def test_connor(alpha: float, pairs: int) -> None:
    """V7: changes of 5 and 45 % are found by 22 and by 17 pairs (to the nearest)."""
    # ψ' = .5 where δ = .4: the discordance of an unchanged model is .3.
    needed = items_needed(0.4, 0.3, alpha=alpha)

    assert needed - 1 == pairs


def test_exact_power() -> None:
    """V7: the exact power of 144 pairs."""
    power = exact_power(144, 0.45, 0.25, alpha=0.025, ties=1.0)

    assert power == pytest.approx(0.800919, abs=5e-7)


@pytest.mark.parametrize(
    ("n", "psi", "points"),
    [(150, 0.1, 7.052), (150, 0.2, 9.485), (27, 0.2, 26.536)],
)
def test_formula(n: int, psi: float, points: float) -> None:
    """V7: the drops that the formula finds with 80 %."""
    drop = formula_drop(n, psi)

    assert drop is not None
    assert 100 * drop == pytest.approx(points, abs=5e-4)


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (10, ((50, 67), (51, 68), (54, 70), (57, 73))),
        (27, ((22, 34), (23, 35), (27, 38), (30, 41))),
        (150, ((5.5, 8.2), (7.1, 9.9), (9.5, 12.9), (11.4, 15.3))),
        (1000, ((1.8, 2.4), (2.5, 3.4), (3.5, 4.7), (4.3, 5.7))),
        (14042, ((0.5, 0.6), (0.7, 0.9), (0.9, 1.2), (1.1, 1.5))),
    ],
)
def test_table_of_drops(n: int, expected: tuple[tuple[float, float], ...]) -> None:
    """The table of drops found with 80 and 95 %."""
    # The table's 33.5 was rounded once more, to 34.
    digits = 0.55 if n < 100 else 0.05
    for psi, (likely, sure) in zip((0.05, 0.1, 0.2, 0.3), expected, strict=True):
        drops = [formula_drop(n, psi, power) for power in (0.80, 0.95)]
        points = [100 * drop for drop in drops if drop is not None]
        assert points == pytest.approx((likely, sure), abs=digits + 1e-6)


@pytest.mark.parametrize(("n", "psi"), [(27, 0.05), (27, 0.2), (50, 0.1), (150, 0.1)])
def test_counting_finds_smaller_drops(n: int, psi: float) -> None:
    """Every outcome counted, few items see a little more than the formula says."""
    exact, formula = drop_found(n, psi), formula_drop(n, psi)

    assert exact is not None
    assert formula is not None
    assert 0.9 * formula < exact < formula


def test_counted_power_is_power() -> None:
    """The drop that is found with 80 % has a power of 80 %, by simulation."""
    drop = drop_found(60, 0.2)
    assert drop is not None
    changed = (0.2**2 + drop**2) ** 0.5
    shares = [(changed + drop) / 2, (changed - drop) / 2, 1 - changed]
    rng = np.random.default_rng(0)
    reds = 0
    for worse, better, same in rng.multinomial(60, shares, size=600).tolist():
        old = [1] * worse + [0] * better + [1] * same
        new = [0] * worse + [1] * better + [1] * same
        reds += paired_gate(old, new, range(60)).status is Status.REGRESSED

    # 480 are expected; four standard errors are 39.
    assert reds == pytest.approx(480, abs=39)


@given(st.integers(1, 12), st.floats(0, 0.5), st.floats(0, 0.5))
@properties
def test_exact_power_by_brute_force(n: int, worse: float, better: float) -> None:
    """The power is the sum over all pairs of counts."""
    total = 0.0
    for b in range(n + 1):
        for c in range(n + 1 - b):
            k = b + c
            p = (sum(comb(k, j) for j in range(c)) + comb(k, c) / 2) / 2**k
            if k and p <= 0.05:
                ways = comb(n, b) * comb(n - b, c)
                total += ways * worse**b * better**c * (1 - worse - better) ** (n - k)

    assert exact_power(n, worse, better) == pytest.approx(total, abs=1e-9)


def test_impossible_power() -> None:
    """Answers cannot change more often than always."""
    with pytest.raises(ValueError, match="worse \\+ better <= 1"):
        exact_power(10, 0.9, 0.2)


@given(
    st.integers(5, 3000),
    st.sampled_from([0.02, 0.1, 0.3]),
    st.sampled_from([1.0, 1.2, 2.2]),
)
@properties
def test_more_items_see_more(n: int, psi: float, deff: float) -> None:
    """Twice the items find smaller drops; clusters and power cost."""
    drops = [
        drop_found(2 * n, psi),
        drop_found(n, psi),
        drop_found(n, psi, deff),
        drop_found(n, psi, deff, power=0.95),
    ]

    sizes = [1.0 if drop is None else drop for drop in drops]
    # From counting to the formula, at 150 items, is a small step up.
    assert all(a <= 1.05 * b for a, b in pairwise(sizes))


@given(st.floats(0.01, 0.9), st.floats(0.01, 0.6))
@properties
def test_items_and_drops_agree(drop: float, psi: float) -> None:
    """As many items as are needed for a drop find it."""
    found = formula_drop(items_needed(drop, psi), psi)

    assert found is not None
    assert found <= drop + 1e-6


def test_too_few_items() -> None:
    """Three items find nothing, whatever the drop."""
    assert drop_found(3, 0.2) is None
    assert drop_found(30, 0.2, deff=10.0) is None


@pytest.mark.parametrize(
    ("n", "psi", "deff", "points"),
    # MMLU; the validation split with its 63 tasks; the screen of 27.
    [(14042, 0.08, 1.0, 0.6), (150, 0.10, 1.2, 7.0), (27, 0.2, 1.0, 21.4)],
)
def test_certifiable_margin(n: int, psi: float, deff: float, points: float) -> None:
    """The smallest margins that a guard can certify."""
    assert 100 * certifiable_margin(n, psi, deff) == pytest.approx(points, abs=0.05)


def test_certifiable_margin_is_certified() -> None:
    """An unchanged model passes with that margin in about 80 % of runs."""
    margin = certifiable_margin(300, 0.2)
    rng = np.random.default_rng(1)
    passed = 0
    for worse, better, same in rng.multinomial(300, [0.1, 0.1, 0.8], 400).tolist():
        old = [1] * worse + [0] * better + [1] * same
        new = [0] * worse + [1] * better + [1] * same
        passed += guard(paired_gate(old, new, range(300)), margin) is Guarded.PASS

    # 320 are expected; four standard errors are 32.
    assert passed == pytest.approx(320, abs=32)


@pytest.mark.parametrize(
    ("share", "n", "points"),
    # MMLU, GSM8K, HumanEval.
    [(0.6, 14042, 1.5), (0.6, 1319, 4.7), (0.6, 164, 13.5)],
)
def test_published_margin(share: float, n: int, points: float) -> None:
    """Without items a guard needs twice the margin and more."""
    margin = certifiable_margin(n, unpaired_variance(share, n, n))

    assert 100 * margin == pytest.approx(points, abs=0.06)


def test_can_fail() -> None:
    """Only a gate that a broken model would fail is a gate."""
    assert not can_fail([1] * 3, "abc")
    assert can_fail([1] * 4, "abcd")
    # What was wrong before cannot get worse.
    assert not can_fail([1] * 3 + [0] * 97, range(100))
    # One task is one item, however many prompts it has.
    assert not can_fail([1] * 50, "a" * 50)
    assert not can_fail([1] * 4, "abcd", rule=Rule(alpha=0.01))
    assert not can_fail([1] * 10, range(10), rule=Rule(max_drop=0.9))


def test_plan() -> None:
    """The plan of a gate on 150 items of 63 tasks."""
    plan = gate_power(150, 63, deff=1.2)

    assert (plan.discordance, plan.measured) == (0.20, False)
    assert plan.min_flips == 4
    assert plan.items == {0.10: 164, 0.05: 610, 0.02: 3726}
    assert plan.drop_80 is not None
    assert plan.drop_95 is not None
    assert 0.095 < plan.drop_80 < plan.drop_95 < 0.15
    assert gate_power(150, 63, discordance=0.08).measured


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gate_power(10, 11), "1 <= clusters <= n"),
        (lambda: drop_found(0, 0.2), "need n > 0"),
        (lambda: drop_found(10, 1.0), "discordance must be in"),
        (lambda: drop_found(10, 0.2, 0.5), "at least 1"),
        (lambda: drop_found(10, 0.2, power=1.0), "inside"),
        (lambda: items_needed(0.0, 0.2), "a drop must be in"),
        (lambda: certifiable_margin(0, 0.2), "n > 0 items, got 0"),
        (lambda: unpaired_variance(1.5, 3, 3), "need a share"),
    ],
)
def test_wrong_input(call: object, message: str) -> None:
    """Numbers out of range are refused by name."""
    assert callable(call)
    with pytest.raises(ValueError, match=message):
        call()
