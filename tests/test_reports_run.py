"""run.json holds what every report shows, in the published schema, whole or not."""

import json
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from math import inf
from pathlib import Path
from typing import Any

import pytest
from kept_runs import document, newest, strict_validator
from projects import target, write_answers, wrong

from pytest_awsbench.errors import ReportError
from pytest_awsbench.flips import Asked, label_of
from pytest_awsbench.gates import Verdict
from pytest_awsbench.reports.headline import headline
from pytest_awsbench.reports.reading import find_run, read_run
from pytest_awsbench.runfile import verdict_document
from pytest_awsbench.stats.status import Status


GOOD = "--awsbench-model=tuned=replay:good.jsonl"
BAD = "--awsbench-model=tuned=replay:bad.jsonl"
DATASET = ("-m", "dataset")
SINCE_2 = {"word", "line", "node_id"}
SLOW = """
import time


def pytest_awsbench_score(suite, sample, completion):
    # One of the last answers never gets its score: the run is killed before its end.
    if sample.id == "row-00005":
        open("reached", "w").close()
        time.sleep(600)
    return []
"""
LOSING = """
from pytest_awsbench.errors import InfraError


def pytest_awsbench_score(suite, sample, completion):
    if sample.id == "row-00003":
        raise InfraError("the wire broke")
    return []
"""


def test_red_run(project: pytest.Pytester, workers: list[str]) -> None:
    """A red run says what was run, on what, how gates ended, and what changed."""
    project.runpytest_subprocess(GOOD, *DATASET, "--snapshot-update")

    project.runpytest_subprocess(BAD, *DATASET, *workers)

    data = document(project)
    [run] = data["runs"]
    assert (data["status"], data["exit_status"]) == ("complete", 1)
    assert data["command"][0] == "pytest"
    assert BAD in data["command"]
    assert data["hardware"]["cores"] >= 1
    assert [g["outcome"] for g in run["gates"]] == ["failed"]
    assert run["verdicts"][0]["word"] == "REGRESSED"
    assert run["verdicts"][0]["line"] == run["gates"][0]["reason"]
    assert {v["metric"] for v in run["ungated"]} >= {"op_match", "format_ok"}
    mean = run["means"]["exact_match"]
    assert mean["mean"] == pytest.approx(28 / 40)
    assert mean["old"] == pytest.approx(38 / 40)
    assert mean["low"] < 28 / 40 < mean["high"]
    assert run["groups"]["tier"][0]["name"] == "warmup"
    assert sum(g["n"] for g in run["groups"]["tier"]) == 40
    assert run["throughput"]["items"] == run["throughput"]["timeline"][-1][1] == 40
    assert len(run["baseline"]["outcomes"]) == 40
    assert len(run["flips"]) == 10


def test_red_gate_shows_its_items(reporting: pytest.Pytester) -> None:
    """What made a run red is among the flips, whichever gate it was, by its metric."""
    path = reporting.path / "pyproject.toml"
    gates = "".join(
        f'[[tool.awsbench.gates]]\nmetric = "{metric}"\n'
        for metric in ("exact_match", "format_ok")
    )
    path.write_text(f"{path.read_text()}\n{gates}")
    fenced = {i: f"```\n{target(i)}\n```" for i in range(1, 21)}
    write_answers(reporting.path, "fenced", 40, fenced)
    reporting.runpytest(GOOD, *DATASET, "--snapshot-update")

    result = reporting.runpytest("--awsbench-model=tuned=replay:fenced.jsonl", *DATASET)

    [run] = document(reporting)["runs"]
    told = [(flip["kind"], flip["metric"]) for flip in run["flips"]]
    assert told == [("regressed", "format_ok")] * 20 + [("fixed", "exact_match")] * 2
    result.stdout.fnmatch_lines([
        "flips: 20 regressed, 2 fixed",
        "  regressed awsbench::tuned::dataset::row-00001 (format_ok)",
    ])
    same = "`awsbench::tuned::dataset::row-00002` (exact → exact, real)"
    markdown = (newest(reporting) / "report.md").read_text()
    assert f"- regressed by format_ok {same}" in markdown
    page = (newest(reporting) / "report.html").read_text()
    assert "exact → exact, by format_ok, real" in page
    both = page[page.index('id="awsbench::tuned::dataset::row-00001"') :]
    both = both[: both.index("</details>")]
    assert both.count("Answer of baseline") == 1
    assert "regressed by format_ok; real" in both
    assert "fixed; real" in both


