"""The plugin: hooks that translate and delegate.

Imported at every start of pytest wherever the plugin is installed; what costs time
is imported only when a run asks for a model.
"""

from typing import TYPE_CHECKING

import pytest

from pytest_awsbench.fixtures import (
    awsbench_completion,
    awsbench_env,
    awsbench_generate,
    awsbench_model,
    awsbench_results,
)
from pytest_awsbench.flags import (
    add_options,
    marker_lines,
    requested,
    suites_wanted,
)


if TYPE_CHECKING:
    from pytest_awsbench.session import BenchSession

__all__ = [
    "awsbench_completion",
    "awsbench_env",
    "awsbench_generate",
    "awsbench_model",
    "awsbench_results",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    from pytest_awsbench import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


def pytest_configure(config: pytest.Config) -> None:
    for line in marker_lines(config):
        config.addinivalue_line("markers", line)
    if requested(config) and suites_wanted(config):
        from pytest_awsbench.starting import start

        start(config)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "awsbench_model" in metafunc.fixturenames:
        bench = _session(metafunc.config)
        if bench is not None:
            names = list(bench.prepared)
            metafunc.parametrize("awsbench_model", names, indirect=True)


def _session(config: pytest.Config) -> "BenchSession | None":
    """Return the session, begun now if only a test of the project needs a model."""
    from pytest_awsbench.starting import start_for_tests

    return start_for_tests(config)
