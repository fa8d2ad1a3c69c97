"""Gate statistics as users meet them: configuration, terminal, files, commands."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from projects import row, write_answers, write_jsonl, wrong


GOOD = "--awsbench-model=tuned=replay:good.jsonl"
BAD = "--awsbench-model=tuned=replay:bad.jsonl"
DATASET = ("-m", "dataset")


def configure(project: pytest.Pytester, toml: str) -> None:
    """Append to the project's configuration."""
    path = project.path / "pyproject.toml"
    path.write_text(path.read_text() + toml)


def set_keys(project: pytest.Pytester, keys: str) -> None:
    """Set keys of the top table."""
    path = project.path / "pyproject.toml"
    path.write_text(
        path.read_text().replace("chunk_size = 8", f"chunk_size = 8\n{keys}")
    )


def document(project: pytest.Pytester) -> dict[str, Any]:
    """Return the last run.json."""
    last = max((project.path / ".awsbench").glob("*/run.json"))
    found: dict[str, Any] = json.loads(last.read_text())
    return found


def verdicts(project: pytest.Pytester) -> list[dict[str, Any]]:
    """Return all verdicts of the last run."""
    return [v for run in document(project)["runs"] for v in run["verdicts"]]


def stored(project: pytest.Pytester, model: str = "tuned") -> dict[str, Any]:
    """Return a model's baseline."""
    path = project.path / "awsbench_baselines" / model / "dataset.json"
    found: dict[str, Any] = json.loads(path.read_text())
    return found


GATE = '\n[[tool.awsbench.gates]]\nmetric = "exact_match"\n'


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (
            "max_drop = 5",
            "*max_drop = 5: exact_match is a share*5 points as 0.05*",
        ),
        ("alpha = 0.5", "*alpha = 0.5: input should be less than 0.5*"),
        ("alpha = 0", "*alpha = 0: input should be greater than 0*"),
        ("margin = -0.1", "*margin = -0.1: input should be greater than 0*"),
        ("guard = true", "*guard = true needs margin*"),
        ("guard = true\nmargin = 0.1\nmax_drop = 0.1", "*has its margin*"),
        ("min = inf", "*min = inf: input should be a finite number*"),
        ('tier = "expret"', "*tier = 'expret': known: 'warmup', 'beginner', *"),
        ("weight = { warmup = -1.0 }", "*weight*-1.0: input should be greater than 0*"),
        (
            'tier = "warmup"\nweight = { beginner = 1.0 }\nmin = 0.5',
            "*weight has no share for 'warmup'*",
        ),
        ('baseline = { value = "9e-1", n = 40 }', "*write 0.889 or '88.9%'*"),
        ("weight = { nowhere = 1.0 }", "*weight = 'nowhere': known: *"),
        ("baseline = { value = 1.2 }", "*not a share in*"),
        ('baseline = { value = "lots" }', "*write 0.889 or '88.9%'*"),
        ("baseline = { value = 0.5, n = 3, stderr = 0.1 }", "*give one; n says more*"),
        ('baseline = "none.toml"', "*none.toml: no table of published numbers*"),
        ('baseline = { value = 0.5 }\nagainst = "tuned"', "*compare with one of them*"),
    ],
)
def test_wrong_gates(project: pytest.Pytester, keys: str, words: str) -> None:
    """What cannot be judged is refused before anything runs, with what is allowed."""
    configure(project, GATE + keys)

    result = project.runpytest(GOOD, *DATASET)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([words])


def test_max_leak_needs_training_rows(project: pytest.Pytester) -> None:
    """A gate on leakage without training rows would never be red."""
    set_keys(project, "max_leak = 0.05")

    result = project.runpytest(GOOD, *DATASET)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*max_leak: no train; set train*"])


