"""What the token budget cut off, and what a larger one made of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from pytest_awsbench.cells import value
from pytest_awsbench.episodes import Play
from pytest_awsbench.ledger import Account, arm_of
from pytest_awsbench.pairing import mean_of
from pytest_awsbench.records import Completion, Draws, Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Truncation:
    """How many answers of one model to one suite were not over when they ended."""

    answers: int
    """All of them; of episodes their turns."""
    turns: bool = False
    """Whether these are turns: what was cut off is sent as it is."""
    budget: int
    """Tokens that each answer might have at first."""
    retry_budget: int | None
    """Tokens with which those that were cut off were asked again."""
    asked_again: int = 0
    by_budget: int = 0
    """Cut off by the budget, the larger one where there is one."""
    reasoning: int = 0
    """Of these, those that had not come to an answer yet."""
    by_context: int = 0
    """Cut off by the end of the context, which no budget mends."""
    first: Mapping[str, float | None] = field(default_factory=dict)
    """Metric → mean with the first budget; empty where nothing was asked again."""
    after: Mapping[str, float | None] = field(default_factory=dict)
    """Metric → mean after the retry, which is the run's."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        return {**plain, "first": dict(self.first), "after": dict(self.after)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Return what was kept."""
        return cls(**stored)


def truncation_of(account: Account) -> Truncation:
    """Count what was cut off, and compare both budgets where there are two."""
    said = [
        answer
        for result in account.results.values()
        for answer in _answers(account, result)
    ]
    cut = [answer for answer in said if answer.is_cut]
    again = sum(answer.again for answer in said)
    by_budget = [answer for answer in cut if answer.stop == "length"]
    return Truncation(
        answers=len(said),
        turns=_plays(account),
        budget=account.decoding.max_new_tokens,
        retry_budget=account.decoding.retry_truncated,
        asked_again=again,
        by_budget=len(by_budget),
        reasoning=sum(answer.reasons for answer in by_budget),
        by_context=len(cut) - len(by_budget),
        first=_means(_within_first_budget(account)) if again else {},
        after=_means(account) if again else {},
    )


def truncation_lines(found: Truncation, units: Mapping[str, str]) -> Iterator[str]:
    """Yield what a table must say whose figures the budget made lower.

    Args:
        found: what was cut off.
        units: of the metrics, in the order in which they are named.

    """
    if found.turns:
        yield from _turn_lines(found)
        return
    of = f"of {found.answers} truncated"
    if found.asked_again:
        yield (
            f"{found.asked_again} {of} at {found.budget} tokens, asked again"
            f" with {found.retry_budget}: {_both(found, units)}"
        )
    if found.by_budget:
        again = found.retry_budget is not None
        remedy = (
            "retry_truncated" if again else "max_new_tokens, or set retry_truncated"
        )
        yield (
            f"{found.by_budget} {of} at {found.retry_budget or found.budget} tokens"
            f"{_still(found)}: not over, so they count as 0; raise {remedy}"
        )
    if found.by_context:
        yield (
            f"{found.by_context} {of} by the context window: not over, so they count"
            " as 0; shorten the prompts, or use a larger context"
        )


def truncated_line(found: Mapping[str, Truncation]) -> Iterator[str]:
    """Yield which of several models the budget or the context cut off, if any.

    Args:
        found: of each model by its name, all on one suite.

    """
    cut = ", ".join(
        f"{name} {told.by_budget + told.by_context} of {told.answers}{_still(told)}"
        for name, told in found.items()
        if told.by_budget or told.by_context
    )
    if not cut:
        return
    if any(told.turns for told in found.values()):
        yield f"turns that were cut off: {cut}"
    else:
        yield (
            f"truncated, which counts as 0 and says little of the model: {cut}; the"
            " model's own section says by what"
        )


def _plays(account: Account) -> bool:
    """Whether these are episodes."""
    return any(isinstance(r.completion, Play) for r in account.results.values())


def _turn_lines(found: Truncation) -> Iterator[str]:
    """Yield which turns of episodes were cut off; what they sent went wrong, or not."""
    of = f"of {found.answers} turns cut off"
    if found.by_budget:
        yield (
            f"{found.by_budget} {of} at {found.budget} tokens{_still(found)}; raise"
            " max_new_tokens"
        )
    if found.by_context:
        yield f"{found.by_context} {of} by the context window; use a larger context"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """One answer, or one turn, as far as its end is concerned."""

    stop: str
    is_cut: bool
    reasons: bool
    again: bool = False


def _answers(account: Account, result: Result) -> Iterator[_Said]:
    """Yield the answers to one item."""
    answer = result.completion
    if isinstance(answer, Play):
        for episode in answer.episodes:
            for turn in episode.turns:
                yield _Said(
                    stop=turn.stop,
                    is_cut=turn.stop in {"length", "context"},
                    reasons=bool(turn.reasoning) and not turn.answer,
                )
        return
    for one in answer.completions if isinstance(answer, Draws) else (answer,):
        yield _Said(
            stop=one.stop,
            is_cut=account.suite.is_truncated(one),
            reasons=_reasons(one),
            again=one.first is not None,
        )


def _reasons(answer: Completion) -> bool:
    """Whether an answer ended before it began."""
    return bool(answer.reasoning) and not answer.text


def _within_first_budget(account: Account) -> Account:
    """Return an account as it would be had nothing been asked again."""
    results = {
        sample_id: replace(result, scores=result.first_scores, squares={})
        if result.first_scores
        else result
        for sample_id, result in account.results.items()
    }
    return replace(account, results=results)


def _means(account: Account) -> dict[str, float | None]:
    """Return the mean of each metric."""
    run = account.run({}, "")
    items: Sequence[Any] = [*arm_of(run, account.suite, "").items.values()]
    return {metric: mean_of(items, metric) for metric in account.suite.scorers}


def _both(found: Truncation, units: Mapping[str, str]) -> str:
    """Return each metric with both budgets."""
    return ", ".join(
        f"{metric} {value(found.first[metric], unit)} →"
        f" {value(found.after[metric], unit)}"
        for metric, unit in units.items()
    )


def _still(found: Truncation) -> str:
    """Say how many were still thinking."""
    return f" ({found.reasoning} while reasoning)" if found.reasoning else ""
