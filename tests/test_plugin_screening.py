"""Screening: every model that a server offers, ranked; and what may go wrong."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from chat_server import Answer, Asked, Behaviour, Chat, models, refuses, says, serve
from projects import reports, target

from pytest_awsbench.models.listing import PROBES


DATASET = ("-m", "dataset")
PROSE = "I would rather not."
EMBEDS = "The model does not support Chat Completions API"


def number_of(asked: Asked) -> int | None:
    """Return which row of the project's data was asked; None for a probe."""
    found = re.search(r"bucket b-(\d+)", asked.words)
    return int(found[1]) if found else None


def right(asked: Asked) -> Answer:
    """Answer as the project's data have it."""
    number = number_of(asked)
    return says("aws s3 ls" if number is None else target(number))


def every(step: int, otherwise: str) -> Behaviour:
    """Answer one of so many rows wrongly."""

    def behave(asked: Asked) -> Answer:
        number = number_of(asked)
        return right(asked) if number is None or number % step else says(otherwise)

    return behave


def by_model(**several: Behaviour) -> Behaviour:
    """Answer as each model does; one without a behaviour is right."""
    return lambda asked: several.get(asked.body["model"], right)(asked)


@pytest.fixture
def chat() -> Iterator[Chat]:
    """A server whose models know every answer."""
    with serve(right) as served:
        yield served


def screen(chat: Chat, pattern: str = "*") -> str:
    """Return the flag that names all models of a server."""
    return f"--awsbench-model=openai:{chat.url}#{pattern}"


def configure(project: pytest.Pytester, text: str) -> None:
    """Add to the configuration."""
    path = project.path / "pyproject.toml"
    path.write_text(path.read_text() + text)


# What is screened


def test_all_models_are_ranked(
    project: pytest.Pytester, chat: Chat, workers: list[str]
) -> None:
    """Each model is judged under a safe name, and the best one is told apart."""
    chat.pages["/v1/models"] = models("half", "org/good", "fair", "embed")
    chat.behave = by_model(
        half=every(2, PROSE),
        fair=every(20, PROSE),
        embed=lambda _: refuses(400, EMBEDS),
    )

    result = project.runpytest_subprocess(screen(chat), *DATASET, *workers)

    assert result.ret == 0
    result.stdout.fnmatch_lines([
        "*awsbench: dataset: 3 models by exact_match*",
        "model * n * errors * fmt% * +xtr% * exact% * svc% * op% * latency * length",
        "org-good * 40 * 0 * 100.0 [[]91, 100] * 0.?? s * 39",
        "fair * 40 * 0 * 95.0 [[]83, 99] *",
        "half * 40 * 0 * 50.0 [[]35, 65] *",
        "told apart from org-good by exact_match (paired, two-sided, Holm over 3"
        " pairs): half (-50.0pp, p<.001); not told apart: fair (-5.0pp, p=*)",
        f"note: embed: not judged: *{EMBEDS}*",
    ])
    assert "dataset: half |" not in result.stdout.str()
    # Workers know from the main process who is served: nobody is probed twice. What
    # cannot chat is asked once more, without log-probs.
    probes = [asked for asked in chat.asked if number_of(asked) is None]
    assert len(probes) == 3 * len(PROBES) + 2


def test_what_embeds_is_told_by_its_embedding(
    project: pytest.Pytester, chat: Chat
) -> None:
    """Neither name nor words tell it, but that it embeds (LM Studio answers 404)."""
    chat.pages["/v1/models"] = models("small", "chatty")
    chat.pages["/v1/embeddings"] = Answer(
        body=b'{"data": [{"embedding": [0.5], "index": 0}]}'
    )
    chat.behave = by_model(chatty=lambda _: refuses(404, "Failed to load model"))

    result = project.runpytest(screen(chat), *DATASET)

    assert result.ret == 0
    result.stdout.fnmatch_lines(["note: chatty: not judged: it makes embeddings"])


def test_some_models(project: pytest.Pytester, chat: Chat) -> None:
    """Two models that match are shown side by side, with every difference."""
    chat.pages["/v1/models"] = models("qwen-1", "phi", "qwen-2")
    chat.behave = by_model(**{"qwen-2": every(4, "aws s3 ls")})

    result = project.runpytest(screen(chat, "qwen*"), *DATASET)

    assert result.ret == 0
    assert {a.body["model"] for a in chat.asked} == {"qwen-1", "qwen-2"}
    result.stdout.fnmatch_lines([
        "*awsbench: dataset: qwen-1 | qwen-2*",
        "exact_match * 100.0% * 75.0% * -25.0pp *",
    ])
    assert "told apart" not in result.stdout.str()


