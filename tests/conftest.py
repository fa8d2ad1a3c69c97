"""Fixtures of all tests."""

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import httpcore
import pytest
import yaml
from projects import AROUND, write_answers, write_data, wrong

# Extension modules load once per process, and pytester forgets what a run imported.
import pytest_awsbench.starting
import pytest_awsbench.tables


pytest_plugins = ["pytester"]
assert pytest_awsbench.starting
assert pytest_awsbench.tables
assert yaml
# httpx knows the errors of the first of them that is imported, and of no other.
assert httpcore
if find_spec("matplotlib") is not None:
    import matplotlib.figure

    assert matplotlib

Run = Callable[..., pytest.RunResult]
"""Run pytest in the project of a test, with a model and more arguments."""


@pytest.fixture(scope="session")
def fonts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where matplotlib finds its list of fonts again, whatever the home is."""
    return tmp_path_factory.mktemp("matplotlib")


@pytest.fixture(autouse=True)
def apart(monkeypatch: pytest.MonkeyPatch, fonts: Path) -> None:
    """A run that a test starts is part of nothing that the test is a part of.

    It is no worker of the same run, and no job of the same CI: there pytest shortens no
    line, and the plugin writes into the summary of the job.
    """
    monkeypatch.setenv("MPLCONFIGDIR", str(fonts))
    for name in [name for name in os.environ if name.startswith(AROUND)]:
        monkeypatch.delenv(name)


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A configured project of 40 prompts with recorded answers.

    good.jsonl is right everywhere but twice, bad.jsonl wrong on ten more, and
    slightly.jsonl wrong on one more.
    """
    folder = pytester.path
    write_data(folder, 40)
    write_answers(folder, "good", 40, wrong([0, 1]))
    write_answers(folder, "bad", 40, wrong(range(12)))
    write_answers(folder, "slightly", 40, wrong(range(3)))
    pytester.makepyprojecttoml(
        """
        [tool.awsbench]
        dataset = "data.jsonl"
        chunk_size = 8
        report = false

        [tool.awsbench.models.tuned]
        backend = "replay"
        path = "good.jsonl"
        """
    )
    return pytester


@pytest.fixture
def reporting(project: pytest.Pytester) -> pytest.Pytester:
    """The same project, where every run writes its reports."""
    path = project.path / "pyproject.toml"
    path.write_text(path.read_text().replace("report = false", "report = true"))
    return project


@pytest.fixture(params=[[], ["-n2"]], ids=["local", "n2"])
def workers(request: pytest.FixtureRequest) -> list[str]:
    """Arguments of a run in one process, and of one with two workers."""
    arguments: list[str] = request.param
    return arguments
