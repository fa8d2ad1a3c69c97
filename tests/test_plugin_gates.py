"""Gates as users see them: baselines, verdicts, thresholds, partial runs."""

import json

import pytest
from projects import write_answers, wrong


GOOD = "--awsbench-model=tuned=replay:good.jsonl"
BAD = "--awsbench-model=tuned=replay:bad.jsonl"
SLIGHTLY = "--awsbench-model=tuned=replay:slightly.jsonl"


def configure(project: pytest.Pytester, toml: str) -> None:
    """Append to the project's configuration."""
    path = project.path / "pyproject.toml"
    path.write_text(path.read_text() + toml)


def test_first_run_has_no_baseline(
    project: pytest.Pytester, workers: list[str]
) -> None:
    """Without a baseline the gate is skipped and says how to store one."""
    result = project.runpytest_subprocess(GOOD, "-m", "dataset", "-rs", *workers)

    result.assert_outcomes(skipped=1)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*SKIPPED*--snapshot-update*"])


def test_worse_model_fails(project: pytest.Pytester, workers: list[str]) -> None:
    """A model that answers worse than its baseline fails, with numbers."""
    project.runpytest_subprocess(GOOD, "-m", "dataset", "--snapshot-update", *workers)

    result = project.runpytest_subprocess(BAD, "-m", "dataset", *workers)

    assert result.ret == 1
    result.stdout.fnmatch_lines([
        "*exact_match*70.0%*95.0%*-25.0pp*REGRESSED*10 answers changed: 10 worse*",
        "*flips: 10 regressed, 0 fixed*",
        "FAILED awsbench::tuned::dataset::gate-exact_match*",
    ])


def test_same_model_passes(project: pytest.Pytester, workers: list[str]) -> None:
    """The same answers again are within noise, or inconclusive; never red."""
    project.runpytest_subprocess(GOOD, "-m", "dataset", "--snapshot-update", *workers)

    result = project.runpytest_subprocess(GOOD, "-m", "dataset", *workers)

    assert result.ret == 0
    result.stdout.fnmatch_lines(["exact_match*+0.0pp*WITHIN_NOISE*"])


def test_one_more_miss_is_noise(project: pytest.Pytester) -> None:
    """One answer of forty that changed is no regression."""
    project.runpytest(GOOD, "-m", "dataset", "--snapshot-update")

    result = project.runpytest(SLIGHTLY, "-m", "dataset")

    assert result.ret == 0
    result.stdout.fnmatch_lines(["exact_match*-2.5pp*"])
    result.stdout.no_fnmatch_line("*REGRESSED*")


def test_baseline_is_one_line_per_item(project: pytest.Pytester) -> None:
    """The stored file is reviewable: an item a line, sorted, no text of answers."""
    project.runpytest(GOOD, "-m", "dataset", "--snapshot-update")

    path = project.path / "awsbench_baselines" / "tuned" / "dataset.json"
    text = path.read_text()

    lines = [x for x in text.splitlines() if x.strip().startswith('"row-')]
    assert len(lines) == 40
    assert lines == sorted(lines)
    assert json.loads(text)["items"]["row-00000"]["outcome"] == "operation"


def test_updating_again_changes_nothing(project: pytest.Pytester) -> None:
    """A baseline that says the same is not written again."""
    path = project.path / "awsbench_baselines" / "tuned" / "dataset.json"
    project.runpytest(GOOD, "-m", "dataset", "--snapshot-update")
    path.write_text(path.read_text().replace('"date": "20', '"date": "19'))
    before = path.read_text()

    result = project.runpytest(GOOD, "-m", "dataset", "--snapshot-update")

    assert result.ret == 0
    assert path.read_text() == before


def test_accepting_a_worse_model(project: pytest.Pytester) -> None:
    """--snapshot-update accepts what was measured, and later runs compare with it."""
    project.runpytest(GOOD, "-m", "dataset", "--snapshot-update")

    accepted = project.runpytest(BAD, "-m", "dataset", "--snapshot-update")
    again = project.runpytest(BAD, "-m", "dataset")

    assert (accepted.ret, again.ret) == (0, 0)
    accepted.stdout.fnmatch_lines(["*1 snapshot updated*"])