def test_configured_pattern(project: pytest.Pytester, chat: Chat) -> None:
    """All matches have the keys of their table, and the gates that name it."""
    configure(
        project,
        f"""
        [tool.awsbench.models.ours]
        backend = "openai"
        base_url = "{chat.url}"
        model = "qwen*"
        max_tokens = 77
        temperature = 0.5

        [[tool.awsbench.gates]]
        metric = "op_match"
        model = "ours"
        min = 0.5
        """,
    )
    chat.pages["/v1/models"] = models("qwen-1", "phi", "qwen-2")

    result = project.runpytest("--awsbench-model=ours", *DATASET, "-v")

    assert result.ret == 0
    asked = [a.body for a in chat.asked if number_of(a) is not None]
    assert {(b["max_tokens"], b["temperature"]) for b in asked} == {(77, 0.5)}
    result.stdout.fnmatch_lines([
        "awsbench::qwen-1::dataset::gate-op_match PASSED*",
        "awsbench::qwen-2::dataset::gate-op_match PASSED*",
    ])


def test_each_model_once(project: pytest.Pytester, chat: Chat) -> None:
    """What two patterns and a name mean is judged once, by the name that was given."""
    chat.pages["/v1/models"] = models("small", "large", "small")

    result = project.runpytest(
        screen(chat),
        screen(chat, "s*"),
        f"--awsbench-model=mine=openai:{chat.url}#small",
        *DATASET,
        "--co",
        "-q",
    )

    named = {line.split("::")[1] for line in result.outlines if "::row-" in line}
    assert named == {"mine", "large"}


def test_names_that_look_alike(project: pytest.Pytester, chat: Chat) -> None:
    """Every model has a node id of its own; who is called so keeps the name."""
    chat.pages["/v1/models"] = models("a/b", "a-b", "a:b")

    result = project.runpytest(screen(chat), *DATASET, "--co", "-q")

    named = {line.split("::")[1] for line in result.outlines if "::row-" in line}
    assert len(named) == 3
    assert "a-b" in named
    assert all(re.fullmatch(r"a-b(-[0-9a-f]{6})?", name) for name in named)


def test_truncation_is_told_with_the_rank(
    reporting: pytest.Pytester, chat: Chat
) -> None:
    """A zero that the budget made is not taken for a bad model."""
    chat.pages["/v1/models"] = models("small", "large", "cut")

    def thinks_long(asked: Asked) -> Answer:
        cut = asked.body["model"] == "cut" and number_of(asked) is not None
        return says("<think>Well", stop="length") if cut else right(asked)

    chat.behave = thinks_long

    result = reporting.runpytest(screen(chat), *DATASET)

    result.stdout.fnmatch_lines([
        "*3 models by exact_match*",
        "truncated, which counts as 0 and says little of the model: cut 40 of 40*",
    ])
    [line] = [x for x in result.outlines if x.startswith("truncated, ")]
    for name, text in reports(reporting).items():
        assert line in text, name


def test_many_models_are_one_picture(reporting: pytest.Pytester, chat: Chat) -> None:
    """Of more models than one can look at, the page draws all in one."""
    chat.pages["/v1/models"] = models("a", "b", "c", "d", "e")

    result = reporting.runpytest(screen(chat), *DATASET)

    assert result.ret == 0
    told = reports(reporting)
    first = "5 models by exact_match: a is first, 100.0%; 4 cannot be told apart from"
    assert [name for name, text in told.items() if first not in text] == []
    page = told["page"]
    assert page.count("<svg") == page.count("<strong>exact_match by model</") == 1
    assert "Not drawn of more than 4 models on a suite" in page


def test_two_servers(project: pytest.Pytester, chat: Chat) -> None:
    """Models of one name on two servers are two models."""
    with serve(right) as other:
        chat.pages["/v1/models"] = other.pages["/v1/models"] = models("small")

        result = project.runpytest(screen(chat), screen(other), *DATASET)

    assert result.ret == 0
    assert len(chat.asked) == len(other.asked) == 40 + len(PROBES)


