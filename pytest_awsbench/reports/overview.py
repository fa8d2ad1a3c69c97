"""What a page says of a whole run and of its gates, in words."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pytest_awsbench.cells import difference, value
from pytest_awsbench.reports.headline import Tone
from pytest_awsbench.reports.units import Document, seconds


SIGNS: Final = {"bad": "✕", "good": "✓", "unsure": "?", "plain": "–"}
"""Beside each colour, for those who do not see it."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A line of the head: what, and what it is."""

    name: str
    text: str


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
    yield Fact("Date", date(data))
    yield Fact("Duration", seconds(data.get("duration")))
    status = data.get("exit_status")
    yield Fact("Exit status", "none: it did not end" if status is None else str(status))
    yield Fact("Hardware", _hardware(data.get("hardware") or {}))
    yield Fact("Versions", ", ".join(f"{n} {v}" for n, v in data["versions"].items()))


def date(data: Document) -> str:
    """Return when the run began."""
    when: str = data["date"]
    return when.replace("T", " ").replace("+00:00", " UTC")


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
