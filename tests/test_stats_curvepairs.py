"""Two curves: pooled ratios, one declared k, the area, and any k at all."""

from itertools import product
from math import fsum, hypot, inf, nan, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray

from pytest_awsbench.stats.continuous import continuous_gate
from pytest_awsbench.stats.curvepairs import (
    EXACT,
    Recoveries,
    any_worse,
    recovery_gate,
    recovery_scores,
)
from pytest_awsbench.stats.curves import recovered
from pytest_awsbench.stats.signflip import sign_flip
from pytest_awsbench.stats.status import Status


Floats = NDArray[np.float64]

properties = settings(derandomize=True, deadline=None, max_examples=40)

#: Episodes with a failure: task, and steps to the recovery.
SIDE = st.lists(
    st.tuples(st.integers(0, 6), st.one_of(st.integers(0, 6), st.just(inf))),
    min_size=1,
    max_size=15,
)
ROWS = st.lists(
    st.lists(st.integers(-3, 3), min_size=3, max_size=3), min_size=1, max_size=8
)


def side(episodes: list[tuple[int, float]]) -> Recoveries:
    """Return one side of a comparison."""
    tasks, steps = zip(*episodes, strict=True)
    return Recoveries(steps, tasks)


def rates(episodes: list[tuple[int, float]], upto: int) -> Floats:
    """Return RR@1 … RR@upto."""
    return np.asarray(recovered([step for _, step in episodes], upto).mean(axis=0))


def brute(rows: list[list[int]]) -> float:
    """Return the mid-p of sup-t from every pattern of signs, as the formula reads."""
    moved = [column for column in zip(*rows, strict=True) if any(column)]
    scale = [hypot(*column) for column in moved]

    def largest(signs: tuple[int, ...]) -> float:
        return max(
            -fsum(e * x for e, x in zip(signs, column, strict=True)) / s
            for column, s in zip(moved, scale, strict=True)
        )

    seen = largest((1,) * len(rows))
    all_of_them = [largest(signs) for signs in product((-1, 1), repeat=len(rows))]
    more = sum(t > seen + 1e-9 for t in all_of_them)
    same = sum(abs(t - seen) <= 1e-9 for t in all_of_them)
    return (more + same / 2) / len(all_of_them)


@given(SIDE, SIDE)
@properties
def test_scores_are_the_changes(
    old: list[tuple[int, float]], new: list[tuple[int, float]]
) -> None:
    """The mean over tasks is the change of RR@k, whichever episodes failed."""
    scores = recovery_scores(side(old), side(new), 5)

    expected = rates(new, 5) - rates(old, 5)
    assert scores.shape == (len({task for task, _ in [*old, *new]}), 5)
    assert scores.mean(axis=0) == pytest.approx(expected, abs=1e-12)


def test_same_episodes_are_differences() -> None:
    """One failed episode per task on both sides: plain differences, plain gate."""
    old, new = [1.0, 2.0, inf, 4.0, 1.0, 2.0], [2.0, 2.0, 1.0, nan, 3.0, inf]
    before, after = (recovered(steps, 4) for steps in (old, new))

    scores = recovery_scores(
        Recoveries(old, range(6)), Recoveries(new, list(range(6))), 4
    )
    gate = recovery_gate(Recoveries(old, range(6)), Recoveries(new, range(6)), [3])

    assert scores == pytest.approx(after - before)
    plain = continuous_gate(before[:, 2], after[:, 2], range(6))
    assert (gate.p, gate.change) == pytest.approx((plain.p, plain.change))


@given(SIDE, SIDE)
@properties
def test_area_is_the_mean_of_points(
    old: list[tuple[int, float]], new: list[tuple[int, float]]
) -> None:
    """The change of the area is the mean of the changes over k."""
    gate = recovery_gate(side(old), side(new), range(1, 6))

    expected = float((rates(new, 5) - rates(old, 5)).mean())
    assert gate.change == pytest.approx(expected, abs=1e-12)


def test_slower_recovery_is_worse_at_its_k_only() -> None:
    """Two turns more matter within 2, not within 6."""
    old = Recoveries([1.0] * 20, range(20))
    new = Recoveries([3.0] * 16 + [1.0] * 4, range(20))

    assert recovery_gate(old, new, [2]).status is Status.REGRESSED
    assert recovery_gate(old, new, [6]).status is not Status.REGRESSED
    assert recovery_gate(old, new, range(1, 7)).status is Status.REGRESSED


