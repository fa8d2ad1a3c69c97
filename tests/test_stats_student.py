"""Student's t and binomial laws: tables, limits and symmetry."""

from math import atan as arctan
from math import comb, inf, pi
from statistics import NormalDist

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_awsbench.stats.binomial import binomial_law, mid_p
from pytest_awsbench.stats.student import t_cdf, t_quantile


properties = settings(derandomize=True, deadline=None, max_examples=60)


@pytest.mark.parametrize(
    ("p", "df", "t"),
    [
        # As printed in every table.
        (0.95, 1, 6.3138),
        (0.95, 2, 2.9200),
        (0.975, 5, 2.5706),
        (0.95, 14, 1.7613),
        (0.99, 28, 2.4671),
        (0.995, 120, 2.6174),
        # Fractional degrees of freedom (scipy 1.17).
        (0.95, 2.5, 2.558219),
    ],
)
def test_quantiles(p: float, df: float, t: float) -> None:
    """The quantiles are those of the tables."""
    assert t_quantile(p, df) == pytest.approx(t, abs=5e-5)


@given(st.floats(-50, 50))
@properties
def test_closed_forms(t: float) -> None:
    """With one and two degrees of freedom the law has a closed form."""
    assert t_cdf(t, 1) == pytest.approx(0.5 + arctan(t) / pi, abs=1e-12)
    assert t_cdf(t, 2) == pytest.approx(0.5 + t / (2 * (2 + t * t) ** 0.5), abs=1e-12)


@given(st.floats(-6, 6), st.floats(0.3, 1e6))
@properties
def test_mirror(t: float, df: float) -> None:
    """The law is symmetric."""
    assert t_cdf(t, df) + t_cdf(-t, df) == pytest.approx(1)


@given(st.floats(0.001, 0.999), st.floats(0.5, 1e5))
@properties
def test_quantile_inverts(p: float, df: float) -> None:
    """The law at a quantile is what was asked for."""
    assert t_cdf(t_quantile(p, df), df) == pytest.approx(p, abs=1e-9)


@pytest.mark.parametrize("df", [1e7, 1e10, inf])
def test_many_degrees_are_normal(df: float) -> None:
    """With very many degrees of freedom t is normal."""
    assert t_cdf(-1.5, df) == pytest.approx(NormalDist().cdf(-1.5), abs=1e-7)


def test_infinite_t() -> None:
    """Nothing lies beyond infinity."""
    assert (t_cdf(-inf, 3), t_cdf(inf, 3)) == (0, 1)


@pytest.mark.parametrize(("t", "df"), [(1.0, 0.0), (1.0, -2.0), (float("nan"), 3.0)])
def test_wrong_t(t: float, df: float) -> None:
    """What is no number has no probability."""
    with pytest.raises(ValueError, match="need df > 0"):
        t_cdf(t, df)


@pytest.mark.parametrize("p", [0.0, 1.0, -0.1])
def test_wrong_p(p: float) -> None:
    """Quantiles lie inside (0, 1)."""
    with pytest.raises(ValueError, match="need 0 < p < 1"):
        t_quantile(p, 3)


@given(st.integers(0, 60), st.floats(0, 1))
@properties
def test_binomial(n: int, p: float) -> None:
    """The law is that of the textbook."""
    law = binomial_law(n, p)

    expected = [comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]
    assert law.tolist() == pytest.approx(expected, abs=1e-12)


def test_large_binomial() -> None:
    """Thousands of coins neither overflow nor vanish."""
    law = binomial_law(14_042, 0.3)

    assert law.sum() == pytest.approx(1)
    assert mid_p(law, round(0.3 * 14_042)) == pytest.approx(0.5, abs=0.01)


def test_wrong_binomial() -> None:
    """A probability is at most 1."""
    with pytest.raises(ValueError, match="0 <= p <= 1"):
        binomial_law(3, 1.5)
