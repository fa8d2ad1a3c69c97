"""A run as one self-contained page, which fetches nothing."""

import base64
import hashlib
import html
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from pytest_awsbench import cells
from pytest_awsbench.errors import ReportError
from pytest_awsbench.figures import Ranking
from pytest_awsbench.reports import overview, units
from pytest_awsbench.reports.headline import headline, incomplete
from pytest_awsbench.reports.items import ORDER, Items, grouped, items_of
from pytest_awsbench.reports.paged import paged
from pytest_awsbench.reports.panels import (
    PICTURED,
    RankingPanel,
    histories,
    is_pictured,
    ranking_panel,
    run_panel,
)
from pytest_awsbench.reports.pictures import READING, Pictures
from pytest_awsbench.reports.reading import RunDocument
from pytest_awsbench.reports.visible import visible


if TYPE_CHECKING:
    import jinja2
    import markupsafe

TEMPLATES = files("pytest_awsbench.reports") / "templates"


def html_report(
    document: RunDocument, history: Sequence[Mapping[str, Any]] = ()
) -> str:
    """Return the page of a run; the same document gives the same text.

    Args:
        document: the run, whole or not.
        history: rows of ``history.jsonl``, the oldest first.

    Raises:
        ReportError: if the extra ``[report]`` is not installed.

    """
    try:
        environment = _environment()
    except ImportError as error:
        raise _missing(error) from error
    data, pictures = document.data, Pictures()
    episodes = grouped(document.episodes())
    items = items_of(data, episodes)
    try:
        panels = [
            run_panel(pictures, data, number, episodes)
            for number in range(len(data["runs"]))
        ]
        rankings = list(_rankings(pictures, data))
        pasts = list(histories(pictures, data, history))
    except ImportError as error:
        raise _missing(error) from error
    style, script = _asset("report.css"), _asset("report.js")
    text = environment.from_string(_asset("report.html.j2")).render(
        data=data,
        incomplete=incomplete(data),
        headline=headline(data),
        facts=list(overview.facts(data)),
        date=overview.date(data),
        duration=units.seconds(data.get("duration")),
        command=overview.command(data),
        panels=panels,
        pasts=pasts,
        rankings=rankings,
        undrawn=_undrawn(data),
        comparisons=() if incomplete(data) else data["comparisons"],
        warned=_warned(data),
        reading=READING,
        items=items,
        filters=_filters(items, data),
        paged=_trusted(paged(items)),
        style=_trusted(style),
        script=_trusted(script),
        policy=_policy(style, script),
    )
    return str(text)


def _rankings(pictures: Pictures, data: Mapping[str, Any]) -> Iterator[RankingPanel]:
    """Yield the models of each suite that has several."""
    for stored in () if incomplete(data) else data.get("rankings", ()):
        yield ranking_panel(pictures, data, Ranking.from_json(stored))


def _undrawn(data: Mapping[str, Any]) -> str:
    """Say why there is no picture of a model, if there is none."""
    if all(is_pictured(data, suite) for suite in data["suites"]):
        return "Nothing was measured."
    return f"Not drawn of more than {PICTURED} models on a suite; run.json has it all."


def _missing(error: ImportError) -> ReportError:
    """Return the error for a library that is not there."""
    return ReportError(
        f"no HTML report: {error.name} is not installed; run"
        " pip install 'pytest-awsbench[report]'"
    )


def _asset(name: str) -> str:
    """Return a file that is shipped with this module."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Return a policy that allows this style sheet, this script, and nothing else."""
    hashes = [
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for text in (style, script)
    ]
    return (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}';"
        f" script-src 'sha256-{hashes[1]}'; base-uri 'none'; form-action 'none'"
    )


def _warned(data: Mapping[str, Any]) -> list[str]:
    """Return every warning, of suites first."""
    of_suites = [
        f"{name}: {text}"
        for name, suite in data["suites"].items()
        for text in suite["warnings"]
    ]
    return list(dict.fromkeys([*of_suites, *data["warnings"], *data["notes"]]))


def _filters(items: Items, data: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return what there is to choose from, for each filter."""
    return {
        "kind": [(kind, items.counts[kind]) for kind in ORDER if items.counts[kind]],
        "run": [
            (number, f"{run['model']['name']} / {run['suite']}")
            for number, run in enumerate(data["runs"])
        ],
        "tier": list(dict.fromkeys(i.asked.tier for i in items.all if i.asked.tier)),
        "source": sorted({i.asked.source for i in items.all if i.asked.source}),
        "outcome": sorted({item.outcome for item in items.all}),
        "label": sorted({item.label for item in items.all if item.label}),
    }


def _trusted(text: str) -> "markupsafe.Markup":
    """Return a text that needs no escapes: our own, or escaped already."""
    import markupsafe

    return markupsafe.Markup(text)  # noqa: S704 - see above


def _words(text: str) -> "markupsafe.Markup":
    """Return a text that stands between tags: quotes, of which JSON is full, stay."""
    return _trusted(html.escape(visible(text), quote=False))


def _environment() -> "jinja2.Environment":
    """Return what templates are rendered with: everything is escaped, and visible."""
    import jinja2

    environment = jinja2.Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
    )
    environment.filters["svg"] = _trusted
    environment.filters["words"] = _words
    environment.globals.update(
        value=cells.value,
        difference=cells.difference,
        span=cells.span,
        signs=overview.SIGNS,
        tone=overview.tone,
    )
    return environment


def _shown(value: object) -> object:
    """Return a value as a page can hold it."""
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return visible(value)
    return value
