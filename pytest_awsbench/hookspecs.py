"""The hooks by which a project extends the plugin, from its root ``conftest.py``."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pytest


if TYPE_CHECKING:
    from pytest_awsbench.envs.protocol import Environment
    from pytest_awsbench.gates import Gate
    from pytest_awsbench.records import Answer, Sample, Score
    from pytest_awsbench.suites.suite import Suite


def pytest_awsbench_load_suite(
    config: pytest.Config,
) -> "Suite | Sequence[Suite] | None":
    """Return a suite of your own, or several.

    Called once at start, in every process; it must return the same samples each
    time. Its name becomes a marker: ``-m NAME``.
    """


@pytest.hookspec(firstresult=True)
def pytest_awsbench_env_factory(
    config: pytest.Config,
) -> "Callable[[], Environment] | None":
    """Return a function that opens a session with an environment of your own.

    Called once in every process that plays. The function is called for each episode
    that is live at the same time; sessions are used again for further episodes.
    """


def pytest_awsbench_score(
    suite: str, sample: "Sample", completion: "Answer"
) -> "Score | Sequence[Score] | None":
    """Score one answer with a metric of your own.

    Called for every answer of every suite, in the process that runs the item; and in
    the main process for answers kept by ``--awsbench-resume``.
    """


def pytest_awsbench_gates(
    config: pytest.Config, model: str, suite: str
) -> "Sequence[Gate | Callable[..., Any]] | None":
    """Return gates of your own for a model and a suite.

    A `Gate` is judged like a configured one. A function becomes an item called
    ``gate-<name>``: it may use fixtures, such as ``awsbench_results``, and fails like
    any test. Gates run last, in the main process, once.
    """
