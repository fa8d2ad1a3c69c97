"""A run in one sentence: the first line of every report."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pytest_awsbench.cells import difference, value
from pytest_awsbench.reports.units import Document


Tone = Literal["bad", "good", "unsure", "plain"]
NAMED: Final = 3
"""Gates that the sentence names."""


@dataclass(frozen=True, slots=True)
class Headline:
    """What happened, the worst first."""

    tone: Tone
    word: str
    sentence: str
    """Of our words, names and figures alone."""
    detail: str = ""
    """What the first red gate says, or why nothing was judged: it may hold anything."""


def incomplete(data: Document) -> bool:
    """Whether the run was killed or interrupted: nothing of it is judged."""
    return bool(data["status"] != "complete")


def judged(data: Document) -> list[Document]:
    """Return the verdicts of all gates; none of an incomplete run."""
    if incomplete(data):
        return []
    return [verdict for run in data["runs"] for verdict in run["verdicts"]]


def headline(data: Document) -> Headline:
    """Return what happened, the worst first.

    A gate that is red because infrastructure lost answers is no verdict on a model.
    """
    if incomplete(data):
        return Headline("unsure", "incomplete", _so_far(data))
    verdicts, lost = judged(data), sum(len(run["lost"]) for run in data["runs"])
    red = dict(_red(run for run in data["runs"] if not run["lost"]))
    if red:
        told = _reds(red, verdicts, len(list(_gates_of(data))))
        return Headline("bad", "failed", told, next(iter(red.values())))
    if lost:
        told = f"{_items(lost)} lost to infrastructure; without them nothing is judged"
        return Headline("unsure", "incomplete", told)
    if any(run["accepted"] for run in data["runs"]):
        return Headline("good", "accepted", "What was measured is the baseline now")
    return _without_red([v for v in verdicts if v["status"] != "SKIPPED"], data)


def red_gates(data: Document) -> Iterator[tuple[str, str]]:
    """Yield node id and reason of every gate that is red, whatever made it so."""
    return _red(data["runs"])


def _red(runs: Iterable[Document]) -> Iterator[tuple[str, str]]:
    """Yield node id and reason of every red gate of some models."""
    for run in runs:
        if run["gates"]:
            for gate in run["gates"]:
                if gate["outcome"] == "failed":
                    yield gate["node_id"], gate["reason"]
            continue
        for verdict in run["verdicts"]:
            if verdict["red"] and not run["accepted"]:
                yield verdict["node_id"], verdict["line"]


def _gates_of(data: Document) -> Iterator[Document]:
    """Yield how the items of gates ended."""
    for run in data["runs"]:
        yield from run["gates"]


def _without_red(told: Sequence[Document], data: Document) -> Headline:
    """Return what a whole run without a red gate shows.

    Args:
        told: verdicts that say something.
        data: the document.

    """
    if not told:
        return _unjudged(data)
    open_ = [v for v in told if v["word"].endswith("INCONCLUSIVE")]
    if open_:
        return Headline("unsure", "inconclusive", _open(open_, len(told)))
    return Headline("good", "passed", _greens(told))


def _unjudged(data: Document) -> Headline:
    """Return why there is no verdict."""
    gates = list(_gates_of(data))
    notes = [n for verdict in judged(data) for n in verdict["notes"]]
    if not all(run["complete"] for run in data["runs"]):
        told = f"{_answered(data)} answered: a part is not judged"
        return Headline("plain", "not judged", told)
    if not gates and not notes:
        told = "No gate judged anything"
        return Headline("plain", "not judged", told)
    passed = sum(gate["outcome"] == "passed" for gate in gates)
    if passed:
        return Headline("good", "passed", f"All {_gates(passed)} passed")
    reasons = [*notes, *(gate["reason"] for gate in gates if gate["reason"])]
    reason = next(iter(reasons), "")
    ranked = [r for r in data.get("rankings", ()) if r["best"] is not None]
    if ranked:
        told = "; ".join(map(_leader, ranked))
        return Headline("plain", "ranked", told, reason)
    return Headline("plain", "not judged", "Every gate was skipped", reason)


def _leader(ranking: Document) -> str:
    """Return which of several models is the best, and how sure that is."""
    models, primary = ranking["models"], ranking["primary"]
    best = next(m for m in models if m["model"] == ranking["best"])
    mean = best["means"][primary]
    alike = sum(not other["apart"] for other in ranking["others"])
    unsure = f"; {alike} cannot be told apart from it" if alike else ""
    return (
        f"{len(models)} models by {primary}: {best['model']} is first,"
        f" {value(mean['mean'], mean['unit'])}{unsure}"
    )


def _items(count: int) -> str:
    """Return a number of items."""
    return f"{count:,} item{'' if count == 1 else 's'}"


def _so_far(data: Document) -> str:
    """Return how far a run came that did not end."""
    return f"The run did not end: {_answered(data)} answered; nothing is judged"


def _answered(data: Document) -> str:
    """Return how many of how many items were answered."""
    done = sum(len(run["results"]) for run in data["runs"])
    total = sum(len(data["suites"][run["suite"]]["samples"]) for run in data["runs"])
    return f"{done:,} of {_items(total)}"


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
        else node_id.split("::")[-1]
        for node_id in list(red)[:NAMED]
    )
    more = f" and {len(red) - NAMED} more" if len(red) > NAMED else ""
    return f"{len(red)} of {_gates(max(total, len(red)))} failed{alone}: {named}{more}"


def _short(verdict: Document, *, named: bool) -> str:
    """Return one verdict in a few words."""
    model = "".join(verdict["node_id"].split("::")[1:2])
    head = verdict["metric"] + (f" of {model}" if named else "")
    if verdict["threshold_missed"] and verdict["status"] != "REGRESSED":
        return f"{head} missed its threshold ({verdict['threshold_missed']})"
    if verdict["change"] is None:
        return f"{head} is {verdict['word'].lower()}"
    # A name and its figure stay on one line.
    return f"{head}\N{NO-BREAK SPACE}{difference(verdict['change'], verdict['unit'])}"


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
