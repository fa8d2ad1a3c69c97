"""Items that changed: what they were answered before, and whether rounding explains it.

The labels: ``numeric`` where the same weights were asked the same, greedily, and a
near-tie, another precision, other chunks or another version of a library can have
tipped the answer; ``real`` where the model is another one, or nothing of that kind is
known; None where answers vary by themselves, sampled or served.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pytest_awsbench.gates import Verdict
from pytest_awsbench.records import COMPUTED


Kind = Literal["regressed", "fixed"]
Label = Literal["numeric", "real"]

ARITHMETIC = ("torch", "transformers", "peft", "bitsandbytes")
"""Libraries whose versions may change the last bits of a sum."""
PRECISION = {"dtype", "quantization"}
"""Details of a model that change how exactly its weights are held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Who was asked, and how: what the last bits of an answer depend on."""

    digest: str
    template: str
    decoding: Mapping[str, Any]
    versions: Mapping[str, str]
    backend: str = ""
    chunk_size: int | None = None
    """Prompts that were generated together; None where it is not recorded."""
    files: Mapping[str, Any] = field(default_factory=dict)
    """Where the weights were taken from; empty where these may have changed since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OldSide:
    """What items are compared with: a baseline, another model, or another run."""

    asked: Asked | None
    outcomes: Mapping[str, str]
    answers: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Outcome and text of each item, in the run that holds them."""
    source: str | None = None
    """That run: a folder's name, or ``this run``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSide:
    """What the items of a run showed."""

    asked: Asked
    outcomes: Mapping[str, str]
    near_ties: Mapping[str, int]
    """Tokens at which the two best were as good as equal; 0 where not listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """One item that changed for the worse or for the better."""

    id: str
    kind: Kind
    metric: str
    """The one that changed: an outcome may stay what it was."""
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
    verdicts: Sequence[Verdict], new: NewSide, olds: Mapping[str, OldSide]
) -> Iterator[Flip]:
    """Yield the items that changed, of each other side the worse ones first.

    The first verdict on each other side says what changed, and every red one adds what
    it saw besides: what made a run red is never left out.

    Args:
        verdicts: of one model on one suite.
        new: what it showed.
        olds: what it was compared with, by the label that verdicts have for it.

    """
    sides: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        if verdict.old is not None:
            sides.setdefault(verdict.against, []).append(verdict)
    for label, (first, *rest) in sides.items():
        old = olds.get(label)
        if old is None:
            continue
        seen: dict[tuple[Kind, str], str] = {}
        for verdict in (first, *(one for one in rest if one.red)):
            for change in _changed(verdict):
                seen.setdefault(change, verdict.metric)
        against = label.partition(", ")[0]
        for kind, sample_id in sorted(seen, key=lambda change: change[0] == "fixed"):
            what = _Change(kind, seen[kind, sample_id], against)
            yield _flip(what, sample_id, (new, old))


def other_metric(metric: str, primary: str) -> str:
    """Return what a change must be named by: an outcome tells of the primary metric.

    >>> other_metric("op_match", "op_match"), other_metric("format_ok", "op_match")
    ('', 'format_ok')
    """
    return "" if metric == primary else metric


@dataclass(frozen=True, slots=True)
class _Change:
    """What a verdict saw of an item."""

    kind: Kind
    metric: str
    against: str


def _changed(verdict: Verdict) -> Iterator[tuple[Kind, str]]:
    """Yield the items that a verdict saw change, the worse ones first."""
    yield from (("regressed", i) for i in verdict.regressed)
    yield from (("fixed", i) for i in verdict.fixed)


def _flip(change: _Change, sample_id: str, sides: tuple[NewSide, OldSide]) -> Flip:
    """Return one change, with the old answer where it is the one that was judged."""
    new, old = sides
    was = old.outcomes.get(sample_id, "")
    outcome, text = old.answers.get(sample_id, ("", ""))
    # Another run of the same model may have answered otherwise than the stored one.
    known = bool(outcome) and outcome == was
    label, why = label_of(new.asked, old.asked, new.near_ties.get(sample_id, 0))
    return Flip(
        id=sample_id,
        kind=change.kind,
        metric=change.metric,
        against=change.against,
        old_outcome=was,
        new_outcome=new.outcomes[sample_id],
        old_answer=text if known else None,
        old_answer_from=old.source if known else None,
        label=label,
        why=why,
    )


def label_of(new: Asked, old: Asked | None, near_ties: int) -> tuple[Label | None, str]:
    """Say whether rounding can explain that an answer is another one, and why.

    Args:
        new: who answered now.
        old: who answered before; None if that is not known.
        near_ties: of the new answer.

    """
    if old is None:
        return "real", "another model"
    if new.digest != old.digest:
        held = _precision(new, old)
        return ("numeric", held) if held else ("real", "other weights")
    if new.template != old.template or dict(new.decoding) != dict(old.decoding):
        return "real", "the same weights, asked otherwise: template or decoding"
    if new.decoding.get("temperature", 0) > 0 or new.backend != "transformers":
        return None, "the same model, sampled, served or recorded: answers may vary"
    reasons = [*_upgraded(new, old), *_rechunked(new, old), *_recomputed(new, old)]
    if near_ties:
        reasons.insert(0, f"near-ties at {near_ties} tokens")
    if reasons:
        return "numeric", f"the same weights; {', '.join(reasons)}"
    return "real", "the same weights, no near-tie: what is around the model changed"


def _precision(new: Asked, old: Asked) -> str:
    """Say that two models are the same files in another precision, if they are."""
    differ = [
        key
        for key in sorted({*new.files, *old.files})
        if new.files.get(key) != old.files.get(key)
    ]
    known = new.files and old.files and PRECISION.intersection(differ)
    if not known or not PRECISION.union(COMPUTED).issuperset(differ):
        return ""
    differ = [key for key in differ if key in PRECISION]
    held = ", ".join(f"{k} {old.files[k]} there, {new.files[k]} here" for k in differ)
    return f"the same files in another precision: {held}"


def _upgraded(new: Asked, old: Asked) -> list[str]:
    """Name the libraries of another version."""
    then, now = old.versions, new.versions
    return [
        f"{name} {then[name]} then, {now[name]} now"
        for name in ARITHMETIC
        if name in then and name in now and then[name] != now[name]
    ]


def _recomputed(new: Asked, old: Asked) -> list[str]:
    """Name what else decides how a model is computed; nothing where it is unknown."""
    if not (new.files and old.files):
        return []
    found = ((k, old.files.get(k), new.files.get(k)) for k in COMPUTED)
    return [
        f"{key} {then or 'default'} then, {now or 'default'} now"
        for key, then, now in found
        if then != now
    ]


def _rechunked(new: Asked, old: Asked) -> list[str]:
    """Say that prompts were generated in other company."""
    then, now = old.chunk_size, new.chunk_size
    if then is None or now is None or then == now:
        return []
    return [f"chunks of {then} prompts then, of {now} now"]
