"""The panels of a report: gates, metrics, groups and distributions of each run."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_awsbench.figures import Ranking
from pytest_awsbench.ranking import ranking_notes, ranking_rows
from pytest_awsbench.reports.cut import run_lines, suite_line
from pytest_awsbench.reports.headline import Tone
from pytest_awsbench.reports.items import Episodes, completions
from pytest_awsbench.reports.overview import Fact, in_words, run_facts, tone
from pytest_awsbench.reports.pictures import (
    READING,
    Dot,
    Past,
    Pictures,
    curve_picture,
    dots_picture,
    gate_picture,
    histogram_picture,
    history_picture,
    throughput_picture,
)
from pytest_awsbench.reports.units import Document


DOTS = 24
"""Rows that a picture of dots shows at most: more are read in the table."""
PICTURED = 4
"""Models on one suite that get pictures of their own; of more, a picture shows all."""
PASTS = 60
"""Runs of a history that are shown, the newest ones."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture with its caption."""

    svg: str
    caption: str
    reading: str = ""
    """How to read it."""


@dataclass(frozen=True, slots=True)
class GatePanel:
    """One gate."""

    verdict: Document
    tone: Tone
    words: str
    picture: Picture | None


@dataclass(frozen=True, slots=True)
class Table:
    """The means of one tier or source beside each other."""

    by: str
    groups: Sequence[Document]
    metrics: Sequence[str]


@dataclass(frozen=True, slots=True)
class RankingPanel:
    """Several models on one suite."""

    title: str
    suite: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str]
    """The first one says how to read the table."""
    pictures: Sequence[Picture]


@dataclass(frozen=True, slots=True)
class RunPanel:
    """One model on one suite."""

    number: int
    title: str
    model: str
    suite: str
    prefix: str
    facts: Sequence[Fact]
    gates: Sequence[GatePanel]
    rows: Sequence[tuple[str, Document, Document | None]]
    """Metric, its mean, and how it was judged."""
    gated: frozenset[str]
    tables: Sequence[Table]
    pictures: Sequence[Picture]
    distributions: Sequence[Picture]
    cut: Sequence[str]
    """What was cut off, which made figures lower."""
    partial: str
    """What is missing; empty: nothing."""


@dataclass(frozen=True, slots=True)
class History:
    """A model's history on a suite."""

    title: str
    metric: str
    unit: str
    rows: Sequence[Document]
    picture: Picture | None


def run_panel(
    pictures: Pictures, data: Document, number: int, episodes: Episodes
) -> RunPanel:
    """Return everything that a report shows of one run."""
    run = data["runs"][number]
    suite = data["suites"][run["suite"]]
    whole = data["status"] == "complete"
    verdicts = run["verdicts"] if whole else []
    means = run["means"] if whole else {}
    groups = run["groups"] if whole else {}
    drawn = is_pictured(data, run["suite"])
    return RunPanel(
        number=number,
        title=f"{run['model']['name']} / {run['suite']}",
        model=run["model"]["name"],
        suite=run["suite"],
        prefix=run["node_prefix"],
        facts=tuple(run_facts(run, suite)),
        gates=tuple(_gate(pictures, verdict) for verdict in verdicts),
        rows=tuple(_rows(run, means)),
        gated=frozenset(verdict["metric"] for verdict in verdicts),
        tables=tuple(
            Table(by, groups[by], list(means)) for by in ("tier", "source")
            if groups.get(by)
        ),
        pictures=tuple(_overviews(pictures, suite, means, groups)) if drawn else (),
        distributions=tuple(_distributions(pictures, run, episodes)) if drawn else (),
        cut=tuple(run_lines(run, suite)) if whole else (),
        partial=_partial(run, suite),
    )  # fmt: skip


def is_pictured(data: Document, suite: str) -> bool:
    """Whether each model gets pictures of its own on a suite."""
    models = [run for run in data["runs"] if run["suite"] == suite]
    return len(models) <= PICTURED


