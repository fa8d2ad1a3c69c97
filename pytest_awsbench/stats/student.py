"""Student's t distribution with any, also fractional, degrees of freedom."""

from functools import lru_cache
from math import copysign, exp, isfinite, isnan, lgamma, log, log1p
from statistics import NormalDist


TINY = 1e-300
CLOSE = 1e-14
ROUNDS = 100_000
"""Of the continued fraction, which needs about √df of them."""
STEPS = 80
"""Bisections; as many as a float can tell apart."""
NORMAL = 1e9
"""With more degrees of freedom than this t is normal to all digits that matter."""


def t_cdf(t: float, df: float) -> float:
    """Return P(T ≤ t).

    Raises:
        ValueError: if df is not positive, or t is not a number.

    >>> round(t_cdf(2.0, 10), 6)
    0.963306

    """
    if not df > 0 or isnan(t):
        raise ValueError(f"need df > 0 and a number t, got t={t}, df={df}")
    if df > NORMAL:
        return NormalDist().cdf(t)
    square = t * t
    if not isfinite(square):
        return 0.5 + copysign(0.5, t)
    # Of x and 1 - x the smaller is formed directly, so that no digit is lost.
    x, rest = df / (df + square), square / (df + square)
    tail = _beta(df / 2, 0.5, x, rest) / 2
    return tail if t < 0 else 1 - tail


@lru_cache(maxsize=1024)
def t_quantile(p: float, df: float) -> float:
    """Return the t with P(T ≤ t) = p.

    Raises:
        ValueError: if p is not inside (0, 1), or df is not positive.

    >>> round(t_quantile(0.95, 14), 6)
    1.76131

    """
    if not 0 < p < 1:
        raise ValueError(f"need 0 < p < 1, got {p}")
    if p < 0.5:  # noqa: PLR2004 - the middle
        return -t_quantile(1 - p, df)
    low, high = 0.0, 1.0
    while t_cdf(high, df) < p:
        low, high = high, 2 * high
    for _ in range(STEPS):
        middle = (low + high) / 2
        if t_cdf(middle, df) < p:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _beta(a: float, b: float, x: float, rest: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b); rest = 1 - x."""
    if x <= 0 or rest <= 0:
        return float(x > 0)
    front = exp(
        lgamma(a + b)
        - lgamma(a)
        - lgamma(b)
        + a * (log(x) if x < rest else log1p(-rest))
        + b * (log(rest) if rest < x else log1p(-x))
    )
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(a, b, x) / a
    return 1 - front * _fraction(b, a, rest) / b


def _fraction(a: float, b: float, x: float) -> float:
    """Return the continued fraction of the incomplete beta function (Lentz 1976)."""
    c, d = 1.0, 1 / _away(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, ROUNDS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d, c = 1 / _away(1 + even * d), _away(1 + even / c)
        value *= c * d
        d, c = 1 / _away(1 + odd * d), _away(1 + odd / c)
        value *= c * d
        if abs(c * d - 1) < CLOSE:
            break
    return value


def _away(value: float) -> float:
    """Return a value, moved away from 0 where it may be divided by."""
    return value if abs(value) > TINY else TINY
