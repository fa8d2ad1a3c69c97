"""Two curves of the same tasks: one declared point, the mean over k, or any k.

Which episodes hit a failure depends on the model, so a recovery rate may move because
other episodes failed: show how many did on both sides.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pytest_awsbench.stats.continuous import (
    Continuous,
    ContinuousRule,
    Ratio,
    ratio_gate,
    ratio_scores,
)
from pytest_awsbench.stats.curves import recovered
from pytest_awsbench.stats.labels import numbered


Floats = NDArray[np.float64]

EXACT = 14
"""Up to this many tasks that changed all patterns of signs are counted."""
PATTERNS = 2**EXACT
BLOCK = 1024
"""Patterns that are worked on at a time."""
SEED = 10
TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Recoveries:
    """The episodes of one side that hit a failure.

    Attributes:
        steps: turns from the first failure to the recovery; nan or inf where it never
            came, shape (n,).
        tasks: task of each of these episodes, length n.

    """

    steps: ArrayLike
    tasks: Sequence[Hashable]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyWorse:
    """Whether a curve got worse anywhere."""

    p: float
    """Mid-p of the one-sided test that it got worse at no k."""
    worst: int
    """The column with the strongest evidence of a drop, from 0; k - 1 of a curve."""
    changes: tuple[float, ...]
    """new - old at every k."""
    exact: bool
    """Whether all patterns of signs were counted, not a fixed set of them."""


def recovery_gate(
    old: Recoveries,
    new: Recoveries,
    ks: Sequence[int],
    rule: ContinuousRule | None = None,
) -> Continuous:
    """Compare two recovery curves at one k, or their means over several.

    The mean of RR@k over ks, a ratio of recoveries to failures on each side, tested
    by sign flips of the tasks' scores (`ratio_gate`). Declare ks before looking: one
    point ``[5]``, or the whole curve ``range(1, 11)``, the area under it. To look at
    every k and keep the worst use `any_worse`.

    Args:
        old: episodes with a failure before.
        new: episodes with a failure now, perhaps others of the same tasks.
        ks: turns within which to recover, all at least 1.
        rule: what is allowed, in shares; the defaults of `ContinuousRule`.

    Raises:
        ValueError: if there is no k, one is below 1, a side has no episode, or steps
            and tasks do not fit together.

    >>> tasks = "abcdef"
    >>> gate = recovery_gate(
    ...     Recoveries([1, 1, 2, 1, 2, 1], tasks),
    ...     Recoveries([3, 4, 9, 3, 9, 4], tasks),
    ...     ks=[2],
    ... )
    >>> gate.status, gate.change, gate.p
    (<Status.REGRESSED: 'REGRESSED'>, -1.0, 0.0078125)

    """
    if len(ks) == 0 or min(ks) < 1:
        raise ValueError(f"need one k or more, each at least 1, got {list(ks)}")
    before, after = _by_task(old, new, max(ks))
    columns = np.asarray(ks, dtype=np.int64) - 1
    sides = [Ratio(x[:, columns].mean(axis=1), n) for x, n in (before, after)]
    return ratio_gate(sides[0], sides[1], rule)


def recovery_scores(old: Recoveries, new: Recoveries, upto: int) -> Floats:
    """Return scores by task and k whose mean over tasks is the change of RR@k.

    Those of `ratio_scores` at every k. Where both sides have one failed episode per
    task, they are the differences of its recoveries.

    Args:
        old: episodes with a failure before.
        new: episodes with a failure now.
        upto: the largest k, at least 1.

    Returns:
        Shape (tasks, upto), k = 1 first.

    Raises:
        ValueError: if upto is below 1, a side has no episode, or steps and tasks do
            not fit together.

    >>> recovery_scores(Recoveries([1, 2], "ab"), Recoveries([2, 2], "ab"), 2).tolist()
    [[-1.0, 0.0], [0.0, 0.0]]

    """
    (x0, n0), (x1, n1) = _by_task(old, new, upto)
    columns = zip(x0.T, x1.T, strict=True)
    return np.column_stack([
        ratio_scores(Ratio(a, n0), Ratio(b, n1)) for a, b in columns
    ])


def any_worse(scores: ArrayLike) -> AnyWorse:
    """Test whether a curve got worse at any k, by sup-t over joint sign flips.

    T = max_k -Σ_g s_gk / √(Σ_g s_gk²). If nothing changed, each task's whole row is
    as likely to have the other sign; p = P(T* > T) + ½ P(T* = T) over the patterns of
    signs. Up to 14 tasks that changed all patterns are counted; beyond, a fixed set of
    16 384, the observed one being one more: p is then good to 0.002 at 0.05.

    Args:
        scores: new - old by task and k, more is better, shape (tasks, ks); those of
            `recovery_scores`, or differences of pass@k.

    Raises:
        ValueError: if there is no task or no k, or a score is not finite.

    >>> result = any_worse([[-1, 0], [-1, 1], [-1, 0], [-1, -1], [-1, 0]])
    >>> result.p, result.worst, result.exact
    (0.015625, 0, True)

    """
    s = np.asarray(scores, dtype=float)
    if s.ndim != 2 or s.size == 0 or not np.isfinite(s).all():  # noqa: PLR2004 - axes
        raise ValueError(f"need finite scores of shape (tasks, ks), got {s.shape}")
    scale = np.sqrt(np.square(s).sum(axis=0))
    # Where no task moved the curve nothing can be worse, whatever the signs.
    moved = np.flatnonzero(scale > TINY)
    drops = -s[:, moved] / scale[moved]
    drops = drops[(np.abs(drops) > TINY).any(axis=1)]
    exact = len(drops) <= EXACT
    return AnyWorse(
        p=_p(drops, exact=exact) if len(moved) else 0.5,
        worst=int(moved[drops.sum(axis=0).argmax()]) if len(moved) else 0,
        changes=tuple(s.mean(axis=0).tolist()),
        exact=exact,
    )


def _p(drops: Floats, *, exact: bool) -> float:
    """Return the mid-p of the largest studentised drop."""
    seen = drops.sum(axis=0).max()
    # The observed pattern is among all of them, not among those drawn.
    more, same, total = 0, *((0, 0) if exact else (1, 1))
    for signs in _all_signs(len(drops)) if exact else _fixed_signs(len(drops)):
        largest = (signs @ drops).max(axis=1)
        more += int((largest > seen + TINY).sum())
        same += int((np.abs(largest - seen) <= TINY).sum())
        total += len(signs)
    return (more + same / 2) / total


def _all_signs(tasks: int) -> Iterator[Floats]:
    """Yield all patterns of signs, in one block."""
    patterns = np.arange(2**tasks)[:, None] >> np.arange(tasks)
    yield (1 - 2 * (patterns & 1)).astype(np.float64)


def _fixed_signs(tasks: int) -> Iterator[Floats]:
    """Yield the same patterns of signs every time, in blocks."""
    # Raw bits, which numpy promises to keep from version to version.
    source = np.random.PCG64(SEED)
    words = -(-BLOCK * tasks // 64)
    for _ in range(PATTERNS // BLOCK):
        raw = source.random_raw(words).astype("<u8").view(np.uint8)
        bits = np.unpackbits(raw)[: BLOCK * tasks].reshape(BLOCK, tasks)
        yield 1 - 2 * bits.astype(np.float64)


def _by_task(
    old: Recoveries, new: Recoveries, upto: int
) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    """Return each side's recoveries by task and k, and its failures by task."""
    reached = [recovered(side.steps, upto) for side in (old, new)]
    for side, rows in zip((old, new), reached, strict=True):
        if len(side.tasks) != len(rows):
            raise ValueError(f"need {len(rows)} tasks, got {len(side.tasks)}")
    codes = numbered([*old.tasks, *new.tasks])
    count, first = int(codes.max()) + 1, len(old.tasks)

    def gathered(rows: Floats, own: NDArray[np.int64]) -> tuple[Floats, Floats]:
        sums = np.zeros((count, upto))
        np.add.at(sums, own, rows)
        return sums, np.bincount(own, minlength=count).astype(np.float64)

    return gathered(reached[0], codes[:first]), gathered(reached[1], codes[first:])
