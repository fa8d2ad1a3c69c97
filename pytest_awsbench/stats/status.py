"""The words in which a gate speaks."""

from enum import StrEnum


class Status(StrEnum):
    """What a comparison says."""

    REGRESSED = "REGRESSED"
    """Worse beyond noise and beyond the allowed drop."""
    IMPROVED = "IMPROVED"
    WITHIN_NOISE = "WITHIN_NOISE"
    """A drop of the margin or more is ruled out."""
    NOT_REGRESSED = "NOT_REGRESSED"
    """A run that stopped early: the full run would not be red."""
    INCONCLUSIVE = "INCONCLUSIVE"
    INVALID = "INVALID"
    """The two sides cannot be compared."""
    SKIPPED = "SKIPPED"
    """There was nothing to compare with, or not everything was measured."""
