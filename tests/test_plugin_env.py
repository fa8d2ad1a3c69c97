"""Suite env in pytest: every task an item, played live, gated, resumed, distributed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kept_runs import document, newest
from projects import write_data
from toy_env import Words

from pytest_awsbench.cli import main
from pytest_awsbench.demo.rows import SYSTEM
from pytest_awsbench.episodes import Turn
from pytest_awsbench.suites.prompting import SftAdapter


CONFTEST = """
from toy_env import Words


def pytest_awsbench_env_factory(config):
    return Words
"""
DOWN = """
from toy_env import Failing


def pytest_awsbench_env_factory(config):
    Failing.lose = staticmethod(lambda number, command: {when})
    return Failing
"""
TEXTS = {
    "warmup": ["amber", "copper", "indigo"],
    "beginner": ["amber copper", "copper indigo amber", "indigo indigo"],
    "expert": ["amber copper indigo amber"],
}
GOOD = "--awsbench-model=tuned=replay:good.jsonl"
BAD = "--awsbench-model=tuned=replay:bad.jsonl"
TASKS = "--awsbench-tasks=tasks"


def answers(texts: list[str], *, fluent: bool) -> Iterator[dict[str, str]]:
    """Yield recorded answers to every prompt of every task's episode.

    A model that is not fluent says the second word of a task wrong, for ever.
    """
    adapter = SftAdapter(SYSTEM)
    for text in texts:
        env = Words()
        first = seen = env.reset({"description": text})
        turns: list[Turn] = []
        while not seen.done and len(turns) < 15:
            prompt = adapter.prompt(text, first, turns)[-1].content
            word = text.split()[env.said]
            said = f"aws say {word}" if fluent or env.said != 1 else "Well …"
            yield {"prompt": prompt, "completion": said}
            command, well_formed = adapter.command(said)
            seen = env.step(command)
            turns.append(
                Turn(
                    prompt_hash="",
                    answer=said,
                    command=command,
                    well_formed=well_formed,
                    output=seen.output,
                    error=seen.error,
                    reward=seen.reward,
                )
            )


@pytest.fixture
def toy(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project with an environment of its own, seven tasks, and recorded answers."""
    folder = pytester.path / "tasks"
    folder.mkdir()
    number = 0
    for tier, texts in TEXTS.items():
        entries = []
        for text in texts:
            entries.append({"task_id": number, "description": text})
            number += 1
        # JSON is YAML.
        (folder / f"{tier}.yaml").write_text(json.dumps(entries))
    every = [text for texts in TEXTS.values() for text in texts]
    for name, fluent in (("good", True), ("bad", False)):
        rows = {r["prompt"]: r for r in answers(every, fluent=fluent)}
        text = "".join(json.dumps(row) + "\n" for row in rows.values())
        (pytester.path / f"{name}.jsonl").write_text(text)
    pytester.makeconftest(CONFTEST)
    write_data(pytester.path, 2)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    pytester.syspathinsert(Path(__file__).parent)
    return pytester


def run_file(project: pytest.Pytester) -> dict[str, Any]:
    """Return the newest run, as the published schema allows it."""
    return document(project)


def test_every_task_is_an_item(toy: pytest.Pytester) -> None:
    """Items are named after tier and task, easy ones first, the gate last."""
    result = toy.runpytest(GOOD, "-m", "env", TASKS, "--co", "-q")

    assert [x for x in result.outlines if x.startswith("awsbench::")] == [
        "awsbench::tuned::env::warmup-0",
        "awsbench::tuned::env::warmup-1",
        "awsbench::tuned::env::warmup-2",
        "awsbench::tuned::env::beginner-3",
        "awsbench::tuned::env::beginner-4",
        "awsbench::tuned::env::beginner-5",
        "awsbench::tuned::env::expert-6",
        "awsbench::tuned::env::gate-completion_rate",
    ]


