"""The power of McNemar's one-sided test, every outcome of it counted."""

from functools import lru_cache
from math import sqrt

import numpy as np

from pytest_awsbench.stats.binomial import binomial_law


PRECISION = 1e-6
"""Of a drop: a tenth of a thousandth of a point is more than anyone reads."""
TINY = 1e-12


def exact_power(
    n: int, worse: float, better: float, alpha: float = 0.05, ties: float = 0.5
) -> float:
    """Return how often McNemar's one-sided test finds that answers got worse.

    Every outcome of n independent pairs is counted.

    Args:
        n: pairs.
        worse: probability that an answer changes from 1 to 0.
        better: probability that it changes from 0 to 1.
        alpha: one-sided.
        ties: share of P(T = t) that p contains: ½ for mid-p, 1 for the exact test.

    Raises:
        ValueError: if the probabilities do not fit together.

    >>> round(exact_power(144, 0.45, 0.25, alpha=0.025, ties=1.0), 6)
    0.800919

    """
    changed = worse + better
    if not (worse >= 0 and better >= 0 and changed <= 1 + TINY):
        raise ValueError(f"need worse, better >= 0, worse + better <= 1, got {changed}")
    if changed <= 0:
        return 0.0
    share, total = min(better / changed, 1.0), 0.0
    for k, weight in enumerate(binomial_law(n, min(changed, 1.0)).tolist()):
        most = _most_better(k, alpha, ties)
        if weight > TINY and most >= 0:
            total += weight * float(binomial_law(k, share)[: most + 1].sum())
    return total


def exact_drop(n: int, discordance: float, power: float, alpha: float) -> float | None:
    """Return the smallest true drop that the mid-p test finds with a given power.

    Args:
        n: independent pairs.
        discordance: share of answers that change in a re-run.
        power: how often it shall be found.
        alpha: one-sided.

    Returns:
        The drop in (0, 1]; None if even the largest is missed too often.

    >>> round(100 * exact_drop(27, 0.20, 0.80, 0.05), 1)
    25.8

    """

    def found(drop: float) -> bool:
        changed = min(sqrt(discordance**2 + drop**2), 1.0)
        worse, better = (changed + drop) / 2, max(changed - drop, 0.0) / 2
        return exact_power(n, worse, better, alpha) >= power

    low, high = 0.0, sqrt(1 - discordance**2)
    if not found(high):
        return None
    while high - low > PRECISION:
        middle = (low + high) / 2
        low, high = (low, middle) if found(middle) else (middle, high)
    return high


@lru_cache(maxsize=4096)
def _most_better(changed: int, alpha: float, ties: float) -> int:
    """Return the most better answers at which the test is red; -1 if at none."""
    law = binomial_law(changed, 0.5)
    p = np.cumsum(law) - law * (1 - ties)
    return int((p <= alpha + TINY).sum()) - 1
