"""Recorded answers as rows of a file: what each answers, and with what."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pytest_awsbench.episodes import StopReason
from pytest_awsbench.errors import DataError
from pytest_awsbench.records import (
    Completion,
    Message,
    Sample,
    prompt_hash,
    well_formed,
)
from pytest_awsbench.scoring.reasoning import from_message


Row = tuple[int, Mapping[str, Any]]
"""Line number and row."""

Key = tuple[str, str]
"""What an answer is to: ``id``, ``messages`` or ``prompt``, and which."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One recorded answer."""

    line: int
    completion: Completion

    def contradicts(self, other: "Answer") -> bool:
        """Whether another answer to the same prompt says something else."""
        mine, others = self.completion, other.completion
        return (mine.text, mine.stop) != (others.text, others.stop)


class Index:
    """Finds the answer to a sample: by its id, its messages, or its last words."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[Key, Answer] = {}

    def add(self, line: int, row: Mapping[str, Any]) -> None:
        """Add a row.

        Raises:
            DataError: naming the line, or both where two contradict each other.

        """
        where = f"{self._path}: line {line}"
        answer = Answer(line, _completion(where, row))
        for key in _keys(where, row):
            self.check(self._known.setdefault(key, answer), answer, " ".join(key))

    def find(self, sample: Sample) -> Answer | None:
        """Return the answer to a sample; what names it best counts."""
        by_id = self._known.get(("id", sample.id))
        by_messages = self._known.get(("messages", sample.prompt_hash))
        if by_id and by_messages:
            self.check(by_id, by_messages, f"id {sample.id}")
        words = ("prompt", last_words(sample.prompt))
        return by_id or by_messages or self._known.get(words)

    def check(self, one: Answer, other: Answer, which: str) -> None:
        """Refuse two answers of one model to one prompt."""
        if one.contradicts(other):
            first, second = sorted((one.line, other.line))
            raise DataError(
                f"{self._path}: lines {first} and {second} answer the same prompt"
                f" differently ({which:.60}); keep one of them"
            )

    def of_kind(self, kind: str) -> dict[str, Completion]:
        """Return the completions that are recorded for keys of one kind."""
        return {
            which: answer.completion
            for (of, which), answer in self._known.items()
            if of == kind
        }

    def items(self) -> Iterable[tuple[Key, Answer]]:
        """Return all answers, each with what it answers."""
        return self._known.items()

    def example(self) -> str:
        """Return what the file calls its first answer, for messages."""
        kind, value = next(iter(self._known))
        return f"{kind} {value!r:.60}" if kind != "messages" else "messages"


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a file of recorded answers, with their lines.

    Raises:
        DataError: if the file is missing, empty or damaged.

    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise DataError(f"no file of recorded answers (looked for {path})") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    if not text.strip():
        raise DataError(f"{path} is empty: no recorded answers")
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}: line {number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where}: not JSON: {error}") from error
        if not isinstance(row, dict):
            raise DataError(f"{where}: not an object but {row!r:.80}")
        yield number, row


def last_words(prompt: Iterable[Message]) -> str:
    """Return the text of the last message from the user."""
    return next((m.content for m in reversed([*prompt]) if m.role == "user"), "")


def _keys(where: str, row: Mapping[str, Any]) -> Iterator[Key]:
    """Yield what a row says that it answers; a prompt only where nothing better."""
    sample_id, messages, prompt = (row.get(k) for k in ("id", "messages", "prompt"))
    if isinstance(sample_id, str | int):
        yield "id", str(sample_id)
    if messages is not None:
        yield "messages", _messages(where, messages)
    elif sample_id is None and isinstance(prompt, str):
        yield "prompt", prompt
    elif not isinstance(sample_id, str | int):
        raise DataError(
            f"{where}: does not say what it answers; needs an 'id', 'messages' or a"
            " text 'prompt'"
        )


def _messages(where: str, messages: object) -> str:
    """Return the hash of recorded messages; a trailing answer is not of the prompt."""
    try:
        turns = [Message(m["role"], m["content"]) for m in messages]  # type: ignore[attr-defined]
        if turns and turns[-1].role == "assistant":
            turns.pop()
        return prompt_hash(tuple(turns))
    except (KeyError, TypeError, UnicodeEncodeError) as error:
        raise DataError(
            f"{where}: 'messages' must be a list of messages with role and content"
        ) from error


def _completion(where: str, row: Mapping[str, Any]) -> Completion:
    """Read the answer of a row."""
    text, stop = row.get("completion"), row.get("stop", "eos")
    if not isinstance(text, str):
        raise DataError(f"{where}: needs a text 'completion', got {text!r:.60}")
    if stop not in get_args(StopReason):
        raise DataError(
            f"{where}: 'stop' = {stop!r}; allowed: {', '.join(get_args(StopReason))}"
        )
    tokens = _number(where, row, "tokens")
    if isinstance(tokens, float):
        raise DataError(f"{where}: 'tokens' must be a whole number, got {tokens!r}")
    found = from_message({"content": text, "reasoning": row.get("reasoning")})
    return Completion(
        text=well_formed(found.answer),
        stop=stop,
        tokens=tokens,
        latency=_number(where, row, "latency"),
        reasoning=well_formed(found.reasoning),
    )


def _number(where: str, row: Mapping[str, Any], key: str) -> int | float | None:
    """Read an optional measurement."""
    value = row.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise DataError(f"{where}: {key!r} must be a number from 0 on, got {value!r}")
    return value