def test_old_answers_come_from_the_kept_run(project: pytest.Pytester) -> None:
    """A change shows what was answered before, and says which run holds it."""
    project.runpytest(GOOD, *DATASET, "--snapshot-update")
    stored = newest(project).name

    project.runpytest(BAD, *DATASET)

    [run] = document(project)["runs"]
    flip = next(f for f in run["flips"] if f["id"] == "row-00005")
    assert flip["kind"] == "regressed"
    assert (flip["old_outcome"], flip["new_outcome"]) == ("exact", "operation")
    assert flip["old_answer"] == "aws s3api list-objects-v2 --bucket b-5"
    assert flip["old_answer_from"] == stored
    assert (flip["against"], flip["label"], flip["why"]) == (
        "",
        "real",
        "other weights",
    )


def test_old_answers_that_are_gone(project: pytest.Pytester) -> None:
    """Without the run behind a baseline there is no old answer, rather than a guess."""
    project.runpytest(GOOD, *DATASET, "--snapshot-update")
    (newest(project) / "run.json").unlink()

    project.runpytest(BAD, *DATASET)

    [run] = document(project)["runs"]
    assert {f["old_answer"] for f in run["flips"]} == {None}
    assert {f["old_outcome"] for f in run["flips"]} == {"exact"}


def test_models_beside_each_other(project: pytest.Pytester) -> None:
    """Two models of a run: compared, and changed items with both answers."""
    path = project.path / "pyproject.toml"
    gate = '\n[[tool.awsbench.gates]]\nmetric = "exact_match"\nagainst = "tuned"\n'
    path.write_text(path.read_text() + gate)

    project.runpytest(GOOD, "--awsbench-model=other=replay:bad.jsonl", *DATASET)

    data = document(project)
    [pair] = data["comparisons"]
    other = data["runs"][1]
    assert (pair["first"], pair["other"]) == ("tuned", "other")
    exact = next(v for v in pair["verdicts"] if v["metric"] == "exact_match")
    assert exact["change"] == other["verdicts"][0]["change"] == pytest.approx(-0.25)
    assert {f["against"] for f in other["flips"]} == {"tuned"}
    assert {f["old_answer_from"] for f in other["flips"]} == {"this run"}


def test_partial_run_has_no_means(project: pytest.Pytester) -> None:
    """Some items are no suite: no mean, no verdict; what was answered is there."""
    project.runpytest(GOOD, "-k", "row-00003 or gate")

    data = document(project)
    [run] = data["runs"]
    assert (data["status"], run["complete"]) == ("complete", False)
    assert run["means"] == {}
    assert run["verdicts"] == run["ungated"] == []
    assert [g["outcome"] for g in run["gates"]] == ["skipped"]
    assert len(run["results"]) == 1


def test_lost_items_are_named(project: pytest.Pytester) -> None:
    """What infrastructure lost stands apart, with its reason."""
    project.makeconftest(LOSING)

    project.runpytest(GOOD, *DATASET)

    data = document(project)
    assert data["exit_status"] == 75
    assert data["infra"] == [
        {"node_id": "awsbench::tuned::dataset::row-00003", "reason": "the wire broke"}
    ]
    assert data["runs"][0]["lost"] == ["row-00003"]


def test_run_that_answers_nothing_leaves_nothing(project: pytest.Pytester) -> None:
    """A run without any item of ours leaves no folder."""
    project.runpytest(GOOD, *DATASET, "-k", "nothing")

    assert list(project.path.glob(".awsbench/*/run.json")) == []


def test_interrupted_run(project: pytest.Pytester) -> None:
    """Ctrl-C ends a run in good order: incomplete, with what it had."""
    project.makeconftest(
        "def pytest_runtest_logstart(nodeid):\n"
        "    if nodeid.endswith('row-00005'):\n        raise KeyboardInterrupt\n"
    )

    project.runpytest_subprocess(GOOD, *DATASET)

    data = document(project)
    assert (data["status"], data["exit_status"]) == ("incomplete", 2)
    assert 0 < len(data["runs"][0]["results"]) < 40


def test_killed_run(project: pytest.Pytester) -> None:
    """A killed run leaves word of itself; its journal holds what was answered."""
    project.makeconftest(SLOW)
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", GOOD, *DATASET], cwd=project.path
    )
    while not (project.path / "reached").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()

    found = read_run(newest(project))

    strict_validator().validate(json.loads((newest(project) / "run.json").read_text()))
    [run] = found.data["runs"]
    assert (found.data["status"], found.data["exit_status"]) == ("incomplete", None)
    assert 0 < len(run["results"]) <= 40
    assert set(run["outcomes"]) <= {"exact", "operation"}
    assert run["means"] == {}
    assert run["verdicts"] == []
    assert "the run was killed" in found.data["notes"][-1]


def test_earlier_answers_are_not_a_killed_runs(project: pytest.Pytester) -> None:
    """A journal may hold more than this run wrote: only what came after its start."""
    project.runpytest(GOOD, *DATASET)
    path = newest(project) / "run.json"
    data = json.loads(path.read_text())
    [journal] = project.path.glob(".awsbench/journal/*.jsonl")
    lines = journal.read_bytes().splitlines(keepends=True)
    data["runs"][0] |= {
        "results": [],
        "complete": False,
        "journal_offset": sum(map(len, lines[:-5])),
    }
    path.write_text(json.dumps(data | {"status": "incomplete", "exit_status": None}))

    found = read_run(path.parent)

    assert len(found.data["runs"][0]["results"]) == 5


