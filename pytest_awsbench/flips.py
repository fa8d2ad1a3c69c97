"""Items that changed: what they were answered before, and whether rounding explains it.

The labels: ``numeric`` where the same weights were asked the same, greedily, and a
near-tie, another precision or another version of a library can have tipped the answer;
``real`` where the model is another one, or nothing of that kind is known; None where
answers vary by themselves, sampled or served.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from pytest_awsbench.baselines import Baseline
from pytest_awsbench.episodes import Play
from pytest_awsbench.gates import Verdict
from pytest_awsbench.ledger import Account, this_run
from pytest_awsbench.records import Answer, Completion


Kind = Literal["regressed", "fixed"]
Label = Literal["numeric", "real"]

ARITHMETIC = ("torch", "transformers", "peft", "bitsandbytes")
"""Libraries whose versions may change the last bits of a sum."""
PRECISION = ("dtype", "quantization")
"""Details of a model that change how exactly its weights are held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OldAnswers:
    """What a kept run answered: outcome and text of each item."""

    run: str
    """Its folder's name."""
    answers: Mapping[str, tuple[str, str]]
    chunk_size: int | None = None
    """Prompts that were generated together; None where it is not recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """One item that changed for the worse or for the better."""

    id: str
    kind: Kind
    against: str
    """The other model; empty: the model's own baseline."""
    old_outcome: str
    """Empty where it is not known."""
    new_outcome: str
    old_answer: str | None
    old_answer_from: str | None
    """The run that holds it: a folder's name, or ``this run``."""
    label: Label | None
    why: str
    """What the label rests on."""


def flips_of(
    account: Account,
    others: Mapping[str, Account],
    old: OldAnswers | None,
    versions: Mapping[str, str],
) -> Iterator[Flip]:
    """Yield what the gates of an account saw change, the first gate's first.

    Args:
        account: a complete one, judged.
        others: the other models of this run on this suite, by name.
        old: answers that the baseline's outcomes come from, where they are kept.
        versions: of the libraries of this run.

    """
    seen: set[tuple[str, str]] = set()
    for verdict in account.verdicts:
        against = verdict.against.partition(", ")[0]
        # What a baseline file holds has no answers, even if that model runs here, too.
        here = others.get(against) if verdict.against == this_run(against) else None
        for kind, sample_id in _changed(verdict):
            if (against, sample_id) in seen:
                continue
            seen.add((against, sample_id))
            if against:
                yield _against_model(account, here, (kind, sample_id), against)
            else:
                yield _against_baseline(account, old, (kind, sample_id), versions)


def _changed(verdict: Verdict) -> Iterator[tuple[Kind, str]]:
    """Yield the items that a verdict saw change, the worse ones first."""
    yield from (("regressed", i) for i in verdict.regressed)
    yield from (("fixed", i) for i in verdict.fixed)


def _against_model(
    account: Account, other: Account | None, change: tuple[Kind, str], against: str
) -> Flip:
    """Return a change against another model, of this run if it ran."""
    kind, sample_id = change
    result = account.results[sample_id]
    was = other.results.get(sample_id) if other is not None else None
    label, why = _label_of_models(account, other, result.completion)
    return Flip(
        id=sample_id,
        kind=kind,
        against=against,
        old_outcome=was.outcome if was else "",
        new_outcome=result.outcome,
        old_answer=text_of(was.completion) if was else None,
        old_answer_from="this run" if was else None,
        label=label,
        why=why,
    )


def _against_baseline(
    account: Account,
    old: OldAnswers | None,
    change: tuple[Kind, str],
    versions: Mapping[str, str],
) -> Flip:
    """Return a change against the model's own baseline."""
    kind, sample_id = change
    result = account.results[sample_id]
    was = account.was(sample_id) or ""
    outcome, text = old.answers.get(sample_id, ("", "")) if old else ("", "")
    # A run of the same model may have answered otherwise than the stored one.
    known = bool(outcome) and outcome == was
    changed = [*_upgraded(account, versions), *_rechunked(account, old)]
    label, why = _label_of_baseline(account, result.completion, changed)
    return Flip(
        id=sample_id,
        kind=kind,
        against="",
        old_outcome=was,
        new_outcome=result.outcome,
        old_answer=text if known else None,
        old_answer_from=old.run if known and old else None,
        label=label,
        why=why,
    )


def text_of(answer: Answer) -> str:
    """Return an answer as text: of several the first, of episodes its commands."""
    if isinstance(answer, Play):
        return "\n".join(turn.command for turn in answer.episodes[0].turns)
    return answer.text


def _label_of_baseline(
    account: Account, answer: Answer, changed: Sequence[str]
) -> tuple[Label | None, str]:
    """Say whether rounding can explain a change against the baseline."""
    baseline = account.baseline
    assert baseline is not None  # noqa: S101 - a change against it was seen
    if baseline.model["weights"] != account.model.digest:
        return "real", "other weights than the baseline's"
    if _asked_otherwise(account, baseline):
        return "real", "asked otherwise than for the baseline: template or decoding"
    return _label_of_same(account, answer, changed)


def _label_of_models(
    account: Account, other: Account | None, answer: Answer
) -> tuple[Label | None, str]:
    """Say whether rounding can explain a difference between two models."""
    if other is None:
        return "real", "another model"
    if account.model.digest == other.model.digest:
        return _label_of_same(account, answer, [])
    ours, theirs = account.model.details, other.model.details
    differ = sorted(key for key in {*ours, *theirs} if ours.get(key) != theirs.get(key))
    if ours.get("path") and differ and set(differ) <= set(PRECISION):
        held = ", ".join(
            f"{key} {theirs[key]} there, {ours[key]} here" for key in differ
        )
        return "numeric", f"the same files in another precision: {held}"
    return "real", "another model"


def _label_of_same(
    account: Account, answer: Answer, changed: Sequence[str]
) -> tuple[Label | None, str]:
    """Say whether rounding can explain that the same weights answer otherwise."""
    if account.decoding.temperature > 0:
        return None, "the same weights: sampled answers vary by themselves"
    if account.model.backend != "transformers":
        return None, f"the same model, {account.model.backend}: answers may vary"
    if isinstance(answer, Completion) and answer.near_ties:
        count = answer.near_ties
        return "numeric", f"the same weights; near-ties at {count} tokens"
    if changed:
        return "numeric", f"the same weights; {', '.join(changed)}"
    return "real", "the same weights, no near-tie: what is around the model changed"


def _asked_otherwise(account: Account, baseline: Baseline) -> bool:
    """Whether the prompt's form or the decoding is not the baseline's."""
    return baseline.model["template"] != account.model.template_digest or dict(
        baseline.decoding
    ) != asdict(account.decoding)


def _upgraded(account: Account, now: Mapping[str, str]) -> list[str]:
    """Name the libraries of another version than the baseline's."""
    then = account.baseline.versions if account.baseline else {}
    return [
        f"{name} {then[name]} then, {now[name]} now"
        for name in ARITHMETIC
        if name in then and name in now and then[name] != now[name]
    ]


def _rechunked(account: Account, old: OldAnswers | None) -> list[str]:
    """Say that prompts were generated in other company."""
    then = old.chunk_size if old else None
    if then is None or then == account.chunk_size:
        return []
    return [f"chunks of {then} prompts then, of {account.chunk_size} now"]
