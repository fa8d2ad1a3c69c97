"""Baselines: a measured run, as a small text file that people review.

One line per item, sorted by id: what it showed, never what the model said.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from pytest_awsbench.errors import StoreError
from pytest_awsbench.records import Arm, ItemStats, Run


SCHEMA = 1


_Number = Annotated[float, Field(allow_inf_nan=False)]


class _Strict(BaseModel):
    """Takes what `dumps` writes, and nothing else."""

    model_config = ConfigDict(strict=True, extra="forbid")


class _Data(_Strict):
    """Which samples were asked."""

    name: str
    digest: str
    samples: int
    tasks: int
    subset: str


class _Row(_Strict):
    """One line: one item."""

    outcome: str
    prompt: str
    cluster: str
    tier: str
    source: str
    weight: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    k: Annotated[int, Field(ge=1)]
    # JSON has no tuples, so the pair itself is read leniently, its numbers are not.
    sums: dict[str, Annotated[tuple[_Number, _Number], Field(strict=False)]]

    @field_validator("sums", mode="before")
    @classmethod
    def _numbers(cls, value: Any) -> Any:  # noqa: ANN401 - as pydantic hands it on
        """Refuse texts and truth values that could pass for numbers."""
        for pair in value.values() if isinstance(value, dict) else ():
            if not isinstance(pair, list) or any(
                type(n) not in {int, float} for n in pair
            ):
                raise ValueError(f"{pair!r} is not [sum, sum of squares]")
        return value

    def stats(self) -> ItemStats:
        """Return the item."""
        return ItemStats(
            prompt_hash=self.prompt,
            cluster=self.cluster,
            tier=self.tier,
            source=self.source,
            weight=self.weight,
            outcome=self.outcome,
            k=self.k,
            sums=self.sums,
        )


class _File(_Strict):
    """A baseline file."""

    schema_: Annotated[int, Field(alias="schema")]
    suite: str
    date: str
    runs: Annotated[int, Field(ge=1)]
    model: dict[str, str]
    data: _Data
    decoding: dict[str, bool | int | float]
    versions: dict[str, str]
    metrics: dict[str, int]
    settings: dict[str, bool | int | float | str] = {}
    selected_from: Annotated[int, Field(ge=1)] = 1
    run_means: dict[str, list[_Number]] = {}
    items: dict[str, _Row]

    @model_validator(mode="after")
    def _one_mean_per_run(self) -> Self:
        """Refuse means that do not belong to the stored runs."""
        for metric, means in self.run_means.items():
            if len(means) != self.runs:
                raise ValueError(
                    f"run_means.{metric} has {len(means)} means, of {self.runs} runs"
                )
        return self


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
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What else the answers depend on, such as the environment of episodes."""
    selected_from: int = 1
    """Checkpoints of which the model was chosen, before it was measured again."""
    run_means: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Metric → mean of each run; empty for one."""

    @classmethod
    def from_run(
        cls, run: Run, metric_versions: Mapping[str, int], selected_from: int = 1
    ) -> Self:
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
            decoding=run.decoding.to_json(),
            versions=dict(run.versions),
            date=run.date,
            runs=1,
            # A metric of a hook has no version of ours; it counts as its first.
            metrics={name: metric_versions.get(name, 1) for name in sorted(named)},
            items=_items(run),
            settings=dict(run.settings),
            selected_from=selected_from,
        )

    def with_run(self, run: "Baseline") -> "Baseline":
        """Return this baseline with a further run of the same.

        Raises:
            StoreError: if the run is of another model, other data or settings.

        """
        if differing := self._differing(run):
            raise StoreError(
                f"this run cannot be added to the baseline: {', '.join(differing)}"
                " differ; store it alone, without --awsbench-add-run"
            )
        return replace(
            self,
            date=run.date,
            versions=run.versions,
            runs=self.runs + 1,
            items={
                key: _summed(item, run.items[key]) for key, item in self.items.items()
            },
            run_means={
                metric: [*self._means(metric), *run._means(metric)]  # noqa: SLF001
                for metric in self.metrics
            },
        )

    def _differing(self, run: "Baseline") -> list[str]:
        """Name what another run does not have in common with this baseline."""
        seedless = [
            {k: v for k, v in one.decoding.items() if k != "seed"}
            for one in (self, run)
        ]
        same = {
            "weights": self.model["weights"] == run.model["weights"],
            "chat template": self.model["template"] == run.model["template"],
            "data": self.data["digest"] == run.data["digest"],
            "decoding": seedless[0] == seedless[1],
            "settings": self.settings == run.settings,
            "metrics": self.metrics == run.metrics,
            "items": self.items.keys() == run.items.keys(),
        }
        return [name for name, equal in same.items() if not equal]

    def _means(self, metric: str) -> Sequence[float]:
        """Return the mean of each run."""
        if metric in self.run_means:
            return self.run_means[metric]
        known = [i for i in self.items.values() if metric in i.sums]
        total = sum(item.weight for item in known)
        summed = sum(i.weight * i.sums[metric][0] / i.k for i in known)
        return [round(summed / total, 9)] if total else [0.0]

    def arm(self, label: str) -> Arm:
        """Return one side of a comparison."""
        return Arm(
            label=label,
            items=self.items,
            metric_versions=self.metrics,
            data_digest=str(self.data["digest"]),
            subset=str(self.data["subset"]),
            settings=self.settings,
            run_means=self.run_means,
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
            **({"settings": dict(self.settings)} if self.settings else {}),
            **({"selected_from": self.selected_from} if self.selected_from > 1 else {}),
            **({"run_means": dict(self.run_means)} if self.run_means else {}),
        }

    def same_as(self, other: "Baseline") -> bool:
        """Whether two baselines say the same, whenever they were measured."""
        return replace(self, date="") == replace(other, date="")


def dumps(baseline: Baseline) -> str:
    """Return the text of a baseline: JSON, one line per item."""
    head = json.dumps(baseline.provenance(), indent=2, ensure_ascii=False)
    rows = (
        f"    {json.dumps(key)}: {json.dumps(_row(item), ensure_ascii=False)}"
        for key, item in sorted(baseline.items.items())
    )
    return (
        head.removesuffix("\n}") + ',\n  "items": {\n' + ",\n".join(rows) + "\n  }\n}\n"
    )


def loads(text: str, path: Path) -> Baseline:
    """Read the text of a baseline.

    Raises:
        StoreError: naming file and line, or the schema that it was written in.

    """
    try:
        data = json.loads(text, object_pairs_hook=_distinct)
    except ValueError as error:
        raise _damaged(path, f"not JSON: {error}") from error
    if not isinstance(data, dict):
        raise _damaged(path, "line 1: not an object")
    _check_schema(path, data.get("schema"))
    try:
        stored = _File.model_validate(data)
    except ValidationError as error:
        raise _damaged(path, _complaint(text, dict(error.errors()[0]))) from error
    return Baseline(
        suite=stored.suite,
        model=stored.model,
        data=stored.data.model_dump(),
        decoding=stored.decoding,
        versions=stored.versions,
        date=stored.date,
        runs=stored.runs,
        metrics=stored.metrics,
        items={key: row.stats() for key, row in stored.items.items()},
        settings=stored.settings,
        selected_from=stored.selected_from,
        run_means=stored.run_means,
    )


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
            k=result.k,
            sums={
                metric: result.sums(metric, value)
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
        "sums": {m: [_short(s), _short(q)] for m, (s, q) in sorted(item.sums.items())},
    }


def _summed(item: ItemStats, other: ItemStats) -> ItemStats:
    """Return an item with the measurements of another run of it."""
    return replace(
        item,
        outcome=other.outcome,
        k=item.k + other.k,
        sums={
            metric: (pair[0] + other.sums[metric][0], pair[1] + other.sums[metric][1])
            for metric, pair in item.sums.items()
            if metric in other.sums
        },
    )


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a key that stands twice, as a merge of two versions may leave it."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"{key!r} stands twice")
        found[key] = value
    return found


def _complaint(text: str, error: dict[str, Any]) -> str:
    """Say which line is wrong, and how."""
    place = [str(part) for part in error["loc"]]
    key = place[1] if place[0] == "items" and len(place) > 1 else place[0]
    line = text.count("\n", 0, max(0, text.find(f"{json.dumps(key)}:"))) + 1
    return f"line {line}: {'.'.join(place)}: {error['msg']}"


def _short(value: float) -> float:
    """Return a whole number as one, so that lines stay short."""
    return int(value) if float(value).is_integer() else value


def _damaged(path: Path, why: str) -> StoreError:
    """Return the error for a file that cannot be read."""
    return StoreError(
        f"{path}: the baseline is damaged ({why}); restore it from version control,"
        " or measure it again with --snapshot-update"
    )
