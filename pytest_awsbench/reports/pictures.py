"""Pictures of a run, drawn by matplotlib.

Each is 340 pixels wide, as a phone shows it, and says nothing by colour alone.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_awsbench.cells import difference
from pytest_awsbench.reports.svg import (
    ACCENT,
    BAD,
    GOOD,
    INK,
    MUTED,
    SHADE,
    STYLE,
    SURFACE,
    UNSURE,
    inline,
)
from pytest_awsbench.reports.units import Document


if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 340
"""Pixels."""
BINS = 24
USUAL = 0.98
FAR = 3.0
"""Values so many times the quantile `USUAL` are counted beside the picture."""
NAME = 22
"""Characters of a name beside an axis."""
Draw = Callable[["Axes"], None]


@dataclass
class Pictures:
    """Draws pictures whose ids are unique in one page, always the same ones."""

    _count: int = field(default=0, init=False)

    def draw(self, title: str, height: int, paint: Draw) -> str:
        """Return one picture as an ``svg`` element; heights in pixels."""
        import matplotlib as mpl
        from matplotlib.figure import Figure

        self._count += 1
        with mpl.rc_context(), warnings.catch_warnings():
            # Settings of the user's, such as other fonts, change no report.
            mpl.rcdefaults()
            mpl.rcParams.update(STYLE)
            # The page's fonts draw what matplotlib's own cannot measure.
            warnings.filterwarnings("ignore", message="Glyph .* missing")
            figure = Figure(figsize=(WIDTH / 72, height / 72))
            figure.patch.set_visible(False)
            axes = figure.add_subplot()
            axes.patch.set_visible(False)
            paint(axes)
            return inline(figure, f"p{self._count}", title)


def gate_picture(pictures: Pictures, verdict: Document) -> str:
    """Draw a gate: the change with its interval, against what is allowed."""
    title = (
        f"{verdict['metric']}: change"
        f" {difference(verdict['change'], verdict['unit'])} with its 90 % interval"
    )
    return pictures.draw(title, 92, lambda axes: _gate(axes, verdict))


def _gate(axes: "Axes", verdict: Document) -> None:
    """Paint the interval, the noise floor and the allowed drop."""
    scale = 1.0 if verdict["unit"] == "number" else 100.0
    change = scale * verdict["change"]
    ends = [0.0, change, *_limits(axes, verdict, scale)]
    if verdict["low"] is not None and verdict["high"] is not None:
        low, high = scale * verdict["low"], scale * verdict["high"]
        axes.plot([low, high], [0, 0], color=_tone(verdict), lw=4)
        ends += [low, high]
    axes.plot([change], [0], "o", ms=10, color=_tone(verdict), mec=SURFACE, mew=2)
    room = 0.08 * (max(ends) - min(ends)) or 1.0
    axes.set_xlim(min(ends) - room, max(ends) + room)
    axes.set_ylim(-1, 1)
    axes.set_yticks([])
    axes.locator_params(axis="x", nbins=6)
    axes.spines["left"].set_visible(False)
    unit = "" if verdict["unit"] == "number" else ", percentage points"
    axes.set_xlabel(f"change{unit}")


def _limits(axes: "Axes", verdict: Document, scale: float) -> list[float]:
    """Paint what the change is held against, and return where that stands."""
    worse = 1 if verdict["direction"] == "lower" else -1
    guard = verdict["guard"] is not None and verdict["margin"] is not None
    drop = verdict["margin"] if guard else verdict["max_drop"]
    allowed = worse * scale * drop
    axes.axvline(0, color=INK, lw=1)
    if allowed:
        axes.axvline(allowed, color=BAD, lw=1.5, ls=(0, (5, 2)))
    if verdict["noise_floor"] is None or guard:
        return [allowed]
    floor = allowed + worse * scale * verdict["noise_floor"]
    axes.axvspan(min(allowed, floor), max(allowed, floor), color=SHADE, lw=0)
    axes.axvline(floor, color=MUTED, lw=1, ls=(0, (2, 2)))
    return [allowed, floor]


def _tone(verdict: Document) -> str:
    """Return the colour of a verdict."""
    if verdict["red"]:
        return BAD
    if verdict["word"].endswith("INCONCLUSIVE"):
        return UNSURE
    return GOOD if verdict["status"] == "IMPROVED" else ACCENT


@dataclass(frozen=True, slots=True)
class Dot:
    """One row of a dot plot, in units of the metric."""

    name: str
    new: float
    low: float | None
    high: float | None
    old: float | None


def dots_picture(
    pictures: Pictures, title: str, dots: Sequence[Dot], *, share: bool
) -> str:
    """Draw values with their intervals, the baseline as a ring beside each."""
    height = 46 + 24 * len(dots)
    return pictures.draw(title, height, lambda axes: _dots(axes, dots, share=share))


def _dots(axes: "Axes", dots: Sequence[Dot], *, share: bool) -> None:
    """Paint one row per value, the first one above."""
    scale = 100.0 if share else 1.0
    for place, dot in enumerate(dots):
        if dot.low is not None and dot.high is not None:
            ends = [scale * dot.low, scale * dot.high]
            axes.plot(ends, [place, place], color=ACCENT, lw=3, alpha=0.45)
        if dot.old is not None:
            axes.plot([scale * dot.old], [place], "o", ms=10, mfc="none", mec=MUTED)
        axes.plot([scale * dot.new], [place], "o", ms=6, color=ACCENT)
    axes.set_yticks(range(len(dots)), [_named(dot.name) for dot in dots])
    axes.set_ylim(len(dots) - 0.4, -0.6)
    axes.grid(axis="x", lw=0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    if share:
        axes.set_xlim(-3, 103)
        axes.set_xlabel("percent")


def _named(name: str) -> str:
    """Return a name that leaves room for what it names."""
    return name if len(name) <= NAME else f"{name[: NAME - 1]}…"


def histogram_picture(
    pictures: Pictures, title: str, unit: str, values: Mapping[str, Sequence[float]]
) -> str:
    """Draw how values are distributed, one row of bars for each name."""
    return pictures.draw(title, 120, lambda axes: _histogram(axes, unit, values))


def _histogram(axes: "Axes", unit: str, values: Mapping[str, Sequence[float]]) -> None:
    """Paint the bars; of several names as steps of different lines."""
    import numpy as np

    everything = np.concatenate([np.asarray(v, dtype=float) for v in values.values()])
    # One answer of a megabyte must not squeeze all others into one bar.
    usual = float(np.quantile(everything, USUAL))
    beyond = int((everything > usual).sum()) if everything.max() > FAR * usual else 0
    edges = np.histogram_bin_edges(
        everything[everything <= usual] if beyond else everything, bins=BINS
    )
    looks = ((ACCENT, "-"), (BAD, (0, (4, 2))), (GOOD, (0, (1, 1))))
    for (name, numbers), (colour, dashes) in zip(values.items(), looks, strict=False):
        counts, _ = np.histogram(numbers, bins=edges)
        if len(values) == 1:
            axes.stairs(counts, edges, fill=True, color=colour)
        else:
            axes.stairs(counts, edges, color=colour, ls=dashes, lw=2, label=name)
    if len(values) > 1:
        axes.legend(frameon=False, fontsize=11, labelcolor=MUTED)
    axes.set_xlabel(f"{unit}; {beyond} beyond" if beyond else unit)
    axes.set_ylabel("count")
    axes.grid(axis="y", lw=0.5)
    axes.locator_params(axis="y", nbins=4, integer=True)


def throughput_picture(
    pictures: Pictures, title: str, timeline: Sequence[Sequence[float]]
) -> str:
    """Draw how many items were done after how many seconds."""

    def paint(axes: "Axes") -> None:
        axes.step(*zip(*timeline, strict=True), where="post", color=ACCENT, lw=2)
        axes.set_xlabel("seconds since the start")
        axes.set_ylabel("items done")
        axes.set_xlim(left=0)
        axes.locator_params(axis="x", nbins=5)
        axes.set_ylim(bottom=0)
        axes.grid(lw=0.5)

    return pictures.draw(title, 150, paint)


def curve_picture(pictures: Pictures, title: str, points: Sequence[Document]) -> str:
    """Draw the share of episodes that were complete after so many steps."""

    def paint(axes: "Axes") -> None:
        steps = [point["step"] for point in points]
        low, high, share = (
            [100 * point[name] for point in points] for name in ("low", "high", "share")
        )
        axes.fill_between(steps, low, high, color=ACCENT, alpha=0.2, lw=0)
        axes.plot(steps, share, color=ACCENT, lw=2, marker="o", ms=4)
        axes.set_xlabel("steps")
        axes.set_ylabel("complete, %")
        axes.set_ylim(-3, 103)
        axes.locator_params(axis="x", integer=True)
        axes.grid(lw=0.5)

    return pictures.draw(title, 170, paint)


@dataclass(frozen=True, slots=True)
class Past:
    """One run of a history."""

    new: float
    low: float | None
    high: float | None
    baseline_changed: bool


def history_picture(
    pictures: Pictures, title: str, runs: Sequence[Past], *, share: bool
) -> str:
    """Draw a metric over runs; a dashed line stands where the baseline changed."""

    def paint(axes: "Axes") -> None:
        scale = 100.0 if share else 1.0
        for place, run in enumerate(runs):
            if run.baseline_changed:
                axes.axvline(place - 0.5, color=MUTED, lw=1, ls=(0, (3, 2)))
            if run.low is not None and run.high is not None:
                ends = [scale * run.low, scale * run.high]
                axes.plot([place, place], ends, color=ACCENT, lw=3, alpha=0.45)
        axes.plot([scale * run.new for run in runs], "-o", color=ACCENT, lw=1, ms=5)
        axes.set_xticks([])
        axes.set_xlabel("runs, the newest on the right")
        axes.set_ylabel("percent" if share else "")
        axes.grid(axis="y", lw=0.5)

    return pictures.draw(title, 150, paint)


READING = {
    "gate": (
        "Dot: the change. Bar: its 90 % interval. Solid line: no change. Shaded: the"
        " noise floor. Long dashes: the drop that is allowed; of a guard, its margin."
    ),
    "dots": "Dot: this run, with its 95 % interval. Ring: the baseline.",
    "models": "Dot: the mean, with its 95 % interval.",
    "history": (
        "Dot: the mean, with its 95 % interval. Dashed line: the baseline changed."
    ),
}
