"""The demo pair through the plugin: real weights, real generation, real gates."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


pytestmark = pytest.mark.torch

DATASET = ("-m", "dataset")


def journaled(folder: Path) -> list[str]:
    """Return the ids in the one journal of a folder."""
    [path] = (folder / ".awsbench" / "journal").glob("*.jsonl")
    lines = path.read_text().split("\n")[1:-1]
    return [json.loads(line)["id"] for line in lines]


def table(result: pytest.RunResult) -> list[str]:
    """Return the lines of a run that hold its figures."""
    return [x for x in result.outlines if x.startswith((*METRICS, "flips", "  regr"))]


METRICS = ("exact_match", "format_ok", "service_match", "op_match", "canonical_match")


def test_empty_folder(pytester: pytest.Pytester) -> None:
    """The adapter is judged in an empty folder, green, and leaves one folder there."""
    result = pytester.runpytest_subprocess("--awsbench-model=sft", *DATASET)

    assert result.ret == 0
    result.stdout.fnmatch_lines([
        "awsbench: model sft = demo base + LoRA adapter *packaged baseline *",
        "exact_match*WITHIN_NOISE*",
    ])
    pytesters = {"runpytest-0", "runpytest-current", "stdout", "stderr"}
    left = {p.name for p in pytester.path.iterdir()} - {".pytest_cache", *pytesters}
    assert left == {".awsbench"}


def test_base_beside_adapter(pytester: pytest.Pytester) -> None:
    """Base and adapter in one run: both columns, and answers as when run alone."""
    both = pytester.runpytest_subprocess(
        "--awsbench-model=base", "--awsbench-model=sft", *DATASET, "--awsbench-out=both"
    )
    alone = pytester.runpytest_subprocess("--awsbench-model=sft", *DATASET)

    both.stdout.fnmatch_lines(["metric * base * sft * sft - base*"])
    [first] = (pytester.path / "both").glob("*/run.json")
    [second] = (pytester.path / ".awsbench").glob("*/run.json")
    runs = {r["model"]["name"]: r for r in json.loads(first.read_text())["runs"]}
    [other] = json.loads(second.read_text())["runs"]

    def texts(run: dict[str, list[dict[str, dict[str, str]]]]) -> list[str]:
        return [result["completion"]["text"] for result in run["results"]]

    assert texts(runs["sft"]) == texts(other)
    assert texts(runs["sft"]) != texts(runs["base"])
    assert alone.ret == 0


def test_base_against_adapter_is_red(pytester: pytest.Pytester) -> None:
    """The base, judged against the adapter's baseline, has regressed."""
    (pytester.path / "awsbench.toml").write_text(
        '[[gates]]\nmetric = "exact_match"\nagainst = "sft"\n'
    )

    result = pytester.runpytest_subprocess("--awsbench-model=base", *DATASET)

    assert result.ret == 1
    result.stdout.fnmatch_lines(["exact_match vs sft*REGRESSED*"])


@pytest.mark.parametrize("arguments", [["-n2"], ["-n4", "--dist=worksteal"]])
def test_workers_change_nothing(
    pytester: pytest.Pytester, arguments: list[str]
) -> None:
    """Verdict and table are those of one process."""
    alone = pytester.runpytest_subprocess("--awsbench-model=sft", *DATASET)

    shared = pytester.runpytest_subprocess("--awsbench-model=sft", *DATASET, *arguments)

    assert table(shared) == table(alone)
    assert shared.ret == alone.ret == 0


def test_killed_run_goes_on(pytester: pytest.Pytester) -> None:
    """After kill -9 a run resumes: nothing finished is generated again."""
    (pytester.path / "awsbench.toml").write_text("chunk_size = 8\n")
    command = [sys.executable, "-m", "pytest", "--awsbench-model=sft", *DATASET]
    process = subprocess.Popen(
        command, cwd=pytester.path, stdout=subprocess.DEVNULL, start_new_session=True
    )
    folder = pytester.path / ".awsbench" / "journal"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        found = list(folder.glob("*.jsonl"))
        if found and found[0].read_text().count("\n") > 20:
            break
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = journaled(pytester.path)

    result = pytester.runpytest_subprocess(
        "--awsbench-model=sft", *DATASET, "--awsbench-resume"
    )

    after = journaled(pytester.path)
    assert 20 <= len(before) < 150
    assert after[: len(before)] == before
    assert len(after) == len(set(after)) == 150
    assert result.ret == 0


def test_four_bits(pytester: pytest.Pytester) -> None:
    """The pair in nf4 answers all 150 prompts, on a CPU, through bitsandbytes."""
    from pytest_awsbench import demo

    (pytester.path / "awsbench.toml").write_text(
        f'[models.small]\npath = "{demo.BASE}"\nadapter = "{demo.ADAPTER}"\n'
        "load_in_4bit = true\n"
    )

    result = pytester.runpytest_subprocess("--awsbench-model=small", *DATASET)

    counts = result.parseoutcomes()
    counts.pop("skipped")
    assert sum(counts.values()) == 150
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*model small = demo base in nf4 + LoRA adapter*"])


def test_warnings_as_errors(pytester: pytest.Pytester) -> None:
    """Under -W error a library's advice does not end the run."""
    result = pytester.runpytest_subprocess("--awsbench-model=sft", *DATASET, "-Werror")

    assert result.ret == 0


def test_fixtures_reach_the_torch_module(pytester: pytest.Pytester) -> None:
    """Tests of a project get tokenizer, module and batched answers."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("prompt", ["TASK: Create an SQS queue called a.", "b"])
        def test_answers(prompt, awsbench_completion):
            assert prompt and awsbench_completion.tokens > 0

        def test_model(awsbench_model, awsbench_generate):
            assert awsbench_model.tokenizer.chat_template
            assert awsbench_model.run(lambda m: m.module.training) is False
            assert awsbench_generate("x").text == awsbench_generate("x").text
        """
    )

    result = pytester.runpytest_subprocess(
        "--awsbench-model=sft", "test_fixtures_reach_the_torch_module.py"
    )

    result.assert_outcomes(passed=3)


def test_damaged_adapter(pytester: pytest.Pytester) -> None:
    """A checkpoint that cannot be used ends the run before its first item."""
    import shutil

    from pytest_awsbench import demo

    shutil.copytree(demo.ADAPTER, pytester.path / "adapter")
    weights = pytester.path / "adapter" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])

    for workers in ([], ["-n2"]):
        result = pytester.runpytest_subprocess(
            f"--awsbench-model=broken={demo.BASE}+adapter", *DATASET, *workers
        )
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        output = result.stderr if not workers else result.stdout
        output.fnmatch_lines(["*adapter*damaged safetensors*"])
