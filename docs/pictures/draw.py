"""Draw the pictures of docs/verdicts.md, and print the simulated numbers it quotes.

    python -m pip install matplotlib==3.11.2
    PYTHONPATH=. python docs/pictures/draw.py

Everything is computed by the library that judges the gates; the same versions draw the
same bytes.
"""
# ruff: noqa: INP001, T201 - a script, which prints what it found

from collections.abc import Sequence
from math import sqrt
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pytest_awsbench.gates import p_text
from pytest_awsbench.stats.binomial import binomial_law
from pytest_awsbench.stats.mcnemar import exact_drop, exact_power
from pytest_awsbench.stats.paired import Paired, paired_gate
from pytest_awsbench.stats.power import drop_found
from pytest_awsbench.stats.signflip import sign_flip
from pytest_awsbench.stats.status import Status


HERE = Path(__file__).parent
BLUE, ORANGE, GREEN, RED, GREY = "#1f5fa8", "#b35900", "#1a7f4b", "#b3261e", "#6b7280"
PALE_RED, PALE = "#e9a59f", "#c9ced6"
N = 150
UNSURE = 30
"""Prompts that the simulated model answers right every other time: 10 % discordance."""
RIGHT = 108
"""Prompts that it always answers right: 82 % on average with half of the unsure."""
ROUNDS = 20_000
TRIES = 3
ALPHA = 0.05
USUAL = 0.9
"""Share of runs that must have a noise floor for their mean to be drawn."""
TINY = 1e-12
#: Tasks of the worked example: items, worse, better.
EXAMPLE = (
    [(2, 2, 0), (6, 1, 1), (2, 1, 0), (2, 0, 1), (4, 3, 0), (4, 2, 0), (4, 1, 0)]
    + [(1, 0, 0)] * 15
    + [(2, 0, 0)] * 20
    + [(3, 0, 0)] * 11
    + [(4, 0, 0)] * 4
    + [(5, 0, 0)] * 2
    + [(6, 0, 0)] * 2
)

Floats = NDArray[np.float64]


def main() -> None:
    """Draw all pictures."""
    mpl.rcParams.update({
        "svg.fonttype": "none",
        "svg.hashsalt": "pytest-awsbench",
        "font.family": "sans-serif",
        "font.sans-serif": ["Helvetica", "Arial", "DejaVu Sans", "sans-serif"],
        "font.size": 11,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 12,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.titlepad": 14,
    })
    draw_noise_floor()
    draw_unchanged()
    draw_selection()
    draw_intervals()
    print_repeats()