def test_tasks_that_failed_on_one_side() -> None:
    """A task whose episodes no longer fail still belongs to the old side's rate."""
    old = Recoveries([1.0, inf, inf], ["a", "b", "c"])
    new = Recoveries([inf], ["a"])

    gate = recovery_gate(old, new, [1])

    assert gate.clusters == 3
    assert gate.change == pytest.approx(-1 / 3)


@pytest.mark.parametrize(
    ("old", "new", "ks", "message"),
    [
        (Recoveries([1], "a"), Recoveries([1], "a"), [], "one k or more"),
        (Recoveries([1], "a"), Recoveries([1], "a"), [0, 1], "each at least 1"),
        (Recoveries([], ""), Recoveries([1], "a"), [1], "n > 0 steps"),
        (Recoveries([1], "a"), Recoveries([1], "ab"), [1], "need 1 tasks, got 2"),
        (Recoveries([-1], "a"), Recoveries([1], "a"), [1], "0 or more"),
    ],
)
def test_wrong_sides(
    old: Recoveries, new: Recoveries, ks: list[int], message: str
) -> None:
    """What cannot be compared is refused by name."""
    with pytest.raises(ValueError, match=message):
        recovery_gate(old, new, ks)


@given(ROWS.filter(lambda rows: any(map(any, rows))))
@properties
def test_all_patterns(rows: list[list[int]]) -> None:
    """The p of few tasks is that over every pattern of signs."""
    result = any_worse(rows)

    assert result.exact
    assert result.p == pytest.approx(brute(rows), abs=1e-12)
    assert result.changes == pytest.approx(np.mean(rows, axis=0))


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=EXACT))
@properties
def test_one_column_is_the_sign_flip_test(sums: list[int]) -> None:
    """With a single k the test is the engine of all gates."""
    result = any_worse([[s] for s in sums])

    assert result.p == pytest.approx(sign_flip(sums).p_at_most(sum(sums)), abs=1e-12)


def test_many_tasks_use_fixed_signs() -> None:
    """Beyond 14 tasks the drawn signs give the exact p of one k, and the same twice."""
    rng = np.random.default_rng(8)
    sums = rng.integers(-3, 3, size=60)

    first, second = (any_worse(sums[:, None]) for _ in range(2))

    assert not first.exact
    assert first == second
    exactly = sign_flip(sums).p_at_most(int(sums.sum()))
    assert first.p == pytest.approx(exactly, abs=4 * sqrt(exactly / 2**14))


def test_the_worst_column() -> None:
    """The column with the strongest drop is named, those that did not move never."""
    rows = [[0, 1, -1, 0], [0, 0, -1, 1], [0, -1, -1, 0], [0, 0, -1, 0]]

    assert any_worse(rows).worst == 2
    assert any_worse(-np.array(rows)).worst == 3


def test_nothing_moved() -> None:
    """Curves that are alike are no evidence, either way."""
    result = any_worse(np.zeros((20, 4)))

    assert (result.p, result.worst, result.changes) == (0.5, 0, (0, 0, 0, 0))


def test_false_alarms() -> None:
    """Of unchanged models at most 5 % or so are called worse; naively far more are."""
    rng = np.random.default_rng(9)
    alarms = np.zeros(2)
    for _ in range(300):
        ease = rng.choice([0.5, 0.15], size=(12, 1))
        old, new = (
            rng.geometric(np.broadcast_to(ease, (12, 2))).ravel().astype(float)
            for _ in range(2)
        )
        tasks = np.repeat(np.arange(12), 2).tolist()
        scores = recovery_scores(Recoveries(old, tasks), Recoveries(new, tasks), 8)
        alarms[0] += any_worse(scores).p <= 0.05
        alarms[1] += any(sign_flip(s).p_at_most(s.sum()) <= 0.05 for s in scores.T)

    assert alarms[0] / 300 <= 0.08
    assert alarms[1] / 300 >= 0.12


@pytest.mark.parametrize("scores", [[], [1.0, 2.0], [[]], [[nan, 1.0]], [[inf]]])
def test_wrong_scores(scores: ArrayLike) -> None:
    """Scores are a finite table."""
    with pytest.raises(ValueError, match="need finite scores"):
        any_worse(scores)
