"""Fixtures that hand a project's own tests the model and its answers."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest


if TYPE_CHECKING:
    from pytest_awsbench.handles import EnvHandle, ModelHandle
    from pytest_awsbench.records import Completion, Run


@pytest.fixture(scope="session")
def awsbench_model(request: pytest.FixtureRequest) -> "ModelHandle":
    """The loaded model; a test that uses it runs once for each model of the run."""
    from pytest_awsbench.handles import model_handle

    return model_handle(request)


@pytest.fixture
def awsbench_generate(
    awsbench_model: "ModelHandle",
) -> Callable[..., "Completion"]:
    """A function that asks the model at once: ``awsbench_generate(prompt)``."""
    return awsbench_model.generate


@pytest.fixture
def awsbench_completion(
    request: pytest.FixtureRequest, awsbench_model: "ModelHandle"
) -> "Completion":
    """The answer to the test's prompt, generated in one batch with the others."""
    from pytest_awsbench.handles import completion_of

    return completion_of(request.node, awsbench_model)


@pytest.fixture
def awsbench_results(request: pytest.FixtureRequest) -> Callable[[str], "Run"]:
    """In a gate: the finished run of a suite, ``awsbench_results("dataset")``.

    Skips where not all of the suite was answered.
    """
    from pytest_awsbench.handles import results_of

    node: Any = request.node
    return lambda suite: results_of(node, suite)


@pytest.fixture
def awsbench_env(request: pytest.FixtureRequest) -> "Iterator[EnvHandle]":
    """A session with the environment: ``reset(task)``, ``step(command)``, ``state()``.

    The embedded one is started for the first test that uses it.
    """
    from pytest_awsbench.handles import env_handle

    with env_handle(request.config) as handle:
        yield handle