def ranking_panel(pictures: Pictures, data: Document, ranking: Ranking) -> RankingPanel:
    """Return everything that a report shows of several models on one suite."""
    means = [(m.model, m.means.get(ranking.primary)) for m in ranking.models]
    known = [(name, mean) for name, mean in means if mean is not None]
    dots = [Dot(name, mean.mean, mean.low, mean.high, None) for name, mean in known]
    share = all(mean.unit == "share" for _, mean in known)
    title = f"{ranking.primary} by model"
    heads, *rows = ranking_rows(ranking)
    return RankingPanel(
        title=f"{ranking.suite}: {ranking.title}",
        suite=ranking.suite,
        heads=heads,
        rows=rows,
        notes=[*ranking_notes(ranking), *suite_line(data, ranking.suite)],
        pictures=tuple(_dots(pictures, title, dots, share=share, what="models")),
    )


def _partial(run: Document, suite: Document) -> str:
    """Say how many items are missing."""
    done, total = len(run["results"]), suite["data"]["samples"]
    if run["complete"]:
        return ""
    lost = f", {len(run['lost'])} lost to infrastructure" if run["lost"] else ""
    return f"{done:,} of {total:,} answered{lost}: no score of the suite"


def _gate(pictures: Pictures, verdict: Document) -> GatePanel:
    """Return one gate, with a picture where it compared something."""
    picture = None
    if verdict["change"] is not None:
        svg = gate_picture(pictures, verdict)
        picture = Picture(svg, "")
    return GatePanel(verdict, tone(verdict), in_words(verdict), picture)


def _rows(
    run: Document, means: Mapping[str, Document]
) -> Iterator[tuple[str, Document, Document | None]]:
    """Yield each metric with its mean and the verdict on it, if there is one."""
    verdicts = {v["metric"]: v for v in reversed([*run["verdicts"], *run["ungated"]])}
    for metric, mean in means.items():
        yield metric, mean, verdicts.get(metric)


def _overviews(
    pictures: Pictures,
    suite: Document,
    means: Mapping[str, Document],
    groups: Mapping[str, Sequence[Document]],
) -> Iterator[Picture]:
    """Yield pictures of shares overall, then of the primary metric by group."""
    shares = [_dot(m, mean) for m, mean in means.items() if mean["unit"] == "share"]
    yield from _dots(pictures, "Metrics", shares, share=True)
    primary = suite["primary"]
    for by, rows in groups.items():
        found = [
            (row["name"], row["means"][primary])
            for row in rows
            if primary in row["means"]
        ]
        dots = [_dot(name or "-", mean) for name, mean in found]
        share = all(mean["unit"] == "share" for _, mean in found)
        yield from _dots(pictures, f"{primary} by {by}", dots, share=share)


def _dots(
    pictures: Pictures,
    title: str,
    dots: Sequence[Dot],
    *,
    share: bool,
    what: str = "dots",
) -> Iterator[Picture]:
    """Yield a picture of dots, if there are some."""
    if dots:
        svg = dots_picture(pictures, title, dots[:DOTS], share=share)
        more = f" (the first {DOTS} of {len(dots)})" if len(dots) > DOTS else ""
        yield Picture(svg, title + more, READING[what])


def _dot(name: str, mean: Document) -> Dot:
    """Return a mean as a row of a picture."""
    return Dot(name, mean["mean"], mean["low"], mean["high"], mean["old"])


def _distributions(
    pictures: Pictures, run: Document, episodes: Episodes
) -> Iterator[Picture]:
    """Yield how latency, lengths, throughput and episodes were distributed."""
    model = run["model"]["name"]
    yield from _of_answers(pictures, run)
    rate = run.get("throughput")
    if rate and len(rate["timeline"]) > 1:
        svg = throughput_picture(pictures, "Throughput over time", rate["timeline"])
        yield Picture(svg, "Throughput over time", _rate(rate))
    if run.get("curves"):
        svg = curve_picture(pictures, "Completion by step", run["curves"])
        yield Picture(svg, "Completion by step", "Line: share. Area: 90 % band.")
    ids = {r["sample_id"] for r in run["results"] if "episodes" in r["completion"]}
    played = [
        row
        for (by, item), rows in episodes.items()
        for row in rows
        if by == model and item in ids
    ]
    if played:
        yield from _of_episodes(pictures, played)


