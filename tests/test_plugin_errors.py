"""Bad input ends a run early, with words that name file, row or key."""

import json
import os

import pytest
from projects import row, write_jsonl


GOOD = "--awsbench-model=tuned=replay:good.jsonl"
USAGE = pytest.ExitCode.USAGE_ERROR


def refused(result: pytest.RunResult, words: str) -> None:
    """Check that a run ended before its first item, and what it said."""
    assert result.ret == USAGE
    result.stderr.fnmatch_lines([f"*{words}*"])


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ('datasett = "x"', "datasett: unknown key; did you mean dataset? allowed: *"),
        ("chunk_size = 0", "chunk_size = 0: input should be greater than 0"),
        ('chunk_size = "8"', "chunk_size = '8': input should be a valid integer"),
        ("strict = 1", "strict = 1: input should be a valid boolean"),
        (
            '[tool.awsbench.models.a]\npath = "x"\nadaptr = "y"',
            "models.a.adaptr: unknown key; did you mean adapter?",
        ),
        (
            '[tool.awsbench.models.a]\nextends = "b"',
            "models.a.extends: no model 'b'; known: a",
        ),
        (
            '[tool.awsbench.models.a]\nextends = "b"\n'
            '[tool.awsbench.models.b]\nextends = "a"',
            "extends goes in a circle: * → *",
        ),
        (
            '[tool.awsbench.models.a]\nadapter = "y"',
            "models.a: no path (an adapter needs its base)*set path = *",
        ),
        (
            '[tool.awsbench.models.a]\npath = "x"\nload_in_4bit = true\n'
            'quantization = "int8"',
            "models.a: load_in_4bit = true contradicts quantization",
        ),
        ("[[tool.awsbench.gates]]\nmin = 0.5", "gates.0.metric*field required"),
    ],
)
def test_configuration(pytester: pytest.Pytester, toml: str, words: str) -> None:
    """A wrong key, type or name is refused with file, key and what is allowed."""
    pytester.makepyprojecttoml(f"[tool.awsbench]\n{toml}")
    write_jsonl(
        pytester.path / "x.jsonl",
        [{"prompt": "x", "completion": "x"}],
    )

    result = pytester.runpytest("--awsbench-model=m=replay:x.jsonl", "-m", "dataset")

    refused(result, words)


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ('metric = "exact"', "gates.0.metric = 'exact': known: *exact_match*"),
        (
            'metric = "exact_match"\nsuite = "none"',
            "gates.0.suite = 'none': known: dataset",
        ),
        (
            'metric = "exact_match"\nagainst = "none"',
            "gates.0.against = 'none': known: *tuned*",
        ),
    ],
)
def test_gate_that_names_nothing(
    project: pytest.Pytester, toml: str, words: str
) -> None:
    """A gate of an unknown metric, suite or model is refused, not ignored."""
    path = project.path / "pyproject.toml"
    path.write_text(path.read_text() + f"\n[[tool.awsbench.gates]]\n{toml}\n")

    refused(project.runpytest(GOOD, "-m", "dataset"), words)


def test_not_toml(pytester: pytest.Pytester) -> None:
    """A configuration that is not TOML names the file."""
    (pytester.path / "awsbench.toml").write_text("dataset =")

    refused(pytester.runpytest("--awsbench-model=sft"), "awsbench.toml: not TOML")


def test_configured_twice(project: pytest.Pytester) -> None:
    """Two configurations are one too many."""
    (project.path / "awsbench.toml").write_text('dataset = "data.jsonl"')

    refused(project.runpytest(GOOD), "configured twice, in *keep one")


def test_unknown_model(pytester: pytest.Pytester) -> None:
    """A slip in a model's name lists the known ones."""
    refused(
        pytester.runpytest("--awsbench-model=stf"), "no such model; known: base, sft"
    )


def test_bad_flag(project: pytest.Pytester) -> None:
    """A number that counts from 1 names its flag."""
    result = project.runpytest(GOOD, "--awsbench-max-per-combo=0")

    refused(result, "--awsbench-max-per-combo=0: give a number of at least 1")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty"),
        ("{broken", "data.jsonl: line 1: not JSON"),
        (json.dumps(row(0)) + "\n[1]\n", "data.jsonl: line 2: not an object"),
        ("{}", "line 1: key 'messages' must be a list"),
        (
            json.dumps({"messages": [{"role": "user"}]}),
            "line 1: messages?0? needs a text 'role' and a text 'content'",
        ),
        (
            json.dumps({"messages": row(0)["messages"][:2]}),
            "line 1: the last message is from 'user'*must be from the assistant",
        ),
        (
            json.dumps({"messages": row(0)["messages"][2:]}),
            "line 1: no user message before the target",
        ),
    ],
)
def test_data(project: pytest.Pytester, content: str, words: str) -> None:
    """A data set that cannot be used names file, line and key."""
    (project.path / "data.jsonl").write_text(content)

    refused(project.runpytest(GOOD, "-m", "dataset"), words)


