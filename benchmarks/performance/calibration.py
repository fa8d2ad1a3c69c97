"""How often rules cry wolf, and what they miss: simulated comparisons, seeded.

    python -m benchmarks.performance.calibration [--runs 4000] [--seed 1] [--write]

Every cell is a number of independent comparisons of two simulated models, judged by
the gate of the library and by the rules that people use instead. Prints the table and
what differs from an independent simulation; with --write, puts the table into
docs/verdicts.md. Exits with 1 if the gate calls an unchanged model worse too often.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from math import hypot, sqrt
from pathlib import Path
from statistics import NormalDist
from textwrap import fill

import numpy as np
from numpy.typing import NDArray

from benchmarks.performance.simulation import Bools, Layout, Pair, draw
from pytest_awsbench.stats.binomial import binomial_law, mid_p
from pytest_awsbench.stats.intervals import Count, newcombe_interval
from pytest_awsbench.stats.paired import paired_gate
from pytest_awsbench.stats.status import Status


ALPHA = 0.05
"""One-sided, of the gate and of all tests."""
MOST = 0.055
"""False alarms that the gate may have, but for chance."""
Z = NormalDist().inv_cdf(1 - ALPHA)
BATCH = 500
"""Runs that are drawn at once, to bound the memory."""
PAGE = Path(__file__).parents[2] / "docs" / "verdicts.md"
BEGIN, END = "<!-- calibration:begin -->", "<!-- calibration:end -->"

#: Every prompt a task of its own.
SCREEN = Layout((1,) * 27)
#: Prompts per task as in the original benchmark's validation split: 150 of 63 tasks.
VALIDATION = Layout(
    (1,) * 19 + (2,) * 22 + (3,) * 13 + (4,) * 2 + (5,) * 3 + (6,) * 3 + (7,)
)
#: Few tasks with many prompts each.
LARGE = Layout((14,) * 64 + (13,) * 8)
ICC = 0.3
HARD, EASY = (0.41, 0.20), (0.89, 0.10)
"""Share of right answers, and of answers that differ without a drop."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A column of the table."""

    layout: Layout
    pair: Pair

    @property
    def name(self) -> str:
        """Items and share of right answers, and the drop if there is one."""
        drop = f" −{100 * self.pair.drop:.0f}pp" if self.pair.drop else ""
        return f"{self.layout.items}/{self.pair.share:.2f}{drop}".replace("0.", ".")


def cell(layout: Layout, kind: tuple[float, float], drop: float = 0.0) -> Cell:
    """Return a column; tasks matter where they have more than one prompt."""
    share, discordance = kind
    icc = ICC if max(layout.sizes) > 1 else 0.0
    return Cell(layout, Pair(share=share, discordance=discordance, drop=drop, icc=icc))


CELLS = (
    *(cell(layout, k) for layout in (SCREEN, VALIDATION, LARGE) for k in (HARD, EASY)),
    *(cell(layout, k, 0.10) for layout in (SCREEN, VALIDATION) for k in (HARD, EASY)),
    cell(LARGE, HARD, 0.05),
)

GATE = "**the gate**"
REFERENCE: dict[str, tuple[float, ...]] = {
    "drop > 2 points": (39.5, 36.4, 29.0, 18.4, 16.8, 6.6, 17, 12, 2, 1, 8),
    "drop > 5 points": (24.4, 16.4, 10.9, 4.0, 0.8, 0.0, 30, 27, 9, 7, 51),
    "2·stderr, unpaired": (0.1, 0.6, 0.3, 0.3, 1.9, 2.2, 97, 91, 58, 31, 38),
    "Newcombe, unpaired": (0.6, 1.1, 1.1, 1.7, 4.6, 4.7, 89, 81, 39, 18, 24),
    "McNemar mid-p, tasks ignored": (2.9, 1.5, 6.6, 6.2, 13.8, 11.8, 75, 73, 14, 6, 10),
    GATE: (2.9, 1.5, 5.0, 4.7, 5.3, 5.1, 75, 73, 19, 9, 24),
}
"""Percentages of an independent simulation, false alarms and misses, by column."""
REFERENCE_RUNS = 4000

