"""Guards: non-inferiority, and the claim that a model is better."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_awsbench.stats.continuous import ContinuousRule, continuous_gate
from pytest_awsbench.stats.guards import Guarded, guard, is_better
from pytest_awsbench.stats.paired import Paired, Rule, paired_gate
from pytest_awsbench.stats.published import Counts, Estimate, published_counts
from pytest_awsbench.stats.status import Status
from pytest_awsbench.stats.unpaired import unpaired_gate


properties = settings(derandomize=True, deadline=None, max_examples=60)


def flipped(worse: int, better: int, n: int, rule: Rule | None = None) -> Paired:
    """Compare n answers of which some changed."""
    old = [1] * worse + [0] * better + [1] * (n - worse - better)
    new = [0] * worse + [1] * better + [1] * (n - worse - better)
    return paired_gate(old, new, range(n), rule=rule)


@pytest.mark.parametrize(
    ("counts", "margin", "expected"),
    [
        ((0, 0, 150), 0.02, Guarded.PASS),
        ((0, 0, 150), 0.01, Guarded.INCONCLUSIVE),
        # 90 % interval -8.33 … -.23 points: significant, but not beyond the margin.
        ((9, 3, 150), 0.09, Guarded.PASS),
        ((9, 3, 150), 0.02, Guarded.INCONCLUSIVE),
        # -16.57 … -3.64 points.
        ((25, 10, 150), 0.03, Guarded.FAIL),
        ((25, 10, 150), 0.04, Guarded.INCONCLUSIVE),
        # 3 of 3 are no proof, whatever the interval says.
        ((3, 0, 150), 0.001, Guarded.INCONCLUSIVE),
    ],
)
def test_guard(counts: tuple[int, int, int], margin: float, expected: Guarded) -> None:
    """Only a drop that is ruled out passes, only one that is proven fails."""
    assert guard(flipped(*counts), margin) is expected


def test_stricter_alpha_fails_later() -> None:
    """With a smaller alpha a failure needs more; a pass does not."""
    strict = flipped(25, 10, 150, Rule(alpha=0.005))

    assert guard(strict, 0.03, alpha=0.005) is Guarded.INCONCLUSIVE
    assert guard(strict, 0.17, alpha=0.005) is Guarded.PASS


def test_published_and_continuous_metrics() -> None:
    """Guards read every kind of comparison."""
    same = unpaired_gate([1] * 700 + [0] * 300, range(1000), Counts((700,), 1000))
    steps = continuous_gate(
        [4, 5, 6, 5], [9, 9, 9, 9], "abcd", ContinuousRule(higher_is_better=False)
    )

    assert guard(same, 0.05) is Guarded.PASS
    assert guard(steps, 1.0) is Guarded.FAIL


def test_unknown_is_inconclusive() -> None:
    """What cannot be compared neither passes nor fails."""
    unknown = unpaired_gate([1, 0], "ab", Estimate(0.9))
    impossible = unpaired_gate([1, 0], "ab", published_counts("0.222", 25))

    assert guard(unknown, 0.5) is Guarded.INCONCLUSIVE
    assert guard(impossible, 0.5) is Guarded.INCONCLUSIVE


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 60))
@properties
def test_larger_margins_are_kinder(worse: int, better: int, same: int) -> None:
    """A larger margin never turns a pass into a failure."""
    comparison = flipped(worse, better, worse + better + same + 1)
    order = [Guarded.FAIL, Guarded.INCONCLUSIVE, Guarded.PASS]

    places = [
        order.index(guard(comparison, m)) for m in (0.01, 0.03, 0.1, 0.2, 0.5, 1.5)
    ]

    assert places == sorted(places)


def test_false_passes_are_rare() -> None:
    """A model that is worse by the margin passes in about 5 % of runs."""
    rng = np.random.default_rng(0)
    passed = 0
    for _ in range(600):
        worse, better, _same = rng.multinomial(150, [0.15, 0.05, 0.8])
        passed += guard(flipped(worse, better, 150), 0.10) is Guarded.PASS

    # 30 are expected; 30 + 4 standard errors.
    assert passed <= 51


def test_better_needs_everything() -> None:
    """Better is an improvement and every guard passed; nothing less."""
    for primary, first, second in product(Status, Guarded, Guarded):
        claim = is_better(primary, [first, second])
        passed = first is second is Guarded.PASS
        assert claim == (primary is Status.IMPROVED and passed)


@pytest.mark.parametrize("margin", [0.0, -0.1, float("nan")])
def test_no_margin(margin: float) -> None:
    """A margin of nothing can never pass."""
    with pytest.raises(ValueError, match="a margin must be positive"):
        guard(flipped(0, 0, 10), margin)
