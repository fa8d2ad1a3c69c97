"""Tango's interval: published values and the shape of the score."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_awsbench.stats.tango import tango_interval


Z_95 = 1.959963985
"""Of each side of a two-sided 95 % interval."""
Z_90 = 1.644853627

properties = settings(derandomize=True, deadline=None, max_examples=40)


@st.composite
def counts(draw: st.DrawFn) -> tuple[float, float, float]:
    """Draw b, c and n that fit together."""
    n = draw(st.integers(1, 300))
    b = draw(st.integers(0, n))
    return float(b), float(draw(st.integers(0, n - b))), float(n)


@pytest.mark.parametrize(
    ("b", "c", "n", "low", "high"),
    [
        pytest.param(7, 1, 21, -0.517232, -0.026003, id="fagerland"),
        pytest.param(8, 16, 86, -0.019659, 0.206911, id="agresti-min"),
        pytest.param(1, 3, 14, -0.166975, 0.432664, id="tang"),
    ],
)
def test_published_values(
    b: float, c: float, n: float, low: float, high: float
) -> None:
    """V2: the 95 % intervals are the published ones."""
    interval = tango_interval(b, c, n, Z_95)

    assert interval == pytest.approx((low, high), abs=1e-6)


@pytest.mark.parametrize(("n", "width"), [(10, 0.2129), (27, 0.091079), (150, 0.0177)])
def test_nothing_changed(n: int, width: float) -> None:
    """V2: without a change the interval is ±z²/(n + z²), not a point."""
    low, high = tango_interval(0, 0, n, Z_90)

    assert (low, high) == pytest.approx((-width, width), abs=5e-5)
    assert high == pytest.approx(Z_90**2 / (n + Z_90**2))


def test_effective_counts() -> None:
    """V4: 50 against 21 of 135 pairs, worth 105.957, as in the psychiatry data."""
    share = 105.957 / 135

    low, high = tango_interval(50 * share, 21 * share, 105.957, Z_90)

    assert (low, high) == pytest.approx((-0.32266, -0.10130), abs=1e-5)


@given(counts())
@properties
def test_mirror(drawn: tuple[float, float, float]) -> None:
    """Swapping better and worse turns the interval around."""
    b, c, n = drawn
    low, high = tango_interval(b, c, n, Z_90)

    assert tango_interval(c, b, n, Z_90) == pytest.approx((-high, -low), abs=1e-9)


@given(counts())
@properties
def test_holds_what_was_seen(drawn: tuple[float, float, float]) -> None:
    """The interval lies in [-1, 1] and holds the observed change."""
    b, c, n = drawn
    low, high = tango_interval(b, c, n, Z_90)

    assert -1 <= low <= (c - b) / n + 1e-9
    assert (c - b) / n - 1e-9 <= high <= 1


@given(counts())
@properties
def test_more_confidence_is_wider(drawn: tuple[float, float, float]) -> None:
    """A 95 % interval holds the 90 % interval."""
    inner, outer = tango_interval(*drawn, Z_90), tango_interval(*drawn, Z_95)

    assert outer.low <= inner.low + 1e-9
    assert inner.high - 1e-9 <= outer.high


@pytest.mark.parametrize(
    ("b", "c", "n"), [(1, 0, 0), (-1, 0, 5), (0, -1, 5), (3, 3, 5), (0, 0, -1)]
)
def test_impossible_counts(b: float, c: float, n: float) -> None:
    """Counts that do not fit together are refused by name."""
    with pytest.raises(ValueError, match=r"b \+ c <= n > 0, got b="):
        tango_interval(b, c, n, Z_90)