Judge = Callable[[Bools, Bools, Layout], NDArray[np.bool_]]
"""From old and new answers, shape (runs, items), to which runs are red."""


def drops_more_than(points: int) -> Judge:
    """Return the rule that a mean must not fall by more than some points."""

    def judge(old: Bools, new: Bools, layout: Layout) -> Bools:
        # Whole numbers: 3 of 150 are exactly 2 points, which is not more than 2.
        lost = old.sum(axis=1) - new.sum(axis=1)
        return np.asarray(100 * lost > points * layout.items)

    return judge


def two_errors(old: Bools, new: Bools, layout: Layout) -> Bools:
    """Red if the drop exceeds twice the standard error of two independent means."""
    p0, p1 = old.mean(axis=1), new.mean(axis=1)
    variance = (p0 * (1 - p0) + p1 * (1 - p1)) / (layout.items - 1)
    return np.asarray(p0 - p1 > 2 * np.sqrt(variance))


def newcombe(old: Bools, new: Bools, layout: Layout) -> Bools:
    """Red if Newcombe's interval of two independent shares is below 0."""
    counts = zip(new.sum(axis=1).tolist(), old.sum(axis=1).tolist(), strict=True)
    return np.array([_newcombe_red(x1, x0, layout.items) for x1, x0 in counts])


def mcnemar(old: Bools, new: Bools, layout: Layout) -> Bools:
    """Red by McNemar's mid-p test, as if every item were a task of its own."""
    del layout
    worse = (old & ~new).sum(axis=1).tolist()
    better = (~old & new).sum(axis=1).tolist()
    return np.array([_mcnemar_red(b, c) for b, c in zip(worse, better, strict=True)])


def gate(old: Bools, new: Bools, layout: Layout) -> Bools:
    """Red by the gate of the library."""
    tasks = layout.tasks.tolist()
    pairs = zip(old.astype(float), new.astype(float), strict=True)
    return np.array([
        paired_gate(before, after, tasks).status is Status.REGRESSED
        for before, after in pairs
    ])


RULES: dict[str, Judge] = {
    "drop > 2 points": drops_more_than(2),
    "drop > 5 points": drops_more_than(5),
    "2·stderr, unpaired": two_errors,
    "Newcombe, unpaired": newcombe,
    "McNemar mid-p, tasks ignored": mcnemar,
    GATE: gate,
}

Table = dict[str, list[float]]
"""By rule, the share of wrong verdicts in every column: false alarms, or misses."""


def simulate(runs: int, seed: int) -> Table:
    """Judge every cell by every rule.

    Args:
        runs: comparisons per cell.
        seed: of the whole table; each cell has a stream of its own.

    """
    table: Table = {name: [] for name in RULES}
    streams = np.random.SeedSequence(seed).spawn(len(CELLS))
    for column, stream in zip(CELLS, streams, strict=True):
        found = reds(column, runs, np.random.default_rng(stream))
        for name, share in found.items():
            table[name].append(1 - share if column.pair.drop else share)
        print(f"{column.name:14} {table[GATE][-1]:7.2%}", file=sys.stderr, flush=True)
    return table


def reds(column: Cell, runs: int, rng: np.random.Generator) -> dict[str, float]:
    """Return by rule which share of the comparisons of a cell is red."""
    counts = dict.fromkeys(RULES, 0)
    for batch in _batches(runs):
        old, new = draw(rng, column.layout, column.pair, batch)
        for name, judge in RULES.items():
            counts[name] += int(judge(old, new, column.layout).sum())
    return {name: count / runs for name, count in counts.items()}


def alarming(table: Table, runs: int) -> list[str]:
    """Name the null columns in which the gate has too many false alarms."""
    most = MOST + 2 * _error(MOST, runs)
    found = zip(CELLS, table[GATE], strict=True)
    return [c.name for c, share in found if not c.pair.drop and share > most]


