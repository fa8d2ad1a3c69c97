"""Published results: what is known of a baseline without its items.

A published number was measured once, on a finite sample: it is never exact.
"""

import re
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

from pytest_awsbench.stats.intervals import Count


PRINTED = re.compile(r"\d*\.?\d+|\d+\.", re.ASCII)


@dataclass(frozen=True, slots=True)
class Counts:
    """A baseline of which the number of items is known.

    Attributes:
        candidates: successes; several where a rounded share leaves several open.
        n: items.
        deff: design effect of its clusters; None takes that of the new run.

    """

    candidates: tuple[float, ...]
    n: int
    deff: float | None = None

    def effective(self, deff: float) -> list[Count]:
        """Return the candidates on effective counts, given the other side's deff."""
        scale = 1 / (self.deff or deff)
        return [Count(x * scale, self.n * scale) for x in self.candidates]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A baseline of which only the mean is known, and perhaps its standard error."""

    mean: float
    stderr: float | None = None


def published_counts(share: str, n: int) -> Counts:
    """Return the counts behind a rounded share (GRIM, Brown and Heathers 2017).

    Args:
        share: as printed, with all digits: ``"0.407"``, ``"40.7%"``.
        n: items that it was measured on.

    Returns:
        All whole numbers of successes that print as this share, perhaps none.

    Raises:
        ValueError: if the text is no number, or n is not positive.

    >>> published_counts("40.7%", 27).candidates
    (11,)
    >>> published_counts("0.222", 25).candidates
    ()

    """
    if n < 1:
        raise ValueError(f"need n > 0 items, got {n}")
    text = share.strip()
    number = text.removesuffix("%").strip()
    unit = Fraction(1, 100 if text.endswith("%") else 1)
    # A fraction or an exponent would not say how many digits were printed.
    if not PRINTED.fullmatch(number):
        raise ValueError(
            f"{share!r} is not a printed share; write it like 0.407 or 40.7%"
        )
    value = Fraction(number) * unit
    digits = len(number.partition(".")[2])
    # Halves may have been rounded either way.
    half = unit * Fraction(1, 2 * 10**digits)
    first, last = ceil((value - half) * n), floor((value + half) * n)
    return Counts(tuple(range(max(first, 0), min(last, n) + 1)), n)