@pytest.fixture
def words(pytester: pytest.Pytester) -> Behaviour:
    """A project of 12 tasks, each to say two words, and who says them."""
    pytester.makeconftest(
        "from toy_env import Words\n\n\n"
        "def pytest_awsbench_env_factory(config):\n    return Words\n"
    )
    rows = "".join(
        f"- {{task_id: {n}, difficulty: warmup, description: amber indigo}}\n"
        for n in range(12)
    )
    (pytester.path / "tasks.yaml").write_text(rows)
    pytester.makepyprojecttoml('[tool.awsbench]\ntasks = "tasks.yaml"\nmax_steps = 3\n')

    def plays(asked: Asked) -> Answer:
        step = re.search(r"Step: (\d+)", asked.words)
        known = ["amber", "indigo"]
        return says(f"aws say {known[int(step[1])]}" if step else "aws s3 ls")

    return plays


def test_episodes_are_ranked(
    pytester: pytest.Pytester, chat: Chat, words: Behaviour
) -> None:
    """The env suite has a rank, too: by completion, with rewards and steps."""
    chat.pages["/v1/models"] = models("mute", "able", "slow")
    chat.behave = by_model(
        able=words, slow=words, mute=lambda _: says("aws say nothing")
    )

    result = pytester.runpytest(screen(chat), "-m", "env")

    assert result.ret == 0
    result.stdout.fnmatch_lines([
        "*awsbench: env: 3 models by completion_rate*",
        "model * done% * progress% * reward * steps * hints% * badfmt% * latency*",
        "able * 12 * 0 * 100.0 *",
        "slow * 12 * 0 * 100.0 *",
        "mute * 12 * 0 * 0.0 *",
        "told apart from able by completion_rate *: mute (-100.0pp, p<.001);"
        " not told apart: slow (+0.0pp, p=1.000)",
    ])


# Models that fail


def test_one_failing_model(project: pytest.Pytester, chat: Chat) -> None:
    """Its items are lost, each reason is told once, and the others are judged."""
    chat.pages["/v1/models"] = models("gone", "small", "broken", "moody")
    chat.behave = by_model(
        gone=lambda _: refuses(404, "unloaded"),
        broken=lambda _: refuses(500, "out of memory", Retry_After="0"),
        moody=lambda a: refuses(404, "swapped") if number_of(a) == 7 else right(a),
    )

    result = project.runpytest(screen(chat), *DATASET)

    assert result.ret == 75
    counts = result.parseoutcomes()
    assert (counts["errors"], counts["lost"]) == (3, 2 * 40 + 8 - 3)
    assert counts["exact"] == 40 + 32
    errors = result.stdout.str().partition("= FAILURES =")[0]
    assert [errors.count(f": {x}; ") for x in ("unloaded", "swapped")] == [1, 1]
    result.stdout.fnmatch_lines([
        "*answered 500: out of memory*",
        "*awsbench: dataset: 4 models by exact_match*",
        "small * 40 * 0 * 100.0 *",
        "moody[*] * 32 * 8 * 100.0 *",
        "gone[*] * 0 * 40 * - *",
        "broken[*] * 0 * 40 * - *",
        "[*] answers were lost: ranked by those that are there",
        "told apart from small by exact_match (*1 pair): none;"
        " not told apart: moody (+0.0pp, p=1.000)",
    ])


def test_episodes_of_a_failing_model(
    pytester: pytest.Pytester, chat: Chat, words: Behaviour
) -> None:
    """A model that is unloaded while it plays loses its episodes alone."""
    chat.pages["/v1/models"] = models("able", "gone")
    chat.behave = by_model(
        able=words,
        gone=lambda a: refuses(404, "unloaded") if "TASK" in a.words else right(a),
    )

    result = pytester.runpytest(screen(chat), "-m", "env")

    assert result.ret == 75
    counts = result.parseoutcomes()
    assert (counts["complete"], counts["errors"], counts["lost"]) == (12, 1, 11)
    result.stdout.fnmatch_lines(["*404: unloaded*"])


def test_red_gate_beside_a_failing_model(project: pytest.Pytester, chat: Chat) -> None:
    """A gate that is red by itself is what the exit status says."""
    configure(project, '\n[[tool.awsbench.gates]]\nmetric = "exact_match"\nmin = 0.9\n')
    chat.pages["/v1/models"] = models("half", "gone")
    chat.behave = by_model(
        half=every(2, PROSE), gone=lambda _: refuses(404, "unloaded")
    )

    result = project.runpytest(screen(chat), *DATASET)

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert result.parseoutcomes()["lost"] == 39