def differences(table: Table, runs: int) -> Iterator[str]:
    """Say what differs from the reference by more than chance explains.

    Of the gate's misses every one is said.
    """
    for rule, shares in table.items():
        for column, share, percent in zip(CELLS, shares, REFERENCE[rule], strict=True):
            errors = _error(share, runs), _error(percent / 100, REFERENCE_RUNS)
            # The reference is rounded: to whole percent where something is missed.
            rounding = 0.005 if column.pair.drop else 0.0005
            allowed = 3 * hypot(*errors) + rounding
            off = share - percent / 100
            if abs(off) > allowed or (rule == GATE and column.pair.drop):
                yield (
                    f"{'DIFFERS' if abs(off) > allowed else 'agrees':8}{rule}"
                    f" {column.name}: {share:.1%}, reference {percent} %, difference"
                    f" {100 * off:+.1f} ± {100 * allowed:.1f} points"
                )


def markdown(table: Table, runs: int, seed: int) -> str:
    """Return the tables of false alarms and of misses, and what they are of."""
    notes = (
        f"{runs:,} simulated comparisons per cell, seed {seed}; ± is the Monte Carlo"
        " standard error. Columns: items / share of right answers of the old model, and"
        " the true drop. 27 items are independent; 150 belong to 63 tasks of 1 to 7,"
        " 1,000 to 72 tasks of 13 or 14, where 30 % of what makes an item hard, and of"
        " what a model adds on its own, is common to a task. Without a drop, 20 % (.41)"
        " and 10 % (.89) of the answers differ. Every test is one-sided at 5 %."
    )
    command = (
        "    python -m benchmarks.performance.calibration"
        f" --runs {runs} --seed {seed} --write"
    )
    return "\n\n".join([
        _part(table, runs, "False alarms, %: nothing changed", missed=False),
        _part(table, runs, "Misses, %: the new model is worse", missed=True),
        fill(notes, 88, break_on_hyphens=False),
        command,
    ])


def write(text: str, page: Path = PAGE) -> None:
    """Put a text between the markers of a page.

    Raises:
        SystemExit: if the page does not have both markers, once each.

    """
    content = page.read_text(encoding="utf-8") if page.exists() else ""
    before, begin, rest = content.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in after:
        raise SystemExit(f"{page} needs the lines {BEGIN} and {END}, once each")
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate, print, and perhaps write; return the exit status."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--runs", type=int, default=4000, help="comparisons per cell")
    parser.add_argument("--seed", type=int, default=1, help="of the whole table")
    parser.add_argument("--write", action="store_true", help="into docs/verdicts.md")
    options = parser.parse_args(arguments)
    if options.runs < 1:
        parser.error(f"need --runs of at least 1, got {options.runs}")
    table = simulate(options.runs, options.seed)
    text = markdown(table, options.runs, options.seed)
    print(text, "", *differences(table, options.runs), sep="\n")
    if options.write:
        write(text)
    wrong = alarming(table, options.runs)
    if wrong:
        print(f"too many false alarms of the gate: {', '.join(wrong)}", file=sys.stderr)
    return 1 if wrong else 0


def _part(table: Table, runs: int, title: str, *, missed: bool) -> str:
    """Return the columns with a drop, or those without one."""
    chosen = [i for i, c in enumerate(CELLS) if bool(c.pair.drop) is missed]
    lines = [
        [title, *(CELLS[i].name for i in chosen)],
        ["---", *["--:"] * len(chosen)],
    ]
    for rule, shares in table.items():
        lines.append([rule, *(_shown(shares[i], runs) for i in chosen)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _shown(share: float, runs: int) -> str:
    """Return a percentage and what chance leaves open."""
    return f"{100 * share:.1f} ± {100 * _error(share, runs):.1f}"


def _batches(runs: int) -> list[int]:
    """Return the sizes of the batches that make up the runs."""
    whole, rest = divmod(runs, BATCH)
    return [BATCH] * whole + [rest] * (rest > 0)


def _error(share: float, runs: int) -> float:
    """Return the Monte Carlo standard error of a share."""
    return sqrt(share * (1 - share) / runs)


@cache
def _newcombe_red(new: int, old: int, n: int) -> bool:
    """Whether Newcombe's upper bound is below 0."""
    return newcombe_interval(Count(new, n), Count(old, n), Z).high < 0


@cache
def _mcnemar_red(worse: int, better: int) -> bool:
    """Whether the one-sided mid-p is significant."""
    return mid_p(binomial_law(worse + better, 0.5), better) <= ALPHA


if __name__ == "__main__":
    sys.exit(main())
