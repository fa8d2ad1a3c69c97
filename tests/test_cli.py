"""The command awsbench: kept runs compared, shown and reported, with exit statuses."""

import json
import os
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from kept_runs import newest
from projects import row, write_answers, write_jsonl, wrong

from pytest_awsbench.cli import main


GOOD = "--awsbench-model=tuned=replay:good.jsonl"
BAD = "--awsbench-model=tuned=replay:bad.jsonl"
DATASET = ("-m", "dataset")


@pytest.fixture
def runs(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """A project with a good run and a bad one, without a baseline; their names."""
    monkeypatch.chdir(project.path)
    project.runpytest(GOOD, *DATASET)
    good = newest(project).name
    project.runpytest(BAD, *DATASET)
    return good, newest(project).name


def said(
    capsys: pytest.CaptureFixture[str], arguments: Sequence[str], status: int
) -> Any:
    """Run the command; return its plain values, or what it wrote where it has none."""
    capsys.readouterr()
    assert main(arguments) == status
    written = capsys.readouterr()
    return json.loads(written.out) if "--json" in arguments else written


def test_compare_says_what_a_gate_would(
    runs: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A paired comparison: the first run is the baseline's side; a drop is status 1."""
    good, bad = runs

    found = said(capsys, ["compare", good, bad, "--json"], 1)["comparisons"]

    [one] = found
    exact = one["verdicts"][0]
    assert (one["first"], one["other"]) == (f"{good}/tuned", f"{bad}/tuned")
    assert (exact["metric"], exact["word"]) == ("exact_match", "REGRESSED")
    assert (exact["worse"], exact["better"]) == (10, 0)
    assert exact["change"] == pytest.approx(-0.25)
    flip = one["flips"][0]
    assert (flip["old_answer_from"], flip["label"]) == (good, "real")
    assert {v["metric"] for v in one["ungated"]} >= {"op_match", "canonical_match"}

    shown = said(capsys, ["compare", good, "latest"], 1).out

    assert "-25.0pp" in shown
    assert "flips: 10 regressed, 0 fixed" in shown
    assert "IMPROVED" in said(capsys, ["compare", bad, good], 0).out


def test_compare_as_a_page(
    project: pytest.Pytester,
    runs: tuple[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The page of a comparison shows the first run where a baseline would stand."""
    page = project.path / "compared.html"

    said(capsys, ["compare", *runs, "--html", str(page)], 1)

    text = page.read_text()
    assert 'data-figure="change" data-value="-0.25' in text
    assert "row-00005" in text
    refused = said(capsys, ["compare", *runs, runs[0], "--html", str(page)], 2)
    assert "--html shows two runs" in refused.err


def test_compare_refuses_other_data(
    project: pytest.Pytester,
    runs: tuple[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Runs of different data are not paired; their means can be compared."""
    write_jsonl(project.path / "data.jsonl", [row(i) for i in range(20, 60)])
    write_answers(project.path, "later", 60, wrong(range(20, 50)))
    project.runpytest("--awsbench-model=tuned=replay:later.jsonl", *DATASET)

    refused = said(capsys, ["compare", runs[0], "latest"], 2)

    assert "different data (data.jsonl" in refused.err
    assert "20 of 40 prompts are in both; --unpaired" in refused.err
    [one] = said(capsys, ["compare", *runs[:1], "latest", "--unpaired", "--json"], 1)[
        "comparisons"
    ]
    assert one["verdicts"][0]["test"] == "unpaired"
    assert one["verdicts"][0]["word"] == "REGRESSED"
    assert one["flips"] == []
    assert "nothing says which answers changed" in one["notes"][0]


def test_compare_refuses_an_incomplete_run(
    project: pytest.Pytester,
    runs: tuple[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A run of some items is not judged."""
    project.runpytest(GOOD, "-k", "row-00003")

    refused = said(capsys, ["compare", runs[0], "latest"], 2)

    assert "incomplete: 1 of 40 answered; nothing is judged" in refused.err


def test_compare_one_model_of_each(
    project: pytest.Pytester,
    runs: tuple[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A run of several models: one is chosen by name; a wrong name says which are."""
    models = [f"--awsbench-model={n}=replay:{n}.jsonl" for n in ("good", "bad")]
    project.runpytest(*models, *DATASET)

    [one] = said(capsys, ["compare", "latest::good", "latest::bad", "--json"], 1)[
        "comparisons"
    ]

    assert one["verdicts"][0]["change"] == pytest.approx(-0.25)
    assert "-25.0pp" in said(capsys, ["compare", runs[0], "latest::bad"], 1).out
    assert "RUN::MODEL" in said(capsys, ["compare", runs[0], "latest"], 2).err
    missing = said(capsys, ["compare", runs[0], "latest::best"], 2).err
    assert "latest has no model 'best'; it has good, bad" in missing


def test_reader_may_leave(project: pytest.Pytester, runs: tuple[str, str]) -> None:
    """Output that nobody reads any more, as of ``| head``, is no traceback."""
    command = ["awsbench", "show", runs[0], "--json"]
    reader, writer = os.pipe()
    os.close(reader)

    done = subprocess.run(
        command, cwd=project.path, stdout=writer, stderr=subprocess.PIPE, check=False
    )

    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_show(runs: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """A run in a terminal; one item of it by id, node id or the beginning of one."""
    _, bad = runs

    whole = said(capsys, ["show", bad], 0).out

    assert "40 of 40 answered" in whole
    assert "exact_match" in whole
    for name in ("row-00005", "awsbench::tuned::dataset::row-00005"):
        item = said(capsys, ["show", bad, name], 0).out
        assert "target: aws s3api list-objects-v2 --bucket b-5" in item
        assert "answer: aws s3api list-objects-v2 --bucket other" in item
    plain = said(capsys, ["show", bad, "row-00005", "--json"], 0)
    assert plain["answers"][0]["result"]["outcome"] == "operation"
    assert said(capsys, ["show", bad, "--json"], 0)["id"] == bad
    ambiguous = said(capsys, ["show", bad, "row-0000"], 2)
    assert "'row-0000' fits 10 items: " in ambiguous.err
    assert "no item 'nope'" in said(capsys, ["show", bad, "nope"], 2).err


def test_report_writes_again(
    project: pytest.Pytester,
    runs: tuple[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Reports are made anew from the run's files alone."""
    folder = project.path / ".awsbench" / runs[0]
    assert not (folder / "report.md").exists()

    written = said(capsys, ["report", runs[0], "--json"], 0)["written"]

    assert [Path(path).name for path in written] == ["report.md", "report.html"]
    assert f"run `{runs[0]}`" in (folder / "report.md").read_text()


def test_report_that_cannot_be_written(
    project: pytest.Pytester,
    runs: tuple[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What stands in the way is named, and what to do."""
    folder = project.path / ".awsbench" / runs[0]
    (folder / "report.md").mkdir()

    refused = said(capsys, ["report", runs[0]], 2)

    assert "report.md cannot be written" in refused.err
    assert f"`awsbench report .awsbench/{runs[0]}` tries again" in refused.err


@pytest.mark.parametrize("command", ["report", "show", "compare"])
def test_missing_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """A run that is not there is bad usage."""
    more = ["latest"] if command == "compare" else []

    refused = said(capsys, [command, "nope", *more, "--out", str(tmp_path)], 2)

    assert "no run 'nope'" in refused.err
    assert "holds no run" in refused.err


def test_schema_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    """The schema is printed as JSON; the version is the package's."""
    main(["schema"])
    schema = json.loads(capsys.readouterr().out)

    with pytest.raises(SystemExit, match="0"):
        main(["--version"])

    assert schema["$schema"].endswith("2020-12/schema")
    assert "curves" in schema["$defs"]["Run"]["required"]
    assert version("pytest-awsbench") in capsys.readouterr().out


@pytest.mark.parametrize("command", [[], ["compare"], ["report"], ["show"]])
def test_help_names_exit_statuses(
    capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    """Every command says what its exit statuses mean."""
    with pytest.raises(SystemExit, match="0"):
        main([*command, "--help"])

    assert "exit status:" in capsys.readouterr().out


def test_unknown_arguments_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A flag that does not exist is bad usage, not passed over."""
    with pytest.raises(SystemExit, match="2"):
        main(["show", "latest", "--jsn"])

    assert "--jsn" in capsys.readouterr().err


def test_power_as_json(project: pytest.Pytester) -> None:
    """What the gates can see, as plain values."""
    result = project.run("awsbench", "power", "--json", "--awsbench-model=tuned")

    [gate] = json.loads("\n".join(result.outlines))["gates"]
    assert gate["node_id"] == "awsbench::tuned::dataset::gate-exact_match"
    assert gate["power"]["n"] == 40