def draw_noise_floor() -> None:
    """Noise floor and the drop that is found, by number of prompts."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.3, 4.2), sharey=True)
    figure.patch.set_facecolor("white")
    sizes = [20, 27, 35, 50, 70, 100, 150, 220, 300, 450, 650, 1000]
    for discordance, color in ((0.20, ORANGE), (0.10, BLUE), (0.05, GREEN)):
        floors = [mean_floor(n, discordance) for n in sizes]
        drops = [exact_drop(n, discordance, 0.80, ALPHA) for n in sizes]
        for axes, values in ((left, floors), (right, drops)):
            points = [(n, 100 * v) for n, v in zip(sizes, values, strict=True) if v]
            axes.plot(*zip(*points, strict=True), color=color, linewidth=2.2)
            axes.plot([], [], color=color, linewidth=2.2, label=percent(discordance))
            seen = dict(points)[N]
            axes.plot(N, seen, "o", color=color, markersize=5)
            last = points[-1][1]
            print(f"{percent(discordance)}: at {N} {seen:.2f}, at 1000 {last:.2f}")
        print(f"    awsbench power: {100 * (drop_found(N, discordance) or 0):.2f}")
    for axes, title in (
        (left, "Noise floor (mean)"),
        (right, "True drop found 4 times of 5"),
    ):
        axes.axvline(N, color=GREY, linewidth=0.8, linestyle=":")
        axes.set(xscale="log", xlim=(20, 1000), ylim=(0, 30), xlabel="prompts")
        axes.set_xticks([20, 50, 150, 300, 1000], ["20", "50", "150", "300", "1000"])
        axes.minorticks_off()
        axes.set_title(title)
    left.set_ylabel("points")
    # On the left the curves leave room.
    place = {"loc": "upper left", "bbox_to_anchor": (0.02, 1.0), "frameon": False}
    title = "answers that change\nin a re-run"
    left.legend(title=title, title_fontsize=10, fontsize=10, **place)
    save(figure, "noise-floor", wspace=0.18)


def percent(share: float) -> str:
    """Return a share as the text writes it."""
    return f"{100 * share:.0f} %"


def mean_floor(n: int, discordance: float) -> float | None:
    """Return the mean noise floor; None where more than 1 run of 10 has none."""
    law = binomial_law(n, discordance)
    floors = [sign_flip(np.ones(k)).floor(ALPHA) for k in range(n + 1)]
    known = np.array([floor is not None for floor in floors])
    values = np.array([floor or 0.0 for floor in floors])
    share = float(law[known].sum())
    return float(law @ values) / share / n if share >= USUAL else None


def draw_unchanged() -> None:
    """Observed changes of an unchanged model, and which rule calls them red."""
    law = outcomes(N, 0.10, 0.0)
    gate = law[:, 1] <= ALPHA
    two = law[:, 0] < -0.02 - 1e-9
    figure, axes = card(4.2)
    for chosen, color, name in (
        (~two, PALE, "not red"),
        (two & ~gate, PALE_RED, "red by the rule “more than 2 points”"),
        (two & gate, RED, "red by that rule and by the gate"),
    ):
        bars(axes, law[chosen], law, color, name)
    rule, caught = law[two, 2].sum(), law[gate, 2].sum()
    print(f"unchanged, n = {N}: 2 points {rule:.3f}, gate {caught:.3f}")
    for n, discordance in ((27, 0.10), (150, 0.10), (1000, 0.10), (150, 0.20)):
        print_rules(n, discordance)
    axes.set(xlabel="observed change, points", ylabel="share of runs, %")
    axes.set(xlim=(-9, 9), ylim=(0, 13.5))
    axes.legend(frameon=False, loc="upper right", fontsize=10)
    axes.text(-8.8, 8.0, f"2-point rule:\n{percent(rule)} false alarms", color=RED)
    axes.text(-8.8, 5.4, f"gate:\n{percent(caught)} false alarms", color=RED)
    axes.set_title("An unchanged model on 150 prompts: 10 % of its answers change")
    save(figure, "unchanged")


def bars(axes: Axes, chosen: Floats, law: Floats, color: str, name: str) -> None:
    """Stack the outcomes of one kind on the kinds below it."""
    places = np.unique(law[:, 0].round(6))
    height = np.array([chosen[chosen[:, 0].round(6) == x, 2].sum() for x in places])
    below = np.zeros(len(places))
    for patch in axes.patches:
        x = patch.get_x() + patch.get_width() / 2
        below[np.argmin(np.abs(100 * places - x))] += patch.get_height()
    shown = height > TINY
    axes.bar(
        100 * places[shown],
        100 * height[shown],
        width=0.55,
        bottom=below[shown],
        color=color,
        label=name,
    )


def outcomes(n: int, discordance: float, drop: float) -> Floats:
    """Return change, p of the gate and probability of every outcome, one a row."""
    changed = sqrt(discordance**2 + drop**2)
    rows = []
    for k, share in enumerate(binomial_law(n, changed).tolist()):
        flip = sign_flip(np.ones(k))
        law = binomial_law(k, (changed - drop) / 2 / changed)
        for better, chance in enumerate(law.tolist()):
            if share * chance > TINY:
                total = 2 * better - k
                rows.append((total / n, flip.p_at_most(total), share * chance))
    return np.array(rows)


def print_rules(n: int, discordance: float) -> None:
    """Say how often fixed rules and the gate are wrong."""
    same, worse = outcomes(n, discordance, 0.0), outcomes(n, discordance, 0.10)
    parts = []
    for points in (2, 5, 10):
        edge = -points / 100 - 1e-9
        alarms = same[same[:, 0] < edge, 2].sum()
        missed = 1 - worse[worse[:, 0] < edge, 2].sum()
        parts.append(f">{points}pp: alarms {alarms:.3f} missed(-10) {missed:.3f}")
    changed = sqrt(discordance**2 + 0.01)
    power = exact_power(n, (changed + 0.10) / 2, (changed - 0.10) / 2)
    alarms = exact_power(n, discordance / 2, discordance / 2)
    print(f"n = {n}, {discordance:.0%}: {'; '.join(parts)}")
    print(f"    gate: alarms {alarms:.3f} missed(-10) {1 - power:.3f}")
    print(f"    2 stderr, unpaired: missed(-10) {two_stderr_misses(n, changed):.3f}")


def two_stderr_misses(n: int, changed: float, share: float = 0.82) -> float:
    """Return how often a drop of 10 points stays below 2 unpaired standard errors."""
    rng = np.random.default_rng(3)
    worse, better = (changed + 0.10) / 2, (changed - 0.10) / 2
    cells = rng.multinomial(
        n, [worse, better, share - worse, 1 - share - better], 10**5
    )
    old, new = (cells[:, 0] + cells[:, 2]) / n, (cells[:, 1] + cells[:, 2]) / n
    both = np.sqrt((old * (1 - old) + new * (1 - new)) / n)
    return float((old - new <= 2 * both).mean())


def draw_selection() -> None:
    """The change of an equally good model against two kinds of baselines."""
    rng = np.random.default_rng(1)
    figure, panels = plt.subplots(2, 1, figsize=(8.3, 4.9), sharex=True, sharey=True)
    figure.patch.set_facecolor("white")
    edges = np.arange(-16.5, 17.5) / N * 100
    for axes, checkpoints, name in zip(
        panels,
        (1, 10),
        ("baseline: one checkpoint", "baseline: the best of ten equal checkpoints"),
        strict=True,
    ):
        runs = rng.binomial(1, 0.5, (ROUNDS, checkpoints, UNSURE))
        best = runs.sum(axis=2).argmax(axis=1)
        old, new = runs[np.arange(ROUNDS), best], rng.binomial(1, 0.5, (ROUNDS, UNSURE))
        changes = 100 * (new - old).sum(axis=1) / N
        red = is_red(old, new)
        axes.hist(
            [changes[red], changes[~red]],
            edges,
            weights=[np.full(x.sum(), 100 / ROUNDS) for x in (red, ~red)],
            color=[RED, PALE],
            stacked=True,
            rwidth=0.85,
        )
        mean, share = changes.mean(), red.mean()
        axes.axvline(mean, color=BLUE, linewidth=1.6)
        left = min(mean - 0.15, -0.15)
        axes.text(
            left, 16.2, f"mean {mean:+.1f}".replace("-", "−"), color=BLUE, ha="right"
        )
        axes.text(-10.3, 8, f"red: {percent(share)}", color=RED, fontweight="bold")
        axes.set(ylabel="runs, %", ylim=(0, 18), xlim=(-10.5, 10.5))
        axes.set_xticks(range(-10, 11, 2))
        axes.set_title(name)
        print(f"best of {checkpoints}: red {share:.3f}, mean change {mean:+.2f}")
    panels[1].set_xlabel("observed change of an equally good model, points")
    save(figure, "selection", top=0.92, hspace=0.45)


def is_red(
    old: NDArray[np.int64], new: Floats | NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Judge many simulated runs; only the unsure prompts can change."""
    same = np.zeros(N - old.shape[1])
    known: dict[bytes, bool] = {}
    verdicts = []
    for before, after in zip(old, new, strict=True):
        # Which prompt changed does not matter, only by how much.
        changes = np.sort(after - before)
        key = changes.tobytes()
        if key not in known:
            result = paired_gate(
                np.append(np.maximum(-changes, 0), same),
                np.append(np.maximum(changes, 0), same),
                range(N),
            )
            known[key] = result.status is Status.REGRESSED
        verdicts.append(known[key])
    return np.array(verdicts)


