"""The embedded environment in a run: started for it, played by the demo pair, gone."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest


pytest.importorskip("openenv")

pytestmark = [pytest.mark.torch, pytest.mark.live]

#: Ctrl-C reaches it also where the tests run in the background of a shell, which
#: lets its children ignore it.
PYTEST = """
import signal, sys, pytest
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(pytest.console_main())
"""
SOME = ("-m", "env", "--awsbench-tasks=builtin#2 per tier")


def servers(folder: Path) -> list[psutil.Process]:
    """Return the processes of the environment that was started in a folder."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        line = " ".join(process.info["cmdline"] or ())
        if "envs.server" in line and process.info["cwd"] == str(folder):
            found.append(process)
    return found


def outcomes(folder: Path) -> dict[str, dict[str, float]]:
    """Return what the newest run found, by item."""
    newest = max(folder.glob(".awsbench/*/run.json"))
    [run] = json.loads(newest.read_text())["runs"]
    return {row["sample_id"]: row["scores"] for row in run["results"]}


def test_whole_run(pytester: pytest.Pytester) -> None:
    """In an empty folder: started, judged, and nothing is left but one folder."""
    result = pytester.runpytest_subprocess("--awsbench-model=sft", *SOME)

    assert result.ret == 0, result.stdout.str()
    result.stdout.fnmatch_lines([
        "awsbench: model sft = demo base + LoRA adapter *| env builtin (10 tasks*",
        "*completion_rate by tier: warmup *",
    ])
    assert servers(pytester.path) == []
    [episodes] = pytester.path.glob(".awsbench/*/episodes.jsonl")
    turns = [json.loads(line)["turns"] for line in episodes.read_text().splitlines()]
    assert any(turn["command"].startswith("aws ") for turn in turns[0])


@pytest.mark.slow
def test_workers_change_nothing(pytester: pytest.Pytester) -> None:
    """One server for all workers; the same episodes as in one process."""
    local = pytester.runpytest_subprocess("--awsbench-model=sft", *SOME)
    alone = outcomes(pytester.path)

    spread = pytester.runpytest_subprocess("--awsbench-model=sft", *SOME, "-n2")

    assert (local.ret, spread.ret) == (0, 0)
    assert outcomes(pytester.path) == alone
    assert servers(pytester.path) == []


@pytest.mark.slow
def test_company_changes_nothing(pytester: pytest.Pytester) -> None:
    """What an episode is does not depend on how many others are live."""
    many = pytester.runpytest_subprocess("--awsbench-model=sft", *SOME)
    together = outcomes(pytester.path)
    pytester.makefile(".toml", awsbench="live_episodes = 2")

    few = pytester.runpytest_subprocess("--awsbench-model=sft", *SOME)

    assert (many.ret, few.ret) == (0, 0)
    assert outcomes(pytester.path) == together


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_server_ends_with_its_run(pytester: pytest.Pytester, how: int) -> None:
    """After Ctrl-C, and after kill -9, no process of the environment is left."""
    run = subprocess.Popen(
        [sys.executable, "-c", PYTEST, "--awsbench-model=sft", "-m", "env"],
        cwd=pytester.path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    journal = pytester.path / ".awsbench" / "journal"
    deadline = time.monotonic() + 120
    while not list(journal.glob("*.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert servers(pytester.path)

    os.kill(run.pid, how)
    try:
        run.wait(60)
    finally:
        run.kill()

    while servers(pytester.path) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert servers(pytester.path) == []


@pytest.mark.parametrize("flags", [[], ["-n1"]], ids=["local", "worker"])
def test_fixture(pytester: pytest.Pytester, flags: list[str]) -> None:
    """awsbench_env plays a built-in task, without any model, and in a worker, too."""
    pytester.makepyfile(
        """
        def test_bucket(awsbench_env):
            awsbench_env.reset({
                "task_id": 1,
                "description": "Create a bucket",
                "success_criteria": {
                    "resource_exists": {"service": "s3", "name": "amber"}
                },
            })

            assert not awsbench_env.step("aws s3 mb s3://other").done
            seen = awsbench_env.step("aws s3 mb s3://amber")

            assert (seen.done, seen.achieved, seen.reward) == (True, True, 1.0)
            assert awsbench_env.state()["step_count"] == 2
        """
    )

    pytester.runpytest_subprocess(*flags).assert_outcomes(passed=1)
    assert servers(pytester.path) == []
