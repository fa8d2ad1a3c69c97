"""A stopped run goes on; a damaged journal is named, a torn line repaired."""

import json
from pathlib import Path

import pytest


GOOD = "--awsbench-model=tuned=replay:good.jsonl"


def journal(project: pytest.Pytester) -> Path:
    """Return the one journal of a project."""
    [path] = (project.path / ".awsbench" / "journal").glob("*.jsonl")
    return path


def test_every_completion_is_journaled(
    project: pytest.Pytester, workers: list[str]
) -> None:
    """The journal holds each answer once, after its identity."""
    project.runpytest_subprocess(GOOD, "-m", "dataset", *workers)

    first, *rows = [json.loads(x) for x in journal(project).read_text().splitlines()]
    assert first["suite"] == "dataset"
    assert sorted(row["id"] for row in rows) == [f"row-{i:05}" for i in range(40)]


def test_selected_item_runs_with_its_chunk(project: pytest.Pytester) -> None:
    """One selected item is generated in the company that it always has."""
    project.runpytest(GOOD, "-k", "row-00003")

    assert len(journal(project).read_text().splitlines()) == 1 + 8


def test_resume_generates_what_is_missing(
    project: pytest.Pytester, workers: list[str]
) -> None:
    """Finished chunks are kept, and the run is judged whole."""
    project.runpytest_subprocess(GOOD, "-k", "row-00003")

    result = project.runpytest_subprocess(
        GOOD, "-m", "dataset", "--awsbench-resume", *workers
    )

    assert result.parseoutcomes()["exact"] == 38
    assert len(journal(project).read_text().splitlines()) == 1 + 40


def test_torn_last_line_is_repaired(project: pytest.Pytester) -> None:
    """A write that a crash tore is cut off, and its prompt asked again."""
    project.runpytest(GOOD, "-m", "dataset")
    path = journal(project)
    path.write_bytes(path.read_bytes()[:-20])

    result = project.runpytest(GOOD, "-m", "dataset", "--awsbench-resume")

    assert result.parseoutcomes()["exact"] == 38
    for line in path.read_text().splitlines():
        json.loads(line)


def test_damaged_journal_names_the_line(project: pytest.Pytester) -> None:
    """Damage elsewhere is not repaired in silence."""
    project.runpytest(GOOD, "-m", "dataset")
    path = journal(project)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:4], "{broken", *lines[5:]]) + "\n")

    result = project.runpytest(GOOD, "-m", "dataset", "--awsbench-resume")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{path.name}: line 5 is damaged*delete the line*"])


def test_other_answers_are_not_served(project: pytest.Pytester) -> None:
    """Another model's journal is another file: nothing of it is used."""
    project.runpytest(GOOD, "-m", "dataset")

    result = project.runpytest(
        "--awsbench-model=tuned=replay:bad.jsonl", "-m", "dataset", "--awsbench-resume"
    )

    assert result.parseoutcomes()["exact"] == 28


def test_gate_alone_without_a_finished_run(project: pytest.Pytester) -> None:
    """-m gate has nothing to judge until a run is there."""
    result = project.runpytest(GOOD, "-m", "gate", "--awsbench-resume", "-rs")

    assert result.ret == 0
    result.stdout.fnmatch_lines(["*partial: 0/40 answered*"])
