"""A verdict as text: the one line that is shown everywhere."""

from pytest_awsbench.cells import difference, span
from pytest_awsbench.gates import Verdict


SMALLEST_P = 0.001


def line(verdict: Verdict) -> str:
    """Return a verdict as one line.

    The verdict leads, because pytest's short summary cuts what is long.
    """
    head = f"{verdict.metric} {verdict.word}"
    if verdict.threshold_missed:
        head += f", {verdict.threshold_missed}"
    if verdict.change is None or verdict.p is None:
        return ": ".join([head, "; ".join(verdict.notes)] if verdict.notes else [head])
    parts = [f"{head}: {amount(verdict, verdict.change)}", _floor(verdict)]
    return (
        f"{', '.join(parts)} ({_evidence(verdict)}) {_chance(verdict)}"
        f" 90% CI {interval(verdict)}"
    )


def amount(verdict: Verdict, value: float, sign: str = "+") -> str:
    """Return a difference of the metric: in points, or in its own unit."""
    return difference(value, verdict.unit, sign)


def interval(verdict: Verdict) -> str:
    """Return the 90 % interval; of shares in points."""
    return span(verdict.low, verdict.high, verdict.unit, "+")


def p_text(p: float) -> str:
    """Return a p value as papers print it.

    >>> p_text(0.0301), p_text(0.00001)
    ('p=.030', 'p<.001')
    """
    return "p<.001" if p < SMALLEST_P else f"p={p:.3f}".replace("=0.", "=.")


def _floor(verdict: Verdict) -> str:
    """Return the noise floor, and what is allowed beyond it."""
    floor = verdict.noise_floor
    text = f"noise floor {'n/a' if floor is None else amount(verdict, floor, '')}"
    if verdict.max_drop:
        kind = "rise" if verdict.direction == "lower" else "drop"
        text += f", allowed {kind} {amount(verdict, verdict.max_drop, '')}"
    if verdict.guard is not None and verdict.margin is not None:
        text += f", margin {amount(verdict, verdict.margin, '')}"
    return text


def _evidence(verdict: Verdict) -> str:
    """Return what the numbers rest on."""
    parts = [f"n={verdict.n}", f"{verdict.clusters} tasks"]
    if verdict.test == "unpaired":
        parts.append("unpaired: nothing says which answers changed")
    else:
        what = "tasks" if verdict.test == "continuous" else "answers"
        parts.append(
            f"{verdict.changed} {what} changed: {verdict.worse} worse,"
            f" {verdict.better} better"
        )
    if verdict.deff is not None:
        parts.append(f"deff {verdict.deff:.1f}")
    if verdict.rerun_floor is not None and verdict.rerun_discordance is not None:
        parts.append(
            f"re-run noise alone {amount(verdict, verdict.rerun_floor, '')}"
            + (
                f" at {100 * verdict.rerun_discordance:.0f}% re-run discordance"
                if verdict.unit == "share"
                else ""
            )
        )
    return ", ".join(parts)


def _chance(verdict: Verdict) -> str:
    """Return p, and what it is compared with where that is not 5 %."""
    assert verdict.p is not None  # noqa: S101 - asked only with one
    text = p_text(verdict.p)
    if abs(verdict.alpha - 0.05) > 1e-9:  # noqa: PLR2004 - what readers expect
        text += f" (alpha {verdict.alpha:.2g})"
    return text