def test_table(toy: pytest.Pytester, workers: list[str]) -> None:
    """Metrics overall and by tier; what no item has by itself is marked so."""
    result = toy.runpytest_subprocess(BAD, "-m", "env", TASKS, *workers)

    assert result.ret == 0
    assert result.parseoutcomes() == {"complete": 3, "incomplete": 4, "skipped": 1}
    result.stdout.fnmatch_lines([
        "completion_rate *42.9%",
        "avg_steps *9.000",
        "format_failure_rate *53.*%",
        "*completion_rate by tier: warmup 100.0%  beginner 0.0%  expert 0.0%",
        "*of all 7 episodes, never gated: reward_std *",
        "*recovery_rate@5/10/15 of 4 episodes with a failed command, *: 0.0% (0.0 ...*",
    ])


def test_all_metrics_by_tier(toy: pytest.Pytester) -> None:
    """-v shows every metric by tier."""
    result = toy.runpytest(BAD, "-m", "env", TASKS, "-v")

    result.stdout.fnmatch_lines_random([
        "*completion_rate by tier: warmup 100.0%  beginner 0.0%  expert 0.0%",
        "*avg_steps by tier: warmup 1.000  beginner 15.000  expert 15.000",
        "*format_failure_rate by tier: warmup 0.0% *",
    ])


def test_gate(toy: pytest.Pytester, workers: list[str]) -> None:
    """Completion is gated against the stored baseline, one line per task."""
    first = toy.runpytest_subprocess(GOOD, "-m", "env", TASKS, "--snapshot-update")
    assert first.ret == 0
    [stored] = (toy.path / "awsbench_baselines").rglob("env.json")
    baseline = json.loads(stored.read_text())

    again = toy.runpytest_subprocess(GOOD, "-m", "env", TASKS, *workers)
    worse = toy.runpytest_subprocess(BAD, "-m", "env", TASKS, *workers)

    assert len(baseline["items"]) == 7
    assert baseline["items"]["warmup-0"]["sums"]["completion_rate"] == [1, 1]
    again.stdout.fnmatch_lines(["completion_rate *100.0%*100.0%*0 answers changed*"])
    worse.stdout.fnmatch_lines([
        "completion_rate *42.9%*100.0%*-57.1pp*",
        "flips: 4 regressed, 0 fixed",
    ])


def test_trials(toy: pytest.Pytester) -> None:
    """--awsbench-repeats plays each task several times; baselines hold the sums."""
    result = toy.runpytest(
        GOOD, "-m", "env", TASKS, "--awsbench-repeats=3", "--snapshot-update"
    )

    [stored] = (toy.path / "awsbench_baselines").rglob("env.json")
    item = json.loads(stored.read_text())["items"]["beginner-3"]
    assert result.ret == 0
    assert (item["k"], item["sums"]["completion_rate"]) == (3, [3, 3])


def test_transcript(toy: pytest.Pytester) -> None:
    """-vv shows an episode that was not completed turn by turn; a file holds all."""
    result = toy.runpytest(BAD, "-m", "env", TASKS, "-vv")

    result.stdout.fnmatch_lines([
        "i incomplete  awsbench::tuned::env::beginner-3",
        "task: amber copper",
        "incomplete after 15 of at most 15 turns, reward *, progress 0.50, 0 hints",
        "  1 [[]*[]] $ aws say amber",
        "      output: heard",
        "  2 [[]*[]] $ Well …",
        "      error: what?",
    ])
    [file] = (toy.path / ".awsbench").glob("*/episodes.jsonl")
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert {row["item"] for row in rows} >= {"warmup-0", "expert-6"}
    assert rows[0]["turns"][0]["command"].startswith("aws say ")
    results = run_file(toy)["runs"][0]["results"]
    assert results[3]["completion"]["episodes"][0]["turns"] == 15


