"""Items are tests like any others: listed, selected, repeated, reported."""

import json
import xml.etree.ElementTree as ET

import pytest


GOOD = "--awsbench-model=tuned=replay:good.jsonl"
BAD = "--awsbench-model=tuned=replay:bad.jsonl"


def test_items_and_gate_are_listed(project: pytest.Pytester) -> None:
    """--co lists an item per prompt, and the gate last."""
    result = project.runpytest(GOOD, "-m", "dataset", "--co", "-q")

    lines = [x for x in result.outlines if x.startswith("awsbench::")]
    assert len(lines) == 41
    assert lines[-1] == "awsbench::tuned::dataset::gate-exact_match"
    assert "awsbench::tuned::dataset::row-00007" in lines


def test_outcomes_are_words(project: pytest.Pytester, workers: list[str]) -> None:
    """The last line counts outcomes in our words."""
    result = project.runpytest_subprocess(GOOD, "-m", "dataset", *workers)

    counts = result.parseoutcomes()
    assert (counts["exact"], counts["operation"]) == (38, 2)


def test_verbose_says_what_changed(project: pytest.Pytester) -> None:
    """-v marks what the baseline had right or wrong."""
    project.runpytest(GOOD, "-m", "dataset", "--snapshot-update")

    result = project.runpytest(BAD, "-m", "dataset", "-v")

    result.stdout.fnmatch_lines_random([
        "*::row-00005 ? OPERATION (regressed)*",
        "*::row-00000 ? OPERATION *",
    ])


def test_very_verbose_explains(project: pytest.Pytester) -> None:
    """-vv shows prompt, target, answer and difference of what is not exact."""
    result = project.runpytest(GOOD, "-m", "dataset", "-vv")

    result.stdout.fnmatch_lines([
        "prompt: TASK: list the objects of bucket b-0",
        "target: aws s3api list-objects-v2 --bucket b-0",
        "answer: aws s3api list-objects-v2 --bucket other",
        "diff: *--bucket ?-b-0-? {+other+}",
    ])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-k", "row-00003"], 1),
        (["awsbench::tuned::dataset::row-00003"], 1),
        (["awsbench::tuned::dataset::row-00003", "-m", "dataset"], 1),
        (["-m", "dataset", "--deselect", "awsbench::tuned::dataset::row-00003"], 39),
        (["awsbench::tuned", "-m", "not gate"], 40),
    ],
)
def test_selection(
    project: pytest.Pytester, arguments: list[str], expected: int
) -> None:
    """-k, -m, --deselect and node ids select items."""
    result = project.runpytest(GOOD, *arguments)

    counts = result.parseoutcomes()
    assert counts.get("exact", 0) + counts.get("operation", 0) == expected


def test_node_id_under_xdist(project: pytest.Pytester) -> None:
    """A node id selects one item on workers, too."""
    result = project.runpytest_subprocess(
        GOOD, "awsbench::tuned::dataset::row-00003", "-n2"
    )

    assert result.parseoutcomes()["exact"] == 1


def test_unknown_node_id(project: pytest.Pytester) -> None:
    """A node id of ours that names nothing is an error, not an empty run."""
    result = project.runpytest(GOOD, "awsbench::tuned::dataset::nothing")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*not found: awsbench::tuned::dataset::nothing*"])


def test_declared_subset(project: pytest.Pytester) -> None:
    """--awsbench-max-per-combo declares a subset: the gate judges it."""
    result = project.runpytest(
        GOOD, "-m", "dataset", "--awsbench-max-per-combo=2", "--snapshot-update"
    )

    assert result.ret == 0
    result.stdout.fnmatch_lines(["*6 prompts*max_per_combo=2*"])


def test_plain_pytest_collects_no_suite(project: pytest.Pytester) -> None:
    """Without a model or a marker of ours nothing of ours runs."""
    path = project.path / "pyproject.toml"
    path.write_text(
        path.read_text().replace("chunk_size", 'run = ["tuned"]\nchunk_size')
    )
    project.makepyfile("def test_own(): pass")

    result = project.runpytest()

    result.assert_outcomes(passed=1)
    assert not (project.path / ".awsbench").exists()


def test_marker_runs_the_configured_models(
    project: pytest.Pytester, workers: list[str]
) -> None:
    """-m dataset collects the models of `run`."""
    path = project.path / "pyproject.toml"
    path.write_text(
        path.read_text().replace("chunk_size", 'run = ["tuned"]\nchunk_size')
    )

    result = project.runpytest_subprocess("-m", "dataset", *workers)

    assert result.parseoutcomes()["exact"] == 38


def test_test_files_alone_add_nothing(project: pytest.Pytester) -> None:
    """Pytest tests/test_x.py runs that file, even where a model is named."""
    path = project.makepyfile("def test_own(): pass")

    result = project.runpytest(GOOD, path)

    result.assert_outcomes(passed=1)


def test_unconfigured_repository_with_our_marker(pytester: pytest.Pytester) -> None:
    """A repository that has an `env` marker of its own sees nothing of us."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.env
        def test_own(): pass
        """
    )
    pytester.makeini("[pytest]\nmarkers = env: ours")

    result = pytester.runpytest("-m", "env", "--strict-markers")

    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*awsbench:*")


