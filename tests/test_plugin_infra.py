"""Faults of infrastructure are never the model's: missing, said, tried again."""

import pytest


GOOD = "--awsbench-model=tuned=replay:good.jsonl"
CRASH = """
import os
from pathlib import Path

def pytest_awsbench_score(suite, sample, completion):
    flag = Path(__file__).with_name("crashed")
    if sample.id == "row-00005" and not ({once} and flag.exists()):
        flag.touch()
        os._exit(9)
"""
FAIL = """
from pytest_awsbench.errors import InfraError

def pytest_awsbench_score(suite, sample, completion):
    if sample.id == "row-00005":
        raise InfraError("the scorer's server is down")
"""


def test_crashed_worker_is_replaced(project: pytest.Pytester) -> None:
    """An item that took its worker down once is run again, and all is green."""
    project.makeconftest(CRASH.format(once=True))

    result = project.runpytest_subprocess(
        GOOD, "-m", "dataset", "-n2", "--junitxml=junit.xml", "--snapshot-update"
    )

    counts = result.parseoutcomes()
    assert result.ret == 0
    assert (counts["exact"], counts["operation"], counts["rerun"]) == (38, 2, 1)


def test_item_that_always_crashes_is_lost(project: pytest.Pytester) -> None:
    """After the second crash the item is missing: no score, no verdict, status 75."""
    project.runpytest_subprocess(GOOD, "-m", "dataset", "--snapshot-update")
    project.makeconftest(CRASH.format(once=False))

    result = project.runpytest_subprocess(GOOD, "-m", "dataset", "-n2")

    assert result.ret == 75
    result.stdout.fnmatch_lines([
        "*exact_match INVALID: 1 answers lost to infrastructure (row-00005)*",
        "*39 of 40 answered, 1 lost to infrastructure; no score*",
        "*--awsbench-resume*",
    ])


def test_lost_answer_is_missing(project: pytest.Pytester, workers: list[str]) -> None:
    """An error of infrastructure is shown as such, and nothing is judged."""
    project.makeconftest(FAIL)

    result = project.runpytest_subprocess(GOOD, "-m", "dataset", "-v", *workers)

    assert result.ret == 75
    assert result.parseoutcomes()["errors"] == 1
    result.stdout.fnmatch_lines_random([
        "*INFRA*",
        "*the scorer's server is down*",
        "*INVALID*",
    ])


def test_resume_asks_for_what_was_lost(project: pytest.Pytester) -> None:
    """Once the fault is gone, a resumed run is whole and green."""
    project.makeconftest(FAIL)
    project.runpytest_subprocess(GOOD, "-m", "dataset")
    (project.path / "conftest.py").unlink()

    result = project.runpytest_subprocess(GOOD, "-m", "dataset", "--awsbench-resume")

    assert result.ret == 0
    assert result.parseoutcomes()["exact"] == 38
