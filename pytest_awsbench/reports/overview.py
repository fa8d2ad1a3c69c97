"""What a report says first: the verdict in one sentence, and what was measured."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pytest_awsbench.reports.headline import gates_of, red_gates
from pytest_awsbench.reports.units import Document, difference, seconds, value


Tone = Literal["bad", "good", "unsure", "plain"]
SIGNS: Final = {"bad": "✕", "good": "✓", "unsure": "?", "plain": "–"}
"""Beside each colour, for those who do not see it."""
NAMED: Final = 3
"""Gates that the first sentence names."""


@dataclass(frozen=True, slots=True)
class Headline:
    """The run in one sentence."""

    tone: Tone
    word: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Fact:
    """A line of the head: what, and what it is."""

    name: str
    text: str


def incomplete(data: Document) -> bool:
    """Whether the run was killed or interrupted: nothing of it is judged."""
    return bool(data["status"] != "complete")


def judged(data: Document) -> list[Document]:
    """Return the verdicts of all gates; none of an incomplete run."""
    if incomplete(data):
        return []
    return [verdict for run in data["runs"] for verdict in run["verdicts"]]


def headline(data: Document) -> Headline:
    """Return what happened, the worst first."""
    if incomplete(data):
        return Headline("unsure", "incomplete", _so_far(data))
    verdicts = judged(data)
    red = dict(red_gates(data))
    if red:
        return Headline(
            "bad", "failed", _reds(red, verdicts, len(list(gates_of(data))))
        )
    if data.get("infra") or any(run["lost"] for run in data["runs"]):
        lost = len(data.get("infra") or ()) or sum(len(r["lost"]) for r in data["runs"])
        return Headline(
            "unsure", "incomplete", f"{_items(lost)} lost to infrastructure"
        )
    if any(run["accepted"] for run in data["runs"]):
        return Headline("good", "accepted", "Accepted as the baseline")
    return _without_red([v for v in verdicts if v["status"] != "SKIPPED"], verdicts)


def _without_red(told: Sequence[Document], gates: Sequence[Document]) -> Headline:
    """Return what a whole run without a red gate shows."""
    if not told:
        return Headline("plain", "not judged", _unjudged(gates))
    open_ = [v for v in told if v["word"].endswith("INCONCLUSIVE")]
    if open_:
        return Headline("unsure", "inconclusive", _open(open_, len(told)))
    return Headline("good", "passed", _greens(told))


def tone(verdict: Document) -> Tone:
    """Return the colour of one verdict."""
    if verdict["red"]:
        return "bad"
    if verdict["word"].endswith("INCONCLUSIVE"):
        return "unsure"
    return "plain" if verdict["status"] == "SKIPPED" else "good"


def in_words(verdict: Document) -> str:
    """Return a verdict as a sentence."""
    parts = [_moved(verdict)] if verdict["change"] is not None else []
    if verdict["change"] is not None:
        parts.append(_meaning(verdict))
    if verdict["threshold_missed"]:
        parts.append(f"The threshold is missed: {verdict['threshold_missed']}.")
    return " ".join(filter(None, parts))


def facts(data: Document) -> Iterator[Fact]:
    """Yield the lines of the head that hold for the whole run."""
    yield Fact("Run", data["id"])
    yield Fact("Date", data["date"].replace("T", " ").replace("+00:00", " UTC"))
    yield Fact("Duration", seconds(data.get("duration")))
    status = data.get("exit_status")
    yield Fact("Exit status", "none: it did not end" if status is None else str(status))
    yield Fact("Hardware", _hardware(data.get("hardware") or {}))
    yield Fact("Versions", ", ".join(f"{n} {v}" for n, v in data["versions"].items()))


def command(data: Document) -> str:
    """Return the line that makes the run again."""
    return shlex.join(data.get("command") or ["pytest"])


def run_facts(run: Document, suite: Document) -> Iterator[Fact]:
    """Yield who answered what, and how."""
    card, data = run["model"], suite["data"]
    details = card.get("details") or {}
    yield Fact("Model", f"{card['name']} = {card['description']} ({card['backend']})")
    yield Fact(
        "Weights", f"{card['digest']}, template {card['template_digest'] or '-'}"
    )
    yield Fact("Adapter", str(details.get("adapter") or "none"))
    subset = f", {data['subset']}" if data["subset"] else ""
    yield Fact(
        "Data",
        f"{data['name']}: {data['samples']} items, {data['tasks']} tasks{subset}"
        f" ({data['digest']})",
    )
    yield Fact("Decoding", ", ".join(f"{k} {v}" for k, v in run["decoding"].items()))
    yield Fact("Baseline", _baseline(run.get("baseline")))
    outcomes = (f"{count} {name}" for name, count in run["outcomes"].items())
    yield Fact("Outcomes", ", ".join(outcomes) or "none")


def _baseline(baseline: Document | None) -> str:
    """Return what the model is compared with."""
    if baseline is None:
        return "none yet"
    known = baseline["provenance"]
    where = baseline["path"] or "packaged"
    return (
        f"{known['date'][:10]}, {known['runs']} run{'s' if known['runs'] > 1 else ''},"
        f" weights {known['model'].get('weights', '-')} ({where})"
    )


def _hardware(of: Document) -> str:
    """Return the machine in one line."""
    parts = [
        of.get("cpu"),
        f"{of['cores']} cores" if of.get("cores") else None,
        f"{of['memory_gb']} GB" if of.get("memory_gb") else None,
        ", ".join(of.get("devices") or ()),
        of.get("system"),
        of.get("machine"),
        f"Python {of['python']}" if of.get("python") else None,
    ]
    return ", ".join(part for part in parts if part) or "unknown"


def _items(count: int) -> str:
    """Return a number of items."""
    return f"{count:,} item{'' if count == 1 else 's'}"


def _so_far(data: Document) -> str:
    """Return how far a run came that did not end."""
    done = sum(len(run["results"]) for run in data["runs"])
    total = sum(data["suites"][run["suite"]]["data"]["samples"] for run in data["runs"])
    return (
        f"The run did not end: {done:,} of {_items(total)} answered. Nothing is judged."
    )


def _reds(red: Mapping[str, str], verdicts: Sequence[Document], total: int) -> str:
    """Return which gates are red, the first ones by name.

    Args:
        red: node id → reason.
        verdicts: of all gates that were judged.
        total: gates of the run.

    """
    models = {node_id.split("::")[1] for node_id in red}
    alone = f" for {models.pop()}" if len(models) == 1 else ""
    known = {verdict["node_id"]: verdict for verdict in verdicts}
    named = ", ".join(
        _short(known[node_id], named=not alone)
        if node_id in known
        else f"{node_id.split('::')[-1]} ({reason})"
        for node_id, reason in list(red.items())[:NAMED]
    )
    more = f" and {len(red) - NAMED} more" if len(red) > NAMED else ""
    return f"{len(red)} of {_gates(max(total, len(red)))} failed{alone}: {named}{more}"


def _model(verdict: Document) -> str:
    """Return whose verdict it is, by its node id."""
    return "".join(verdict["node_id"].split("::")[1:2])


def _short(verdict: Document, *, named: bool) -> str:
    """Return one verdict in a few words."""
    head = verdict["metric"] + (f" of {_model(verdict)}" if named else "")
    if verdict["threshold_missed"] and verdict["status"] != "REGRESSED":
        return f"{head} missed its threshold ({verdict['threshold_missed']})"
    if verdict["change"] is None:
        return f"{head} is {verdict['word'].lower()}"
    return f"{head} {difference(verdict['change'], verdict['unit'])}"


def _unjudged(verdicts: Sequence[Document]) -> str:
    """Return why there is no verdict."""
    if not verdicts:
        return "Measured; no gate judged anything"
    notes = verdicts[0]["notes"]
    return f"Measured, not judged: {notes[0] if notes else 'all gates were skipped'}"


def _open(verdicts: Sequence[Document], total: int) -> str:
    """Return what cannot be told."""
    names = ", ".join(dict.fromkeys(v["metric"] for v in verdicts))
    return (
        f"No gate failed, but {len(verdicts)} of {total} cannot be decided from these"
        f" items: {names}"
    )


def _greens(verdicts: Sequence[Document]) -> str:
    """Return what a green run shows."""
    better = [v["metric"] for v in verdicts if v["status"] == "IMPROVED"]
    if better:
        return f"All {_gates(len(verdicts))} passed; improved: {', '.join(better)}"
    return f"All {_gates(len(verdicts))} passed: nothing got worse beyond noise"


def _gates(count: int) -> str:
    """Return a number of gates."""
    return f"{count} gate{'' if count == 1 else 's'}"


def _moved(verdict: Document) -> str:
    """Return a change as a sentence."""
    unit, change = verdict["unit"], verdict["change"]
    verb = "rose" if change > 0 else "fell" if change < 0 else "stayed"
    old, new = value(verdict["old"], unit), value(verdict["new"], unit)
    if verb == "stayed":
        return f"It stayed at {new}."
    return f"It {verb} from {old} to {new} ({difference(change, unit)})."


def _meaning(verdict: Document) -> str:
    """Return what a change means."""
    known = verdict["margin"] is not None
    worse = "rise" if verdict["direction"] == "lower" else "drop"
    drop = f"A {worse} of {difference(verdict['margin'], verdict['unit'], '')}"
    noise = f"{drop} is ruled out." if known else "Chance explains it."
    open_ = f"{drop} cannot be ruled out." if known else "Too few items to tell."
    words = {
        "PASS": noise,
        "FAIL": f"{drop} is not ruled out: the guard fails.",
        "REGRESSED": "That is more than chance does to an unchanged model.",
        "IMPROVED": "That is better than chance makes an unchanged model.",
        "WITHIN_NOISE": noise,
        "INCONCLUSIVE": open_,
        "NOT_REGRESSED": "The run stopped early: no regression was seen.",
        "INVALID": "The two sides cannot be compared.",
    }
    invalid = verdict["status"] == "INVALID"
    return words.get((not invalid and verdict["guard"]) or verdict["status"], "")
