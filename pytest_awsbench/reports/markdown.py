"""A run as a comment on a pull request: at most 60 lines of markdown.

What a model or a data set says stands in code spans, where markdown, HTML and
mentions mean nothing.
"""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from pytest_awsbench.earlier import stored_text
from pytest_awsbench.figures import Ranking
from pytest_awsbench.flips import other_metric
from pytest_awsbench.ranking import ranking_notes, ranking_rows
from pytest_awsbench.reports import cut
from pytest_awsbench.reports.headline import headline
from pytest_awsbench.reports.reading import RunDocument
from pytest_awsbench.reports.upgrading import verdict_of
from pytest_awsbench.reports.visible import visible
from pytest_awsbench.tables import HEADS, verdict_cells


LINES = 60
GATES = 16
MODELS = 10
FLIPS = 8
LOST = 5
NOTES = 5
WIDTH = 120
"""Characters of an answer that are shown."""
SIGNS = {"good": "✅", "bad": "❌", "unsure": "⚠️", "plain": "➖"}


def markdown_report(document: RunDocument) -> str:
    """Return a report for people who review a change."""
    data = document.data
    first = headline(data)
    lines = [
        f"### {SIGNS[first.tone]} awsbench {first.word}: {visible(first.sentence)}",
        "",
        *([code(first.detail, 400), ""] if first.detail else []),
        *_models(data),
        "",
        *_rankings(data),
        *_gates(data),
        *_cut(data),
        *_flips(data),
        *_lost(data),
        *_notes(data),
    ]
    last = [*_command(data), f"run {code(data['id'])} · {code(data['date'])}"]
    return "\n".join([*lines[: LINES - len(last)], *last]) + "\n"


def code(text: str, limit: int = WIDTH, *, in_table: bool = False) -> str:
    r"""Return any text as a code span on one line.

    >>> code("a`b\n<b>@all"), code("x|y", in_table=True)
    ('`` a`b <b>@all ``', '`x\\|y`')
    """
    cut = text[:limit] + ("…" if len(text) > limit else "")
    line = " ".join(visible(cut).split()) or "(empty)"
    if in_table:
        line = line.replace("|", "\\|")
    longest = max((len(run) for run in re.findall("`+", line)), default=0)
    if not longest:
        return f"`{line}`"
    fence = "`" * (longest + 1)
    return f"{fence} {line} {fence}"


