"""What people and CI are told after a run: markdown, annotations, history."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from kept_runs import document, newest
from projects import write_answers

from pytest_awsbench.reports.files import write_reports
from pytest_awsbench.reports.github import error
from pytest_awsbench.reports.history import KEPT, add_to_history, read_history
from pytest_awsbench.reports.markdown import code
from pytest_awsbench.reports.reading import read_run


GOOD = "--awsbench-model=tuned=replay:good.jsonl"
BAD = "--awsbench-model=tuned=replay:bad.jsonl"
HOSTILE = "--awsbench-model=tuned=replay:hostile.jsonl"
DATASET = ("-m", "dataset")
NASTY = {
    2: "<script>alert(1)</script>",
    3: "]]> a & b",
    4: "nul \x00 and \x1b[31mred\x1b[0m and \x9b2J",
    5: "half \ud800 a pair",
    6: "right \u202eto left\u202c",
    7: "x" * 1_000_000,
    8: "a | b `c` @everyone \n# head \r::error::fake",
    9: "![x](http://x) **b**",
}
"""What no output may be harmed by, by row."""


def test_report_is_named_last(reporting: pytest.Pytester) -> None:
    """The last lines say where the report is; it says what a reviewer needs."""
    reporting.runpytest(GOOD, *DATASET, "--snapshot-update")

    result = reporting.runpytest(BAD, *DATASET)

    folder = newest(reporting)
    assert f"report: .awsbench/{folder.name}/report.html" in result.outlines
    text = (folder / "report.md").read_text()
    assert text.startswith(
        "### ❌ awsbench failed: 1 of 1 gate failed for tuned: exact_match\xa0-25.0pp\n"
    )
    assert "| ❌ `tuned::dataset::exact_match` | 70.0% | 95.0% | -25.0pp |" in text
    assert (
        "- regressed `awsbench::tuned::dataset::row-00002` (exact → operation" in text
    )
    assert "Reproduce: `pytest " in text
    assert len(text.splitlines()) <= 60


def test_no_report_where_none_is_wanted(project: pytest.Pytester) -> None:
    """``report = false``: run.json and the history alone."""
    result = project.runpytest(GOOD, *DATASET)

    assert [p.name for p in newest(project).iterdir()] == ["run.json"]
    assert not [x for x in result.outlines if x.startswith("report: ")]
    assert len(read_history(project.path / ".awsbench")) == 1


def test_unwritable_report_is_a_warning(reporting: pytest.Pytester) -> None:
    """What cannot be written fails no run, and keeps nothing else from it."""
    path = reporting.path / ".awsbench" / "history.jsonl"
    path.mkdir(parents=True)

    result = reporting.runpytest(GOOD, *DATASET)

    assert result.ret == 0
    result.stdout.fnmatch_lines(["warning: *history.jsonl: cannot be *", "report: *"])


def test_a_page_without_its_libraries(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the extra, markdown still comes, with the line that installs it."""
    project.runpytest(GOOD, *DATASET)
    found = read_run(newest(project))
    monkeypatch.setattr("pytest_awsbench.reports.files.NEEDS", ("jinja2", "no_such_x"))

    written = write_reports(found)

    assert [path.name for path in written.paths] == ["report.md"]
    assert written.problems == ()
    assert written.missing == (
        'no report.html: it needs no_such_x: pip install "pytest-awsbench[report]"'
    )


def test_github(
    reporting: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, workers: list[str]
) -> None:
    """One error per red gate, and one summary: by the main process alone."""
    reporting.runpytest_subprocess(GOOD, *DATASET, "--snapshot-update")
    summary = reporting.path / "summary.md"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))

    result = reporting.runpytest_subprocess(BAD, *DATASET, *workers)

    errors = [line for line in result.outlines if line.startswith("::")]
    assert len(errors) == 1
    assert errors[0].startswith(
        "::error title=awsbench%3A%3Atuned%3A%3Adataset%3A%3Agate-exact_match::"
        "exact_match REGRESSED: -25.0pp"
    )
    assert summary.read_text().count("### ") == 1
    assert "1 of 1 gate failed for tuned" in summary.read_text()


