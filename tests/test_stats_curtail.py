"""Stopping early: the verdict must be that of the full run."""

from collections.abc import Sequence
from itertools import product
from math import isnan, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_awsbench.stats.curtail import Stop, curtail, curtail_threshold
from pytest_awsbench.stats.paired import Rule, paired_gate
from pytest_awsbench.stats.status import Status


properties = settings(derandomize=True, deadline=None, max_examples=60)

#: Baseline, answer, task, and whether it is there already.
ITEM = st.tuples(
    st.sampled_from([0, 1, 1, 1]),
    st.sampled_from([0, 0, 1]),
    st.integers(0, 6),
    st.booleans(),
)


def statuses(
    old: Sequence[float], new: Sequence[float], clusters: Sequence[int], rule: Rule
) -> set[bool]:
    """Return whether the full run is red, over all ways in which it may go on."""
    missing = [i for i, value in enumerate(new) if isnan(value)]
    red = set()
    for answers in product((0.0, 1.0), repeat=len(missing)):
        full = list(new)
        for place, answer in zip(missing, answers, strict=True):
            full[place] = answer
        result = paired_gate(old, full, clusters, rule=rule)
        red.add(result.status is Status.REGRESSED)
    return red


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((10, 0, 3, 2), Stop.REGRESSED),
        ((2, 2, 3, 4), Stop.NOT_REGRESSED),
        ((4, 1, 20, 10), Stop.CONTINUE),
    ],
)
def test_reference_values(counts: tuple[int, int, int, int], expected: Stop) -> None:
    """V21: worse and better so far; right and wrong baselines still to come."""
    worse, better, right, wrong = counts
    old = [1] * worse + [0] * better + [1] * right + [0] * wrong
    new = [0] * worse + [1] * better + [nan] * (right + wrong)

    result = curtail(old, new, range(len(old)))

    assert result.stop is expected
    assert (result.answered, result.n) == (worse + better, len(old))


@given(st.lists(ITEM, min_size=4, max_size=14), st.sampled_from([0.05, 0.01, 0.2]))
@properties
def test_verdict_is_that_of_the_full_run(
    items: list[tuple[int, int, int, bool]], alpha: float
) -> None:
    """However a stopped run had gone on, its verdict would have been the same."""
    old, answers, clusters, there = zip(*items, strict=True)
    hidden = [nan if not t else a for a, t in zip(answers, there, strict=True)]
    rule = Rule(alpha=alpha)

    stop = curtail(old, hidden, clusters, rule=rule).stop

    if stop is Stop.REGRESSED:
        assert statuses(old, hidden, clusters, rule) == {True}
    if stop is Stop.NOT_REGRESSED:
        assert statuses(old, hidden, clusters, rule) == {False}


@given(st.lists(ITEM, min_size=1, max_size=9))
@properties
def test_range_of_p(items: list[tuple[int, int, int, bool]]) -> None:
    """V23: p is least if all that is missing is wrong, and most if it is right."""
    old, answers, clusters, there = zip(*items, strict=True)
    hidden = [nan if not t else a for a, t in zip(answers, there, strict=True)]
    missing = [i for i, t in enumerate(there) if not t]
    ps = []
    for filled in product((0.0, 1.0), repeat=len(missing)):
        full = list(hidden)
        for place, answer in zip(missing, filled, strict=True):
            full[place] = answer
        ps.append(paired_gate(old, full, clusters).p)

    result = curtail(old, hidden, clusters)

    assert (result.p_least, result.p_most) == pytest.approx((min(ps), max(ps)))


def run_until_stopped(rng: np.random.Generator, drop: float) -> tuple[Stop, int, bool]:
    """Answer 150 prompts of 63 tasks, task by task; return where it stopped."""
    tasks = np.repeat(np.arange(63), [2] * 39 + [3] * 24)
    old = (rng.random(150) < 0.6).astype(float)
    kept = rng.random(150) < 0.9 - drop
    gained = rng.random(150) < 0.1
    new = np.where(old == 1, kept, gained).astype(float)
    red = paired_gate(old, new, tasks.tolist()).status is Status.REGRESSED
    for task in range(0, 63, 4):
        part = np.where(tasks <= task, new, nan)
        result = curtail(old, part, tasks.tolist())
        if result.stop is not Stop.CONTINUE:
            return result.stop, result.answered, red
    return Stop.CONTINUE, 150, red