def test_partial_run_is_not_judged(
    project: pytest.Pytester, workers: list[str]
) -> None:
    """A selection leaves the gate skipped and the baseline as it was."""
    project.runpytest_subprocess(GOOD, "-m", "dataset", "--snapshot-update")
    path = project.path / "awsbench_baselines" / "tuned" / "dataset.json"
    before = path.read_text()

    result = project.runpytest_subprocess(
        BAD, "-k", "row-00001 or gate", "--snapshot-update", "-rs", *workers
    )

    assert result.ret == 0
    assert path.read_text() == before
    result.stdout.fnmatch_lines([
        "*partial: 1/40 answered; the baseline is not touched*"
    ])


def test_required_gates(project: pytest.Pytester) -> None:
    """With require_gates a missing baseline and a partial run are red."""
    configure_required = "\n[tool.awsbench2]\n"
    path = project.path / "pyproject.toml"
    text = path.read_text().replace(
        "chunk_size = 8", "chunk_size = 8\nrequire_gates = true"
    )
    path.write_text(text + configure_required)

    fresh = project.runpytest(GOOD, "-m", "dataset")
    partial = project.runpytest(GOOD, "-k", "row-00001 or gate")

    assert (fresh.ret, partial.ret) == (1, 1)
    fresh.stdout.fnmatch_lines(["*no baseline*require_gates = true*"])
    partial.stdout.fnmatch_lines(["*partial: 1/40 answered (require_gates = true)*"])


def test_hard_threshold(project: pytest.Pytester) -> None:
    """A missed threshold is red without any baseline."""
    configure(
        project, '\n[[tool.awsbench.gates]]\nmetric = "exact_match"\nmin = 0.99\n'
    )

    result = project.runpytest(GOOD, "-m", "dataset")

    assert result.ret == 1
    result.stdout.fnmatch_lines(["*exact_match*95.0%*0.99*"])


def test_threshold_reached(project: pytest.Pytester) -> None:
    """A threshold that is reached passes, even where nothing is compared."""
    configure(project, '\n[[tool.awsbench.gates]]\nmetric = "exact_match"\nmin = 0.9\n')

    result = project.runpytest(GOOD, "-m", "dataset")

    assert result.ret == 0
    assert result.parseoutcomes()["passed"] == 1


def test_against_another_models_baseline(project: pytest.Pytester) -> None:
    """A gate may compare with the stored baseline of another model."""
    configure(
        project,
        """
        [tool.awsbench.models.worse]
        backend = "replay"
        path = "bad.jsonl"
        [[tool.awsbench.gates]]
        metric = "exact_match"
        against = "tuned"
        model = "worse"
        """.replace("        ", ""),
    )
    project.runpytest("--awsbench-model=tuned", "-m", "dataset", "--snapshot-update")

    result = project.runpytest("--awsbench-model=worse", "-m", "dataset")

    assert result.ret == 1
    result.stdout.fnmatch_lines(["*gate-exact_match-vs-tuned*", "*REGRESSED*"])


def test_against_a_model_of_the_same_run(
    project: pytest.Pytester, workers: list[str]
) -> None:
    """Two models of one run are compared without any baseline."""
    configure(
        project,
        """
        [tool.awsbench.models.worse]
        backend = "replay"
        path = "bad.jsonl"
        [[tool.awsbench.gates]]
        metric = "exact_match"
        against = "tuned"
        model = "worse"
        """.replace("        ", ""),
    )

    result = project.runpytest_subprocess(
        "--awsbench-model=tuned", "--awsbench-model=worse", "-m", "dataset", *workers
    )

    assert result.ret == 1
    result.stdout.fnmatch_lines([
        "*awsbench: dataset: tuned | worse*",
        "metric*tuned*worse*worse - tuned",
    ])


