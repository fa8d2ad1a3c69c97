"""One model on one suite of a kept run, as a side of a comparison."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_awsbench.baselines import Baseline
from pytest_awsbench.earlier import stored_answers
from pytest_awsbench.flips import Asked, NewSide, OldSide
from pytest_awsbench.records import Arm, ItemStats
from pytest_awsbench.reports.reading import RunDocument


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One model on one suite, of a kept run."""

    document: RunDocument
    run: Mapping[str, Any]

    @property
    def asked(self) -> Mapping[str, Any]:
        """What was asked."""
        suite: Mapping[str, Any] = self.document.data["suites"][self.run["suite"]]
        return suite

    @property
    def name(self) -> str:
        """Run and model."""
        return f"{self.document.data['id']}/{self.run['model']['name']}"


def arm_of_side(side: Side) -> Arm:
    """Return a kept run as one side of the statistics."""
    samples = {row["id"]: row for row in side.asked["samples"]}
    named = {m for row in side.run["results"] for m in row["scores"]}
    versions = {m["name"]: m["version"] for m in side.asked["metrics"]}
    return Arm(
        label=side.name,
        items={
            row["sample_id"]: _item(row, samples[row["sample_id"]])
            for row in side.run["results"]
        },
        metric_versions={name: versions.get(name, 1) for name in named},
        data_digest=side.asked["data"]["digest"],
        subset=side.asked["data"]["subset"],
        settings=side.asked["settings"],
    )


def old_side(side: Side) -> OldSide:
    """Return what another run is compared with, answers included."""
    return OldSide(
        asked=_asked(side),
        outcomes=_outcomes(side),
        answers=stored_answers(side.document.folder, side.run),
        source=side.document.data["id"],
    )


def new_side(side: Side) -> NewSide:
    """Return what the run that is judged showed."""
    return NewSide(
        asked=_asked(side),
        outcomes=_outcomes(side),
        near_ties={
            row["sample_id"]: row["completion"].get("near_ties", 0)
            for row in side.run["results"]
        },
    )


def as_baseline(side: Side) -> dict[str, Any]:
    """Return a kept run in the form of a baseline."""
    model, data = side.run["model"], side.document.data
    baseline = Baseline(
        suite=side.run["suite"],
        date=data["date"],
        runs=1,
        model={
            "name": model["name"],
            "description": model["description"],
            "weights": model["digest"],
            "template": model["template_digest"],
        },
        data=side.asked["data"],
        decoding=side.run["decoding"],
        versions=data["versions"],
        metrics={m["name"]: m["version"] for m in side.asked["metrics"]},
        items={},  # no part of its provenance
        settings=side.asked["settings"],
    )
    return {
        "path": f"run {data['id']}",
        "provenance": baseline.provenance(),
        "outcomes": _outcomes(side),
    }


def _outcomes(side: Side) -> dict[str, str]:
    """Return the outcome of every item."""
    return {row["sample_id"]: row["outcome"] for row in side.run["results"]}


def _asked(side: Side) -> Asked:
    """Return who answered in a kept run, and how."""
    model = side.run["model"]
    return Asked(
        digest=model["digest"],
        template=model["template_digest"],
        decoding=side.run["decoding"],
        versions=side.document.data["versions"],
        backend=model["backend"],
        chunk_size=side.run["chunk_size"],
    )


def _item(row: Mapping[str, Any], sample: Mapping[str, Any]) -> ItemStats:
    """Return what an item of a kept run showed."""
    k, squares = row["k"], row["squares"]
    return ItemStats(
        prompt_hash=sample["prompt_hash"],
        cluster=sample["task_id"],
        tier=sample["tier"],
        source=sample["source"],
        weight=sample["weight"],
        outcome=row["outcome"],
        k=k,
        sums={
            metric: (value * k, squares.get(metric, value * value))
            for metric, value in row["scores"].items()
            if value is not None
        },
    )