def test_weight_of_a_row(project: pytest.Pytester) -> None:
    """A row may count more than others; a weight below 0 names its line."""
    rows = [row(i) | ({"weight": 3} if i < 2 else {}) for i in range(40)]
    write_jsonl(project.path / "data.jsonl", rows)

    weighed = project.runpytest(GOOD, *DATASET)

    # Two of 40 are wrong, and count three times: 38 of 44.
    weighed.stdout.fnmatch_lines(["exact_match * 86.4%*"])
    write_jsonl(project.path / "data.jsonl", [*rows, row(40) | {"weight": -1}])
    refused = project.runpytest(GOOD, *DATASET)
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    refused.stderr.fnmatch_lines(["*line 41: key 'weight' must be a number above 0*"])


def test_several_gates_share_alpha(
    project: pytest.Pytester, workers: list[str]
) -> None:
    """With two gates each spends half, shows Holm's p, and says so everywhere."""
    configure(project, GATE + '\n[[tool.awsbench.gates]]\nmetric = "op_match"\n')
    project.runpytest_subprocess(GOOD, *DATASET, "--snapshot-update", *workers)

    result = project.runpytest_subprocess(
        BAD, *DATASET, "--junitxml=junit.xml", *workers
    )

    result.stdout.fnmatch_lines([
        "exact_match * REGRESSED  p<.001 (Holm p<.001), 10 answers changed*",
        "op_match * WITHIN_NOISE  p=.500 (Holm p=.500), *",
    ])
    first, second = verdicts(project)
    assert (first["alpha"], second["alpha"]) == (0.025, 0.025)
    assert first["p_holm"] == pytest.approx(2 * first["p"])
    assert "(alpha 0.025)" in result.stdout.str()


def test_alpha_is_the_same_for_a_selection(project: pytest.Pytester) -> None:
    """Deselected gates still count: picking one does not make it more sensitive."""
    configure(project, GATE + '\n[[tool.awsbench.gates]]\nmetric = "op_match"\n')
    project.runpytest(GOOD, *DATASET, "--snapshot-update")

    project.runpytest(BAD, *DATASET, "-k", "row or gate-exact_match")

    [verdict] = verdicts(project)
    assert verdict["alpha"] == 0.025


def test_own_alpha(project: pytest.Pytester) -> None:
    """A gate that names its alpha keeps it, and takes nothing from the others."""
    configure(
        project, f'{GATE}\n[[tool.awsbench.gates]]\nmetric = "op_match"\nalpha = 0.01\n'
    )
    project.runpytest(GOOD, *DATASET, "--snapshot-update")

    project.runpytest(GOOD, *DATASET)

    assert [v["alpha"] for v in verdicts(project)] == [0.05, 0.01]


def test_gain(project: pytest.Pytester) -> None:
    """A gain must be shown beyond noise; the same answers again are no gain."""
    configure(project, f"{GATE}min_gain = 0.1\n")
    project.runpytest(BAD, *DATASET, "--snapshot-update")

    better, same = (project.runpytest(m, *DATASET) for m in (GOOD, BAD))

    assert (better.ret, same.ret) == (0, 1)
    same.stdout.fnmatch_lines([
        "*MISSED: gain of 10.0pp not shown: lower bound -6.3pp*"
    ])


def test_guards_and_the_claim(project: pytest.Pytester) -> None:
    """The claim needs a primary metric that improved, and guards that all passed."""
    configure(
        project,
        f'{GATE}\n[[tool.awsbench.gates]]\nmetric = "op_match"\nguard = true\n'
        "margin = 0.1\n",
    )
    project.runpytest(BAD, *DATASET, "--snapshot-update")

    better, same = (project.runpytest(m, *DATASET) for m in (GOOD, BAD))

    better.stdout.fnmatch_lines([
        "op_match (guard) * GUARD PASS*",
        "claim: tuned is better: exact_match improved, and op_match did not suffer",
    ])
    same.stdout.fnmatch_lines([
        "claim: tuned cannot be called better: exact_match WITHIN_NOISE"
    ])
    assert same.ret == 0