def test_other_data_is_invalid(project: pytest.Pytester) -> None:
    """A baseline of other prompts is refused by name, not compared."""
    project.runpytest(GOOD, "-m", "dataset", "--snapshot-update")
    data = project.path / "data.jsonl"
    data.write_text(data.read_text().replace("TASK: list", "TASK: please list"))

    result = project.runpytest(GOOD, "-m", "dataset")

    assert result.ret == 1
    result.stdout.fnmatch_lines(["*INVALID*baseline stale*"])


def test_vanished_suite_is_unused(project: pytest.Pytester) -> None:
    """syrupy reports the baseline of a suite that does not exist any more."""
    project.runpytest(GOOD, "-m", "dataset", "--snapshot-update")
    folder = project.path / "awsbench_baselines" / "tuned"
    (folder / "gone.json").write_text((folder / "dataset.json").read_text())

    result = project.runpytest(GOOD, "-m", "dataset")
    project.runpytest(GOOD, "-m", "dataset", "--snapshot-update")

    assert result.ret == 1
    result.stdout.fnmatch_lines(["*1 snapshot unused*"])
    assert not (folder / "gone.json").exists()
    assert (folder / "dataset.json").exists()


def test_last_failed_keeps_the_gate(project: pytest.Pytester) -> None:
    """--lf runs a red gate again and does not forget it when it was skipped."""
    project.runpytest(GOOD, "-m", "dataset", "--snapshot-update")
    project.runpytest(BAD, "-m", "dataset")

    project.runpytest(BAD, "-m", "dataset", "--lf")
    result = project.runpytest(BAD, "-m", "dataset", "--lf", "--co", "-q")

    result.stdout.fnmatch_lines(["awsbench::tuned::dataset::gate-exact_match"])
    result.stdout.no_fnmatch_line("awsbench::tuned::dataset::row-*")


def test_judge_again_without_asking(project: pytest.Pytester) -> None:
    """-m gate --awsbench-resume judges what the journal holds."""
    project.runpytest(GOOD, "-m", "dataset", "--snapshot-update")
    project.runpytest(BAD, "-m", "dataset")

    result = project.runpytest(BAD, "-m", "gate", "--awsbench-resume")

    assert result.ret == 1
    result.stdout.fnmatch_lines(["*REGRESSED*10 worse*"])


def test_strict_items_fail(project: pytest.Pytester) -> None:
    """strict = true fails the very items that got worse."""
    project.runpytest(GOOD, "-m", "dataset", "--snapshot-update")
    path = project.path / "pyproject.toml"
    path.write_text(path.read_text().replace("chunk_size", "strict = true\nchunk_size"))

    result = project.runpytest(SLIGHTLY, "-m", "dataset")

    assert result.ret == 1
    result.stdout.fnmatch_lines(["FAILED awsbench::tuned::dataset::row-00002*"])
    assert result.parseoutcomes()["failed"] == 1


def test_two_gates_of_one_metric_have_two_names(project: pytest.Pytester) -> None:
    """Names stay unique, so each gate can be selected."""
    gate = '\n[[tool.awsbench.gates]]\nmetric = "exact_match"\nmin = {}\n'
    configure(project, gate.format(0.5) + gate.format(0.6))

    result = project.runpytest(GOOD, "-m", "gate", "--co", "-q")

    result.stdout.fnmatch_lines([
        "awsbench::tuned::dataset::gate-exact_match",
        "awsbench::tuned::dataset::gate-exact_match-2",
    ])


@pytest.mark.parametrize("n", [3])
def test_too_few_items_cannot_fail(project: pytest.Pytester, n: int) -> None:
    """Three items that all broke are no proof, and the run says so."""
    data = project.path / "data.jsonl"
    data.write_text("".join(data.read_text().splitlines(keepends=True)[:n]))
    write_answers(project.path, "few", n)
    write_answers(project.path, "broken", n, wrong(range(n)))
    project.runpytest(
        "--awsbench-model=tuned=replay:few.jsonl", "-m", "dataset", "--snapshot-update"
    )

    result = project.runpytest(
        "--awsbench-model=tuned=replay:broken.jsonl", "-m", "dataset"
    )

    assert result.ret == 0
    result.stdout.fnmatch_lines(["*INCONCLUSIVE*"])
