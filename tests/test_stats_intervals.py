"""Intervals for shares: published values, and how they must behave."""

from math import sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_awsbench.stats.intervals import (
    Count,
    dkw_half_width,
    newcombe_interval,
    wilson_interval,
)


Z_95 = 1.959963985
"""Of each side of a two-sided 95 % interval."""
Z_90 = 1.644853627

properties = settings(derandomize=True, deadline=None, max_examples=60)


@st.composite
def counts(draw: st.DrawFn) -> Count:
    """Draw successes among n, perhaps effective ones."""
    n = draw(st.floats(0.5, 5000))
    return Count(n * draw(st.floats(0, 1)), n)


@pytest.mark.parametrize(
    ("x", "n", "low", "high"),
    [(81, 263, 0.255289, 0.366210), (11, 27, 0.245148, 0.592733)],
)
def test_wilson(x: int, n: int, low: float, high: float) -> None:
    """V6: the published 95 % intervals."""
    interval = wilson_interval(Count(x, n), Z_95)

    assert interval == pytest.approx((low, high), abs=1e-6)


@pytest.mark.parametrize(
    ("x", "half"), [(11, 17.4), (19, 16.3), (24, 12.1), (26, 8.8), (27, 6.2)]
)
def test_error_bars_of_27(x: int, half: float) -> None:
    """With 27 items the half width is ±5 to 10 points only near 100 %."""
    low, high = wilson_interval(Count(x, 27), Z_95)

    assert 50 * (high - low) == pytest.approx(half, abs=0.05)


@pytest.mark.parametrize(
    ("new", "old", "low", "high"),
    [
        ((56, 70), (48, 80), 0.052431, 0.333873),
        ((9, 10), (3, 10), 0.170523, 0.809018),
        ((5, 56), (0, 29), -0.038137, 0.192560),
        # The original benchmark's service accuracy: two items more of 18.
        ((16, 18), (14, 18), -0.143, 0.355),
    ],
)
def test_newcombe(
    new: tuple[int, int], old: tuple[int, int], low: float, high: float
) -> None:
    """V5: the published 95 % intervals."""
    interval = newcombe_interval(Count(*new), Count(*old), Z_95)

    digits = 1e-6 if abs(low * 1000 - round(low * 1000)) > 1e-9 else 5e-4
    assert interval == pytest.approx((low, high), abs=digits)


@given(counts())
@properties
def test_wilson_holds_the_share(count: Count) -> None:
    """The interval lies in [0, 1] and holds what was seen."""
    low, high = wilson_interval(count, Z_90)

    assert 0 <= low <= count.share + 1e-9
    assert count.share - 1e-9 <= high <= 1


@given(counts())
@properties
def test_wilson_inverts_the_score_test(count: Count) -> None:
    """At its bounds the score statistic is the quantile."""
    for bound in wilson_interval(count, Z_90):
        if 1e-6 < bound < 1 - 1e-6 and abs(bound - count.share) > 1e-6:
            error = sqrt(bound * (1 - bound) / count.n)
            assert abs(count.share - bound) / error == pytest.approx(Z_90, rel=1e-4)


@given(counts(), counts())
@properties
def test_newcombe_mirror(new: Count, old: Count) -> None:
    """Swapping the sides turns the interval around."""
    low, high = newcombe_interval(new, old, Z_90)

    mirrored = newcombe_interval(old, new, Z_90)

    assert mirrored == pytest.approx((-high, -low), abs=1e-12)
    assert -1 <= low <= new.share - old.share + 1e-9
    assert new.share - old.share - 1e-9 <= high <= 1


@given(counts(), counts(), st.floats(1, 20))
@properties
def test_fewer_effective_items_are_wider(new: Count, old: Count, deff: float) -> None:
    """A design effect never narrows an interval."""
    low, high = newcombe_interval(new, old, Z_90)

    fewer = [Count(c.successes / deff, c.n / deff) for c in (new, old)]
    wide = newcombe_interval(fewer[0], fewer[1], Z_90)

    assert wide.low <= low + 1e-9
    assert high - 1e-9 <= wide.high


def test_dkw() -> None:
    """The band narrows with the root of the clusters."""
    assert dkw_half_width(80, 0.1) == pytest.approx(dkw_half_width(20, 0.1) / 2)


@pytest.mark.parametrize("count", [Count(-1, 5), Count(6, 5), Count(0, 0)])
def test_impossible_counts(count: Count) -> None:
    """Counts that do not fit together are refused by name."""
    with pytest.raises(ValueError, match="need 0 <= successes <= n and n > 0"):
        wilson_interval(count, Z_90)


def test_no_band_of_nothing() -> None:
    """A band needs clusters."""
    with pytest.raises(ValueError, match="need clusters > 0"):
        dkw_half_width(0, 0.1)