@pytest.mark.parametrize("drop", [0.0, 0.5])
def test_saves_answers(drop: float) -> None:
    """Both unchanged and broken models need fewer answers, for the same verdict."""
    rng = np.random.default_rng(7)
    runs = [run_until_stopped(rng, drop) for _ in range(12)]

    for stop, _, red in runs:
        assert stop is Stop.CONTINUE or (stop is Stop.REGRESSED) == red
    assert np.mean([answered for _, answered, _ in runs]) < 140


def test_nothing_answered() -> None:
    """Before the first answer nothing is certain, except where nothing can fail."""
    assert curtail([1] * 10, [nan] * 10, range(10)).stop is Stop.CONTINUE
    assert curtail([1] * 3, [nan] * 3, range(3)).stop is Stop.NOT_REGRESSED


def test_allowed_drop_waits_for_the_interval() -> None:
    """With an allowed drop a regression is only certain at the end."""
    old, new = [1] * 40, [0] * 30 + [nan] * 10

    strict, lenient = (
        curtail(old, new, range(40), rule=Rule(max_drop=d)) for d in (0.0, 0.1)
    )

    assert (strict.stop, lenient.stop) == (Stop.REGRESSED, Stop.CONTINUE)


def test_means_over_repeats() -> None:
    """Means and weights can end early as not regressed."""
    old, new = [0.5, 1.0, 0.5, 0.0] * 3, [0.75, 1.0, 0.5, 0.25] * 2 + [nan] * 4

    result = curtail(old, new, range(12), [2.0] * 6 + [1.0] * 6)

    assert result.stop is Stop.NOT_REGRESSED


def test_one_task_is_never_certain_to_fail() -> None:
    """All items of one task show as much as one."""
    result = curtail([1] * 10, [0] * 9 + [nan], ["t"] * 10)

    assert result.stop is Stop.NOT_REGRESSED


@pytest.mark.parametrize(
    ("successes", "answered", "expected"),
    [
        (0, 0, Stop.CONTINUE),
        (0, 7, Stop.CONTINUE),
        (0, 8, Stop.REGRESSED),
        (142, 149, Stop.CONTINUE),
        (143, 149, Stop.NOT_REGRESSED),
        (142, 150, Stop.REGRESSED),
    ],
)
def test_threshold(successes: int, answered: int, expected: Stop) -> None:
    """95 % of 150 are 143: the eighth miss is one too many."""
    assert curtail_threshold(successes, answered, 150, 0.95) is expected


def test_threshold_stops_early() -> None:
    """A coin stops after about 16 answers; 99 % takes nearly all."""
    rng = np.random.default_rng(4)
    means = []
    for share in (0.5, 0.8, 0.9, 0.95, 0.99):
        stops = []
        for _ in range(200):
            right = np.cumsum(rng.random(150) < share)
            answered = 1 + next(
                k
                for k in range(150)
                if curtail_threshold(int(right[k]), k + 1, 150, 0.95)
                is not Stop.CONTINUE
            )
            stops.append(answered)
        means.append(np.mean(stops))

    assert means == pytest.approx([16, 40, 80, 133, 144], abs=5)


@pytest.mark.parametrize(
    ("old", "new", "clusters", "weights", "message"),
    [
        ([1, 1], [1], "ab", None, "one shape"),
        ([], [], "", None, "one shape"),
        ([1, 2], [1, 1], "ab", None, r"values in \[0, 1\]"),
        ([1, nan], [1, 1], "ab", None, r"values in \[0, 1\]"),
        ([1, 1], [1, 3], "ab", None, r"values in \[0, 1\]"),
        ([1, 1], [1, nan], "ab", [1, 0], "weights must be positive"),
    ],
)
def test_wrong_input(
    old: list[float],
    new: list[float],
    clusters: str,
    weights: list[float] | None,
    message: str,
) -> None:
    """Input that cannot be judged is refused by name."""
    with pytest.raises(ValueError, match=message):
        curtail(old, new, clusters, weights)


def test_wrong_threshold() -> None:
    """Counts that do not fit together are refused."""
    with pytest.raises(ValueError, match="0 <= successes <= answered <= n"):
        curtail_threshold(3, 2, 10, 0.5)
