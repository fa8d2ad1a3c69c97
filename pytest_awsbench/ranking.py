"""The models of one run, ranked on a suite, and which of them can be told apart."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median
from types import MappingProxyType
from typing import Any, Final

from pytest_awsbench.cells import aligned, points
from pytest_awsbench.comparing import Comparison, compare_pairs
from pytest_awsbench.episodes import Play
from pytest_awsbench.figures import Mean, Ranked, Ranking, Told
from pytest_awsbench.gates import Gate, Unit
from pytest_awsbench.ledger import Account
from pytest_awsbench.measuring import mean_of, orienting, own_arm
from pytest_awsbench.pairing import pairs_of
from pytest_awsbench.records import Answer, Arm, Completion, Draws
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
PAIR: Final = 2
"""Models that are shown side by side; more are ranked."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """A model that is to be ranked."""

    account: Account
    arm: Arm

    @property
    def name(self) -> str:
        """Of the model."""
        return self.account.model.name


def rankable(account: Account) -> bool:
    """Whether a model was asked everything, answered or not: a selection has no score.

    >>> from types import SimpleNamespace
    >>> rankable(SimpleNamespace(missing=["a"], lost={"a"}))
    True
    >>> rankable(SimpleNamespace(missing=["a", "b"], lost={"a"}))
    False
    """
    return account.lost.issuperset(account.missing)


def ranking_of(accounts: Sequence[Account]) -> Ranking | None:
    """Rank models on one suite; None where two complete ones say it better.

    Args:
        accounts: of one suite.

    """
    asked = [account for account in accounts if rankable(account)]
    answered = [account for account in asked if account.results]
    pair = len(asked) == PAIR and not any(account.missing for account in asked)
    if len(answered) < PAIR or pair:
        return None
    entries = _ordered([_Entry(account, own_arm(account)) for account in asked])
    suite = asked[0].suite
    ranking = Ranking(
        suite=suite.name,
        primary=suite.primary,
        models=tuple(_ranked(entry) for entry in entries),
    )
    return replace(ranking, **_told([e for e in entries if e.account.results], suite))


def ranking_lines(ranking: Ranking) -> Iterator[str]:
    """Yield the ranked table of several models, and who differs."""
    yield from aligned(ranking_rows(ranking))
    yield from ranking_notes(ranking)


def ranking_rows(ranking: Ranking) -> list[list[str]]:
    """Return the cells of a ranked table, its heads first."""
    metrics = _shown(ranking)
    heads = ["model", "n", "errors", *(HEADS.get(m, m) for m in metrics)]
    rows = [[*heads, "latency", "length"]]
    return [*rows, *(_row(entry, metrics) for entry in ranking.models)]


def _shown(ranking: Ranking) -> list[str]:
    """Return the metrics of a table, known ones as a screening is read."""
    place = {metric: i for i, metric in enumerate(ORDER)}
    found = dict.fromkeys(m for model in ranking.models for m in model.means)
    known = [metric for metric in found if HEADS.get(metric, metric)]
    return sorted(known, key=lambda metric: place.get(metric, len(place)))


def ranking_notes(ranking: Ranking) -> Iterator[str]:
    """Yield how a table is to be read, and who can be told apart from the best."""
    yield "intervals: 95 %, by cluster; latency: median; length: mean characters"
    if any(entry.errors for entry in ranking.models):
        yield f"{PARTIAL} answers were lost: ranked by those that are there"
    if ranking.best is None:
        return
    known = ranking.models[0].means.get(ranking.primary)
    unit: Unit = "share" if known is None else known.unit
    apart = [other for other in ranking.others if other.apart]
    alike = [other for other in ranking.others if not other.apart]
    plural = "s" if ranking.pairs > 1 else ""
    yield (
        f"told apart from {ranking.best} by {ranking.primary} (paired, two-sided, Holm"
        f" over {ranking.pairs} pair{plural}): {_named(apart, unit) or 'none'};"
        f" not told apart: {_named(alike, unit) or 'none'}"
    )


def _ordered(entries: Sequence[_Entry]) -> list[_Entry]:
    """Return models by the suite's primary metric; those without an answer last."""

    def place(entry: _Entry) -> tuple[bool, float]:
        gate = orienting(entry.account, entry.account.suite.primary)
        mean = mean_of(gate, entry.arm)
        value = 0.0 if mean is None else mean.mean * (1 if gate.lower else -1)
        return mean is None, value

    return sorted(entries, key=place)


