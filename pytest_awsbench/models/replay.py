"""Recorded answers as a model: scoring without torch."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_awsbench.errors import DataError, InfraError
from pytest_awsbench.models.spec import ModelSpec
from pytest_awsbench.records import (
    Completion,
    Decoding,
    Message,
    ModelCard,
    Prompt,
    Sample,
    prompt_hash,
)


SHOWN = 3
"""Ids that a message names."""

Row = tuple[int, Mapping[str, Any]]
"""Line number and row."""


@dataclass(slots=True)
class ReplayModel:
    """Answers prompts from a file."""

    card: ModelCard
    answers: Mapping[str, Completion]
    """By prompt hash."""
    texts: Mapping[str, Completion]
    """By the last user message, where only that was recorded."""
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
        text = last_user(prompt)
        found = self.answers.get(prompt_hash(prompt)) or self.texts.get(text)
        if found is None:
            raise InfraError(
                f"model {self.card.name}: no recorded answer to {text!r:.80}"
            )
        return found

    def close(self) -> None:
        """Do nothing."""


def load(spec: ModelSpec, root: Path, samples: Iterable[Sample]) -> ReplayModel:
    """Load recorded answers and check that every sample has one.

    Raises:
        DataError: naming file and line, or the samples without an answer.

    """
    path = root / spec.path
    rows = list(_selected(path, spec.replay_key))
    if not rows:
        raise DataError(f"{path} is empty; it needs a row per answer")
    by_id, by_prompt, by_text = _indexed(path, rows)
    samples = tuple(samples)
    answers = {key: completion for key, (_, completion) in by_prompt.items()}
    missing: list[str] = []
    for sample in samples:
        found = by_id.get(sample.id) or by_text.get(last_user(sample.prompt))
        if found is not None:
            answers.setdefault(sample.prompt_hash, found[1])
        if sample.prompt_hash not in answers:
            missing.append(sample.id)
    if missing:
        first = ", ".join(missing[:SHOWN])
        raise DataError(
            f"{path}: no answer for {len(missing)} of {len(samples)} samples"
            f" (first: {first}); record them, or declare a subset"
        )
    texts = {key: completion for key, (_, completion) in by_text.items()}
    return ReplayModel(_card(spec, path, rows), answers, texts)


def replay_models(path: Path) -> list[str]:
    """Return the ``model`` keys of a file of recorded answers, in order."""
    rows = list(_rows(path))
    keys = dict.fromkeys(str(row["model"]) for _, row in rows if "model" in row)
    bare = next((number for number, row in rows if "model" not in row), None)
    if keys and bare is not None:
        raise DataError(
            f"{path}: line {bare} has no 'model', but others have; give it one"
        )
    return list(keys)


def _selected(path: Path, key: str | None) -> Iterator[Row]:
    """Yield the rows of one model."""
    keys = dict.fromkeys(str(row.get("model", "")) for _, row in _rows(path))
    if key is None and len(keys) > 1:
        raise DataError(
            f"{path}: answers of several models ({', '.join(keys)});"
            f" choose one: replay:{path.name}#{next(iter(keys))}"
        )
    if key is not None and key not in keys:
        raise DataError(
            f"{path}: no answers of model {key!r}; it has {', '.join(keys)}"
        )
    for number, row in _rows(path):
        if key is None or str(row.get("model", "")) == key:
            yield number, row


def _rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a file."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError as error:
        raise DataError(f"file of recorded answers not found: {path}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"{path}: line {number}: not JSON: {error}") from error
        if not isinstance(row, dict) or not isinstance(row.get("completion"), str):
            raise DataError(f"{path}: line {number}: needs a text 'completion'")
        yield number, row


Index = dict[str, tuple[int, Completion]]


def _indexed(path: Path, rows: Iterable[Row]) -> tuple[Index, Index, Index]:
    """Index answers by id, by prompt, and by the last user message."""
    indexes: tuple[Index, Index, Index] = ({}, {}, {})
    for number, row in rows:
        place, key = _key(path, number, row)
        completion = _completion(path, number, row)
        first, known = indexes[place].setdefault(key, (number, completion))
        if (known.text, known.stop) != (completion.text, completion.stop):
            raise DataError(
                f"{path}: lines {first} and {number} answer the same prompt"
                " differently; keep one"
            )
    return indexes


def _key(path: Path, number: int, row: Mapping[str, Any]) -> tuple[int, str]:
    """Return which index a row belongs to, and its key there."""
    if isinstance(row.get("id"), str | int):
        return 0, str(row["id"])
    if isinstance(row.get("messages"), list):
        try:
            turns = [Message(m["role"], m["content"]) for m in row["messages"]]
        except (KeyError, TypeError) as error:
            raise DataError(
                f"{path}: line {number}: messages need role and content"
            ) from error
        if turns and turns[-1].role == "assistant":
            turns.pop()
        return 1, prompt_hash(tuple(turns))
    if isinstance(row.get("prompt"), str):
        return 2, row["prompt"]
    raise DataError(f"{path}: line {number}: needs one of id, messages, prompt")


def _completion(path: Path, number: int, row: Mapping[str, Any]) -> Completion:
    """Read one answer."""
    stop = row.get("stop", "eos")
    if stop not in {"eos", "length", "newline", "context"}:
        raise DataError(
            f"{path}: line {number}: stop = {stop!r};"
            " allowed: eos, length, newline, context"
        )
    tokens, latency = row.get("tokens"), row.get("latency")
    if tokens is not None and (type(tokens) is not int or tokens < 0):
        raise DataError(f"{path}: line {number}: 'tokens' must be a count")
    if latency is not None and (type(latency) not in {int, float} or latency < 0):
        raise DataError(f"{path}: line {number}: 'latency' must be seconds")
    return Completion(text=row["completion"], stop=stop, tokens=tokens, latency=latency)


def _card(spec: ModelSpec, path: Path, rows: Iterable[Row]) -> ModelCard:
    """Identify recorded answers by their content."""
    digest = hashlib.sha256()
    # Another order of the same answers is the same model.
    for text in sorted(json.dumps(row, sort_keys=True) for _, row in rows):
        digest.update(text.encode() + b"\n")
    return ModelCard(
        name=spec.name,
        backend="replay",
        description=f"recorded answers, {path.name}",
        digest=digest.hexdigest()[:16],
        template_digest="",
        details={"path": str(spec.path), "key": spec.replay_key},
    )


def last_user(prompt: Prompt) -> str:
    """Return the last user message."""
    return next((m.content for m in reversed(prompt) if m.role == "user"), "")