def test_resume(toy: pytest.Pytester) -> None:
    """Episodes that were played are not played again."""
    toy.runpytest_subprocess(GOOD, "-m", "env", TASKS)
    (toy.path / "conftest.py").write_text(DOWN.format(when="True"))

    result = toy.runpytest_subprocess(GOOD, "-m", "env", TASKS, "--awsbench-resume")

    assert result.ret == 0
    assert result.parseoutcomes() == {"complete": 7, "skipped": 1}


def test_only_selected_tasks_are_played(toy: pytest.Pytester) -> None:
    """An episode has no company that it would need: nobody is played for nothing."""
    toy.runpytest_subprocess(GOOD, "-m", "env", TASKS, "-k", "beginner")

    [journal] = (toy.path / ".awsbench" / "journal").glob("*.jsonl")
    _, *rows = journal.read_text().splitlines()
    assert sorted(json.loads(row)["id"] for row in rows) == [
        "beginner-3",
        "beginner-4",
        "beginner-5",
    ]


def test_lost_task(toy: pytest.Pytester, workers: list[str]) -> None:
    """A task whose episodes infrastructure loses is missing, never wrong."""
    toy.makeconftest(DOWN.format(when="command == 'aws say indigo'"))

    result = toy.runpytest_subprocess(GOOD, "-m", "env", TASKS, *workers)

    assert result.ret == 75
    result.stdout.fnmatch_lines([
        "*completion_rate INVALID: 4 answers lost to infrastructure*",
        "*3 of 7 answered, 4 lost to infrastructure; no score*",
    ])


def test_environment_that_is_down(toy: pytest.Pytester) -> None:
    """Where every episode is lost the run ends with status 75."""
    toy.makeconftest(DOWN.format(when="True"))

    result = toy.runpytest_subprocess(GOOD, "-m", "env", TASKS)

    assert result.ret == 75
    result.stdout.fnmatch_lines(["*lost at step*"])


@pytest.mark.parametrize(
    ("asked", "items"),
    [
        ("tasks#tier:beginner", 3),
        ("tasks#0,6", 2),
        ("tasks#1 per tier", 3),
        ("tasks/warmup.yaml", 3),
        ("tasks#val", 2),
    ],
)
def test_selected_tasks(toy: pytest.Pytester, asked: str, items: int) -> None:
    """Tasks are taken by file, tier, id, or drawn: a declared subset."""
    result = toy.runpytest(
        GOOD, "-m", "env", f"--awsbench-tasks={asked}", "--awsbench-dataset=data.jsonl"
    )

    assert result.parseoutcomes()["complete"] == items


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--awsbench-tasks=tasks#tier:epic"], "tiers: warmup, beginner, expert"),
        (["--awsbench-tasks=tasks#99"], "no task 99; there are 7"),
        (["--awsbench-tasks=nowhere.yaml"], "nowhere.yaml: no such file (looked for"),
        (["--awsbench-tasks=tasks#some"], "some: means nothing; give builtin"),
        (
            ["--awsbench-tasks=tasks/expert.yaml#val", "--awsbench-dataset=data.jsonl"],
            "the data set names none of these",
        ),
        ([TASKS, "--awsbench-repeats=0"], "--awsbench-repeats=0: give a number"),
    ],
)
def test_bad_flags(toy: pytest.Pytester, arguments: list[str], words: str) -> None:
    """What cannot be meant is said before anything is played."""
    result = toy.runpytest(GOOD, "-m", "env", *arguments)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{words}*"])


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        (
            '[[tool.awsbench.gates]]\nsuite = "env"\nmetric = "avg_steps_to_complete"',
            "*is shown, but cannot be gated*mean over completed episodes only*",
        ),
        (
            '[[tool.awsbench.gates]]\nsuite = "env"\nmetric = "avg_steps"\n'
            "baseline = { value = 0.5, n = 10 }",
            "*avg_steps is no share; baseline is for shares*",
        ),
        ('[tool.awsbench]\nprompt = "none.at:all"', "*no such prompt adapter*"),
        ("[tool.awsbench]\nmax_steps = 0", "max_steps = 0:*greater than 0*"),
    ],
)
def test_configuration(toy: pytest.Pytester, toml: str, words: str) -> None:
    """What cannot be judged or played is refused, with the reason."""
    toy.makepyprojecttoml(toml)

    result = toy.runpytest(GOOD, "-m", "env", TASKS)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{words}"])


