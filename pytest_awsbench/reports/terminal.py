"""Kept runs in a terminal: one run, one item of it, or runs beside each other."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_awsbench.cells import aligned
from pytest_awsbench.episodes import Episode, Play
from pytest_awsbench.errors import ReportError
from pytest_awsbench.figures import Ranking
from pytest_awsbench.flips import other_metric
from pytest_awsbench.ranking import ranking_lines
from pytest_awsbench.records import Answer, Message, Sample, answer_from_json
from pytest_awsbench.reports import cut
from pytest_awsbench.reports.comparison import Compared
from pytest_awsbench.reports.headline import headline
from pytest_awsbench.reports.reading import RunDocument
from pytest_awsbench.reports.upgrading import verdict_of
from pytest_awsbench.reports.visible import visible
from pytest_awsbench.showing import explain
from pytest_awsbench.tables import HEADS, verdict_cells


NAMED = 5
"""Node ids that a message names."""


@dataclass(frozen=True, slots=True)
class Found:
    """One item of one model in a kept run."""

    node_id: str
    run: Mapping[str, Any]
    sample: Mapping[str, Any]
    result: Mapping[str, Any] | None
    """None where it was not answered."""


def run_lines(document: RunDocument) -> Iterator[str]:
    """Yield what a run shows: its verdict, its gates, its flips, what was lost."""
    data = document.data
    first = headline(data)
    yield visible(f"{data['id']}: {first.word}: {first.sentence}")
    if first.detail:
        yield f"  {visible(first.detail)}"
    for run in data["runs"]:
        suite = data["suites"][run["suite"]]
        outcomes = ", ".join(f"{n} {word}" for word, n in run["outcomes"].items())
        answered = f"{len(run['results'])} of {suite['data']['samples']} answered"
        yield f"{run['node_prefix']}: {answered}{f': {outcomes}' if outcomes else ''}"
        if rows := [*_rows(run)]:
            heads = (HEADS[0], run["model"]["name"], *HEADS[1:])
            yield from (f"  {text}" for text in aligned([heads, *rows]))
        yield from (f"  {text}" for text in cut.run_lines(run, suite))
        primary = suite["primary"]
        for flip in run["flips"]:
            metric = other_metric(flip.get("metric", ""), primary)
            told = ", ".join(filter(None, [metric, flip["label"]]))
            label = f" ({told})" if told else ""
            yield f"  {flip['kind']:9} {run['node_prefix']}::{flip['id']}{label}"
    for stored in data.get("rankings", ()):
        yield from (visible(x) for x in ranking_lines(Ranking.from_json(stored)))
        yield from (visible(x) for x in cut.suite_line(data, stored["suite"]))
    for lost in data["infra"]:
        yield visible(f"lost: {lost['node_id']}: {lost['reason']}")
    for text in (*data["claims"], *data["warnings"], *data["notes"]):
        yield visible(f"note: {text}")


def find_item(document: RunDocument, name: str) -> list[Found]:
    """Return an item, of every model that it was asked of.

    Args:
        document: the run.
        name: a node id, an item's id, or the beginning of either that fits one alone.

    Raises:
        ReportError: naming what fits, or what there is.

    """
    items = list(_items(document))
    for fits in (
        [one for one in items if name in {one.node_id, one.sample["id"]}],
        [
            one
            for one in items
            if one.node_id.startswith(name) or one.sample["id"].startswith(name)
        ],
    ):
        ids = list(dict.fromkeys(one.sample["id"] for one in fits))
        if len(ids) == 1:
            return fits
        if ids:
            more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
            raise ReportError(
                f"{name!r} fits {len(ids)} items: {', '.join(ids[:NAMED])}{more}"
            )
    there = ", ".join(one.node_id for one in items[:NAMED])
    raise ReportError(
        f"{document.data['id']} has no item {name!r}; it has {there}"
        f"{' …' if len(items) > NAMED else ''}"
    )


def item_lines(document: RunDocument, found: Sequence[Found]) -> Iterator[str]:
    """Yield an item as it was asked and answered, turn by turn if it was played."""
    for one in found:
        if one.result is None:
            yield f"{one.node_id}: not answered"
            continue
        scores = ", ".join(
            f"{metric} {'-' if value is None else f'{value:g}'}"
            for metric, value in one.result["scores"].items()
        )
        yield f"{one.node_id}: {one.result['outcome']}{_before(one)}"
        yield visible(f"scores: {scores}")
        yield from _changes(one)
        answer = _answer(document, one)
        if answer is None:
            yield "its turns are not kept: episodes.jsonl is missing"
        else:
            yield explain(_sample(one.sample), answer)


def item_json(document: RunDocument, found: Sequence[Found]) -> dict[str, Any]:
    """Return an item as plain values."""
    return {
        "run": document.data["id"],
        "sample": found[0].sample,
        "answers": [
            {
                "node_id": one.node_id,
                "result": one.result,
                "flips": [f for f in one.run["flips"] if f["id"] == one.sample["id"]],
                "episodes": list(_episodes(document, one)),
            }
            for one in found
        ],
    }


def comparison_lines(found: Sequence[Compared]) -> Iterator[str]:
    """Yield runs beside each other: tables, flips, and what must be said."""
    for one in found:
        yield f"{one.other.run['suite']}: {one.other.name} against {one.first.name}"
        heads = (HEADS[0], one.other.name, one.first.name, *HEADS[2:])
        rows = [
            *(verdict_cells(v, gated=True) for v in one.deciding),
            *(verdict_cells(v, gated=False) for v in one.others),
        ]
        yield from aligned([heads, *rows])
        for verdict in one.deciding:
            yield from (f"  {verdict.metric}: {note}" for note in verdict.notes)
        yield from (f"  note: {visible(note)}" for note in one.notes)
        worse = sum(flip.kind == "regressed" for flip in one.flips)
        if one.flips:
            yield f"flips: {worse} regressed, {len(one.flips) - worse} fixed"
        for flip in one.flips:
            label = f" ({flip.label}: {flip.why})" if flip.label else f" ({flip.why})"
            metric = other_metric(flip.metric, one.other.asked["primary"])
            by = f", by {metric}" if metric else ""
            change = f"{flip.old_outcome} → {flip.new_outcome}{by}"
            yield f"  {flip.kind:9} {flip.id}: {change}{visible(label)}"


def _rows(run: Mapping[str, Any]) -> Iterator[list[str]]:
    """Yield a row per verdict, as the run itself showed it."""
    for kind in ("verdicts", "ungated"):
        for stored in run[kind]:
            yield verdict_cells(verdict_of(stored), gated=kind == "verdicts")


def _items(document: RunDocument) -> Iterator[Found]:
    """Yield every item that was asked."""
    for run in document.data["runs"]:
        results = {row["sample_id"]: row for row in run["results"]}
        for sample in document.data["suites"][run["suite"]]["samples"]:
            node_id = f"{run['node_prefix']}::{sample['id']}"
            yield Found(node_id, run, sample, results.get(sample["id"]))


def _before(one: Found) -> str:
    """Say what the baseline holds of an item."""
    baseline = one.run["baseline"]
    was = baseline["outcomes"].get(one.sample["id"]) if baseline else None
    return f" (baseline: {was})" if was else ""


def _changes(one: Found) -> Iterator[str]:
    """Yield how an item changed, with the old answer where it is known."""
    for flip in one.run["flips"]:
        if flip["id"] == one.sample["id"]:
            against = f" against {flip['against']}" if flip["against"] else ""
            metric = f" by {flip['metric']}" if flip.get("metric") else ""
            yield visible(f"{flip['kind']}{metric}{against}: {flip['why']}")
            if flip["old_answer"] is not None:
                yield f"was:    {visible(flip['old_answer'])}"


def _sample(row: Mapping[str, Any]) -> Sample:
    """Return what was asked as a value."""
    prompt = tuple(Message(**message) for message in row["prompt"])
    return Sample(**{**row, "prompt": prompt})


def _answer(document: RunDocument, one: Found) -> Answer | None:
    """Return an answer as a value; None of episodes whose turns are gone."""
    assert one.result is not None  # noqa: S101 - asked only of answered items
    if "episodes" not in one.result["completion"]:
        return answer_from_json(one.result["completion"])
    played = [
        Episode.from_json({k: v for k, v in row.items() if k not in _OF_FILE})
        for row in _episodes(document, one)
    ]
    return Play(tuple(played)) if played else None


_OF_FILE = {"model", "item", "trial"}
"""Keys of a row that say whose episode it is."""


def _episodes(document: RunDocument, one: Found) -> Iterator[dict[str, Any]]:
    """Yield the episodes of an item."""
    if one.result is None or "episodes" not in one.result["completion"]:
        return
    wanted = one.run["model"]["name"], one.sample["id"]
    for row in document.episodes():
        if (row["model"], row["item"]) == wanted:
            yield row
