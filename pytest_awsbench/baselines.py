"""Baselines: a measured run, as a small text file that people review.

One line per item, sorted by id: what it showed, never what the model said.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from pytest_awsbench.errors import StoreError
from pytest_awsbench.gates import Arm
from pytest_awsbench.records import ItemStats, Run


SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What one model showed on one suite, accepted under version control."""

    suite: str
    model: Mapping[str, Any]
    """Name, description, weights digest, template digest."""
    data: Mapping[str, Any]
    """Name, digest, samples, tasks, subset."""
    decoding: Mapping[str, Any]
    versions: Mapping[str, str]
    date: str
    runs: int
    metrics: Mapping[str, int]
    """Metric → version of its definition."""
    items: Mapping[str, ItemStats]

    @classmethod
    def from_run(cls, run: Run, metric_versions: Mapping[str, int]) -> Self:
        """Return what a finished run would store."""
        named = {m for result in run.results.values() for m in result.scores}
        card = run.model
        return cls(
            suite=run.suite,
            model={
                "name": card.name,
                "description": card.description,
                "weights": card.digest,
                "template": card.template_digest,
            },
            data=asdict(run.data),
            decoding=asdict(run.decoding),
            versions=dict(run.versions),
            date=run.date,
            runs=1,
            # A metric of a hook has no version of ours; it counts as its first.
            metrics={name: metric_versions.get(name, 1) for name in sorted(named)},
            items=_items(run),
        )

    def arm(self, label: str) -> Arm:
        """Return one side of a comparison."""
        return Arm(
            label=label,
            items=self.items,
            metric_versions=self.metrics,
            data_digest=str(self.data["digest"]),
        )

    def provenance(self) -> dict[str, Any]:
        """Return all but the items."""
        return {
            "schema": SCHEMA,
            "suite": self.suite,
            "date": self.date,
            "runs": self.runs,
            "model": dict(self.model),
            "data": dict(self.data),
            "decoding": dict(self.decoding),
            "versions": dict(self.versions),
            "metrics": dict(self.metrics),
        }

    def same_as(self, other: "Baseline") -> bool:
        """Whether two baselines say the same, whenever they were measured."""
        return replace(self, date="") == replace(other, date="")


def dumps(baseline: Baseline) -> str:
    """Return the text of a baseline: JSON, one line per item."""
    head = json.dumps(baseline.provenance(), indent=2, ensure_ascii=False)
    rows = (
        f'    {json.dumps(key)}: {json.dumps(_row(item), ensure_ascii=False)}'
        for key, item in sorted(baseline.items.items())
    )
    return head.removesuffix("\n}") + ',\n  "items": {\n' + ",\n".join(rows) + "\n  }\n}\n"


def loads(text: str, path: Path) -> Baseline:
    """Read the text of a baseline.

    Raises:
        StoreError: naming file and line, or the schema that it was written in.

    """
    try:
        data = json.loads(text)
    except ValueError as error:
        raise _damaged(path, f"not JSON: {error}") from error
    if not isinstance(data, dict):
        raise _damaged(path, "line 1: not an object")
    _check_schema(path, data.get("schema"))
    try:
        items = {key: _item(path, text, key, row) for key, row in data["items"].items()}
        return Baseline(
            suite=data["suite"],
            model=data["model"],
            data=data["data"],
            decoding=data["decoding"],
            versions=data["versions"],
            date=data["date"],
            runs=data["runs"],
            metrics=data["metrics"],
            items=items,
        )
    except KeyError as error:
        raise _damaged(path, f"key {error} is missing") from error
    except (TypeError, AttributeError) as error:
        raise _damaged(path, str(error)) from error


def _check_schema(path: Path, schema: object) -> None:
    """Refuse what another version wrote."""
    if schema == SCHEMA:
        return
    if isinstance(schema, int) and schema > SCHEMA:
        raise StoreError(
            f"{path}: written by a newer pytest-awsbench (schema {schema}; this one"
            f" reads {SCHEMA}); upgrade pytest-awsbench"
        )
    raise StoreError(
        f"{path}: schema {schema!r} cannot be read (this version reads {SCHEMA});"
        " measure the baseline again with --snapshot-update"
    )


def _items(run: Run) -> dict[str, ItemStats]:
    """Return what each item of a run showed."""
    samples = {sample.id: sample for sample in run.samples}
    items = {}
    for sample_id, result in run.results.items():
        sample = samples[sample_id]
        items[sample_id] = ItemStats(
            prompt_hash=sample.prompt_hash,
            cluster=sample.task_id,
            tier=sample.tier,
            source=sample.source,
            weight=sample.weight,
            outcome=result.outcome,
            k=1,
            sums={
                metric: (value, value * value)
                for metric, value in result.scores.items()
                if value is not None
            },
        )
    return items


def _row(item: ItemStats) -> dict[str, Any]:
    """Return an item as a line holds it."""
    return {
        "outcome": item.outcome,
        "prompt": item.prompt_hash,
        "cluster": item.cluster,
        "tier": item.tier,
        "source": item.source,
        "weight": _short(item.weight),
        "k": item.k,
        **{m: [_short(s), _short(q)] for m, (s, q) in sorted(item.sums.items())},
    }


def _item(path: Path, text: str, key: str, row: Any) -> ItemStats:  # noqa: ANN401
    """Read one item."""
    try:
        fixed = {"outcome", "prompt", "cluster", "tier", "source", "weight", "k"}
        metrics = {name: row[name] for name in row.keys() - fixed}
        return ItemStats(
            prompt_hash=_text(row["prompt"]),
            cluster=_text(row["cluster"]),
            tier=_text(row["tier"]),
            source=_text(row["source"]),
            weight=float(row["weight"]),
            outcome=_text(row["outcome"]),
            k=int(row["k"]),
            sums={m: _pair(values) for m, values in metrics.items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        where = text.count("\n", 0, text.find(f'{json.dumps(key)}:')) + 1
        raise _damaged(path, f"line {where}: item {key!r}: {error!r}") from error


def _text(value: object) -> str:
    """Return a text, and nothing that is none."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value


def _pair(values: Sequence[float]) -> tuple[float, float]:
    """Return sum and sum of squares."""
    total, squares = values
    return float(total), float(squares)


def _short(value: float) -> float:
    """Return a whole number as one, so that lines stay short."""
    return int(value) if float(value).is_integer() else value


def _damaged(path: Path, why: str) -> StoreError:
    """Return the error for a file that cannot be read."""
    return StoreError(
        f"{path}: the baseline is damaged ({why}); restore it from version control,"
        " or measure it again with --snapshot-update"
    )
