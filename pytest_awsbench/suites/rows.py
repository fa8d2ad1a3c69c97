"""From the row of a data set to a sample."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from math import inf
from typing import Any

from pytest_awsbench.errors import DataError
from pytest_awsbench.records import Message, Prompt, Sample, prompt_hash


_SURROGATE = re.compile("[\ud800-\udfff]")

Located = tuple[str, Mapping[str, Any]]
"""Where a row stands, such as ``val.jsonl: line 3``, and the row."""


def samples_of(rows: Iterable[Located]) -> Iterator[Sample]:
    """Yield a sample per row; duplicates get a suffix, in the order of the rows.

    Raises:
        DataError: naming where a row stands and what is wrong with it.

    """
    samples = [_sample(where, row) for where, row in rows]
    # An id that a row has by itself is never given to a duplicate of another.
    taken = {sample.id for sample in samples}
    seen: dict[str, int] = {}
    for sample in samples:
        count = seen[sample.id] = seen.get(sample.id, 0) + 1
        if count == 1:
            yield sample
            continue
        while (name := f"{sample.id}-{seen[sample.id]}") in taken:
            seen[sample.id] += 1
        taken.add(name)
        yield _renamed(sample, name)


def _sample(where: str, row: Mapping[str, Any]) -> Sample:
    """Read one row."""
    messages = _messages(where, row)
    *prompt, target = messages
    if target.role != "assistant":
        raise DataError(
            f"{where}: the last message is from {target.role!r}; the last one must be"
            " from the assistant: it is the target"
        )
    if not any(message.role == "user" for message in prompt):
        raise DataError(f"{where}: no user message before the target")
    tier, task = _text(where, row, "difficulty"), _text(where, row, "task_id")
    own = _text(where, row, "id")
    sample_id = _slug(own) if own else _content_id(messages, tier)
    return Sample(
        id=sample_id,
        prompt=tuple(prompt),
        target=target.content.strip(),
        prompt_hash=prompt_hash(tuple(prompt)),
        task_id=task or sample_id,
        tier=tier,
        source=_text(where, row, "source"),
        step_idx=_step(where, row),
        weight=_weight(where, row),
    )


def _messages(where: str, row: Mapping[str, Any]) -> Prompt:
    """Read the messages of a row."""
    messages = row.get("messages")
    if not isinstance(messages, list) or not messages:
        raise DataError(
            f"{where}: key 'messages' must be a list of role and content,"
            f" got {messages!r:.80}"
        )
    return tuple(_message(where, n, message) for n, message in enumerate(messages))


def _message(where: str, number: int, message: object) -> Message:
    """Read one message."""
    if isinstance(message, Mapping):
        role, content = message.get("role"), message.get("content")
        if isinstance(role, str) and isinstance(content, str):
            if _SURROGATE.search(content):
                raise DataError(f"{where}: half a surrogate pair in messages[{number}]")
            return Message(role, content)
    raise DataError(
        f"{where}: messages[{number}] needs a text 'role' and a text 'content',"
        f" got {message!r:.80}"
    )


def _text(where: str, row: Mapping[str, Any], key: str) -> str:
    """Read an optional value that names something; a number counts as its digits."""
    value = row.get(key)
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        # A column with gaps comes back from other formats as floats.
        value = int(value)
    if isinstance(value, str | int) and not isinstance(value, bool):
        return str(value)
    raise DataError(f"{where}: key {key!r} must be a text or a number, got {value!r}")


def _step(where: str, row: Mapping[str, Any]) -> int | None:
    """Read the optional index of the step."""
    text = _text(where, row, "step_idx")
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise DataError(f"{where}: key 'step_idx' = {text!r} is no number") from None


def _weight(where: str, row: Mapping[str, Any]) -> float:
    """Read how much a row counts; 1 unless it says."""
    value = row.get("weight")
    if value is None:
        return 1.0
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 < value < inf:
        raise DataError(
            f"{where}: key 'weight' must be a number above 0, got {value!r}"
        )
    return float(value)


def _content_id(messages: Prompt, tier: str) -> str:
    """Return an id that depends on what a row says, not on where it stands."""
    text = json.dumps([[m.role, m.content] for m in messages], ensure_ascii=False)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{_slug(tier)}-{digest}" if tier else digest


def _slug(text: str) -> str:
    """Return a text fit for node ids, files and shells."""
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-")
    if text.isascii() and slug:
        return slug
    # What was lost may be all that tells two ids apart.
    return f"{slug}-{hashlib.sha256(text.encode()).hexdigest()[:4]}".strip("-")


def _renamed(sample: Sample, sample_id: str) -> Sample:
    """Return a sample under another id; its cluster stays."""
    from dataclasses import replace

    task = sample_id if sample.task_id == sample.id else sample.task_id
    return replace(sample, id=sample_id, task_id=task)
