"""Served models in pytest: asked over real sockets, judged like any other."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from chat_server import Answer, Asked, Chat, refuses, says, serve
from projects import target

from pytest_awsbench.models.listing import PROBES


DATASET = ("-m", "dataset")
PROBED = len(PROBES)
CONFTEST = """
from toy_env import Words


def pytest_awsbench_env_factory(config):
    return Words
"""


def knows(asked: Asked) -> Answer:
    """Answer as the project's data have it; anything else with a listing."""
    found = re.search(r"bucket b-(\d+)", asked.words)
    return says(target(int(found[1])) if found else "aws s3 ls")


@pytest.fixture
def chat() -> Iterator[Chat]:
    """A server that knows every answer."""
    with serve(knows) as served:
        yield served


def inline(chat: Chat) -> str:
    """Return the flag that names the server's model."""
    return f"--awsbench-model=openai:{chat.url}#small"


def document(project: pytest.Pytester) -> dict[str, Any]:
    """Return the last run.json."""
    last = max((project.path / ".awsbench").glob("*/run.json"))
    found: dict[str, Any] = json.loads(last.read_text())
    return found


def test_a_served_model(
    project: pytest.Pytester, chat: Chat, workers: list[str]
) -> None:
    """A model behind a URL is judged like a local one, and the run says what it is."""
    result = project.runpytest_subprocess(inline(chat), *DATASET, *workers)

    assert result.ret == 0
    result.stdout.fnmatch_lines([
        "awsbench: model small = small served at 127.0.0.1:*",
        "exact_match * 100.0%",
        "note: small: served: its answers may vary with load*",
    ])
    asked = [x for x in chat.asked if "bucket b-" in x.words]
    assert len(asked) == 40
    assert {x.body["model"] for x in asked} == {"small"}
    card = document(project)["runs"][0]["model"]
    assert card["details"]["base_url"] == [chat.url]


