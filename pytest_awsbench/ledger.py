"""What the main process knows of a run: results, journals, baselines, verdicts."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pytest_awsbench.baselines import Baseline
from pytest_awsbench.chunks import Limits
from pytest_awsbench.gates import Verdict
from pytest_awsbench.journal import Journal, first_line
from pytest_awsbench.records import (
    COMPUTED,
    Answer,
    Arm,
    Decoding,
    ModelCard,
    Result,
    Run,
    Sample,
)
from pytest_awsbench.suites.suite import Suite
from pytest_awsbench.throughput import Meter


Score = Callable[[Suite, Sample, Answer], Result]

DECISIVE: Final = (*COMPUTED, "extra_body")
"""Details of a model that may change what it answers with the same weights."""


@dataclass(kw_only=True)
class Account:
    """One model × one suite: what was asked, answered and lost."""

    model: ModelCard
    suite: Suite
    decoding: Decoding
    journal: Journal
    limits: Limits = field(default_factory=Limits)
    """Of what is generated together."""
    draws: int = 1
    """Answers to each prompt; of episodes the suite's settings say how many trials."""
    recorded: Mapping[str, Answer] = field(default_factory=dict)
    """Answers of an earlier run that are kept (``--awsbench-resume``)."""
    results: dict[str, Result] = field(default_factory=dict)
    meter: Meter = field(default_factory=Meter)
    """When answers came."""
    lost: set[str] = field(default_factory=set)
    """Ids that infrastructure failed on."""
    baseline: Baseline | None = None
    baseline_path: Path | None = None
    """None where the packaged baseline is used."""
    verdicts: list[Verdict] = field(default_factory=list)
    fresh_runs: list[Mapping[str, Result]] = field(default_factory=list)
    """What confirmed a red verdict, or did not."""
    asserted: bool = False
    """Whether syrupy was told of the baseline."""
    accepted: bool = False
    """Whether this run was stored as the baseline."""

    @property
    def key(self) -> tuple[str, str]:
        """Model and suite."""
        return self.model.name, self.suite.name

    @property
    def missing(self) -> list[str]:
        """Ids without a result, in the order of the suite."""
        return [s.id for s in self.suite.samples if s.id not in self.results]

    @property
    def chunk_size(self) -> int:
        """Prompts that are generated together."""
        return self.limits.size

    @property
    def throughput(self) -> dict[str, Any] | None:
        """How fast answers came; None where all were kept."""
        return self.meter.throughput()

    def complete_from_recorded(self, score: Score) -> None:
        """Score the kept answers of samples that this run did not select."""
        for sample in self.suite.samples:
            if sample.id not in self.results and sample.id in self.recorded:
                result = score(self.suite, sample, self.recorded[sample.id])
                self.results[sample.id] = result

    def run(self, versions: Mapping[str, str], date: str) -> Run:
        """Return everything measured, in the order of the suite."""
        ids = [s.id for s in self.suite.samples if s.id in self.results]
        return Run(
            suite=self.suite.name,
            model=self.model,
            data=self.suite.data,
            decoding=self.decoding,
            samples=self.suite.samples,
            results={sample_id: self.results[sample_id] for sample_id in ids},
            versions=versions,
            date=date,
            settings=self.suite.settings,
        )

    def was(self, sample_id: str) -> str | None:
        """Return the outcome that the baseline holds for an item of this prompt."""
        if self.baseline is None or sample_id not in self.baseline.items:
            return None
        return self.baseline.items[sample_id].outcome or None


def identity(
    model: ModelCard, suite: Suite, decoding: Decoding, draws: int = 1
) -> dict[str, object]:
    """Return what must be equal for a recorded answer to be served again."""
    return {
        "suite": suite.name,
        "model": model.name,
        "weights": model.digest,
        "template": model.template_digest,
        "data": suite.data.digest,
        "decoding": decoding.to_json(),
        **({"settings": dict(suite.settings)} if suite.settings else {}),
        **({"draws": draws} if draws > 1 else {}),
        **{key: model.details[key] for key in DECISIVE if key in model.details},
    }


def limited(ident: Mapping[str, object], limits: Limits) -> dict[str, object]:
    """Return an identity that says in which company prompts were asked."""
    tokens = {} if limits.tokens is None else {"chunk_tokens": limits.tokens}
    return {**ident, "chunk_size": limits.size, **tokens}


def recorded_size(
    folder: Path, ident: Mapping[str, object], model: str, suite: str
) -> int | None:
    """Return the chunk size of the last run that was the same in all else."""
    found: dict[Path, int] = {}
    for path in folder.glob(f"{model}-{suite}-*.jsonl"):
        known = first_line(path)
        size = known.pop("chunk_size", None)
        if isinstance(size, int) and _plain(known) == _plain(ident):
            found[path] = size
    last = max(found, key=lambda path: path.stat().st_mtime_ns, default=None)
    return None if last is None else found[last]


def journal_of(
    folder: Path, ident: Mapping[str, object], model: str, suite: str
) -> Journal:
    """Return the journal of one model on one suite; its name holds the identity."""
    text = json.dumps(ident, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return Journal(folder / f"{model}-{suite}-{digest}.jsonl", ident)


def _plain(ident: Mapping[str, object]) -> dict[str, object]:
    """Return an identity as it is read back from a journal."""
    plain: dict[str, object] = json.loads(json.dumps(ident))
    plain.pop("schema", None)
    return plain


def arm_of(run: Run, suite: Suite, label: str) -> Arm:
    """Return a run as one side of a comparison."""
    return Baseline.from_run(run, suite.versions).arm(label)


def this_run(model: str) -> str:
    """Return the label of another model of this run, as a side of a comparison."""
    return f"{model}, this run"


def now() -> str:
    """Return the time, ISO 8601, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def counts(results: Iterable[Result]) -> dict[str, int]:
    """Count the outcomes."""
    tally: dict[str, int] = {}
    for result in results:
        tally[result.outcome] = tally.get(result.outcome, 0) + 1
    return tally
