"""Is it the same model? Whether a re-run agrees with stored runs within decode noise.

The items are fixed here: nothing is said about other items. If the model, its
settings and its seeds are the same, the new run is one more of the stored ones; of an
item that K + 1 runs got right t times, the new run got it right with t/(K + 1).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pytest_awsbench.stats.binomial import binomial_law, mid_p


Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Repro:
    """How a run compares with earlier runs of what should be the same."""

    n: int
    p_drop: float
    """Mid-p of as few successes."""
    p_disagreement: float
    """Mid-p of as much disagreement with the stored runs, in either direction."""

    def same(self, alpha: float = 0.05) -> bool:
        """Whether neither test contradicts that nothing changed."""
        return min(self.p_drop, self.p_disagreement) > alpha


def repro_check(successes: ArrayLike, runs: ArrayLike, new: ArrayLike) -> Repro:
    """Compare one run with stored runs of the same configuration and seeds.

    With one stored run the drop is tested by McNemar's mid-p test, and disagreement
    cannot be told from noise (p = .5).

    Args:
        successes: of each item in the stored runs, shape (n,).
        runs: K, how often each item was stored, at least 1; a number or shape (n,).
        new: 0 or 1 of each item in the new run, shape (n,).

    Raises:
        ValueError: if shapes differ, there is no item, or counts do not fit.

    >>> result = repro_check([3, 3, 2, 3, 1, 0], 3, [0, 1, 0, 0, 1, 0])
    >>> result.p_drop, result.p_disagreement
    (0.078125, 0.03125)

    """
    stored, k, answers = _checked(successes, runs, new)
    both = stored + answers
    p = both / (k + 1)
    # A right answer contradicts the runs that were wrong, and a wrong one the others.
    disagreement = np.where(answers == 1, k - stored, stored)
    if_right, if_wrong = k + 1 - both, both
    settled = (both == 0) | (both == k + 1)
    return Repro(
        n=len(stored),
        p_drop=_lower(p, np.zeros_like(both), np.ones_like(both), answers),
        p_disagreement=_lower(
            p[~settled],
            -if_wrong[~settled],
            -if_right[~settled],
            -disagreement[~settled],
        ),
    )


def flip_rate_bound(repeats: int, alpha: float = 0.05) -> float:
    """Return the upper bound of a rate of flips of which none was seen.

    1 - alpha^(1/N), about 3/N at 5 %.

    Args:
        repeats: item-repeats that were all alike.
        alpha: one-sided.

    Raises:
        ValueError: if nothing was repeated, or alpha is not inside (0, 1).

    >>> round(flip_rate_bound(300), 4)
    0.0099

    """
    if repeats < 1 or not 0 < alpha < 1:
        raise ValueError(f"need repeats > 0 and 0 < alpha < 1, got {repeats}, {alpha}")
    return float(-np.expm1(np.log(alpha) / repeats))


def _lower(p: Floats, if_wrong: Integers, if_right: Integers, seen: Integers) -> float:
    """Return the mid-p of a sum as low as was seen.

    Each item adds ``if_right`` with probability p and ``if_wrong`` otherwise.
    """
    steps = if_right - if_wrong
    # Coins are counted from their smaller value, so that all steps go up.
    chance = np.where(steps >= 0, p, 1 - p)
    least = np.minimum(if_right, if_wrong)
    law = np.ones(1)
    kinds, counts = np.unique(
        np.column_stack([np.abs(steps), chance]), axis=0, return_counts=True
    )
    for (step, share), count in zip(kinds.tolist(), counts.tolist(), strict=True):
        law = np.convolve(law, _spaced(binomial_law(count, share), int(step)))
    return mid_p(law, int(seen.sum() - least.sum()))


def _spaced(law: Floats, step: int) -> Floats:
    """Return the law of step·X, given that of X."""
    out = np.zeros((len(law) - 1) * step + 1)
    if step == 0:
        out[0] = law.sum()
    else:
        out[::step] = law
    return out


def _checked(
    successes: ArrayLike, runs: ArrayLike, new: ArrayLike
) -> tuple[Integers, Integers, Integers]:
    """Return whole numbers of one shape, or say what is wrong with them."""
    raw = [np.asarray(x, dtype=float) for x in (successes, new)]
    if raw[0].ndim != 1 or raw[0].shape != raw[1].shape or raw[0].size == 0:
        raise ValueError(
            f"need stored and new answers of the same n > 0 items, got {raw[0].shape},"
            f" {raw[1].shape}"
        )
    k = np.broadcast_to(np.asarray(runs, dtype=float), raw[0].shape)
    for values in (*raw, k):
        if not np.array_equal(values, np.rint(values)):
            raise ValueError("answers must be counted: only 0/1 metrics are reproduced")
    fits = (raw[0] >= 0) & (raw[0] <= k) & (k >= 1) & np.isin(raw[1], (0, 1))
    if not fits.all():
        raise ValueError("need 0 <= successes <= K, K >= 1, and new answers of 0 or 1")
    stored, answers = (values.astype(np.int64) for values in raw)
    return stored, k.astype(np.int64), answers