def test_schema_1_is_read(project: pytest.Pytester) -> None:
    """A run of the first schema is read; what it lacks is empty."""
    project.runpytest(GOOD, *DATASET, "--snapshot-update")
    path = newest(project) / "run.json"
    data = json.loads(path.read_text())
    path.write_text(json.dumps(as_schema_1(data)))

    found = read_run(path.parent)

    strict_validator().validate(found.data)
    [run] = found.data["runs"]
    assert found.data["id"] == path.parent.name
    assert run["verdicts"][0]["node_id"] == "awsbench::tuned::dataset::gate-exact_match"
    assert len(run["results"]) == 40
    assert run["means"] == {}


def as_schema_1(data: dict[str, Any]) -> dict[str, Any]:
    """Return a document as the first schema had it."""
    keys = ("suite", "model", "decoding", "complete", "lost", "outcomes", "results")
    runs = [
        {
            **{key: run[key] for key in keys},
            "baseline": None,
            "verdicts": [
                {
                    k: v
                    for k, v in verdict.items()
                    if k not in {"word", "line", "node_id"}
                }
                for verdict in run["verdicts"]
            ],
        }
        for run in data["runs"]
    ]
    suite = data["suites"]["dataset"]
    asked = {key: suite[key] for key in ("data", "warnings", "leakage", "samples")}
    metrics = [{k: m[k] for k in ("name", "version")} for m in suite["metrics"]]
    return {
        "schema": 1,
        **{key: data[key] for key in ("date", "versions", "notes")},
        "suites": {"dataset": {**asked, "metrics": metrics}},
        "runs": runs,
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"schema": 99}', "schema 99 cannot be read.*upgrade"),
        ('{"schema": "x"}', "schema 'x' cannot be read.*run again"),
        ('{"schema": 2}', "damaged: id: Field required"),
        ('{"schema": 1}', "damaged: KeyError"),
        ('{"schema": 2, "runs"', "damaged: not JSON"),
        ("[]", "damaged: not an object"),
    ],
)
def test_what_is_no_run_is_refused(tmp_path: Path, text: str, words: str) -> None:
    """A newer schema, a torn file and a foreign one are refused by name."""
    (tmp_path / "run.json").write_text(text)

    with pytest.raises(ReportError, match=f"run.json: {words}"):
        read_run(tmp_path)


def test_missing_run_names_those_that_exist(project: pytest.Pytester) -> None:
    """A run that is not there is refused with those that are."""
    project.runpytest(GOOD, *DATASET)
    out = project.path / ".awsbench"

    with pytest.raises(ReportError, match=f"holds {newest(project).name}; give one"):
        find_run("nope", out)

    assert find_run("latest", out) == newest(project)


@pytest.mark.parametrize(
    ("new", "ties", "label", "why"),
    [
        ({"digest": "b"}, 3, "real", "other weights"),
        ({"template": "u"}, 3, "real", "asked otherwise"),
        (
            {"decoding": {"temperature": 0.0, "top_p": 0.5}},
            3,
            "real",
            "asked otherwise",
        ),
        ({"backend": "openai"}, 0, None, "served"),
        ({}, 2, "numeric", "near-ties at 2 tokens"),
        ({"versions": {"torch": "3"}}, 0, "numeric", "torch 2 then, 3 now"),
        ({"chunk_size": 8}, 0, "numeric", "chunks of 32 prompts then, of 8 now"),
        (
            {"files": {"path": "x", "dtype": "float32", "torch_compile": True}},
            0,
            "numeric",
            "torch_compile default then, True now",
        ),
        ({}, 0, "real", "no near-tie"),
        (
            {"digest": "b", "files": {"path": "x", "dtype": "bfloat16"}},
            0,
            "numeric",
            "dtype float32 there, bfloat16 here",
        ),
        (
            {
                "digest": "b",
                "files": {"path": "x", "dtype": "bfloat16", "device": "cuda"},
            },
            0,
            "numeric",
            "dtype float32 there, bfloat16 here",
        ),
        ({"digest": "b", "files": {"path": "y"}}, 0, "real", "other weights"),
    ],
)
def test_labels(new: dict[str, Any], ties: int, label: str | None, why: str) -> None:
    """Only the same weights, asked alike, can differ by rounding alone."""
    same: dict[str, Any] = {
        "digest": "a",
        "template": "t",
        "decoding": {"temperature": 0.0},
        "versions": {"torch": "2"},
        "backend": "transformers",
        "chunk_size": 32,
        "files": {"path": "x", "dtype": "float32"},
    }

    found, reason = label_of(Asked(**{**same, **new}), Asked(**same), ties)

    assert found == label
    assert why in reason