def test_guard_that_cannot_be_certified(project: pytest.Pytester) -> None:
    """A margin that so few items cannot certify is warned of before anything runs."""
    configure(project, f"{GATE}guard = true\nmargin = 0.02\n")

    result = project.runpytest(GOOD, *DATASET)

    result.stdout.fnmatch_lines([
        "awsbench: warning: tuned::dataset::gate-exact_match-guard: margin 2.0pp is"
        " smaller than what 40 items can certify (17.6pp, *",
    ])


def test_published_number(project: pytest.Pytester) -> None:
    """A published share is a baseline, though a weak one; a table may hold several."""
    configure(project, f'{GATE}baseline = "paper.toml"\n')
    (project.path / "paper.toml").write_text(
        '[exact_match]\nvalue = "95.0%"\nn = 40\nsource = "table 2"\n'
    )

    good, bad = (project.runpytest(m, *DATASET) for m in (GOOD, BAD))

    assert (good.ret, bad.ret) == (0, 1)
    good.stdout.fnmatch_lines(["exact_match vs table 2*95.0%*95.0%*unpaired*"])
    bad.stdout.fnmatch_lines(["exact_match vs table 2*REGRESSED*unpaired*"])


def test_published_number_without_its_size(project: pytest.Pytester) -> None:
    """A number of which nobody knows how exact it is cannot make a gate red."""
    configure(project, f"{GATE}baseline = {{ value = 0.95 }}\n")

    result = project.runpytest(BAD, *DATASET)

    assert result.ret == 0
    assert verdicts(project)[0]["status"] == "INCONCLUSIVE"


def test_too_few_items(project: pytest.Pytester) -> None:
    """A gate that could never be red is warned of before anything runs."""
    write_jsonl(project.path / "data.jsonl", [row(i) for i in range(3)])

    result = project.runpytest(GOOD, *DATASET)

    result.stdout.fnmatch_lines([
        "awsbench: warning: *gate-exact_match: can never fail: 3 items in 3 tasks*"
    ])


def test_changes_by_tier(project: pytest.Pytester) -> None:
    """Where a metric changed is shown with q values, and marked as not gated."""
    project.runpytest(GOOD, *DATASET, "--snapshot-update")

    result = project.runpytest(BAD, *DATASET)

    result.stdout.fnmatch_lines([" change by tier, not gated: warmup -21.4pp (q=*"])


def test_same_model_again(project: pytest.Pytester) -> None:
    """An unchanged model that answers alike is said to have been reproduced."""
    project.runpytest(GOOD, *DATASET, "--snapshot-update")

    result = project.runpytest(GOOD, *DATASET)

    result.stdout.fnmatch_lines([
        " same weights and data as the baseline: none of 40 items differs*"
    ])


def test_same_model_otherwise(project: pytest.Pytester) -> None:
    """The same weights with other answers: something around the model changed."""
    project.runpytest(GOOD, *DATASET, "--snapshot-update")
    path = project.path / "awsbench_baselines" / "tuned" / "dataset.json"
    text = path.read_text()
    for number in range(20, 32):
        text = _made_wrong(text, f"row-{number:05}")
    path.write_text(text)

    result = project.runpytest(GOOD, *DATASET)

    result.stdout.fnmatch_lines([
        " same weights and data as the baseline: 12 of 40 items differ from it",
    ])


def _made_wrong(text: str, item: str) -> str:
    """Return a baseline in which an item was not exact."""
    lines = [
        line.replace('"exact_match": [1, 1]', '"exact_match": [0, 0]')
        if f'"{item}"' in line
        else line
        for line in text.split("\n")
    ]
    return "\n".join(lines)


