"""The models of one run, ranked on a suite, and which of them can be told apart."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import fmean, median
from types import MappingProxyType
from typing import Final

from pytest_awsbench.cells import aligned
from pytest_awsbench.comparing import Comparison, compare_pairs
from pytest_awsbench.episodes import Play
from pytest_awsbench.gates import Gate
from pytest_awsbench.ledger import Account
from pytest_awsbench.measuring import interval_of, orienting, own_arm
from pytest_awsbench.pairing import pairs_of
from pytest_awsbench.records import Answer, Arm, Completion, Draws, ItemStats
from pytest_awsbench.stats.multiplicity import holm
from pytest_awsbench.suites.suite import Suite
from pytest_awsbench.verdicts import p_text


ALPHA: Final = 0.05
"""Two-sided, of all comparisons together."""
#: Short heads of known metrics; what has none here stands in the sections alone.
HEADS: Final[Mapping[str, str]] = MappingProxyType({
    "format_ok": "fmt%",
    "format_ok_after_extract": "+xtr%",
    "exact_match": "exact%",
    "service_match": "svc%",
    "op_match": "op%",
    "canonical_match": "",
    "completion_rate": "done%",
    "avg_max_progress": "progress%",
    "avg_episode_reward": "reward",
    "avg_steps": "steps",
    "hint_usage_rate": "hints%",
    "format_failure_rate": "badfmt%",
})
#: As a screening is read: what is answered at all, then how right it is.
ORDER: Final = tuple(HEADS)
PARTIAL: Final = "*"


@dataclass(frozen=True, slots=True)
class Ranked:
    """One model's place."""

    account: Account
    arm: Arm

    @property
    def name(self) -> str:
        """As the table shows it; marked where answers are lost."""
        return self.account.model.name + (PARTIAL if self.account.missing else "")


def rankable(account: Account) -> bool:
    """Whether a model was asked everything, answered or not: a selection has no score.

    >>> from types import SimpleNamespace
    >>> rankable(SimpleNamespace(missing=["a"], lost={"a"}))
    True
    >>> rankable(SimpleNamespace(missing=["a", "b"], lost={"a"}))
    False
    """
    return account.lost.issuperset(account.missing)


def ranking_lines(accounts: Sequence[Account]) -> Iterator[str]:
    """Yield the ranked table of several models on one suite, and who differs.

    Args:
        accounts: of one suite, all of them `rankable`.

    """
    suite = accounts[0].suite
    ranked = _ranked(accounts)
    metrics = [metric for metric in _ordered(suite) if HEADS.get(metric, metric)]
    heads = ["model", "n", "errors", *(HEADS.get(m, m) for m in metrics)]
    rows = [[*heads, "latency", "length"]]
    rows += [_row(entry, metrics) for entry in ranked]
    yield from aligned(rows)
    yield "intervals: 95 %, by cluster; latency: median; length: mean characters"
    if any(entry.account.missing for entry in ranked):
        yield f"{PARTIAL} answers were lost: ranked by those that are there"
    yield from _told_apart(ranked, suite)


def _ordered(suite: Suite) -> list[str]:
    """Return the metrics of a suite, known ones as a screening is read."""
    place = {metric: i for i, metric in enumerate(ORDER)}
    return sorted(suite.scorers, key=lambda metric: place.get(metric, len(place)))


def _ranked(accounts: Sequence[Account]) -> list[Ranked]:
    """Return models by the suite's primary metric; those without an answer last."""
    suite = accounts[0].suite
    gate = orienting(accounts[0], suite.primary)

    def place(entry: Ranked) -> tuple[bool, float]:
        mean = _mean(entry.arm, gate)
        return mean is None, 0.0 if mean is None else mean * (1 if gate.lower else -1)

    ranked = [Ranked(account, own_arm(account)) for account in accounts]
    return sorted(ranked, key=place)


def _row(entry: Ranked, metrics: Sequence[str]) -> list[str]:
    """Return a model's cells."""
    account = entry.account
    answers = [result.completion for result in account.results.values()]
    return [
        entry.name,
        str(len(answers)),
        str(len(account.missing)),
        *(_cell(entry.arm, orienting(account, metric)) for metric in metrics),
        _over(answers, _latencies, lambda values: f"{median(values):.2f} s"),
        _over(answers, _lengths, lambda values: f"{fmean(values):.0f}"),
    ]