def test_limits_without_bounds_are_unknown() -> None:
    """One task says nothing of others: its interval has no bounds, which JSON lacks."""
    verdict = Verdict(
        name="gate-x", metric="x", status=Status.SKIPPED, new=1.0, low=-inf, high=inf
    )

    plain = verdict_document(verdict, "awsbench::m::s")

    assert (plain["low"], plain["high"], plain["new"]) == (None, None, 1.0)
    assert plain["node_id"] == "awsbench::m::s::gate-x"


def test_sampled_answers_have_no_label() -> None:
    """What is drawn anew each time differs without any reason."""
    asked = Asked(
        digest="a",
        template="t",
        decoding={"temperature": 0.7},
        versions={},
        backend="transformers",
    )

    assert label_of(asked, asked, 4)[0] is None


def test_all_outputs_agree(reporting: pytest.Pytester, workers: list[str]) -> None:
    """Terminal, page, markdown, JUnit and run.json hold the same numbers."""
    reporting.runpytest_subprocess(GOOD, *DATASET, "--snapshot-update")

    result = reporting.runpytest_subprocess(
        BAD, *DATASET, "--junitxml=junit.xml", *workers
    )

    [run] = document(reporting)["runs"]
    verdict, folder = run["verdicts"][0], newest(reporting)
    shown = (
        percent(verdict["new"]),
        percent(verdict["old"]),
        f"{100 * verdict['change']:+.1f}pp",
        f"{100 * verdict['noise_floor']:.1f}pp",
        f"{100 * verdict['low']:+.1f} ... {100 * verdict['high']:+.1f}",
    )
    assert columns(result.outlines, "exact_match")[1:6] == list(shown)
    markdown = (folder / "report.md").read_text().splitlines()
    row = next(x for x in markdown if "dataset::exact_match" in x and x[0] == "|")
    assert [cell.strip() for cell in row.split("|")][2:7] == list(shown)
    suite, gate = junit(reporting.path / "junit.xml")
    assert gate["awsbench_line"] == verdict["line"]
    assert float(gate["awsbench_change"]) == verdict["change"]
    page = figures((folder / "report.html").read_text())
    assert page["exact_match", "change"] == verdict["change"]
    for metric, mean in run["means"].items():
        assert float(suite[f"awsbench::tuned::dataset::{metric}"]) == mean["mean"]
        assert columns(result.outlines, metric)[1] == percent(mean["mean"])
        assert (page[metric, "mean"], page[metric, "old"]) == (
            mean["mean"],
            mean["old"],
        )
    sentence = headline(document(reporting)).sentence
    assert sentence in markdown[0]
    assert sentence in (folder / "report.html").read_text()
    assert "flips: 10 regressed, 0 fixed" in result.outlines
    assert "**Flips**: 10 regressed, 0 fixed" in markdown
    assert [flip["kind"] for flip in run["flips"]] == ["regressed"] * 10


def junit(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return the properties of the suite, and of the gate's case."""
    root = ET.parse(path)
    gate = next(c for c in root.iter("testcase") if c.get("name") == "gate-exact_match")
    nodes = root.iterfind(".//testsuite/properties/property"), gate.iter("property")
    suite, case = (
        {str(p.get("name")): str(p.get("value")) for p in found} for found in nodes
    )
    return suite, case


def figures(page: str) -> dict[tuple[str, str], float]:
    """Return the figures of a page that are of a whole suite: metric, kind → value."""
    found = {}
    for tag in re.findall(r"<span[^>]*data-figure[^>]*>", page):
        told = dict(re.findall(r'data-(\w+)="([^"]*)"', tag))
        if not {"tier", "source"} & told.keys() and told["value"]:
            found[told["metric"], told["figure"]] = float(told["value"])
    return found


def percent(value: float) -> str:
    """Return a share as tables show it."""
    return f"{100 * value:.1f}%"


def columns(lines: list[str], metric: str) -> list[str]:
    """Return the cells of the first row of a table that is of a metric."""
    return next(
        re.split(r"\s{2,}", line)
        for line in lines
        if re.match(rf"{metric}\s{{2,}}", line)
    )


def test_repeats_are_in_the_schema(project: pytest.Pytester) -> None:
    """Several answers to each prompt fit the schema; their mean knows how many."""
    path = project.path / "pyproject.toml"
    path.write_text(
        path.read_text().replace("chunk_size", "temperature = 0.5\nchunk_size")
    )
    write_answers(project.path, "good", 40, wrong([0, 1]))

    project.runpytest(GOOD, *DATASET, "--awsbench-repeats=2")

    assert document(project)["runs"][0]["means"]["exact_match"]["n"] == 40