@pytest.mark.parametrize("plugin", ["xdist", "terminal", "awsbench"])
def test_works_without(project: pytest.Pytester, plugin: str) -> None:
    """-p no:xdist and -p no:terminal change nothing; -p no:awsbench removes us."""
    model = [] if plugin == "awsbench" else [GOOD]
    expected = pytest.ExitCode.NO_TESTS_COLLECTED if plugin == "awsbench" else 0

    result = project.runpytest_subprocess("-p", f"no:{plugin}", *model, "-m", "dataset")

    assert result.ret == expected


def test_junit_cases_and_properties(
    project: pytest.Pytester, workers: list[str]
) -> None:
    """One case per item and gate, with metrics as properties, in every mode."""
    project.runpytest_subprocess(
        GOOD, "-m", "dataset", "--junitxml=junit.xml", "--snapshot-update", *workers
    )

    cases = list(ET.parse(project.path / "junit.xml").iter("testcase"))
    names = sorted(str(case.get("name")) for case in cases)
    row = next(case for case in cases if case.get("name") == "row-00000")
    properties = {p.get("name"): p.get("value") for p in row.iter("property")}
    assert len(cases) == 41
    assert names[0] == "gate-exact_match"
    assert row.get("classname") == "awsbench.tuned.dataset"
    assert properties["awsbench_outcome"] == "operation"
    assert properties["awsbench_op_match"] == "1.0"


def test_first_failure_stops(project: pytest.Pytester) -> None:
    """-x stops at the first item that fails under strict, and judges nothing."""
    path = project.path / "pyproject.toml"
    path.write_text(path.read_text().replace("chunk_size", "strict = true\nchunk_size"))

    result = project.runpytest(BAD, "-m", "dataset", "-x")

    assert result.ret == 1
    assert result.parseoutcomes()["failed"] == 1
    result.stdout.fnmatch_lines(["*partial: * of 40 answered*no score*"])


@pytest.mark.parametrize("dist", ["load", "worksteal", "loadfile", "loadscope"])
def test_same_run_whatever_the_distribution(
    project: pytest.Pytester, dist: str
) -> None:
    """Verdict, table and results are those of one process."""
    project.runpytest(GOOD, "-m", "dataset", "--snapshot-update")
    alone = project.runpytest(BAD, "-m", "dataset")
    shared = project.runpytest_subprocess(BAD, "-m", "dataset", "-n2", "--dist", dist)

    def table(result: pytest.RunResult) -> list[str]:
        return [x for x in result.outlines if x.startswith(("exact", "op_", "flips"))]

    assert table(shared) == table(alone)
    assert shared.ret == alone.ret == 1


def test_run_is_written(project: pytest.Pytester, workers: list[str]) -> None:
    """Everything that a report needs stands in run.json; git does not see it."""
    project.runpytest_subprocess(GOOD, "-m", "dataset", *workers)

    [path] = (project.path / ".awsbench").glob("*/run.json")
    run = json.loads(path.read_text())
    assert run["schema"] == 2
    assert (run["id"], run["status"]) == (path.parent.name, "complete")
    assert run["runs"][0]["complete"] is True
    assert run["runs"][0]["outcomes"] == {"exact": 38, "operation": 2}
    assert len(run["suites"]["dataset"]["samples"]) == 40
    assert (project.path / ".awsbench" / ".gitignore").read_text().endswith("*\n")


def test_old_runs_are_deleted(project: pytest.Pytester) -> None:
    """The last runs are kept, as many as configured."""
    path = project.path / "pyproject.toml"
    path.write_text(path.read_text().replace("chunk_size", "keep_runs = 2\nchunk_size"))
    for name in ("20200101-000000-1", "20200101-000000-2"):
        folder = project.path / ".awsbench" / name
        folder.mkdir(parents=True)
        (folder / "run.json").write_text("{}")

    project.runpytest(GOOD, "-m", "dataset")

    kept = sorted(p.parent.name for p in project.path.glob(".awsbench/*/run.json"))
    assert len(kept) == 2
    assert kept[0] == "20200101-000000-2"


def test_several_models_of_one_file(project: pytest.Pytester) -> None:
    """A file with the answers of several models is a run of all of them."""
    rows = [
        json.dumps({**json.loads(text), "model": name})
        for name in ("good", "bad")
        for text in (project.path / f"{name}.jsonl").read_text().splitlines()
    ]
    (project.path / "both.jsonl").write_text("\n".join(rows) + "\n")

    result = project.runpytest("--awsbench-model=replay:both.jsonl", "-m", "dataset")

    result.stdout.fnmatch_lines(["*awsbench: dataset: good | bad*"])


def test_default_output_is_short(project: pytest.Pytester) -> None:
    """A run without -v says what it has to say in thirty lines."""
    project.runpytest(GOOD, "-m", "dataset", "--snapshot-update")

    result = project.runpytest(BAD, "-m", "dataset")

    start = next(i for i, x in enumerate(result.outlines) if "= awsbench:" in x)
    end = next(i for i, x in enumerate(result.outlines) if x.startswith("run: "))
    assert end - start <= 30
