"""Many gates in one session: what each may spend, and what is shown afterwards.

Each gate is decided at run time with its share of the session's alpha (Bonferroni).
Whether any gate is red is then the same as after Holm's procedure: both are red if
and only if the smallest p is at most α/m.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray


Floats = NDArray[np.float64]


def gate_alpha(alpha: float, gates: int) -> float:
    """Return the alpha of each of several gates, so that alpha holds for all of them.

    Args:
        alpha: of the session: how often it may be red when nothing changed.
        gates: gated tests that were collected, on all workers together.

    Raises:
        ValueError: if there is no gate, or alpha is not inside (0, 1).

    >>> gate_alpha(0.05, 2)
    0.025

    """
    if gates < 1 or not 0 < alpha < 1:
        raise ValueError(f"need gates > 0 and 0 < alpha < 1, got {gates}, {alpha}")
    return alpha / gates


def holm(ps: ArrayLike) -> Floats:
    """Return Holm's adjusted p values: significant at alpha where at most alpha.

    Args:
        ps: p of every gated test, shape (m,).

    Raises:
        ValueError: if a p is not in [0, 1].

    >>> holm([0.01, 0.04, 0.03, 0.005]).round(9).tolist()
    [0.03, 0.06, 0.06, 0.02]

    """
    values = _checked(ps)
    order = np.argsort(values, kind="stable")
    # The smallest of m must stand m tests, the next one m - 1, and so on.
    stepped = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    return _back(order, stepped)


def q_values(ps: ArrayLike) -> Floats:
    """Return Benjamini and Hochberg's adjusted p values (1995).

    They say in which tiers a change is concentrated; nothing is gated on them.

    Args:
        ps: p of every tier or secondary metric, shape (m,).

    Raises:
        ValueError: if a p is not in [0, 1].

    >>> q_values([0.01, 0.04, 0.03, 0.005]).round(9).tolist()
    [0.02, 0.04, 0.04, 0.02]

    """
    values = _checked(ps)
    order = np.argsort(values, kind="stable")[::-1]
    m = len(values)
    stepped = np.minimum.accumulate(values[order] * m / np.arange(m, 0, -1))
    return _back(order, stepped)


def _back(order: NDArray[np.intp], stepped: Floats) -> Floats:
    """Put adjusted values, at most 1, into the places that they came from."""
    adjusted = np.empty(len(stepped))
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def _checked(ps: ArrayLike) -> Floats:
    """Return the p values, or say what is wrong with them."""
    values = np.asarray(ps, dtype=float)
    if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
        raise ValueError("need p values in [0, 1], shape (m,)")
    return values
