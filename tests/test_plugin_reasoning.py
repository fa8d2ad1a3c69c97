"""Models that think aloud, and answers that a budget cut off."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chat_server import Answer, Asked, Chat, plain, refuses, serve
from projects import reports, target

from pytest_awsbench.models.listing import PROBES


DATASET = ("-m", "dataset")
PROBED = len(PROBES)
THOUGHT = "The bucket is named, so its objects are listed. " * 20
NEEDED = 300
"""Tokens that the server's model takes for the first twelve prompts."""
MANY = 12


def thinks(asked: Asked) -> Answer:
    """Answer as a model that thinks long about the first prompts."""
    found = re.search(r"bucket b-(\d+)", asked.words)
    number, budget = int(found[1]) if found else 0, int(asked.body["max_tokens"])
    needed = NEEDED if found and number < MANY else 20
    over = needed <= budget
    message = {"content": target(number) if over else None, "reasoning": THOUGHT}
    used = min(needed, budget)
    return plain({
        "choices": [
            {"message": message, "finish_reason": "stop" if over else "length"}
        ],
        "usage": {
            "prompt_tokens": 9,
            "completion_tokens": used,
            "completion_tokens_details": {"reasoning_tokens": used - 10},
        },
    })


@pytest.fixture
def chat() -> Iterator[Chat]:
    """A server whose model thinks."""
    with serve(thinks) as served:
        yield served


@pytest.fixture
def configure(project: pytest.Pytester, chat: Chat) -> Any:
    """Add keys to the configuration of the project's served model."""
    path = project.path / "pyproject.toml"
    before = path.read_text()

    def write(keys: str = "") -> None:
        path.write_text(
            f"""{before}
            [tool.awsbench.models.served]
            backend = "openai"
            base_url = "{chat.url}"
            model = "small"
            {keys}
            """
        )

    write()
    return write


SERVED = "--awsbench-model=served"


def document(project: pytest.Pytester) -> dict[str, Any]:
    """Return the run of the last run.json."""
    last = max((project.path / ".awsbench").glob("*/run.json"))
    found: dict[str, Any] = json.loads(last.read_text())["runs"][0]
    return found


def journal(project: pytest.Pytester) -> Path:
    """Return the one journal of a project."""
    [path] = (project.path / ".awsbench" / "journal").glob("*.jsonl")
    return path


@pytest.mark.usefixtures("configure")
def test_cut_off_is_not_wrong(project: pytest.Pytester, workers: list[str]) -> None:
    """Its outcome is its own, and the table says how many there are, and what to do."""
    result = project.runpytest_subprocess(SERVED, *DATASET, *workers)

    assert result.ret == 0
    assert result.parseoutcomes() == {"exact": 28, "truncated": 12, "skipped": 1}
    result.stdout.fnmatch_lines([
        "exact_match * 70.0%",
        " mean answer: * 52.4 tokens, 42.4 of reasoning, *; 12 cut off",
        " 12 of 40 truncated at 128 tokens (12 while reasoning): not over, so they"
        " count as 0; raise max_new_tokens, or set retry_truncated",
    ])
    run = document(project)
    assert run["outcomes"] == {"truncated": 12, "exact": 28}
    assert run["truncation"]["by_budget"] == run["truncation"]["reasoning"] == 12
    assert run["truncation"]["first"] == {}
    said = run["results"][0]["completion"]
    assert (said["text"], said["reasoning"]) == ("", THOUGHT.strip())
    assert (said["tokens"], said["reasoning_tokens"]) == (128, 118)


@pytest.mark.parametrize("keys", ["retry_truncated = 2048", ""])
def test_asked_again(
    project: pytest.Pytester,
    chat: Chat,
    configure: Any,
    workers: list[str],
    keys: str,
) -> None:
    """What was cut off is asked again with the larger budget, and both figures count.

    The larger budget may be one model's, or everyone's.
    """
    configure(keys)
    if not keys:
        path = project.path / "pyproject.toml"
        path.write_text(
            path.read_text().replace(
                "chunk_size = 8", "chunk_size = 8\nretry_truncated = 2048"
            )
        )

    result = project.runpytest_subprocess(SERVED, *DATASET, *workers)

    assert result.ret == 0
    assert result.parseoutcomes() == {"exact": 40, "skipped": 1}
    result.stdout.fnmatch_lines([
        " 12 of 40 truncated at 128 tokens, asked again with 2048: exact_match 70.0% →"
        " 100.0%, format_ok 70.0% → 100.0%, *"
    ])
    result.stdout.no_fnmatch_line("*count as 0*")
    asked = [x for x in chat.asked if "bucket b-" in x.words]
    budgets = [x.body["max_tokens"] for x in asked]
    assert (budgets.count(128), budgets.count(2048)) == (40, 12)
    run = document(project)
    found = run["truncation"]
    assert (found["budget"], found["retry_budget"], found["asked_again"]) == (
        128,
        2048,
        12,
    )
    assert (found["first"]["exact_match"], found["after"]["exact_match"]) == (0.7, 1.0)
    assert run["decoding"]["retry_truncated"] == 2048
    again = run["results"][0]
    assert again["first_scores"]["exact_match"] == 0.0
    assert again["completion"]["first"]["stop"] == "length"
    assert run["results"][-1]["completion"]["first"] is None