def test_leakage(project: pytest.Pytester, workers: list[str]) -> None:
    """What of the held-out rows was trained on stands in the header, and is gated."""
    set_keys(project, 'train = "train.jsonl"\nmax_leak = 0.05')
    write_jsonl(project.path / "train.jsonl", [row(i) for i in range(36, 60)])

    result = project.runpytest_subprocess(GOOD, *DATASET, *workers)

    assert result.ret == 1
    result.stdout.fnmatch_lines([
        "  leakage: 10.0% of prompts, 10.0% of (task, answer) pairs, 10.0% of answers"
        " stand in train (24 rows)",
        "  warning: 10.0% of prompts of the held-out rows stand in the training rows*",
        "*leakage 10.0% of prompts > max_leak 5.0%: 4 of 40 held-out rows*",
    ])
    assert document(project)["suites"]["dataset"]["leakage"]["prompts"]["count"] == 4


def test_no_leakage(project: pytest.Pytester) -> None:
    """Rows that were not trained on pass the gate."""
    set_keys(project, 'train = "train.jsonl"\nmax_leak = 0.05')
    write_jsonl(project.path / "train.jsonl", [row(i) for i in range(40, 60)])

    result = project.runpytest(GOOD, *DATASET, "-v")

    assert result.ret == 0
    result.stdout.fnmatch_lines(["awsbench::tuned::dataset::gate-leakage PASSED*"])
    result.stdout.no_fnmatch_line("*warning*stand in the training rows*")


@pytest.mark.parametrize("answers", ["good", "bad", "slightly"])
def test_early_stop_has_the_same_verdict(
    project: pytest.Pytester, workers: list[str], answers: str
) -> None:
    """A run that stops early is as red or green as the full one."""
    project.runpytest_subprocess(GOOD, *DATASET, "--snapshot-update")
    model = f"--awsbench-model=tuned=replay:{answers}.jsonl"
    full = project.runpytest_subprocess(model, *DATASET)
    set_keys(project, "early_stop = true")

    stopped = project.runpytest_subprocess(model, *DATASET, *workers)

    assert stopped.ret == full.ret


def test_early_stop(project: pytest.Pytester) -> None:
    """What cannot change the verdict is skipped, and the run says so."""
    write_answers(project.path, "all-wrong", 40, wrong(range(40)))
    project.runpytest(GOOD, *DATASET, "--snapshot-update")
    before = stored(project)
    set_keys(project, "early_stop = true")

    worse = project.runpytest(
        "--awsbench-model=tuned=replay:all-wrong.jsonl", *DATASET, "-rs"
    )
    better = project.runpytest(GOOD, *DATASET)
    stores = project.runpytest(GOOD, *DATASET, "--snapshot-update")

    worse.stdout.fnmatch_lines([
        "early stop: 8 of 40 answered; no score",
        "exact_match REGRESSED: stopped at 8/40: no answer that is still to come*",
        "*SKIPPED * decided: no answer can change the verdict any more",
    ])
    better.stdout.fnmatch_lines([
        "early stop: 38 of 40 answered; no score",
        "exact_match NOT_REGRESSED: stopped at 38/40: *",
    ])
    stores.stdout.no_fnmatch_line("*early stop*")
    assert stored(project)["items"] == before["items"]
    assert not list((project.path / ".awsbench").glob("decided-*"))


def test_no_early_stop_for_other_gates(project: pytest.Pytester) -> None:
    """A gate that needs a score needs every answer."""
    configure(project, f"{GATE}min = 0.1\n")
    project.runpytest(GOOD, *DATASET, "--snapshot-update")
    set_keys(project, "early_stop = true")

    result = project.runpytest(GOOD, *DATASET)

    result.stdout.no_fnmatch_line("*early stop*")


def test_confirming_is_useless_for_greedy_answers(project: pytest.Pytester) -> None:
    """What repeats itself is not run again, and the verdict says so."""
    set_keys(project, "confirm = 2")
    project.runpytest(GOOD, *DATASET, "--snapshot-update")

    result = project.runpytest(BAD, *DATASET)

    assert result.ret == 1
    result.stdout.fnmatch_lines(["*confirm = 2 cannot change anything: greedy*"])