def print_repeats() -> None:
    """Say what confirming does, and what trying until green would do."""
    rng = np.random.default_rng(2)
    rounds = ROUNDS // 4
    for lost in (0, 10, 15):
        runs = rng.binomial(1, 0.5, (rounds, 1 + TRIES, UNSURE))
        broken = np.zeros((rounds, lost), dtype=np.int64)
        old = np.hstack([runs[:, 0], broken + 1])
        tries = [np.hstack([runs[:, 1 + k], broken]) for k in range(TRIES)]
        red = [is_red(old, new) for new in tries]
        pooled = is_red(old, np.mean(tries, axis=0).round(9))
        print(
            f"{-100 * lost / N:+.1f} points: red {red[0].mean():.3f}, confirmed"
            f" {(red[0] & pooled).mean():.3f}, all of {TRIES} tries"
            f" {np.all(red, axis=0).mean():.3f}"
        )


def draw_intervals() -> None:
    """Five comparisons with their intervals and verdicts."""
    rows: Sequence[tuple[str, Paired]] = (
        ("150 prompts, 61 tasks\n10 worse, 2 better", worked_example()),
        ("150 prompts\n2 worse, 14 better", flips(2, 14, N)),
        ("150 prompts\n3 worse, 0 better", flips(3, 0, N)),
        ("150 prompts\nnothing changed", flips(0, 0, N)),
        ("27 prompts\n4 worse, 2 better", flips(4, 2, 27)),
    )
    colors = {
        Status.REGRESSED: RED,
        Status.IMPROVED: GREEN,
        Status.WITHIN_NOISE: BLUE,
        Status.INCONCLUSIVE: ORANGE,
    }
    figure, axes = card(4.4)
    for place, (name, result) in enumerate(rows):
        low, high = (100 * x for x in result.interval)
        y, color = len(rows) - place, colors[result.status]
        axes.plot([low, high], [y, y], color=color, linewidth=4, solid_capstyle="butt")
        axes.plot(100 * result.change, y, "o", color="white", markeredgecolor=color)
        axes.text(-25.6, y, name, ha="right", va="center")
        text = f"{result.status}\n{p_text(result.p)}"
        axes.text(19.0, y, text, color=color, va="center", fontweight="bold")
        print(name.replace("\n", ", "), result.status, f"{low:+.1f} … {high:+.1f}")
    axes.axvline(0, color="black", linewidth=1)
    axes.axvline(-10, color="black", linewidth=1, linestyle="--")
    axes.text(0, 5.6, "no change", ha="center")
    axes.text(-10, 5.6, "−margin", ha="center")
    axes.set(xlim=(-25, 18), ylim=(0.4, 5.5), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("change against the baseline, points: 90 % interval")
    save(figure, "intervals", left=0.235, right=0.82, top=0.92)


def worked_example() -> Paired:
    """Return the comparison that docs/verdicts.md works through."""
    old: list[int] = []
    new: list[int] = []
    tasks: list[int] = []
    for task, (size, worse, better) in enumerate(EXAMPLE):
        old += [1] * (size - better) + [0] * better
        new += [0] * worse + [1] * (size - worse)
        tasks += [task] * size
    return paired_gate(old, new, tasks)


def flips(worse: int, better: int, n: int) -> Paired:
    """Compare n answers, each of its own task, of which some changed."""
    old = [1] * worse + [0] * better + [1] * (n - worse - better)
    new = [0] * worse + [1] * better + [1] * (n - worse - better)
    return paired_gate(old, new, range(n))


def card(height: float) -> tuple[Figure, Axes]:
    """Return one panel on white: readable on a dark page, too."""
    figure, axes = plt.subplots(figsize=(8.3, height))
    figure.patch.set_facecolor("white")
    return figure, axes


def save(figure: Figure, name: str, **margins: float) -> None:
    """Write an SVG without a date, so that the same data gives the same bytes."""
    room = {"left": 0.09, "right": 0.97, "top": 0.88, "bottom": 0.14, **margins}
    figure.subplots_adjust(**room)
    path = HERE / f"{name}.svg"
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    plt.close(figure)
    # Matplotlib ends some lines with a space.
    lines = path.read_text("utf-8").splitlines()
    path.write_text("".join(f"{x.rstrip()}\n" for x in lines), "utf-8")


if __name__ == "__main__":
    main()