def _cell(arm: Arm, gate: Gate) -> str:
    """Return a mean and its interval; of shares in percent."""
    items = _having(arm, gate.metric)
    if not items:
        return "-"
    mean, (low, high) = interval_of(gate, items)
    if gate.unit == "number":
        return f"{mean:.2f} [{low:.2f}, {high:.2f}]" if isfinite(low) else f"{mean:.2f}"
    return f"{100 * mean:.1f} [{100 * low:.0f}, {100 * high:.0f}]"


def _told_apart(ranked: Sequence[Ranked], suite: Suite) -> Iterator[str]:
    """Yield who can be told apart from the best, by the primary metric.

    The best is the best of those that answered everything: who answered little may
    have answered what is easy.
    """
    answered = [entry for entry in ranked if entry.account.results]
    whole = [entry for entry in answered if not entry.account.missing]
    if len(answered) < 2:  # noqa: PLR2004 - nobody to compare with
        return
    best = (whole or answered)[0]
    gate = orienting(best.account, suite.primary)
    others = [entry for entry in answered if entry is not best]
    found = {entry.name: _compared(gate, best, entry) for entry in others}
    # The best was chosen by the same answers: each of these is one of all pairs.
    pairs = len(answered) * (len(answered) - 1) // 2
    ps = {name: 1.0 if c is None else _two_sided(c) for name, c in found.items()}
    adjusted = holm([*ps.values(), *[1.0] * (pairs - len(ps))]).tolist()
    known = dict(zip(ps, adjusted, strict=False))
    apart = [name for name, p in known.items() if p <= ALPHA]
    alike = [name for name, p in known.items() if p > ALPHA]
    yield (
        f"told apart from {best.name} by {suite.primary} (paired, two-sided, Holm over"
        f" {pairs} pair{'s' if pairs > 1 else ''}):"
        f" {_named(apart, known, found, gate) or 'none'};"
        f" not told apart: {_named(alike, known, found, gate) or 'none'}"
    )


def _compared(gate: Gate, best: Ranked, other: Ranked) -> Comparison | None:
    """Compare a model with the best on the items that both answered; None of none."""
    pairs = pairs_of(gate, other.arm, best.arm)
    return compare_pairs(gate, pairs, best.arm) if pairs.ids else None


def _two_sided(found: Comparison) -> float:
    """Return the p of a difference either way, from that of the one that was seen."""
    return 1.0 if found.p is None else min(1.0, 2 * found.p)


def _named(
    names: Sequence[str],
    ps: Mapping[str, float],
    found: Mapping[str, Comparison | None],
    gate: Gate,
) -> str:
    """Name models with their differences, which are oriented, and their p."""
    return ", ".join(f"{n} ({_change(found[n], gate)}{p_text(ps[n])})" for n in names)


def _change(found: Comparison | None, gate: Gate) -> str:
    """Return how far a model is from the best, in the metric's own sense."""
    if found is None or found.change is None:
        return ""
    change = -found.change if gate.lower else found.change
    return f"{change:+.2f}, " if gate.unit == "number" else f"{100 * change:+.1f}pp, "


def _having(arm: Arm, metric: str) -> list[ItemStats]:
    """Return the items that have a metric."""
    return [item for item in arm.items.values() if metric in item.sums]


def _mean(arm: Arm, gate: Gate) -> float | None:
    """Return a model's mean; None without an answer."""
    items = _having(arm, gate.metric)
    return interval_of(gate, items)[0] if items else None


def _over(
    answers: Sequence[Answer],
    take: Callable[[Answer], list[float]],
    show: Callable[[list[float]], str],
) -> str:
    """Return a figure over all answers that have it."""
    values = [value for answer in answers for value in take(answer)]
    return show(values) if values else "-"


def _latencies(answer: Answer) -> list[float]:
    """Return the seconds of each answer; of episodes those of the whole episode."""
    if isinstance(answer, Play):
        return [episode.seconds for episode in answer.episodes]
    return [c.latency for c in _completions(answer) if c.latency is not None]


def _lengths(answer: Answer) -> list[float]:
    """Return the characters of each answer; of episodes those of each turn."""
    if isinstance(answer, Play):
        turns = [turn for episode in answer.episodes for turn in episode.turns]
        return [float(len(turn.answer)) for turn in turns]
    return [float(len(completion.text)) for completion in _completions(answer)]


def _completions(answer: Completion | Draws) -> tuple[Completion, ...]:
    """Return the answers to one prompt."""
    return answer.completions if isinstance(answer, Draws) else (answer,)