def _rate(rate: Document) -> str:
    """Return throughput in words."""
    parts = [f"{rate['items']:,} items in {rate['seconds']:.1f} s"]
    if rate.get("items_per_s"):
        parts.append(f"{rate['items_per_s']:.1f} items/s")
    if rate.get("tokens_per_s"):
        parts.append(f"{rate['tokens_per_s']:.0f} tokens/s")
    return f"{', '.join(parts)}."


def _of_answers(pictures: Pictures, run: Document) -> Iterator[Picture]:
    """Yield the distributions of single completions."""
    said = [c for r in run["results"] for c in completions(r["completion"])]
    latency = [c["latency"] for c in said if c["latency"] is not None]
    tokens = [float(c["tokens"]) for c in said if c["tokens"] is not None]
    lengths = [float(len(c["text"])) for c in said]
    for caption, unit, values in (
        ("Latency in its batch", "seconds", latency),
        ("Length of answers", "characters", lengths),
        ("Tokens of answers", "tokens", tokens),
    ):
        if values:
            svg = histogram_picture(pictures, caption, unit, {"": values})
            yield Picture(svg, caption, _summary(values, unit))


def _of_episodes(pictures: Pictures, played: Sequence[Document]) -> Iterator[Picture]:
    """Yield the distributions of episodes."""
    rewards: dict[str, list[float]] = defaultdict(list)
    for row in played:
        name = "complete" if row["achieved"] else "incomplete"
        rewards[name].append(sum(turn["reward"] for turn in row["turns"]))
    svg = histogram_picture(
        pictures, "Reward against completion", "reward", dict(sorted(rewards.items()))
    )
    yield Picture(svg, "Reward against completion")
    times = [
        sum((turn["model_s"] or 0.0) + (turn["env_s"] or 0.0) for turn in row["turns"])
        for row in played
    ]
    lengths = [float(len(row["turns"])) for row in played]
    for caption, unit, values in (
        ("Time of episodes", "seconds", times),
        ("Length of episodes", "steps", lengths),
    ):
        svg = histogram_picture(pictures, caption, unit, {"": values})
        yield Picture(svg, caption, _summary(values, unit))


def _summary(values: Sequence[float], unit: str) -> str:
    """Return median, 95th percentile and maximum."""
    import numpy as np

    median, high, most = (
        f"{number:,.0f}" if number >= 100 else f"{number:.3g}"  # noqa: PLR2004
        for number in np.quantile(values, [0.5, 0.95, 1.0])
    )
    return f"Median {median}, 95 % up to {high}, at most {most} {unit}."


def histories(
    pictures: Pictures, data: Document, rows: Sequence[Document]
) -> Iterator[History]:
    """Yield how the primary metric of each run's model went over runs."""
    for run in data["runs"]:
        suite = data["suites"][run["suite"]]
        metric = suite["primary"]
        unit = next(
            (m["unit"] for m in suite["metrics"] if m["name"] == metric), "share"
        )
        found = [
            row for row in rows
            if row["model"] == run["model"]["name"] and row["suite"] == run["suite"]
            and row["complete"] and metric in row["metrics"]
        ][-PASTS:]  # fmt: skip
        if found:
            title = f"{run['model']['name']} / {run['suite']}"
            drawn = is_pictured(data, run["suite"])
            caption = f"{title}: {metric}"
            picture = _past(pictures, caption, found, metric, unit) if drawn else None
            yield History(title, metric, unit, found, picture)


def _past(
    pictures: Pictures, caption: str, rows: Sequence[Document], metric: str, unit: str
) -> Picture | None:
    """Return a history as a picture; a single run is none."""
    if len(rows) == 1:
        return None
    means = [(row["metrics"][metric], row["baseline_changed"]) for row in rows]
    runs = [Past(m["mean"], m["low"], m["high"], changed) for m, changed in means]
    svg = history_picture(pictures, caption, runs, share=unit == "share")
    return Picture(svg, caption, READING["history"])
