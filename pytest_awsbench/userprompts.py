"""Prompts of a project's own tests: known before they run, so asked in batches."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest

from pytest_awsbench.answering import Answers
from pytest_awsbench.records import Message, Prompt, Sample
from pytest_awsbench.session import BenchSession


SUITE = "tests"
FIXTURE = "awsbench_completion"
HOW = (
    f"{FIXTURE} needs a prompt that is known before the test runs: mark the test"
    ' @pytest.mark.awsbench_prompt("…"), or parametrize it with an argument called'
    " prompt; for a prompt made inside the test use awsbench_generate(prompt)"
)


class UserPrompts:
    """Which answer an item waits for, ours and those of a project's own tests."""

    def __init__(self, bench: BenchSession) -> None:
        self._bench = bench

    def plan(self, items: Iterable[pytest.Item]) -> None:
        """Plan the chunks of all tests that use `awsbench_completion`."""
        samples: dict[str, list[Sample]] = {}
        for item in items:
            prompt, model = prompt_of(item), model_of(item)
            if prompt is not None and model is not None:
                samples.setdefault(model, []).append(_sample(item.nodeid, prompt))
        for model, asked in samples.items():
            spec = self._bench.prepared[model].spec
            self._bench.answers[model, SUITE] = Answers.planned(
                model,
                self._bench.options.decoding(spec),
                asked,
                self._bench.options.settings.limits(model),
            )

    def request_of(self, item: pytest.Item) -> tuple[Answers, str] | None:
        """Return where an item's answer comes from, and under which id."""
        key = getattr(item, "request_key", None)
        if key is not None:
            return self._bench.answers[key], item.name
        model = model_of(item)
        if model is None or prompt_of(item) is None:
            return None
        return self._bench.answers[model, SUITE], item.nodeid


def prompt_of(item: pytest.Item) -> Prompt | None:
    """Return the prompt that a test declares, by its marker or its parameter."""
    if FIXTURE not in getattr(item, "fixturenames", ()):
        return None
    marker = item.get_closest_marker("awsbench_prompt")
    if marker is not None and marker.args:
        return as_prompt(marker.args[0])
    params = _params(item)
    return as_prompt(params["prompt"]) if "prompt" in params else None


def model_of(item: pytest.Item) -> str | None:
    """Return the model that a test was parametrized with."""
    model = _params(item).get("awsbench_model")
    return model if isinstance(model, str) else None


def as_prompt(prompt: object) -> Prompt:
    """Read a prompt: a text for the user's turn, or messages.

    Raises:
        TypeError: if it is neither.

    """
    if isinstance(prompt, str):
        return (Message("user", prompt),)
    if isinstance(prompt, Sequence) and prompt:
        return tuple(_message(message) for message in prompt)
    raise TypeError(f"a prompt is a text or a list of messages, not {prompt!r}")


def _message(message: object) -> Message:
    """Read one message."""
    if isinstance(message, Message):
        return message
    if isinstance(message, Mapping) and {"role", "content"} <= message.keys():
        return Message(str(message["role"]), str(message["content"]))
    raise TypeError(f"a message has role and content, not {message!r}")


def _params(item: pytest.Item) -> Mapping[str, Any]:
    """Return what a test was parametrized with."""
    callspec = getattr(item, "callspec", None)
    return callspec.params if callspec is not None else {}


def _sample(nodeid: str, prompt: Prompt) -> Sample:
    """Return a test's prompt as a sample, so that it is planned like all others."""
    return Sample(
        id=nodeid, prompt=prompt, target="", prompt_hash=nodeid, task_id=nodeid
    )