def test_selecting_run_is_not_stored(project: pytest.Pytester) -> None:
    """The run that chose a checkpoint is refused; a fresh one is stored."""
    selected = ("--snapshot-update", "--awsbench-selected-from=5")
    first = project.runpytest(GOOD, *DATASET, *selected)

    project.runpytest(GOOD, *DATASET)
    resumed = project.runpytest(GOOD, *DATASET, *selected, "--awsbench-resume")
    fresh = project.runpytest(GOOD, *DATASET, *selected)

    assert (first.ret, resumed.ret, fresh.ret) == (4, 4, 0)
    first.stderr.fnmatch_lines(["*would be the run that chose them*"])
    resumed.stderr.fnmatch_lines(["*would store answers that chose the model*"])
    assert stored(project)["selected_from"] == 5


def test_a_further_run(project: pytest.Pytester) -> None:
    """A run can be added to a baseline, which then says how many it holds."""
    project.runpytest(GOOD, *DATASET, "--snapshot-update")

    project.runpytest(GOOD, *DATASET, "--snapshot-update", "--awsbench-add-run")
    result = project.runpytest(GOOD, *DATASET)

    held = stored(project)
    assert (held["runs"], held["items"]["row-00000"]["k"]) == (2, 2)
    assert held["run_means"]["exact_match"] == [0.95, 0.95]
    result.stdout.fnmatch_lines(["awsbench: model tuned *baseline *, 2 runs"])


def test_a_run_of_another_model_is_not_added(project: pytest.Pytester) -> None:
    """Runs of other weights are not pooled."""
    project.runpytest(GOOD, *DATASET, "--snapshot-update")

    result = project.runpytest(BAD, *DATASET, "--snapshot-update", "--awsbench-add-run")

    assert result.ret == 1
    result.stdout.fnmatch_lines(["*cannot be added to the baseline: weights differ*"])
    assert stored(project)["runs"] == 1


def test_adding_needs_accepting(project: pytest.Pytester) -> None:
    """The flag alone would do nothing, so it is refused."""
    result = project.runpytest(GOOD, *DATASET, "--awsbench-add-run")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*give --snapshot-update, too*"])


def test_repeats_of_what_repeats_itself(project: pytest.Pytester) -> None:
    """Recorded answers are asked for once, whatever is wished."""
    result = project.runpytest(GOOD, *DATASET, "--awsbench-repeats=3")

    result.stdout.fnmatch_lines(["note: tuned: asked once, not 3 times: *"])
    assert document(project)["runs"][0]["results"][0]["k"] == 1


