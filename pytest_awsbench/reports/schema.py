"""What run.json holds, key by key: the schema that is published and checked."""

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from pytest_awsbench.reports.shapes import (
    Count,
    Direction,
    Flip,
    Groups,
    Mean,
    Number,
    Plain,
    Point,
    Table,
    Throughput,
    Truncation,
    Unit,
    Verdict,
)


class Hardware(Table):
    """What the run was made on."""

    machine: str
    system: str
    cpu: str
    cores: Count
    memory_gb: Number | None
    devices: list[str]
    """Where models were loaded; empty where none was."""
    python: str


class Lost(Table):
    """An item that infrastructure lost: missing, never wrong."""

    node_id: str
    reason: str


class Comparison(Table):
    """Another model against the first one of the run, on every metric."""

    suite: str
    first: str
    other: str
    verdicts: list[Verdict]


class Ranked(Table):
    """One model's place among several."""

    model: str
    n: Count
    errors: Count
    means: dict[str, Mean]
    latency: Number | None
    """Median seconds."""
    length: Number | None
    """Mean characters."""


class Told(Table):
    """A model beside the best one, by the primary metric."""

    model: str
    change: Number | None
    p: Number
    """Two-sided, adjusted by Holm over all pairs of models."""
    apart: bool


class Ranking(Table):
    """The models of the run by a suite's primary metric, the best first."""

    suite: str
    primary: str
    models: list[Ranked]
    best: str | None
    pairs: Count
    others: list[Told]


class Data(Table):
    """Which samples were asked."""

    name: str
    digest: str
    samples: Count
    tasks: Count
    subset: str


class Metric(Table):
    """A metric, in the order of the table."""

    name: str
    version: int
    unit: Unit
    direction: Direction


class Message(Table):
    """One chat turn."""

    role: str
    content: str


class Sample(Table):
    """One held-out prompt, or one task."""

    id: str
    prompt: list[Message]
    target: str
    prompt_hash: str
    task_id: str
    """The cluster."""
    tier: str
    source: str
    step_idx: int | None
    weight: Annotated[float, Field(gt=0)]


class Overlap(Table):
    """What of the held-out rows stands in the training rows."""

    what: str
    count: Count
    of: Count
    examples: list[str]


class Leakage(Table):
    """How much the model may have seen in training."""

    train: Count
    prompts: Overlap
    verbatim: Overlap
    pairs: Overlap
    answers: Overlap


class Suite(Table):
    """What was asked of every model."""

    data: Data
    primary: str
    """The metric that is gated where no gate is configured."""
    settings: Plain
    """What else an answer depends on, such as the environment of episodes."""
    metrics: list[Metric]
    warnings: list[str]
    leakage: Leakage | None
    samples: list[Sample]


class Model(Table):
    """Who answered."""

    name: str
    backend: str
    description: str
    digest: str
    """Of base weights, adapter, quantization and dtype."""
    template_digest: str
    details: Plain


class Baseline(Table):
    """What the model is compared with."""

    path: str | None
    """Null: the packaged one."""
    provenance: Plain
    outcomes: dict[str, str]


class GateItem(Table):
    """How the item of a gate ended."""

    name: str
    node_id: str
    outcome: Literal["passed", "failed", "skipped"]
    reason: str


class Result(Table):
    """One item, answered and scored."""

    sample_id: str
    completion: Plain
    """A completion; ``draws``: several; ``episodes``: trials, their turns counted."""
    scores: dict[str, Number | None]
    outcome: str
    k: Annotated[int, Field(ge=1)]
    squares: dict[str, Number]
    first_scores: dict[str, Number | None] = Field(default_factory=dict)
    """With the first budget; empty where nothing was asked again."""


class Run(Table):
    """One model on one suite."""

    suite: str
    model: Model
    node_prefix: str
    decoding: Plain
    draws: Count
    chunk_size: Count | None
    journal: str | None
    """Relative to the output folder."""
    journal_offset: Count
    """Bytes of the journal that were there before this run."""
    complete: bool
    accepted: bool
    """Whether this run was stored as the baseline."""
    lost: list[str]
    outcomes: dict[str, Count]
    truncation: Truncation | None = None
    baseline: Baseline | None
    gates: list[GateItem]
    verdicts: list[Verdict]
    ungated: list[Verdict]
    means: dict[str, Mean]
    groups: Groups
    flips: list[Flip]
    curves: list[Point]
    throughput: Throughput | None
    results: list[Result]


class Document(Table):
    """A run of pytest-awsbench: run.json."""

    schema_: Annotated[Literal[2], Field(alias="schema")]
    id: str
    """The name of its folder."""
    status: Literal["complete", "incomplete"]
    """Incomplete: killed or interrupted."""
    exit_status: int | None
    date: str
    """When it began, ISO 8601, UTC."""
    duration: Number | None
    """Seconds."""
    command: list[str]
    hardware: Hardware | None
    versions: dict[str, str]
    warnings: list[str]
    notes: list[str]
    infra: list[Lost]
    claims: list[str]
    comparisons: list[Comparison]
    rankings: list[Ranking] = Field(default_factory=list)
    """Of more than two models, or where answers are lost."""
    suites: dict[str, Suite]
    runs: list[Run]


DOCUMENT: TypeAdapter[Document] = TypeAdapter(Document)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of run.json, draft 2020-12."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:pytest-awsbench:run:2",
        **DOCUMENT.json_schema(by_alias=True),
    }