def _ranked(entry: _Entry) -> Ranked:
    """Return what a model showed."""
    account = entry.account
    answers = [result.completion for result in account.results.values()]
    means = {
        metric: mean_of(orienting(account, metric), entry.arm)
        for metric in account.suite.scorers
    }
    return Ranked(
        model=entry.name,
        n=len(answers),
        errors=len(account.missing),
        means={metric: mean for metric, mean in means.items() if mean is not None},
        latency=_over(answers, _latencies, median),
        length=_over(answers, _lengths, fmean),
    )


def _row(entry: Ranked, metrics: Sequence[str]) -> list[str]:
    """Return a model's cells; its name is marked where answers are lost."""
    return [
        entry.model + (PARTIAL if entry.errors else ""),
        str(entry.n),
        str(entry.errors),
        *(_cell(entry.means.get(metric)) for metric in metrics),
        "-" if entry.latency is None else f"{entry.latency:.2f} s",
        "-" if entry.length is None else f"{entry.length:.0f}",
    ]


def _cell(of: Mean | None) -> str:
    """Return a mean and its interval; of shares in percent."""
    if of is None:
        return "-"
    number = of.unit == "number"
    mean = f"{of.mean:.2f}" if number else f"{100 * of.mean:.1f}"
    if of.low is None or of.high is None:
        return mean
    if number:
        return f"{mean} [{of.low:.2f}, {of.high:.2f}]"
    return f"{mean} [{100 * of.low:.0f}, {100 * of.high:.0f}]"


def _told(answered: Sequence[_Entry], suite: Suite) -> dict[str, Any]:
    """Return who can be told apart from the best, by the primary metric.

    The best is the best of those that answered everything: who answered little may
    have answered what is easy.
    """
    whole = [entry for entry in answered if not entry.account.missing]
    best = (whole or answered)[0]
    gate = orienting(best.account, suite.primary)
    others = [entry for entry in answered if entry is not best]
    found = [_compared(gate, best, entry) for entry in others]
    # The best was chosen by the same answers: each of these is one of all pairs.
    pairs = len(answered) * (len(answered) - 1) // 2
    ps = [1.0 if c is None else _two_sided(c) for c in found]
    adjusted = holm([*ps, *[1.0] * (pairs - len(ps))]).tolist()
    told = tuple(
        Told(model=entry.name, change=_change(one, gate), p=p, apart=p <= ALPHA)
        for entry, one, p in zip(others, found, adjusted, strict=False)
    )
    return {"best": best.name, "pairs": pairs, "others": told}


def _compared(gate: Gate, best: _Entry, other: _Entry) -> Comparison | None:
    """Compare a model with the best on the items that both answered; None of none."""
    pairs = pairs_of(gate, other.arm, best.arm)
    return compare_pairs(gate, pairs, best.arm) if pairs.ids else None


def _two_sided(found: Comparison) -> float:
    """Return the p of a difference either way, from that of the one that was seen."""
    return 1.0 if found.p is None else min(1.0, 2 * found.p)


def _change(found: Comparison | None, gate: Gate) -> float | None:
    """Return how far a model is from the best, in the metric's own sense."""
    if found is None or found.change is None:
        return None
    return -found.change if gate.lower else found.change


def _named(others: Sequence[Told], unit: Unit) -> str:
    """Name models with their differences and their p."""
    return ", ".join(f"{o.model} ({_moved(o, unit)}{p_text(o.p)})" for o in others)


def _moved(other: Told, unit: Unit) -> str:
    """Return a difference as a text that p follows."""
    if other.change is None:
        return ""
    return f"{other.change:+.2f}, " if unit == "number" else f"{points(other.change)}, "


def _over(
    answers: Sequence[Answer],
    take: Callable[[Answer], list[float]],
    summed: Callable[[list[float]], float],
) -> float | None:
    """Return a figure over all answers that have it."""
    values = [value for answer in answers for value in take(answer)]
    return summed(values) if values else None


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