def _models(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield who answered what, compared with what."""
    for run in data["runs"]:
        asked, model = data["suites"][run["suite"]]["data"], run["model"]
        answered = f"{len(run['results'])} of {asked['samples']}"
        yield (
            f"- {code(run['node_prefix'])}: {code(model['description'])}, weights"
            f" {code(model['digest'][:8])}; {code(asked['name'])},"
            f" {answered} answered; {_baseline(run['baseline'])}"
        )


def _baseline(baseline: Mapping[str, Any] | None) -> str:
    """Return what a run is compared with."""
    if baseline is None:
        return "no baseline"
    told = baseline["provenance"]
    return f"baseline {code(str(told['date'])[:10])}, runs: {told['runs']}"


def _gates(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield the table of gates, red ones first, then how others ended."""
    rows = sorted(_rows(data), key=lambda row: not row[0])
    if rows:
        heads = ("gate", "this run", *HEADS[1:])
        yield f"| {' | '.join(heads)} |"
        yield f"|{'---|' * len(heads)}"
        for red, cells in rows[:GATES]:
            padded = [*cells[:-1], *[""] * (len(heads) - len(cells)), cells[-1]]
            yield f"| {'❌ ' if red else ''}{' | '.join(padded)} |"
        if len(rows) > GATES:
            yield f"| … {len(rows) - GATES} more |{' |' * (len(heads) - 1)}"
        yield ""
    others = [
        gate
        for run in data["runs"]
        for gate in run["gates"]
        if gate["name"] not in {verdict["name"] for verdict in run["verdicts"]}
    ]
    for gate in others[:LOST]:
        reason = f": {code(gate['reason'], 200)}" if gate["reason"] else ""
        yield f"- {code(gate['node_id'])} {gate['outcome']}{reason}"
    if others:
        yield ""


def _rows(data: Mapping[str, Any]) -> Iterator[tuple[bool, list[str]]]:
    """Yield whether a verdict is red, and its cells."""
    for run in data["runs"]:
        for stored in run["verdicts"]:
            label, *cells = verdict_cells(verdict_of(stored), gated=True)
            if not stored["test"]:
                cells = [
                    cells[0],
                    *[cell for cell in cells[1:] if cell],
                    stored["word"],
                ]
            prefix = run["node_prefix"].partition("::")[2]
            name = code(f"{prefix}::{label}", in_table=True)
            red = stored["red"] and not run["accepted"]
            yield red, [name, *(cell.replace("|", "\\|") for cell in cells)]


def _rankings(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield the table of several models, the best first."""
    for stored in data.get("rankings", ()):
        ranking = Ranking.from_json(stored)
        heads, *rows = ranking_rows(ranking)
        yield f"**{ranking.title}**"
        yield ""
        yield f"| {' | '.join(heads)} |"
        yield f"|{'---|' * len(heads)}"
        for name, *cells in rows[:MODELS]:
            yield f"| {' | '.join([code(name, in_table=True), *cells])} |"
        if len(rows) > MODELS:
            yield f"| … {len(rows) - MODELS} more |{' |' * (len(heads) - 1)}"
        yield ""
        yield from (f"- {code(note, 500)}" for note in ranking_notes(ranking))
        yield ""


def _cut(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield what was cut off; of several models on a suite one line."""
    said: list[str] = []
    for name, suite in data["suites"].items():
        runs = [run for run in data["runs"] if run["suite"] == name]
        if len(runs) == 1:
            said += cut.run_lines(runs[0], suite)
        else:
            said += cut.suite_line(data, name)
    yield from (f"- {code(text, 500)}" for text in said)
    if said:
        yield ""


def _flips(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield a few of the items that changed, regressed first."""
    flips = [(run, flip) for run in data["runs"] for flip in run["flips"]]
    if not flips:
        return
    flips.sort(key=lambda pair: pair[1]["kind"] == "fixed")
    worse = sum(flip["kind"] == "regressed" for _, flip in flips)
    yield f"**Flips**: {worse} regressed, {len(flips) - worse} fixed"
    yield ""
    for run, flip in islice(flips, FLIPS):
        yield _flip(run, flip, data["suites"][run["suite"]]["primary"])
    if len(flips) > FLIPS:
        yield f"- … {len(flips) - FLIPS} more"
    yield ""


def _flip(run: Mapping[str, Any], flip: Mapping[str, Any], primary: str) -> str:
    """Return one change with its answers."""
    new = next(
        (
            stored_text(r["completion"])
            for r in run["results"]
            if r["sample_id"] == flip["id"]
        ),
        None,
    )
    answers = [code(text) for text in (flip["old_answer"], new) if text is not None]
    metric = other_metric(flip.get("metric", ""), primary)
    by = f" by {metric}" if metric else ""
    label = f", {flip['label']}" if flip["label"] else ""
    return (
        f"- {flip['kind']}{by} {code(run['node_prefix'] + '::' + flip['id'])}"
        f" ({flip['old_outcome'] or '?'} → {flip['new_outcome']}{label})"
        + (f": {' → '.join(answers)}" if answers else "")
    )


def _lost(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield what infrastructure lost."""
    lost: Sequence[Mapping[str, str]] = data["infra"]
    if not lost:
        return
    yield f"**Infrastructure**: {len(lost)} lost; run again with `--awsbench-resume`"
    yield ""
    for one in lost[:LOST]:
        yield f"- {code(one['node_id'])}: {code(one['reason'])}"
    if len(lost) > LOST:
        yield f"- … {len(lost) - LOST} more"
    yield ""


def _notes(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield claims, warnings and notes."""
    said = [*data["claims"], *data["warnings"], *data["notes"]]
    for text in said[:NOTES]:
        yield f"- {code(text, 300)}"
    if len(said) > NOTES:
        yield f"- … {len(said) - NOTES} more notes in run.json"
    if said:
        yield ""


def _command(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield how to make the run again."""
    if data["command"]:
        yield f"Reproduce: {code(shlex.join(data['command']), 500)}"
        yield ""