@pytest.mark.parametrize("flag", ["none.jsonl", "none.parquet", "none"])
def test_data_that_is_not_there(project: pytest.Pytester, flag: str) -> None:
    """A path that does not exist says what was looked for."""
    result = project.runpytest(GOOD, "-m", "dataset", f"--awsbench-dataset={flag}")

    refused(result, "none")


def test_target_that_is_no_command(project: pytest.Pytester) -> None:
    """Such a row is kept, counted and warned about."""
    odd = row(0)
    odd["messages"][-1]["content"] = "ls -la"
    write_jsonl(project.path / "data.jsonl", [odd, *(row(i) for i in range(1, 40))])

    result = project.runpytest(GOOD, "-m", "dataset")

    result.stdout.fnmatch_lines([
        "*1 target is not an AWS command (first: *data.jsonl: line 1*)*"
    ])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no file of recorded answers (looked for *none.jsonl)"),
        ("{", "none.jsonl: line 1: not JSON"),
        ("{}", "none.jsonl: line 1: needs a text 'completion'"),
        ('{"completion": "x"}', "line 1: does not say what it answers"),
        (
            '{"id": "row-00000", "completion": "x"}',
            "no answer for 39 of 40 samples (first: row-00001*",
        ),
        (
            '{"id": "a", "completion": "x"}\n{"id": "a", "completion": "y"}',
            "lines 1 and 2 answer the same prompt differently",
        ),
    ],
)
def test_recorded_answers(
    project: pytest.Pytester, content: str | None, words: str
) -> None:
    """Recorded answers that are damaged or incomplete are never scored."""
    if content is not None:
        (project.path / "none.jsonl").write_text(content)

    result = project.runpytest("--awsbench-model=m=replay:none.jsonl", "-m", "dataset")

    refused(result, words)


def test_model_folder_without_a_checkpoint(project: pytest.Pytester) -> None:
    """A folder that holds no model is named."""
    (project.path / "empty").mkdir()

    result = project.runpytest("--awsbench-model=./empty", "-m", "dataset")

    refused(result, "is no checkpoint: it has no config.json")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_folder_without_permission(project: pytest.Pytester) -> None:
    """An output folder without permission names the flag that moves it."""
    out = project.mkdir("out")
    out.chmod(0o500)

    result = project.runpytest(GOOD, "-m", "dataset", f"--awsbench-out={out}")

    refused(result, "cannot be written*--awsbench-out=DIR")


def test_output_that_is_a_file(project: pytest.Pytester) -> None:
    """An output folder that cannot be made names the flag that moves it."""
    (project.path / "file").write_text("")

    result = project.runpytest(GOOD, "-m", "dataset", "--awsbench-out=file")

    refused(result, "the output folder cannot be written*--awsbench-out=DIR")


def test_damaged_baseline(project: pytest.Pytester) -> None:
    """A baseline that is not JSON names its line, before anything runs."""
    project.runpytest(GOOD, "-m", "dataset", "--snapshot-update")
    path = project.path / "awsbench_baselines" / "tuned" / "dataset.json"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:10], "<<<<<<< HEAD", *lines[10:]]))

    refused(project.runpytest(GOOD, "-m", "dataset"), "baseline is damaged*line 11")


def test_baseline_of_a_newer_schema(project: pytest.Pytester) -> None:
    """A baseline of a newer version asks for that version."""
    project.runpytest(GOOD, "-m", "dataset", "--snapshot-update")
    path = project.path / "awsbench_baselines" / "tuned" / "dataset.json"
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 2'))

    result = project.runpytest(GOOD, "-m", "dataset")

    refused(result, "written by a newer pytest-awsbench (schema 2*upgrade")


def test_errors_under_xdist(project: pytest.Pytester) -> None:
    """The main process refuses before it starts a worker."""
    (project.path / "data.jsonl").write_text("{broken")

    result = project.runpytest_subprocess(GOOD, "-m", "dataset", "-n2")

    refused(result, "data.jsonl: line 1: not JSON")