def test_workflow_commands_are_escaped() -> None:
    """Nothing in a title or a message ends it, or begins another command."""
    line = error("a,b:c\n::x", "50%\r\n::warning::\x1b[31m")

    assert line == ("::error title=a%2Cb%3Ac%0A%3A%3Ax::50%25%0A::warning::␛[31m")
    assert len(line.splitlines()) == 1


@pytest.mark.parametrize("text", [*NASTY.values(), "``", "", "`|`"])
def test_code_spans_hold_anything(text: str) -> None:
    """Any text is one span on one line that ends where it should."""
    span = code(text)

    fence = span[: len(span) - len(span.lstrip("`"))]
    inside = span[len(fence) : -len(fence)]
    assert span.endswith(fence)
    assert fence not in inside
    assert len(span.splitlines()) == 1
    assert len(span) < 300


def test_hostile_answers_harm_no_output(
    reporting: pytest.Pytester, workers: list[str]
) -> None:
    """Markup, escapes, torn characters and a megabyte: every output stays whole."""
    reporting.runpytest_subprocess(GOOD, *DATASET, "--snapshot-update")
    write_answers(reporting.path, "hostile", 40, NASTY)

    result = reporting.runpytest_subprocess(
        HOSTILE, *DATASET, "-rA", "--junitxml=junit.xml", *workers
    )

    assert result.ret == 1
    output = "\n".join(result.outlines)
    assert "\x1b[31m" not in output
    assert "\u202e" not in output
    assert "\x00" not in output
    assert "␛[31mred" in output
    assert not [line for line in result.outlines if line.startswith("::")]
    assert max(map(len, result.outlines)) < 20_000
    root = ET.parse(reporting.path / "junit.xml")
    assert len(list(root.iter("testcase"))) == 41
    assert (reporting.path / "junit.xml").stat().st_size < 500_000
    text = (newest(reporting) / "report.md").read_text()
    assert len(text.splitlines()) <= 60
    assert all(len(line) < 2_000 for line in text.splitlines())
    answers = {
        row["sample_id"]: row["completion"]["text"]
        for row in document(reporting)["runs"][0]["results"]
    }
    assert answers["row-00005"] == "half \ufffd a pair"
    assert answers["row-00004"] == NASTY[4]
    assert len(answers["row-00007"]) == 1_000_000


def test_history_outlives_runs(project: pytest.Pytester) -> None:
    """One row per run, with what changed; torn lines are passed over."""
    path = project.path / "pyproject.toml"
    path.write_text(path.read_text().replace("chunk_size", "keep_runs = 1\nchunk_size"))
    out = project.path / ".awsbench"
    project.runpytest(GOOD, *DATASET, "--snapshot-update")
    with (out / "history.jsonl").open("a") as file:
        file.write('{"schema": 1, "id": "torn')

    project.runpytest(BAD, *DATASET)

    first, second = read_history(out)
    assert len(list(out.glob("*/run.json"))) == 1
    assert (first["red"], second["red"]) == (False, True)
    assert second["metrics"]["exact_match"]["mean"] == pytest.approx(0.7)
    assert (first["baseline_date"], second["baseline_changed"]) == (None, True)
    assert second["complete"] is True


def test_history_is_written_once_and_pruned(
    project: pytest.Pytester, tmp_path: Path
) -> None:
    """The same run adds nothing; only the newest rows of a model and suite stay."""
    project.runpytest(GOOD, *DATASET)
    data = read_run(newest(project)).data

    add_to_history(tmp_path, data)
    assert len(add_to_history(tmp_path, data)) == 1

    [row] = read_history(tmp_path)
    rows = [{**row, "id": f"run-{n}"} for n in range(KEPT)]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "history.jsonl").write_text(text)
    kept = add_to_history(tmp_path, data)
    assert len(kept) == len(read_history(tmp_path)) == KEPT
    assert kept[-1]["id"] == data["id"]
    assert kept[0]["id"] == "run-1"