def test_nobody_to_judge(project: pytest.Pytester, chat: Chat) -> None:
    """Where nothing that matches can chat, the run ends at once."""
    chat.behave = lambda _: refuses(501, "This server does not support completions")

    result = project.runpytest(screen(chat), *DATASET)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([
        "*no model to judge: of openai:*only models*that cannot chat (small, large)*"
    ])


# What cannot be asked


def page(body: bytes) -> Callable[[Chat], None]:
    """Put a page in the place of the list, and of every answer."""

    def change(chat: Chat) -> None:
        chat.pages["/v1/models"] = Answer(body=body)
        chat.behave = lambda _: Answer(body=body)

    return change


def lists(*names: str) -> Callable[[Chat], None]:
    """Have the server list these."""

    def change(chat: Chat) -> None:
        chat.pages["/v1/models"] = models(*names)

    return change


def denies(chat: Chat) -> None:
    """Want a key."""
    chat.pages["/v1/models"] = refuses(401, "no key")
    chat.behave = lambda _: refuses(401, "no key")


BAD = {
    "a pattern that matches nothing": (
        lists("small", "large"), "{url}#qwen*", "'qwen[*]' matches none of small, large"
    ),
    "an empty list": (lists(), "{url}#*", "/models lists no model at all; load one"),
    "a name for a pattern": (
        lists("small"), "mine={url}#*", "the pattern '[*]' may match several models,"
    ),
    "a name that is not served": (
        lambda chat: setattr(chat, "behave", lambda _: refuses(404, "no such model")),
        "{url}#medium", "404: no such model; it serves small, large: set model to one",
    ),
    "no /v1": (lists("small"), "{root}#small", "the API is at {api}: give that as"),
    "no /v1, of a pattern": (lists("small"), "{root}#*", "the API is at {api}: give"),
    "a web page": (page(b"<!doctype html>"), "{url}#small", "by a web page, not by"),
    "a list that is a web page": (page(b"<p>Hi"), "{url}#*", "answers by a web page"),
    "no key": (denies, "{url}#small", "401: no key; let api_key_env name the variable"),
    "no key for the list": (denies, "{url}#*", "401: no key; let api_key_env name"),
    "no TLS": (lists("small"), "{tls}#small", "no trusted TLS there: *give http://"),
    "no TLS for the list": (lists("small"), "{tls}#*", "no trusted TLS there:"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input(project: pytest.Pytester, chat: Chat, case: str) -> None:
    """What cannot be asked ends the run before its first item, and says what to do."""
    change, asked, told = BAD[case]
    change(chat)
    tls = chat.url.replace("http:", "https:")
    places = {key: f"openai:{url}" for key, url in [
        ("url", chat.url), ("root", chat.root), ("tls", tls)
    ]}  # fmt: skip

    result = project.runpytest(f"--awsbench-model={asked.format(**places)}", *DATASET)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{told.format(api=chat.url)}*"])


@pytest.mark.parametrize("model", ["small", "*"])
def test_no_server(project: pytest.Pytester, model: str) -> None:
    """Where nobody listens, the run waits as long as it may, and says both."""
    configure(project, table(free_port(), model, startup_timeout=1.5))

    result = project.runpytest_subprocess("--awsbench-model=served", *DATASET)

    assert result.ret == 75
    text = result.stdout.str() + result.stderr.str()
    assert text.count("waiting up to 1.5 s for it to start (startup_timeout)") == 1
    assert "that the server runs and listens there (after 1.5 s, which is" in text


@pytest.mark.parametrize("model", ["small", "*"])
def test_key_that_is_not_set(project: pytest.Pytester, chat: Chat, model: str) -> None:
    """The variable is named; nobody is asked without it."""
    port = int(chat.url.split(":")[-1].removesuffix("/v1"))
    configure(project, table(port, model) + 'api_key_env = "NOBODY_SET_THIS"\n')

    result = project.runpytest("--awsbench-model=served", *DATASET)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*variable NOBODY_SET_THIS is not set*"])
    assert chat.asked == []


def table(port: int, model: str, startup_timeout: float = 60) -> str:
    """Return the configuration of a served model."""
    return (
        '\n[tool.awsbench.models.served]\nbackend = "openai"\n'
        f'base_url = "http://127.0.0.1:{port}/v1"\nmodel = "{model}"\n'
        f"startup_timeout = {startup_timeout}\n"
    )


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


# Servers that are still loading


@pytest.mark.parametrize("model", ["small", "*"])
def test_server_that_listens_later(project: pytest.Pytester, model: str) -> None:
    """vLLM and SGLang listen once their weights are loaded: the run waits for that."""
    port = free_port()
    configure(project, table(port, model))
    run = [sys.executable, "-m", "pytest", "--awsbench-model=served", *DATASET]
    with subprocess.Popen(
        run,
        cwd=project.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        waiting = process.stderr.readline()

        with serve(right, port):
            _, more = process.communicate()

    assert process.returncode == 0
    assert "waiting up to 60 s for it to start" in waiting
    assert "waiting" not in more


@pytest.mark.parametrize("model", ["small", "*"])
def test_server_that_loads(project: pytest.Pytester, chat: Chat, model: str) -> None:
    """llama.cpp answers 503 while it loads, and lists its model already.

    Its server's README: ``{"error": {"code": 503, "message": "Loading model", …}}``.
    """
    loading = refuses(503, "Loading model")
    chat.pages["/v1/models"] = [loading, models("small")]
    chat.behave = lambda asked: loading if asked.number < 2 else right(asked)

    result = project.runpytest(screen(chat, model), *DATASET)

    assert result.ret == 0
    result.stderr.fnmatch_lines(["awsbench: *503: Loading model*waiting up to 60 s*"])


# Who answers


def test_changed_behind_its_name(project: pytest.Pytester, chat: Chat) -> None:
    """A server that answers otherwise than for the baseline is noticed, and judged."""
    small = screen(chat, "small")
    project.runpytest(small, *DATASET, "--snapshot-update")
    same = project.runpytest(small, *DATASET)
    chat.behave = lambda a: says("aws s3 lsx") if number_of(a) is None else right(a)

    changed = project.runpytest(small, *DATASET)

    assert (same.ret, changed.ret) == (0, 0)
    assert "not the model that" not in same.stdout.str()
    same.stdout.fnmatch_lines(["*same weights and data as the baseline*"])
    changed.stdout.fnmatch_lines([
        "note: small: not the model that its dataset baseline of * is of: what is"
        " served by this name answers otherwise (* then, * now)"
    ])
    assert "same weights and data" not in changed.stdout.str()


def test_changed_during_the_run(project: pytest.Pytester, chat: Chat) -> None:
    """A server that swaps its model meanwhile is noticed by what it calls itself."""

    def swapped(asked: Asked) -> Answer:
        answer = right(asked)
        if number_of(asked) not in {None, 1}:
            return answer
        return Answer(body=answer.body.replace(b"fp_1", b"fp_2"))

    chat.behave = swapped

    result = project.runpytest(screen(chat, "small"), *DATASET)

    result.stdout.fnmatch_lines([
        "note: small: answers came from small (fp_1), and at the start from small"
        " (fp_2): the model or its server was changed during the run*"
    ])


# Symbols


@pytest.mark.parametrize(
    ("encoding", "symbols"), [("utf-8", ["✓", "~", "✗"]), ("ascii", ["+", "~", "x"])]
)
def test_symbols(
    project: pytest.Pytester,
    chat: Chat,
    monkeypatch: pytest.MonkeyPatch,
    encoding: str,
    symbols: list[str],
) -> None:
    """-v marks every answer: exact, another command, or none; on any terminal."""
    monkeypatch.setitem(os.environ, "PYTHONIOENCODING", encoding)
    answers = {1: "aws s3 ls", 2: PROSE}
    chat.behave = lambda a: (
        says(answers[n]) if (n := number_of(a)) in answers else right(a)
    )

    result = project.runpytest_subprocess(screen(chat, "small"), *DATASET, "-v")

    exact, another, none = symbols
    result.stdout.fnmatch_lines_random([
        f"awsbench::small::dataset::row-00000 {exact} EXACT*",
        f"awsbench::small::dataset::row-00001 {another} FORMAT*",
        f"awsbench::small::dataset::row-00002 {none} MISS*",
    ])
