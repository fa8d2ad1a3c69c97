"""What a project adds: tests, metrics, gates and suites of its own."""

import json
from pathlib import Path

import pytest
from projects import write_jsonl

from pytest_awsbench import Observation
from pytest_awsbench.demo.rows import SYSTEM
from pytest_awsbench.suites.prompting import SftAdapter


EXAMPLES = Path(__file__).parent / "examples"
DOCS = Path(__file__).parents[1] / "docs" / "extending.md"
GOOD = "--awsbench-model=tuned=replay:good.jsonl"


def use(project: pytest.Pytester, name: str) -> None:
    """Copy an example into a project."""
    for path in (EXAMPLES / name).iterdir():
        if path.suffix == ".py":
            (project.path / path.name).write_text(path.read_text())


@pytest.mark.skipif(not DOCS.exists(), reason="the docs are not installed")
@pytest.mark.parametrize(
    "path", sorted(EXAMPLES.glob("*/*.py")), ids=lambda p: p.parent.name
)
def test_docs_quote_the_examples(path: Path) -> None:
    """The guide shows the very files that run here."""
    assert path.read_text().strip() in DOCS.read_text()


def test_own_test_asks_the_model(project: pytest.Pytester) -> None:
    """A marked test gets its answer; it runs once per model, whose name it bears."""
    use(project, "prompt")
    answer = {"prompt": "TASK: list all S3 buckets", "completion": "aws s3 ls"}
    write_jsonl(project.path / "own.jsonl", [answer])

    result = project.runpytest(
        "--awsbench-model=a=replay:own.jsonl",
        "--awsbench-model=b=replay:own.jsonl",
        "test_prompt.py",
        "-v",
    )

    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*test_lists_buckets?a? PASSED*"])
    assert not (project.path / ".awsbench").exists()


def test_own_metric(project: pytest.Pytester, workers: list[str]) -> None:
    """A metric of the project is shown, stored and gateable."""
    use(project, "metric")
    path = project.path / "pyproject.toml"
    gate = '\n[[tool.awsbench.gates]]\nmetric = "one_line"\nmin = 1.0\n'
    path.write_text(path.read_text() + gate)

    result = project.runpytest_subprocess(
        GOOD, "-m", "dataset", "--snapshot-update", *workers
    )

    stored = project.path / "awsbench_baselines" / "tuned" / "dataset.json"
    assert result.ret == 0
    result.stdout.fnmatch_lines(["one_line * 100.0%*"])
    items = json.loads(stored.read_text())["items"]
    assert items["row-00000"]["sums"]["one_line"] == [1, 1]


def test_own_gates(project: pytest.Pytester, workers: list[str]) -> None:
    """Gates of hooks, declared or written as functions, run last and once."""
    use(project, "gate")

    result = project.runpytest_subprocess(GOOD, "-m", "dataset", "-v", *workers)

    assert result.ret == 0
    result.stdout.fnmatch_lines_random([
        "*::gate-format_ok *PASSED*",
        "*::gate-short_answers *PASSED*",
    ])


def test_own_gate_that_fails(project: pytest.Pytester) -> None:
    """A function gate fails like any test."""
    project.makeconftest(
        """
        def pytest_awsbench_gates(config, model, suite):
            return [gate_never]

        def gate_never(awsbench_results):
            assert len(awsbench_results("dataset").results) == 0
        """
    )

    result = project.runpytest(GOOD, "-m", "dataset")

    assert result.ret == 1
    result.stdout.fnmatch_lines([
        "FAILED awsbench::tuned::dataset::gate-never*40 == 0*"
    ])


def test_own_gate_skips_a_partial_run(project: pytest.Pytester) -> None:
    """awsbench_results gives no part of a suite."""
    use(project, "gate")

    result = project.runpytest(GOOD, "-k", "row-00001 or gate", "-rs")

    result.stdout.fnmatch_lines(["*partial: 1/40 answered*"])
    assert result.ret == 0


def test_own_suite(project: pytest.Pytester, workers: list[str]) -> None:
    """A suite of the project has a marker, items and a gate."""
    use(project, "suite")
    rows = [
        {
            "prompt": f"TASK: list the objects of bucket {n}",
            "completion": f"aws s3 ls s3://{n}",
        }
        for n in ("amber", "copper", "indigo")
    ]
    data = [
        json.loads(x) for x in (project.path / "good.jsonl").read_text().splitlines()
    ]
    write_jsonl(project.path / "all.jsonl", [*rows, *data])

    result = project.runpytest_subprocess(
        "--awsbench-model=tuned=replay:all.jsonl", "-m", "listing", *workers
    )

    assert result.parseoutcomes() == {"exact": 3, "skipped": 1}


def test_prompt_must_be_known(project: pytest.Pytester) -> None:
    """A test without a prompt says how to declare one."""
    project.makepyfile("def test_own(awsbench_completion): pass")

    result = project.runpytest(GOOD, "test_prompt_must_be_known.py")

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*awsbench_prompt*parametrize*awsbench_generate*"])


def test_model_must_be_named(pytester: pytest.Pytester) -> None:
    """A test that uses a model, in a run without one, says how to name one."""
    pytester.makepyfile("def test_own(awsbench_model): pass")

    result = pytester.runpytest()

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*--awsbench-model=NAME*run = *tool.awsbench*"])


def test_generate_asks_now(project: pytest.Pytester) -> None:
    """awsbench_generate takes a text or messages; replay has no torch module."""
    write_jsonl(
        project.path / "own.jsonl", [{"prompt": "hello", "completion": "aws help"}]
    )
    project.makepyfile(
        """
        import pytest

        def test_own(awsbench_generate, awsbench_model):
            assert awsbench_model.name == "own"
            with pytest.raises(TypeError, match="backend replay"):
                awsbench_model.module
        """
    )

    result = project.runpytest(
        "--awsbench-model=replay:own.jsonl", "test_generate_asks_now.py"
    )

    result.assert_outcomes(passed=1)


def test_own_environment(pytester: pytest.Pytester) -> None:
    """Anything that resets and steps is played."""
    use(pytester, "env")
    tasks = [{"task_id": 1, "description": "Please say amber"}]
    (pytester.path / "warmup.yaml").write_text(json.dumps(tasks))
    first = SftAdapter(SYSTEM).prompt(
        "Please say amber", Observation(output="say it"), []
    )
    row = {"prompt": first[-1].content, "completion": "aws say amber"}
    write_jsonl(pytester.path / "own.jsonl", [row])

    result = pytester.runpytest(
        "--awsbench-model=replay:own.jsonl", "-m", "env", "--awsbench-tasks=warmup.yaml"
    )

    assert result.parseoutcomes() == {"complete": 1, "skipped": 1}