@pytest.mark.parametrize("keys", ["retry_truncated = 200", ""])
def test_reports_say_what_was_cut_off(
    reporting: pytest.Pytester, configure: Any, keys: str
) -> None:
    """What a table in the terminal says of its zeros stands below the others, too."""
    configure(keys)

    result = reporting.runpytest(SERVED, *DATASET)

    said = [x.strip() for x in result.outlines if "of 40 truncated" in x]
    assert len(said) == (2 if keys else 1)
    for name, text in reports(reporting).items():
        assert [x for x in said if x not in text] == [], name


def test_still_cut_off(project: pytest.Pytester, configure: Any) -> None:
    """A larger budget that is too small as well says so, and which one to raise."""
    configure("retry_truncated = 200")

    result = project.runpytest(SERVED, *DATASET)

    assert result.parseoutcomes()["truncated"] == 12
    result.stdout.fnmatch_lines([
        " 12 of 40 truncated at 128 tokens, asked again with 200: exact_match 70.0% →"
        " 70.0%*",
        " 12 of 40 truncated at 200 tokens (12 while reasoning): *; raise"
        " retry_truncated",
    ])


def test_a_second_budget_without_room(
    project: pytest.Pytester, chat: Chat, configure: Any
) -> None:
    """Where the larger budget fits nowhere, the first answer stands, cut off."""
    chat.behave = lambda asked: (
        refuses(400, "the request exceeds the available context size")
        if asked.body["max_tokens"] > 128
        else thinks(asked)
    )
    configure("retry_truncated = 2048")

    result = project.runpytest(SERVED, *DATASET)

    assert result.parseoutcomes()["truncated"] == 12
    result.stdout.fnmatch_lines([
        " 12 of 40 truncated at 128 tokens, asked again with 2048: exact_match 70.0% →"
        " 70.0%*",
        " 12 of 40 truncated by the context window: *",
    ])


def test_draws_are_asked_again(
    project: pytest.Pytester, chat: Chat, configure: Any
) -> None:
    """Each of several answers has its second budget."""
    configure("retry_truncated = 2048")

    result = project.runpytest(SERVED, *DATASET, "--awsbench-repeats=2")

    assert len(chat.asked) == PROBED + 2 * (40 + 12)
    result.stdout.fnmatch_lines([" 24 of 80 truncated at 128 tokens, asked again *"])
    assert document(project)["results"][0]["first_scores"]["exact_match"] == 0.0


def test_the_second_budget_is_part_of_the_identity(
    project: pytest.Pytester, chat: Chat, configure: Any
) -> None:
    """Kept answers are served for the same budgets only, and keep both answers."""
    configure("retry_truncated = 2048")
    project.runpytest(SERVED, *DATASET)
    first = len(chat.asked)

    kept = project.runpytest(SERVED, *DATASET, "--awsbench-resume")
    resumed = len(chat.asked) - first
    configure("retry_truncated = 200")
    project.runpytest(SERVED, *DATASET, "--awsbench-resume")

    assert resumed == PROBED
    kept.stdout.fnmatch_lines([" 12 of 40 truncated at 128 tokens, asked again *"])
    assert len(chat.asked) - first - resumed == PROBED + 40 + 12


@pytest.mark.usefixtures("configure")
def test_older_journal(project: pytest.Pytester, chat: Chat) -> None:
    """A journal of before there was reasoning in it is read, and its answers kept."""
    project.runpytest(SERVED, *DATASET)
    path = journal(project)
    head, *rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert "retry_truncated" not in head["decoding"]
    for row in rows:
        for key in ("reasoning", "reasoning_tokens", "first"):
            del row["completion"][key]
    path.write_text("".join(json.dumps(row) + "\n" for row in [head, *rows]))
    asked = len(chat.asked)

    result = project.runpytest(SERVED, *DATASET, "--awsbench-resume")

    assert result.parseoutcomes()["exact"] == 28
    assert len(chat.asked) - asked == PROBED