def test_configured(
    project: pytest.Pytester, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys of the configuration reach the server; the API key reaches nobody else."""
    monkeypatch.setenv("OUR_KEY", "sk-topsecret")
    path = project.path / "pyproject.toml"
    path.write_text(
        path.read_text()
        + f"""
        [tool.awsbench.models.served]
        backend = "openai"
        base_url = ["{chat.url}"]
        model = "small"
        api_key_env = "OUR_KEY"
        max_tokens = 77
        concurrency = 3
        extra_body = {{ top_k = 1 }}
        """
    )

    result = project.runpytest(
        "--awsbench-model=served", *DATASET, "--snapshot-update", "-vv"
    )

    assert result.ret == 0
    body = chat.asked[-1].body
    assert (body["max_tokens"], body["top_k"]) == (77, 1)
    assert chat.asked[-1].headers["authorization"] == "Bearer sk-topsecret"
    kept = [p.read_bytes() for p in project.path.rglob("*") if p.is_file()]
    assert not any(b"topsecret" in text for text in kept)
    assert "topsecret" not in result.stdout.str() + result.stderr.str()


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("", "*models.served: no base_url; backend = *"),
        ('base_url = "http://x/v1"\npath = "folder"', "*path is for local models*"),
        ('base_url = "ftp://x"', "*is no HTTP address*"),
        (
            'base_url = "http://127.0.0.1:9/v1"\napi_key_env = "NOBODY_SET_THIS"',
            "*environment variable NOBODY_SET_THIS is not set*",
        ),
    ],
)
def test_wrong_configuration(project: pytest.Pytester, keys: str, words: str) -> None:
    """What cannot be asked is refused with what is allowed."""
    path = project.path / "pyproject.toml"
    table = f'\n[tool.awsbench.models.served]\nbackend = "openai"\n{keys}\n'
    path.write_text(path.read_text() + table)

    result = project.runpytest("--awsbench-model=served", *DATASET)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([words])


def test_key_of_a_served_model_alone(project: pytest.Pytester) -> None:
    """A local model has no URL."""
    path = project.path / "pyproject.toml"
    path.write_text(path.read_text() + '\nbase_url = "http://x/v1"\n')

    result = project.runpytest("--awsbench-model=tuned", *DATASET)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(['*base_url needs backend = "openai"*'])


def test_refused(project: pytest.Pytester, chat: Chat) -> None:
    """A server that refuses the key ends the run before its first item."""
    chat.behave = lambda _: refuses(401, "bad key")

    result = project.runpytest(inline(chat), *DATASET)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*401*"])


@pytest.mark.parametrize("status", [500, 400], ids=["broken", "declined"])
def test_lost_answer(project: pytest.Pytester, chat: Chat, status: int) -> None:
    """An answer that the server never gives is lost; no other, and none is wrong."""

    def moody(asked: Asked) -> Answer:
        lost = asked.words.endswith("bucket b-7")
        return refuses(status, "no luck", Retry_After="0") if lost else knows(asked)

    chat.behave = moody
    first = project.runpytest(inline(chat), *DATASET, "-rE")
    asked = len(chat.asked)
    chat.behave = knows

    again = project.runpytest(inline(chat), *DATASET, "--awsbench-resume")

    assert (first.ret, again.ret) == (75, 0)
    first.stdout.fnmatch_lines([
        "partial: 39 of 40 answered, 1 lost to infrastructure*"
    ])
    again.stdout.fnmatch_lines(["exact_match * 100.0%"])
    # Its chunk is asked again, in the same company; no other is.
    assert len(chat.asked) - asked == PROBED + 8


def test_another_request_is_not_resumed(project: pytest.Pytester, chat: Chat) -> None:
    """Another extra_body is another question; its text is kept nowhere."""
    path = project.path / "pyproject.toml"
    configured = path.read_text()

    def run(mode: str) -> int:
        path.write_text(
            configured
            + f"""
            [tool.awsbench.models.served]
            backend = "openai"
            base_url = "{chat.url}"
            model = "small"
            extra_body = {{ mode = "{mode}" }}
            """
        )
        before = len(chat.asked)
        project.runpytest("--awsbench-model=served", *DATASET, "--awsbench-resume")
        return len(chat.asked) - before

    asked = [run("quick-mode"), run("quick-mode"), run("slow-mode")]

    assert asked == [PROBED + 40, PROBED, PROBED + 40]
    kept = [p.read_bytes() for p in project.path.rglob(".awsbench/**/*") if p.is_file()]
    assert not any(b"quick-mode" in text for text in kept)


def test_draws(project: pytest.Pytester, chat: Chat) -> None:
    """Repeats ask a server again even without sampling: it may answer otherwise."""
    result = project.runpytest(inline(chat), *DATASET, "--awsbench-repeats=3")

    assert result.ret == 0
    assert len(chat.asked) == PROBED + 3 * 40
    assert document(project)["runs"][0]["results"][0]["k"] == 3


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_episodes(pytester: pytest.Pytester, chat: Chat, temperature: float) -> None:
    """Episodes are played by a served model; a lost answer begins its episode anew."""
    tasks = [
        {"task_id": n, "difficulty": "warmup", "description": text}
        for n, text in enumerate(["amber copper", "indigo", "copper indigo amber"])
    ]
    pytester.makeconftest(CONFTEST)
    (pytester.path / "tasks.yaml").write_text(json.dumps(tasks))
    pytester.makepyprojecttoml(
        f'[tool.awsbench]\ntasks = "tasks.yaml"\ntemperature = {temperature}\n'
    )

    def plays(asked: Asked) -> Answer:
        task = re.search(r"TASK: (.*)", asked.words)
        step = re.search(r"Step: (\d+)", asked.words)
        if task is None or step is None:
            return knows(asked)
        return says(f"aws say {task[1].split()[int(step[1])]}")

    chat.behave = plays

    result = pytester.runpytest(inline(chat), "-m", "env")

    assert result.ret == 0
    result.stdout.fnmatch_lines(["completion_rate * 100.0%"])
