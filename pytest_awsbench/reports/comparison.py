"""Kept runs beside each other: paired, with the statistics of gates, or unpaired."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pytest_awsbench.errors import ReportError
from pytest_awsbench.flips import Flip, flips_of
from pytest_awsbench.gates import ALPHA, Gate, Published, Verdict
from pytest_awsbench.judging import adjusted, judge
from pytest_awsbench.pairing import incomparable, value_of
from pytest_awsbench.records import Arm
from pytest_awsbench.reports.reading import RunDocument
from pytest_awsbench.reports.sides import (
    Side,
    arm_of_side,
    as_baseline,
    new_side,
    old_side,
)
from pytest_awsbench.runfile import verdict_document
from pytest_awsbench.stats.curves import mean_share
from pytest_awsbench.stats.status import Status


NINETY = 2 * 1.6448536269514722
"""Standard errors between the limits of a two-sided 90 % interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Another run against the first one, on one suite."""

    first: Side
    other: Side
    deciding: tuple[Verdict, ...]
    """Of the gated metrics, which share alpha 5 %."""
    others: tuple[Verdict, ...]
    """Of all other metrics, for orientation."""
    flips: tuple[Flip, ...]
    notes: tuple[str, ...]

    @property
    def regressed(self) -> bool:
        """Whether a gated metric got worse, beyond noise."""
        return any(v.status is Status.REGRESSED for v in self.deciding)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        prefix = self.other.run["node_prefix"]
        return {
            "suite": self.other.run["suite"],
            "first": self.first.name,
            "other": self.other.name,
            "regressed": self.regressed,
            "verdicts": [verdict_document(v, prefix) for v in self.deciding],
            "ungated": [verdict_document(v, prefix) for v in self.others],
            "flips": [asdict(flip) for flip in self.flips],
            "notes": list(self.notes),
        }


def compare(
    first: RunDocument, other: RunDocument, *, unpaired: bool = False
) -> list[Compared]:
    """Compare a run with a first one, which is the side of the baseline.

    Args:
        first: what the other is compared with.
        other: the run that is judged.
        unpaired: whether to compare means alone, as of runs of different data.

    Raises:
        ReportError: if a run is incomplete, they have no suite in common, or their
            items cannot be paired.

    """
    sides = list(_matched(first, other))
    if not sides:
        raise ReportError(
            f"{first.data['id']} and {other.data['id']}: no suite in common, nothing"
            " to compare"
        )
    return [_compared(old, new, unpaired=unpaired) for old, new in sides]


def as_document(other: RunDocument, found: Sequence[Compared]) -> RunDocument:
    """Return a run as a document in which another run stands for the baseline."""
    runs = []
    for one in found:
        shown = one.to_json()
        olds = {v["metric"]: v["old"] for v in shown["verdicts"] + shown["ungated"]}
        means = one.other.run["means"].items()
        runs.append({
            **one.other.run,
            "baseline": as_baseline(one.first),
            "gates": [],
            "verdicts": shown["verdicts"],
            "ungated": shown["ungated"],
            "flips": shown["flips"],
            "means": {m: {**mean, "old": olds.get(m)} for m, mean in means},
        })
    notes = [note for one in found for note in one.notes]
    data = {**other.data, "runs": runs, "comparisons": [], "rankings": [], "claims": []}
    return RunDocument({**data, "notes": [*other.data["notes"], *notes]}, other.folder)


def _matched(first: RunDocument, other: RunDocument) -> Iterator[tuple[Side, Side]]:
    """Yield what belongs together: the same suite, and the same model or the only one.

    Raises:
        ReportError: where several models could be meant.

    """
    for suite in other.data["suites"]:
        olds, news = (
            {r["model"]["name"]: r for r in doc.data["runs"] if r["suite"] == suite}
            for doc in (first, other)
        )
        both = [name for name in news if name in olds]
        pairs = [(olds[name], news[name]) for name in both]
        if not both and len(olds) == len(news) == 1:
            pairs = [(*olds.values(), *news.values())]
        if not pairs and olds:
            raise ReportError(
                f"{suite}: {', '.join(olds)} there and {', '.join(news)} here: no model"
                " of one name in both; choose one of each: RUN::MODEL"
            )
        for old, new in pairs:
            yield Side(document=first, run=old), Side(document=other, run=new)


def _compared(first: Side, other: Side, *, unpaired: bool) -> Compared:
    """Compare one model on one suite."""
    for side in (first, other):
        if not side.run["complete"] or side.document.data["status"] == "incomplete":
            answered, asked = len(side.run["results"]), len(side.asked["samples"])
            raise ReportError(
                f"{side.name}: incomplete: {answered} of {asked} answered; nothing is"
                " judged; finish it with --awsbench-resume"
            )
    old, new = arm_of_side(first), arm_of_side(other)
    deciding, rest = _gates(first, other, new)
    if not unpaired:
        _refuse_unlike(deciding[0], first, other, (old, new))
    judged = {
        g.metric: _judged(g, new, old, unpaired=unpaired) for g in (*deciding, *rest)
    }
    known = {metric: verdict for metric, verdict in judged.items() if verdict}
    names = [gate.metric for gate in deciding]
    decided = adjusted([known[m] for m in names if m in known], len(names))
    skipped = sorted(judged.keys() - known)
    return Compared(
        first=first,
        other=other,
        deciding=tuple(decided),
        others=tuple(v for metric, v in known.items() if metric not in names),
        flips=()
        if unpaired
        else tuple(flips_of(decided, new_side(other), {"": old_side(first)})),
        notes=tuple(_notes(first, other, skipped, unpaired=unpaired)),
    )


def _gates(first: Side, other: Side, new: Arm) -> tuple[list[Gate], list[Gate]]:
    """Return gates on the metrics that decide, which share alpha, and on all others."""
    known = {metric["name"]: metric for metric in other.asked["metrics"]}
    gated = [v["metric"] for side in (other, first) for v in side.run["verdicts"]]
    names = [m for m in dict.fromkeys(gated) if m in new.metric_versions]
    names = names or [other.asked["primary"]]
    everything = dict.fromkeys([*names, *known])
    gates = [
        Gate(
            suite=other.run["suite"],
            metric=name,
            unit=known.get(name, {}).get("unit"),
            direction=known.get(name, {}).get("direction"),
            alpha=ALPHA / len(names) if name in names else ALPHA,
        )
        for name in everything
    ]
    return gates[: len(names)], gates[len(names) :]


def _refuse_unlike(gate: Gate, first: Side, other: Side, arms: tuple[Arm, Arm]) -> None:
    """Refuse to pair what was asked otherwise.

    Raises:
        ReportError: saying why, and what can be done instead.

    """
    old, new = arms
    why = incomparable(gate, new, old)
    if why is None:
        return
    same = sum(
        i in old.items and old.items[i].prompt_hash == item.prompt_hash
        for i, item in new.items.items()
    )
    data = [side.asked["data"] for side in (first, other)]
    if data[0]["digest"] != data[1]["digest"]:
        why = (
            f"different data ({data[0]['name']} {data[0]['digest'][:8]},"
            f" {data[1]['name']} {data[1]['digest'][:8]}): {same} of"
            f" {len(new.items)} prompts are in both"
        )
    raise ReportError(
        f"{first.name} and {other.name} cannot be paired: {why.partition(';')[0]};"
        " --unpaired compares their means alone"
    )


def _judged(gate: Gate, new: Arm, old: Arm, *, unpaired: bool) -> Verdict | None:
    """Judge a metric; None where means alone say nothing."""
    if not unpaired:
        return judge(gate, new, old)
    items = [item for item in old.items.values() if gate.metric in item.sums]
    values = [value_of(item, gate.metric) for item in items]
    if gate.unit == "number" or not values or not all(0 <= v <= 1 for v in values):
        return None
    share = mean_share(
        values,
        [item.cluster for item in items],
        float(min(item.k for item in items)),
        [item.weight for item in items],
    )
    # Wilson's interval, not the spread: that of a run without mistakes would be 0.
    error = (share.interval.high - share.interval.low) / NINETY
    published = Published(value=share.mean, stderr=error, source=old.label)
    like = Gate(**{**_plain(gate), "unit": "share", "published": published})
    # The other side is named above the table, and notes advise to store a baseline.
    return replace(judge(like, new, None), against="", notes=())


def _plain(gate: Gate) -> dict[str, Any]:
    """Return what a gate is made of, but for its kind."""
    kept = ("suite", "metric", "direction", "alpha")
    return {name: getattr(gate, name) for name in kept}


def _notes(
    first: Side, other: Side, skipped: Sequence[str], *, unpaired: bool
) -> Iterator[str]:
    """Yield what must be said besides the numbers."""
    if unpaired:
        yield "unpaired: nothing says which answers changed, so only large drops show"
    if skipped:
        yield f"no shares, so not compared unpaired: {', '.join(skipped)}"
    then, now = first.run["decoding"], other.run["decoding"]
    if then != now:
        keys = sorted(k for k in {*then, *now} if then.get(k) != now.get(k))
        told = ", ".join(f"{k} {then.get(k)} and {now.get(k)}" for k in keys)
        yield f"decoding differs: {told}"