def test_gate_says_what_the_budget_did(
    project: pytest.Pytester, configure: Any
) -> None:
    """A drop that a budget made is red, and the verdict says that it was the budget."""
    configure("max_tokens = 400")
    project.runpytest(SERVED, *DATASET, "--snapshot-update")
    configure("max_tokens = 128")

    result = project.runpytest(SERVED, *DATASET)

    assert result.ret == 1
    result.stdout.fnmatch_lines([
        "exact_match * REGRESSED *12 worse, 0 better",
        "  gate-exact_match: 12 of 12 that got worse were cut off now (truncated)",
    ])


@pytest.mark.usefixtures("configure")
def test_reasoning_is_shown_short(project: pytest.Pytester) -> None:
    """Who looks at an answer sees that there was reasoning, how it began and ended."""
    result = project.runpytest(SERVED, *DATASET, "-vv")

    result.stdout.fnmatch_lines([
        "reasoning: The bucket is named, * … * objects are listed. (959 characters,"
        " 118 tokens)",
        "answer: (empty) … (cut off by the token budget)",
    ])


@pytest.mark.parametrize("keys", ["retry_truncated = 128", "retry_truncated = 64"])
def test_no_larger_budget(project: pytest.Pytester, configure: Any, keys: str) -> None:
    """A second budget that would cut off the same is refused at the start."""
    configure(keys)

    result = project.runpytest(SERVED, *DATASET)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([
        "*model served: retry_truncated = * is no larger than max_new_tokens = 128*"
    ])


def test_recorded_reasoning(project: pytest.Pytester) -> None:
    """Recorded answers may hold their reasoning, in the text or beside it."""
    path = project.path / "good.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[5]["completion"] = f"<think>\nSo list.\n</think>\n{rows[5]['completion']}"
    rows[6]["reasoning"] = "So list."
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))

    result = project.runpytest("--awsbench-model=tuned", *DATASET)

    assert result.parseoutcomes()["exact"] == 38
    said = [row["completion"] for row in document(project)["results"]]
    assert [x["reasoning"] for x in said[4:8]] == ["", "So list.", "So list.", ""]
    result.stdout.fnmatch_lines([" mean answer: *, 8 characters of reasoning"])


def test_turns(pytester: pytest.Pytester, chat: Chat) -> None:
    """Of episodes, turns that were cut off are counted, and those that thought."""
    tasks = [{"task_id": 0, "difficulty": "warmup", "description": "amber copper"}]
    (pytester.path / "tasks.yaml").write_text(json.dumps(tasks))
    pytester.makeconftest(
        """
        from toy_env import Words

        def pytest_awsbench_env_factory(config):
            return Words
        """
    )
    pytester.makepyprojecttoml(
        '[tool.awsbench]\ntasks = "tasks.yaml"\nretry_truncated = 2048\n'
    )
    words = iter([None, "amber", "copper"])

    def speaks(asked: Asked) -> Answer:
        word = next(words) if "TASK" in asked.words else "hello"
        message = {"content": word and f"aws say {word}", "reasoning": THOUGHT}
        reason = "stop" if word else "length"
        return plain({
            "choices": [{"message": message, "finish_reason": reason}],
            "usage": {"completion_tokens": 128, "reasoning_tokens": 100},
        })

    chat.behave = speaks

    result = pytester.runpytest(
        f"--awsbench-model=openai:{chat.url}#small", "-m", "env"
    )

    result.stdout.fnmatch_lines([
        " 1 of 3 turns cut off at 128 tokens (1 while reasoning); raise max_new_tokens",
        " mean episode: 384.0 tokens (300.0 of reasoning), *",
    ])


def test_own_scorers(project: pytest.Pytester, configure: Any) -> None:
    """A suite of one's own: what was cut off and is not right is truncated, too."""
    project.makeconftest(
        """
        from pytest_awsbench import Sample, Score, Suite

        def says(sample, completion):
            return Score(metric="says", value=float(sample.target in completion.text))

        def pytest_awsbench_load_suite(config):
            samples = [
                Sample.of(f"the bucket b-{n}", f"b-{n}") for n in (1, 2, 30)
            ]
            return Suite.of("mine", samples, {"says": says})
        """
    )
    configure("retry_truncated = 2048")

    result = project.runpytest(SERVED, "-m", "mine")
    configure()
    once = project.runpytest(SERVED, "-m", "mine")

    result.stdout.fnmatch_lines([
        " 2 of 3 truncated at 128 tokens, asked again with 2048: says 33.3% → 100.0%"
    ])
    assert once.parseoutcomes()["truncated"] == 2
