"""Measuring again: how often, with which seeds, and whether it can tell anything."""

from dataclasses import replace

from pytest_awsbench.records import Decoding, ModelCard


LOCAL = frozenset({"transformers", "replay"})
"""Backends that answer the same question the same way where decoding is greedy."""
STRIDE = 1_000_003
"""Between the seeds of whole runs: further apart than anybody counts seeds."""
CONFIRMING = 500
"""Number of the first run that confirms; stored runs are counted from 0."""


def repeatable(card: ModelCard, decoding: Decoding) -> bool:
    """Whether measuring again gives the same answers: it tells nothing new."""
    greedy = decoding.temperature == 0 or card.backend == "replay"
    return greedy and card.backend in LOCAL


def draws_of(repeats: int, card: ModelCard, decoding: Decoding) -> int:
    """Return how often a prompt is worth asking."""
    return 1 if repeatable(card, decoding) else repeats


def of_run(decoding: Decoding, number: int) -> Decoding:
    """Return the decoding of a further run: with seeds of its own."""
    return replace(decoding, seed=decoding.seed + number * STRIDE)