def power(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``awsbench power`` as a shell would."""
    script = Path(sys.executable).with_name("awsbench")
    command = [str(script), "power", *arguments]
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    return subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, check=False
    )


def test_power(project: pytest.Pytester) -> None:
    """Every gate shows what it can see; nothing is run, and nothing is written."""
    configure(project, f'{GATE}\n[[tool.awsbench.gates]]\nmetric = "op_match"\n')
    before = sorted(project.path.rglob("*"))

    result = power(project.path, "--awsbench-model=tuned")

    assert result.returncode == 0, result.stderr
    head, first, second, *rest = result.stdout.splitlines()
    assert head.split("  ")[0] == "gate"
    assert first.split()[:5] == [
        "awsbench::tuned::dataset::gate-exact_match",
        "40",
        "40",
        "1.0",
        "20%*",
    ]
    assert second.startswith("awsbench::tuned::dataset::gate-op_match")
    assert "alpha 0.05 of the session is shared by 2 gates" in rest
    assert sorted(project.path.rglob("*")) == before


def test_power_in_an_empty_folder(pytester: pytest.Pytester) -> None:
    """Without configuration the built-in adapter's gate is shown."""
    result = power(pytester.path)

    assert result.returncode == 0
    assert "awsbench::sft::dataset::gate-exact_match  150" in result.stdout


def test_power_of_wrong_configuration(project: pytest.Pytester) -> None:
    """A configuration that cannot be used is refused as in a run."""
    configure(project, f"{GATE}max_drop = 5\n")

    result = power(project.path)

    assert result.returncode == pytest.ExitCode.USAGE_ERROR
    assert "write 5 points as 0.05" in result.stderr


def test_power_help(pytester: pytest.Pytester) -> None:
    """The command says what it is for."""
    result = power(pytester.path, "--help")

    assert "smallest drop" in " ".join(result.stdout.split())


@pytest.fixture
def sampled(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project in which the demo adapter samples its answers to a few prompts."""
    from pytest_awsbench import demo

    rows = [json.loads(x) for x in demo.DATASETS["heldout"].read_text().splitlines()]
    write_jsonl(pytester.path / "data.jsonl", rows[:24])
    pytester.makepyprojecttoml(
        f"""
        [tool.awsbench]
        dataset = "data.jsonl"
        confirm = 2
        temperature = 1.0
        max_new_tokens = 48

        [tool.awsbench.models.base]
        path = "{demo.BASE}"
        [tool.awsbench.models.sft]
        extends = "base"
        adapter = "{demo.ADAPTER}"
        """
    )
    return pytester


SFT = "--awsbench-model=sft"


@pytest.mark.torch
def test_sampled_repeats(sampled: pytest.Pytester) -> None:
    """Sampled answers differ from draw to draw, the same wherever they are drawn."""
    one, two = (("--awsbench-out=one",), ("--awsbench-out=two", "-n2"))
    for arguments in (one, two):
        result = sampled.runpytest_subprocess(
            SFT, *DATASET, "--awsbench-repeats=3", "--snapshot-update", *arguments
        )
        assert result.ret == 0

    [first], [second] = ((sampled.path / x).glob("*/run.json") for x in ("one", "two"))
    texts = [
        {
            r["sample_id"]: [c["text"] for c in r["completion"]["draws"]]
            for r in json.loads(path.read_text())["runs"][0]["results"]
        }
        for path in (first, second)
    ]
    assert texts[0] == texts[1]
    assert any(len(set(draws)) > 1 for draws in texts[0].values())
    assert {item["k"] for item in stored(sampled, "sft")["items"].values()} == {3}
    result.stdout.fnmatch_lines([
        " exact_match, pass@3: *% (90% CI * ... *)",
        " exact_match, pass^3: *% (90% CI * ... *)",
    ])


@pytest.mark.torch
def test_noise_of_sampling_is_shown(sampled: pytest.Pytester) -> None:
    """With repeats on both sides the noise of decoding stands beside that of items."""
    repeats = ("--awsbench-repeats=3",)
    sampled.runpytest_subprocess(SFT, *DATASET, *repeats, "--snapshot-update")
    added = ("--snapshot-update", "--awsbench-add-run")
    sampled.runpytest_subprocess(SFT, *DATASET, *repeats, *added)

    result = sampled.runpytest_subprocess(SFT, *DATASET, *repeats)

    assert result.ret == 0
    held = stored(sampled, "sft")
    assert (held["runs"], len(held["run_means"]["exact_match"])) == (2, 2)
    assert {item["k"] for item in held["items"].values()} == {6}
    [verdict] = verdicts(sampled)
    assert verdict["rerun_discordance"] > 0
    assert any("run-to-run noise unknown (2 stored runs" in n for n in verdict["notes"])


@pytest.mark.torch
@pytest.mark.parametrize("workers", [[], ["-n2"]], ids=["local", "n2"])
def test_confirming(sampled: pytest.Pytester, workers: list[str]) -> None:
    """A red verdict on sampled answers is judged again with two fresh runs."""
    sampled.runpytest_subprocess(SFT, *DATASET, "--snapshot-update")
    folder = sampled.path / "awsbench_baselines"
    (folder / "base").mkdir()
    shutil.copy(folder / "sft" / "dataset.json", folder / "base" / "dataset.json")

    result = sampled.runpytest_subprocess("--awsbench-model=base", *DATASET, *workers)

    assert result.ret == 1
    result.stdout.fnmatch_lines([
        "*confirmed by 2 fresh runs, pooled with the first; the first alone: -*pp, p*"
    ])
    [verdict] = verdicts(sampled)
    assert verdict["rerun_discordance"] is not None


def test_public_statistics() -> None:
    """Every name that the library promises is there."""
    from pytest_awsbench import stats

    assert sorted(stats.__all__) == sorted(stats._MODULE_OF)
    assert all(callable(getattr(stats, name)) for name in stats.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = stats.nothing


def own_suite(project: pytest.Pytester, value: float) -> tuple[str, ...]:
    """Write a suite with a scorer of its own; return the arguments that run it."""
    project.makeconftest(
        f"""
        from pytest_awsbench import Sample, Score, Suite

        def points(sample, completion):
            return Score(metric="points", value={value})

        def pytest_awsbench_load_suite(config):
            asked = [Sample.of(f"bucket {{i}}", "aws s3 ls") for i in range(20)]
            return Suite.of("mine", asked, {{"points": points}})
        """
    )
    rows = [{"prompt": f"bucket {i}", "completion": "aws"} for i in range(20)]
    write_jsonl(project.path / "mine.jsonl", rows)
    return ("--awsbench-model=tuned=replay:mine.jsonl", "-m", "mine")


def test_same_model_with_values_that_are_no_counts(project: pytest.Pytester) -> None:
    """A share of a point is no count of right answers: nothing is said of it."""
    project.runpytest_subprocess(*own_suite(project, 0.5), "--snapshot-update")

    result = project.runpytest_subprocess(*own_suite(project, 1.0))

    assert result.ret == 0
    result.stdout.fnmatch_lines(["points * IMPROVED*"])
    result.stdout.no_fnmatch_line("*same weights*")


def test_early_stop_with_values_beyond_one(project: pytest.Pytester) -> None:
    """What is no share is for the full run to refuse; nothing breaks before."""
    set_keys(project, "early_stop = true")
    project.runpytest_subprocess(*own_suite(project, 1.0), "--snapshot-update")

    result = project.runpytest_subprocess(*own_suite(project, 3.0))

    assert result.ret == 1
    result.stdout.fnmatch_lines(["*points INVALID: points has values from 1 to 3*"])


def test_early_stop_forgets_a_killed_run(project: pytest.Pytester) -> None:
    """What a killed process of the same number left does not skip every item."""
    project.runpytest(GOOD, *DATASET, "--snapshot-update")
    set_keys(project, "early_stop = true")
    left = project.path / ".awsbench" / f"decided-{os.getpid()}"
    left.mkdir()
    for name in ("tuned-dataset", "tuned+dataset"):
        (left / name).touch()

    result = project.runpytest(BAD, *DATASET)

    assert result.ret == 1
    result.stdout.fnmatch_lines(["*exact_match REGRESSED*"])


@pytest.mark.parametrize(
    ("gate", "words"),
    [
        ('metric="exact_matc"', "*gate-exact_matc*known: format_ok, *"),
        (
            'metric="exact_match", tiers=("expret",)',
            "*tier = 'expret': known: 'warmup', *",
        ),
        ('metric="exact_match", against="nobody"', "*against = 'nobody': known: *"),
        ('metric="exact_match", max_drop=5', "*write 5 points as 0.05*"),
    ],
)
def test_wrong_gates_of_hooks(project: pytest.Pytester, gate: str, words: str) -> None:
    """A gate of a hook is refused like one of the file, not skipped for ever."""
    project.makeconftest(
        f"""
        from pytest_awsbench import Gate

        def pytest_awsbench_gates(config, model, suite):
            return Gate(suite=suite, {gate})
        """
    )

    result = project.runpytest_subprocess(GOOD, *DATASET)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([words])


def test_gates_of_hooks_for_another_suite(project: pytest.Pytester) -> None:
    """A gate judges the suite that it names, whenever its hook returns it."""
    project.makeconftest(
        """
        from pytest_awsbench import Gate

        def pytest_awsbench_gates(config, model, suite):
            return [Gate(suite="env", metric="completion_rate", title="done")]
        """
    )

    result = project.runpytest_subprocess(GOOD, *DATASET, "-v")

    assert result.ret == 0
    result.stdout.no_fnmatch_line("*::done*")


def test_titled_gate_stays_among_the_last_failed(project: pytest.Pytester) -> None:
    """A red gate that a partial run skips is not forgotten, whatever its title."""
    project.makeconftest(
        """
        from pytest_awsbench import Gate

        def pytest_awsbench_gates(config, model, suite):
            return [Gate(suite=suite, metric="exact_match", min=1.0, title="quality")]
        """
    )
    project.runpytest_subprocess(GOOD, *DATASET)

    project.runpytest_subprocess(GOOD, *DATASET, "--lf")

    cache = project.path / ".pytest_cache" / "v" / "cache" / "lastfailed"
    assert list(json.loads(cache.read_text())) == ["awsbench::tuned::dataset::quality"]


def test_claim_needs_guards_that_were_judged(project: pytest.Pytester) -> None:
    """A guard without a baseline, or that was deselected, did not pass."""
    guard = '\n[[tool.awsbench.gates]]\nmetric = "{}"\nguard = true\nmargin = 0.2\n'
    configure(project, GATE + guard.format("op_match") + guard.format("mine"))
    hook = """
        from pytest_awsbench import Score

        def pytest_awsbench_score(suite, sample, completion):
            return {}
        """
    project.makeconftest(hook.format("()"))
    project.runpytest_subprocess(BAD, *DATASET, "--snapshot-update")
    project.makeconftest(hook.format('Score(metric="mine", value=0.0)'))

    whole = project.runpytest_subprocess(GOOD, *DATASET)
    part = project.runpytest_subprocess(GOOD, *DATASET, "-k", "not gate-mine")

    whole.stdout.fnmatch_lines(["claim: tuned cannot be called better: mine SKIPPED"])
    part.stdout.fnmatch_lines(["claim: tuned cannot be called better: mine not judged"])


def test_warnings_of_gates(project: pytest.Pytester, workers: list[str]) -> None:
    """They are said with workers, too, and not of gates that have a threshold."""
    write_jsonl(project.path / "data.jsonl", [row(i) for i in range(3)])
    configure(
        project, f'{GATE}\n[[tool.awsbench.gates]]\nmetric = "op_match"\nmin = 0\n'
    )

    result = project.runpytest_subprocess(GOOD, *DATASET, *workers)

    [line] = [x for x in result.outlines if x.startswith("awsbench: warning: ")]
    assert "gate-exact_match: can never fail" in line


def test_models_beside_each_other_are_weighed(project: pytest.Pytester) -> None:
    """Means of a comparison are those of the verdicts, where rows have weights."""
    rows = [row(i) | ({"weight": 3} if i < 2 else {}) for i in range(40)]
    write_jsonl(project.path / "data.jsonl", rows)
    write_answers(project.path, "perfect", 40)

    result = project.runpytest(
        "--awsbench-model=a=replay:perfect.jsonl",
        "--awsbench-model=b=replay:good.jsonl",
        *DATASET,
    )

    result.stdout.fnmatch_lines([
        " exact_match by source: success_first_step 86.4%",
        "exact_match * 100.0%  86.4%   -13.6pp *",
    ])
