"""The repository as a user of the plugin: a metric and a gate of its own."""

from collections.abc import Callable, Sequence

import pytest

from pytest_awsbench import Completion, Run, Sample, Score


LONGEST = 250


def pytest_awsbench_score(
    suite: str, sample: Sample, completion: Completion
) -> Score | None:
    """Score whether an answer is one line, as a shell would need it."""
    if suite != "dataset":
        return None
    one_line = "\n" not in completion.text.strip()
    return Score(metric="one_line", value=float(one_line))


def pytest_awsbench_gates(
    config: pytest.Config, model: str, suite: str
) -> Sequence[Callable[..., None]]:
    """Gate the length of answers: a model that rambles is a model that changed."""
    return [gate_length] if suite == "dataset" and model == "sft" else []


def gate_length(awsbench_results: Callable[[str], Run]) -> None:
    """No answer of the adapter is longer than a long command."""
    run = awsbench_results("dataset")

    longest = max(len(result.completion.text) for result in run.results.values())

    assert longest <= LONGEST