def test_only_what_is_named_is_loaded(toy: pytest.Pytester) -> None:
    """-m env loads no data set; -m dataset and no -m at all play no tasks."""
    live = toy.runpytest(GOOD, "-m", "env", TASKS)
    both = toy.runpytest("--awsbench-model=sft", "--co", "-q")

    assert "dataset" not in live.stdout.str()
    assert not [x for x in both.outlines if "::env" in x]
    assert "awsbench::sft::dataset::gate-exact_match" in both.outlines


def test_tasks_of_the_data_set(pytester: pytest.Pytester) -> None:
    """val takes the built-in tasks whose templates the built-in prompts are made of."""
    model = "--awsbench-model=sft"

    result = pytester.runpytest(
        model, "-m", "env", "--awsbench-tasks=val", "--co", "-q"
    )

    tiers = {x.split("::")[3].split("-")[0] for x in result.outlines if "::env::" in x}
    assert tiers == {"warmup", "beginner", "intermediate", "gate"}


def test_own_prompt_adapter(toy: pytest.Pytester) -> None:
    """A project owns the form of the prompt, and how a command is read."""
    toy.makepyfile(
        adapter="""
        from pytest_awsbench.records import Message


        class Bare:
            def prompt(self, task, first, turns, dropped=0):
                return (Message("user", f"{task} after {len(turns)}"),)

            def command(self, answer):
                return f"aws say {answer}", True
        """
    )
    toy.makepyprojecttoml('[tool.awsbench]\nprompt = "adapter:Bare"')
    rows = [{"prompt": "amber after 0", "completion": "amber"}]
    (toy.path / "bare.jsonl").write_text(json.dumps(rows[0]) + "\n")

    result = toy.runpytest(
        "--awsbench-model=replay:bare.jsonl", "-m", "env", "--awsbench-tasks=tasks#0"
    )

    assert result.parseoutcomes()["complete"] == 1


def test_fixture(toy: pytest.Pytester) -> None:
    """awsbench_env hands a test of the project a session."""
    toy.makepyfile(
        """
        def test_words(awsbench_env):
            awsbench_env.reset({"task_id": 1, "description": "amber"})

            seen = awsbench_env.step("aws say amber")

            assert seen.achieved
            assert awsbench_env.state() == {"said": 1}
        """
    )

    toy.runpytest().assert_outcomes(passed=1)


def test_reports_of_episodes(
    toy: pytest.Pytester, capsys: pytest.CaptureFixture[str]
) -> None:
    """Completion by step with its band, old commands of a task, and a task shown."""
    toy.runpytest(GOOD, "-m", "env", TASKS, "--snapshot-update")
    stored = newest(toy).name

    toy.runpytest(BAD, "-m", "env", TASKS)

    [run] = run_file(toy)["runs"]
    points = run["curves"]
    assert [point["step"] for point in points] == list(range(1, 16))
    assert points[-1]["share"] == run["means"]["completion_rate"]["mean"]
    assert all(p["low"] <= p["share"] <= p["high"] for p in points)
    assert run["means"]["avg_steps"]["unit"] == "number"
    flip = next(f for f in run["flips"] if f["id"] == "beginner-3")
    assert (flip["old_answer"], flip["old_answer_from"]) == (
        "aws say amber\naws say copper",
        stored,
    )
    out = ["--out", str(toy.path / ".awsbench")]
    assert main(["show", "latest", "beginner-3", *out]) == 0
    assert "incomplete after 15 of at most 15 turns" in capsys.readouterr().out
