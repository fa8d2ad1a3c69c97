"""A run in one sentence: what its gates say, or why they say nothing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal


State = Literal["green", "red", "yellow"]
"""Yellow: nothing was judged, or not all of it."""


@dataclass(frozen=True, slots=True)
class Headline:
    """What comes first in every report."""

    state: State
    text: str
    detail: str = ""
    """What the first red gate says: it may hold anything."""


def headline(data: Mapping[str, Any]) -> Headline:
    """Return the verdict of a run.

    Args:
        data: the document.

    """
    if data["status"] == "incomplete":
        asked, answered = _counts(data)
        return Headline(
            "yellow", f"incomplete: {answered} of {asked} answered; nothing is judged"
        )
    failed = list(red_gates(data))
    if failed:
        text = f"{len(failed)} gates are red" if len(failed) > 1 else "a gate is red"
        return Headline("red", text, failed[0][1])
    lost = len(data["infra"])
    if lost:
        return Headline("yellow", f"{lost} answers lost to infrastructure; not judged")
    judged = [verdict for run in data["runs"] for verdict in run["verdicts"]]
    passed = sum(gate["outcome"] == "passed" for gate in gates_of(data))
    if any(run["accepted"] for run in data["runs"]):
        return Headline("green", "accepted as the baseline")
    if not passed and not any(verdict["test"] for verdict in judged):
        return Headline("yellow", "no gate was judged")
    words = ", ".join(f"{verdict['metric']} {verdict['word']}" for verdict in judged)
    return Headline("green", f"no gate is red{f': {words}' if words else ''}")


def gates_of(data: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield how the items of gates ended."""
    for run in data["runs"]:
        yield from run["gates"]


def red_gates(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield node id and reason of every gate that is red."""
    for run in data["runs"]:
        if run["gates"]:
            for gate in run["gates"]:
                if gate["outcome"] == "failed":
                    yield gate["node_id"], gate["reason"]
            continue
        for verdict in run["verdicts"]:
            if verdict["red"] and not run["accepted"]:
                yield verdict["node_id"], verdict["line"]


def _counts(data: Mapping[str, Any]) -> tuple[int, int]:
    """Return how many items were asked, and how many answered."""
    asked = sum(len(data["suites"][run["suite"]]["samples"]) for run in data["runs"])
    return asked, sum(len(run["results"]) for run in data["runs"])
