"""Recorded answers as a model: scoring without torch."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pytest_awsbench.errors import DataError, InfraError
from pytest_awsbench.models.recorded import Answer, Index, Row, last_words, read_rows
from pytest_awsbench.models.spec import ModelSpec
from pytest_awsbench.records import (
    Completion,
    Decoding,
    ModelCard,
    Prompt,
    Sample,
    prompt_hash,
)


SHOWN = 3
"""Ids that a message names."""


@dataclass(slots=True)
class ReplayModel:
    """Answers prompts from a file."""

    card: ModelCard
    answers: Mapping[str, Completion]
    """By the hash of their prompt."""
    texts: Mapping[str, Completion] = field(default_factory=dict)
    """By the last words of the user, where only these were recorded."""
    notes: list[str] = field(default_factory=list)

    def generate(
        self,
        prompts: Sequence[Prompt],
        decoding: Decoding,  # noqa: ARG002 - recorded answers are what they are
    ) -> list[Completion]:
        """Look every prompt up.

        Raises:
            InfraError: if a prompt has no recorded answer: it is missing, not wrong.

        """
        return [self._answer(prompt) for prompt in prompts]

    def _answer(self, prompt: Prompt) -> Completion:
        """Look one prompt up."""
        words = last_words(prompt)
        found = self.answers.get(prompt_hash(prompt)) or self.texts.get(words)
        if found is None:
            raise InfraError(
                f"model {self.card.name}: no recorded answer to {words!r:.80}"
            )
        return found

    def close(self) -> None:
        """Do nothing."""


def load(spec: ModelSpec, root: Path, samples: Iterable[Sample]) -> ReplayModel:
    """Load recorded answers and check that every sample has one.

    Args:
        spec: its `path` is the file, its `replay_key` the ``model`` whose answers.
        root: what a relative path is relative to.
        samples: of all suites of the run.

    Raises:
        DataError: naming file and line, or the samples without an answer.

    """
    path = root / spec.path
    index = _indexed(path, spec.replay_key)
    answers: dict[str, Answer] = {}
    samples = tuple(samples)
    missing = []
    for sample in samples:
        found = index.find(sample)
        if found is None:
            missing.append(sample.id)
            continue
        # A model is asked prompts, not ids: what it says to one it says to its twin.
        twin = answers.setdefault(sample.prompt_hash, found)
        index.check(twin, found, f"id {sample.id} and a sample with its prompt")
    if missing:
        raise DataError(
            f"{path} has no answer for {len(missing)} of {len(samples)} samples (first:"
            f" {', '.join(missing[:SHOWN])}; the file's own first: {index.example()});"
            " record them, or declare a subset"
        )
    # Prompts of no suite may be asked too, by tests of the user's own.
    completions = index.of_kind("messages")
    completions |= {asked: answer.completion for asked, answer in answers.items()}
    return ReplayModel(_card(spec, path, index), completions, index.of_kind("prompt"))


def replay_models(path: Path) -> list[str]:
    """Return the ``model`` keys of a file of recorded answers, in order.

    Raises:
        DataError: if some rows have a ``model`` and others have none.

    """
    return _models_of(path, read_rows(path))


def _models_of(path: Path, rows: Iterable[Row]) -> list[str]:
    """Return the ``model`` keys of rows, in order; all have one, or none has."""
    keys: dict[str, int] = {}
    without = 0
    for number, row in rows:
        key = row.get("model")
        if key is None:
            without = without or number
        elif isinstance(key, str) and key:
            keys.setdefault(key, number)
        else:
            raise DataError(
                f"{path}: line {number}: 'model' must be a text, got {key!r}"
            )
    if keys and without:
        raise DataError(
            f"{path}: line {without} has no 'model', but line"
            f" {min(keys.values())} has; give all rows one, or none"
        )
    return list(keys)


def _indexed(path: Path, key: str | None) -> Index:
    """Index the answers of one model."""
    rows = list(read_rows(path))
    keys = _models_of(path, rows)
    if key is None and len(keys) > 1:
        raise DataError(
            f"{path} has the answers of {len(keys)} models: {', '.join(keys)};"
            f" choose one: replay_key = {keys[0]!r}, or replay:{path.name}#{keys[0]}"
        )
    if key is not None and key not in keys:
        raise DataError(
            f"{path} has no answers of model {key!r};"
            f" it has those of {', '.join(keys) or 'one model without a name'}"
        )
    index = Index(path)
    for number, row in rows:
        if key is None or row["model"] == key:
            index.add(number, row)
    return index


def _card(spec: ModelSpec, path: Path, index: Index) -> ModelCard:
    """Identify recorded answers by what they answer, in any order."""
    rows = sorted(
        repr((*key, answer.completion.text, answer.completion.stop))
        for key, answer in index.items()
    )
    of = f" of {spec.replay_key}" if spec.replay_key else ""
    return ModelCard(
        name=spec.name,
        backend="replay",
        description=f"recorded answers{of}, {path.name}",
        digest=hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16],
        template_digest="",
        details={"path": spec.path, "replay_key": spec.replay_key},
    )
