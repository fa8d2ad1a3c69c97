"""The same within decode noise? Reference vectors, brute force, size."""

from itertools import product
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_awsbench.stats.repro import flip_rate_bound, repro_check


properties = settings(derandomize=True, deadline=None, max_examples=40)

#: K, stored successes as a share of K, and the new answer, of every item.
ITEMS = st.lists(
    st.tuples(st.integers(1, 4), st.floats(0, 1), st.integers(0, 1)),
    min_size=1,
    max_size=8,
)


def counted(items: list[tuple[int, float, int]]) -> tuple[list[int], ...]:
    """Return successes, runs and new answers."""
    runs, shares, new = map(list, zip(*items, strict=True))
    return [round(k * s) for k, s in zip(runs, shares, strict=True)], runs, new


def brute(stored: list[int], runs: list[int], new: list[int]) -> tuple[float, float]:
    """Return both mid-p from every possible new run."""
    both = [s + y for s, y in zip(stored, new, strict=True)]

    def disagreement(answers: tuple[int, ...]) -> int:
        each = zip(answers, both, runs, strict=True)
        return sum(k - (t - y) if y else t for y, t, k in each)

    seen = tuple(new)
    drop, apart = 0.0, 0.0
    for answers in product((0, 1), repeat=len(new)):
        weight = 1.0
        for y, t, k in zip(answers, both, runs, strict=True):
            weight *= t / (k + 1) if y else 1 - t / (k + 1)
        less, more = (
            sum(answers) - sum(seen),
            disagreement(answers) - disagreement(seen),
        )
        drop += weight * ((less < 0) + (less == 0) / 2)
        apart += weight * ((more > 0) + (more == 0) / 2)
    return drop, apart


def test_one_stored_run_is_mcnemar() -> None:
    """V13: with K = 1, four worse and one better give McNemar's mid-p."""
    result = repro_check([1, 1, 1, 1, 0, 1, 0], 1, [0, 0, 0, 0, 1, 1, 0])

    assert result.p_drop == pytest.approx(0.109375)
    assert result.p_disagreement == pytest.approx(0.5)
    assert result.same()


def test_three_stored_runs() -> None:
    """V13: with K = 3 disagreement shows as well."""
    result = repro_check([3, 3, 2, 3, 1, 0], 3, [0, 1, 0, 0, 1, 0])

    assert result.p_drop == pytest.approx(0.078125)
    assert result.p_disagreement == pytest.approx(0.03125)
    assert not result.same()
    assert result.same(alpha=0.01)


@given(ITEMS)
@properties
def test_brute_force(items: list[tuple[int, float, int]]) -> None:
    """The convolution is the sum over every possible new run."""
    stored, runs, new = counted(items)

    result = repro_check(stored, runs, new)

    expected = brute(stored, runs, new)
    assert (result.p_drop, result.p_disagreement) == pytest.approx(expected)


@given(ITEMS, st.randoms(use_true_random=False))
@properties
def test_order_does_not_matter(
    items: list[tuple[int, float, int]], random: Random
) -> None:
    """Items in another order give the same."""
    shuffled = items.copy()
    random.shuffle(shuffled)

    first, second = repro_check(*counted(items)), repro_check(*counted(shuffled))

    assert second.p_drop == pytest.approx(first.p_drop)
    assert second.p_disagreement == pytest.approx(first.p_disagreement)


@given(ITEMS)
@properties
def test_wrong_for_right_mirrors(items: list[tuple[int, float, int]]) -> None:
    """Where right is called wrong, a drop is a rise; disagreement stays."""
    stored, runs, new = counted(items)
    there = repro_check(stored, runs, new)

    turned = repro_check(
        [k - s for k, s in zip(runs, stored, strict=True)], runs, [1 - y for y in new]
    )

    assert turned.p_drop == pytest.approx(1 - there.p_drop)
    assert turned.p_disagreement == pytest.approx(there.p_disagreement)


def test_nothing_ever_flipped() -> None:
    """Runs that always agreed, and still do, are the same."""
    result = repro_check([5, 0, 5], 5, [1, 0, 1])

    assert (result.p_drop, result.p_disagreement) == (0.5, 0.5)


def test_size() -> None:
    """Of unchanged models about 5 % fail either test; a worse or wilder one does."""
    rng = np.random.default_rng(0)
    failed = np.zeros(4, dtype=int)
    for _ in range(300):
        ease = rng.beta(0.4, 0.4, size=150)
        stored = rng.binomial(5, ease)
        same = (rng.random(150) < ease).astype(int)
        worse = (rng.random(150) < np.clip(ease - 0.15, 0, 1)).astype(int)
        wilder = (rng.random(150) < (ease + 0.5) / 2).astype(int)
        results = [repro_check(stored, 5, run) for run in (same, worse, wilder)]
        failed += [
            results[0].p_drop <= 0.05,
            results[0].p_disagreement <= 0.05,
            results[1].p_drop <= 0.05,
            results[2].p_disagreement <= 0.05,
        ]

    # 15 are expected; four standard errors are 15.
    assert failed[0] <= 30
    assert failed[1] <= 30
    assert failed[2] > 240
    assert failed[3] > 240


def test_many_items() -> None:
    """A benchmark of 14 042 items is checked exactly."""
    rng = np.random.default_rng(1)
    ease = rng.beta(0.4, 0.4, size=14_042)

    result = repro_check(rng.binomial(3, ease), 3, (rng.random(14_042) < ease) * 1)

    assert 0.001 < result.p_drop < 0.999
    assert 0.001 < result.p_disagreement < 0.999


def test_rule_of_three() -> None:
    """No flip in N repeats bounds the rate by 3/N."""
    assert flip_rate_bound(1000) == pytest.approx(3 / 1000, rel=0.01)
    assert (1 - flip_rate_bound(20, 0.1)) ** 20 == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("stored", "runs", "new", "message"),
    [
        ([], 1, [], "same n > 0 items"),
        ([1], 1, [1, 0], "same n > 0 items"),
        ([2], 1, [1], "0 <= successes <= K"),
        ([0], 0, [1], "K >= 1"),
        ([1], 1, [2], "new answers of 0 or 1"),
        ([0.5], 1, [1], "only 0/1 metrics"),
    ],
)
def test_wrong_input(
    stored: list[float], runs: int, new: list[float], message: str
) -> None:
    """Input that cannot be judged is refused by name."""
    with pytest.raises(ValueError, match=message):
        repro_check(stored, runs, new)


def test_nothing_repeated() -> None:
    """A rate needs repeats."""
    with pytest.raises(ValueError, match="need repeats > 0"):
        flip_rate_bound(0)
