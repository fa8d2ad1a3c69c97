"""Models behind an OpenAI-compatible API, asked over real sockets."""

import logging
import random
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from chat_server import (
    Answer,
    Chat,
    in_order,
    models,
    plain,
    refuses,
    says,
    serve,
)
from served_models import Served, ask, models_of

from pytest_awsbench.errors import AwsbenchError, ConfigError, InfraError, ModelError
from pytest_awsbench.models.endpoints import ServedSpec
from pytest_awsbench.models.listing import card, identity, list_models
from pytest_awsbench.models.replies import Answered
from pytest_awsbench.models.served import ServedModel
from pytest_awsbench.records import Completion, Decoding, Message


KEY = "sk-secretSECRETsecret"
GREEDY = Decoding(max_new_tokens=16)


def texts(answers: list[Completion]) -> list[str]:
    """Return what was said."""
    return [answer.text for answer in answers]


@pytest.fixture
def chat() -> Iterator[Chat]:
    """A server that answers well until told otherwise."""
    with serve() as served:
        yield served


@pytest.fixture
def waits() -> list[float]:
    """How long each retry would have waited."""
    return []


@pytest.fixture
def served(chat: Chat, waits: list[float]) -> Iterator[Served]:
    """Make models of the server that retry without waiting."""
    with models_of(chat, waits) as make:
        yield make


# Asking


def test_answers_come_in_order(chat: Chat, served: Served) -> None:
    """With 128 requests in flight, each prompt gets its own answer, verbatim."""
    chat.behave = lambda asked: says(f"echo {asked.words}")
    words = [f"naïve 名前 🪣 {number}" for number in range(400)]

    answers = served(concurrency=128).generate(ask(*words), GREEDY)

    assert texts(answers) == [f"echo {text}" for text in words]


def test_connections_are_kept(chat: Chat, served: Served) -> None:
    """No more connections are opened than requests are in flight."""
    model = served(concurrency=4)

    for _ in range(3):
        model.generate(ask(*map(str, range(20))), GREEDY)

    assert len(chat.asked) == 60
    assert chat.connections <= 4


def test_no_prompts(served: Served) -> None:
    """Nothing asked, nothing answered."""
    assert served().generate([], GREEDY) == []


def test_closes_twice_and_serves_again(served: Served) -> None:
    """A closed model holds no connection, and closing it again does no harm."""
    model = served()
    model.generate(ask("a"), GREEDY)
    model.close()
    model.close()

    assert texts(model.generate(ask("a"), GREEDY)) == ["aws s3 ls"]


def test_greedy_request(chat: Chat, served: Served) -> None:
    """Messages and limits are sent; no seed, which some servers refuse."""
    prompt = (Message("system", "Be brief."), Message("user", "List."))

    served().generate([prompt], GREEDY)

    assert chat.asked[0].body == {
        "model": "small",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "List."},
        ],
        "max_tokens": 16,
        "temperature": 0.0,
        "stream": False,
    }


def test_sampling_request(chat: Chat, served: Served) -> None:
    """What is sampled is seeded."""
    decoding = Decoding(temperature=0.7, top_p=0.9, seed=7)

    served(model="").generate(ask("a"), decoding)

    body = chat.asked[0].body
    assert "model" not in body
    assert (body["temperature"], body["top_p"], body["seed"]) == (0.7, 0.9, 7)


def test_settings_override_the_decoding(chat: Chat, served: Served) -> None:
    """The model's own settings win, a temperature of 0 among them."""
    model = served(max_tokens=99, temperature=0.0, extra_body={"top_k": 1})

    model.generate(ask("a"), Decoding(temperature=1.0))

    body = chat.asked[0].body
    assert (body["max_tokens"], body["temperature"], body["top_k"]) == (99, 0.0, 1)
    assert "seed" not in body


def test_newer_name_of_the_limit(chat: Chat, served: Served) -> None:
    """One limit is sent, by the name that was chosen."""
    served(extra_body={"max_completion_tokens": 7}).generate(ask("a"), GREEDY)

    body = chat.asked[0].body
    assert "max_tokens" not in body
    assert body["max_completion_tokens"] == 7


# Answers


def test_counts_and_latency(served: Served) -> None:
    """Tokens are the server's count, latency is measured."""
    [answer] = served().generate(ask("a"), GREEDY)

    assert (answer.prompt_tokens, answer.tokens, answer.stop) == (9, 4, "eos")
    assert answer.latency is not None
    assert answer.latency > 0


@pytest.mark.parametrize(
    ("reason", "stop"),
    [
        ("stop", "eos"),
        (None, "eos"),
        ("tool_calls", "eos"),
        ("eos_token", "eos"),
        ("something new", "eos"),
        ("length", "length"),
        ("model_length", "context"),
    ],
)
def test_finish_reasons(
    chat: Chat, served: Served, reason: str | None, stop: str
) -> None:
    """Each server's word for an end is one of ours."""
    chat.behave = lambda _: says("aws s3 ls", stop=reason)

    [answer] = served().generate(ask("a"), Decoding(max_new_tokens=4))

    assert answer.stop == stop


def test_full_context(chat: Chat, served: Served) -> None:
    """An answer that ends for its length before its limit has filled the context."""
    chat.behave = lambda _: says("aws s3 l", stop="length")

    [answer] = served().generate(ask("a"), GREEDY)

    assert answer.stop == "context"


@pytest.mark.parametrize("reason", ["abort", "content_filter"])
def test_broken_off(chat: Chat, served: Served, reason: str) -> None:
    """What the server broke off is missing, not wrong; and others go on."""
    chat.behave = lambda asked: says("a", stop=reason if asked.words == "b" else "stop")

    first, lost, last = served(concurrency=1).generate_each(ask("a", "b", "c"), GREEDY)

    assert isinstance(first, Completion)
    assert isinstance(last, Completion)
    assert isinstance(lost, InfraError)
    assert f"broke the answer off (finish_reason '{reason}')" in str(lost)


def test_first_line(chat: Chat, served: Served) -> None:
    """Where a line break ends an answer, reasoning before it does not count."""
    chat.behave = lambda _: says("<think>\nhm\n</think>\n\naws s3 ls\naws s3 mb")

    [answer] = served().generate(ask("a"), Decoding(stop_at_newline=True))

    assert (answer.text, answer.stop) == ("aws s3 ls", "newline")
    assert "stop" not in chat.asked[0].body


@pytest.mark.parametrize(
    "answer",
    [
        says("<think>\nSo ls.\n</think>\n\naws s3 ls"),
        says("So ls.\n</think>\n\naws s3 ls"),
        says("aws s3 ls", reasoning_content="So ls."),
        says("aws s3 ls", reasoning="So ls.\n"),
    ],
)
def test_reasoning_is_not_the_answer(
    chat: Chat, served: Served, answer: Answer
) -> None:
    """Wherever a server puts reasoning, the answer is the same."""
    chat.behave = lambda _: answer

    [found] = served().answer_each(ask("a"), GREEDY)

    assert isinstance(found, Answered)
    assert found.completion.text == "aws s3 ls"
    assert found.completion.reasoning == "So ls."
    assert found.reasoning_closed


def test_only_reasoning(chat: Chat, served: Served) -> None:
    """A model that was cut off while it thinks has said nothing yet."""
    reply = {
        "choices": [
            {
                "message": {"content": None, "reasoning_content": "Let me see"},
                "finish_reason": "length",
            }
        ],
        "usage": {
            "completion_tokens": 16,
            "completion_tokens_details": {"reasoning_tokens": 15},
        },
    }
    chat.behave = lambda _: plain(reply)

    [found] = served().answer_each(ask("a"), GREEDY)

    assert isinstance(found, Answered)
    assert (found.completion.text, found.completion.stop) == ("", "length")
    assert (found.completion.tokens, found.completion.reasoning_tokens) == (16, 15)
    assert not found.reasoning_closed


def test_null_content(chat: Chat, served: Served) -> None:
    """Null is an empty answer, which is the model's."""
    chat.behave = lambda _: says(None)

    assert texts(served().generate(ask("a"), GREEDY)) == [""]


# Faults that pass


@pytest.mark.parametrize(
    ("faults", "label"),
    [
        ([refuses(429, Retry_After="1")], "1 × 429"),
        ([refuses(500), refuses(500)], "2 × 500"),
        ([refuses(503), refuses(502), refuses(503)], "2 × 503, 1 × 502"),
        ([refuses(408), refuses(409)], "1 × 408, 1 × 409"),
        ([Answer(fault="close")], "1 × RemoteProtocolError"),
        ([Answer(body=b'{"choices": [')], "1 × broken JSON"),
        ([plain({"choices": []})], "1 × no answer in the reply"),
        ([plain(["what?"])], "1 × no answer in the reply"),
        ([plain({"choices": [{"message": {"content": 5}}]})], "1 × no answer"),
        ([plain({"error": {"message": "overloaded", "code": 502}})], "1 × error in"),
    ],
)
def test_tried_again(
    chat: Chat, served: Served, faults: list[Answer], label: str
) -> None:
    """What may pass is tried again, and counted."""
    chat.behave = in_order(*faults, says("aws s3 ls"))
    model = served()

    assert texts(model.generate(ask("a"), GREEDY)) == ["aws s3 ls"]

    assert len(chat.asked) == len(faults) + 1
    [note] = model.notes
    assert note.startswith(f"requests were tried again: {label}")


def test_waits_grow(chat: Chat, served: Served, waits: list[float]) -> None:
    """Each wait is about twice the one before."""
    chat.behave = in_order(*[refuses(500)] * 4, says("aws s3 ls"))

    served().generate(ask("a"), GREEDY)

    assert len(waits) == 4
    for wait, about in zip(waits, [0.5, 1, 2, 4], strict=True):
        assert 0.75 * about <= wait <= 1.5 * about


@pytest.mark.parametrize(
    ("after", "low", "high"), [("3", 3, 3.5), ("0", 0, 0.5), ("86400", 60, 61)]
)
def test_retry_after(
    request: pytest.FixtureRequest, after: str, low: float, high: float
) -> None:
    """A server's wish is obeyed, within reason."""
    chat: Chat = request.getfixturevalue("chat")
    chat.behave = in_order(refuses(429, Retry_After=after), says("aws s3 ls"))

    request.getfixturevalue("served")().generate(ask("a"), GREEDY)

    [wait] = request.getfixturevalue("waits")
    assert low <= wait <= high


def test_retry_after_a_date(chat: Chat, served: Served, waits: list[float]) -> None:
    """The wish may be a date."""
    date = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    chat.behave = in_order(refuses(503, Retry_After=date), says("aws s3 ls"))

    served().generate(ask("a"), GREEDY)

    assert len(waits) == 1
    assert 60 <= waits[0] <= 61


def test_retries_leave_the_users_random_numbers(chat: Chat, served: Served) -> None:
    """A seeded test draws the same whether or not the server stumbled."""
    chat.behave = in_order(refuses(500), says("aws s3 ls"))
    before = random.getstate()

    served().generate(ask("a"), GREEDY)

    assert random.getstate() == before


# Faults that stay


def test_one_lost_item(chat: Chat, served: Served) -> None:
    """A prompt that the server fails on costs nobody else an answer."""
    chat.behave = lambda asked: (
        refuses(500, "it broke") if asked.words == "b" else says("aws s3 ls")
    )
    model = served(concurrency=1)

    answers = model.generate_each(ask("a", "b", "c"), GREEDY)

    assert [type(answer) for answer in answers] == [Completion, InfraError, Completion]
    assert "answered 500: it broke" in str(answers[1])
    assert "(after 5 tries)" in str(answers[1])
    assert chat.words.count("b") == 5
    with pytest.raises(InfraError, match=r"1 of 3 answers lost: .*it broke"):
        model.generate(ask("a", "b", "c"), GREEDY)


def test_unavailable_forever(chat: Chat, served: Served) -> None:
    """A server that is gone is not asked for the rest."""
    chat.behave = lambda _: refuses(503, "no capacity")

    answers = served(concurrency=1).generate_each(ask("a", "b", "c"), GREEDY)

    assert all(isinstance(answer, InfraError) for answer in answers)
    assert "not asked any more, since" in str(answers[2])
    assert "answered 503: no capacity" in str(answers[2])
    assert chat.words == ["a"] * 5


def test_nobody_there(served: Served) -> None:
    """Where nothing listens, the message says what to check."""
    with serve() as gone:
        url = gone.url

    first, second = served(base_urls=(url,), concurrency=1).generate_each(
        ask("a", "b"), GREEDY
    )

    assert f"{url}: cannot be reached or broke off (ConnectError" in str(first)
    assert "check that the server runs and listens there (after 5 tries)" in str(first)
    assert "not asked any more, since" in str(second)


def test_hangs(chat: Chat, served: Served) -> None:
    """A server that says nothing is given up by time."""
    chat.behave = lambda _: Answer(fault="hang")

    [lost] = served(timeout=0.05).generate_each(ask("a"), GREEDY)

    assert isinstance(lost, InfraError)
    assert "no answer in time (ReadTimeout); raise timeout" in str(lost)


def test_always_closes(chat: Chat, served: Served) -> None:
    """A server that hangs up every time is infrastructure, too."""
    chat.behave = lambda _: Answer(fault="close")

    with pytest.raises(InfraError, match="cannot be reached or broke off"):
        served().generate(ask("a"), GREEDY)


# Refusals


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (refuses(401, "bad key"), "answered 401: bad key; let api_key_env name"),
        (refuses(403, "not yours"), "answered 403: not yours; let api_key_env"),
        (refuses(404, "no model"), "404: no model; it serves small, large: set model"),
        (Answer(body=b"<!doctype html><p>Hi"), "answers by a web page, not by JSON"),
        (
            plain({}, 307, Location="https://there/v1"),
            "answered 307, it leads elsewhere; give its final address",
        ),
        (
            plain({"error": "Unexpected endpoint or method. (POST /chat/completions)"}),
            "Unexpected endpoint or method",
        ),
    ],
)
def test_refused(chat: Chat, served: Served, answer: Answer, told: str) -> None:
    """What no retry would mend ends at once, in the server's words."""
    chat.behave = lambda _: answer

    with pytest.raises(ModelError) as caught:
        served(concurrency=1).generate(ask("a", "b"), GREEDY)

    assert told in str(caught.value)
    assert chat.url in str(caught.value)
    assert chat.words == ["a"]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (refuses(400, "no seed"), "answered 400: no seed; change the model's settings"),
        (plain({"detail": "bad"}, 422), "answered 422: bad"),
        (Answer(status=400, body=b"<p>Hi"), "answered 400; change the model"),
        (refuses(451, "not here"), "or this prompt if others are answered"),
    ],
)
def test_declined(chat: Chat, served: Served, answer: Answer, told: str) -> None:
    """What is said of one prompt loses that one, after one try, and no other."""
    chat.behave = lambda asked: answer if asked.words == "b" else says("aws s3 ls")

    first, lost, last = served(concurrency=1).generate_each(ask("a", "b", "c"), GREEDY)

    assert [x.text for x in (first, last) if isinstance(x, Completion)] == [
        "aws s3 ls",
        "aws s3 ls",
    ]
    assert isinstance(lost, InfraError)
    assert told in str(lost)
    assert chat.words == ["a", "b", "c"]


def test_refusal_ends_all(chat: Chat, served: Served) -> None:
    """Nobody waits for requests in flight once one is refused for good."""
    chat.behave = lambda asked: (
        refuses(401) if asked.words == "b" else Answer(fault="hang")
    )

    with pytest.raises(ModelError, match="answered 401"):
        served(concurrency=2).generate(ask("a", "b", "c"), GREEDY)


def test_without_v1(chat: Chat, served: Served) -> None:
    """Where the API lies one level deeper, the message says so."""
    with pytest.raises(ModelError, match=f"the API is at {chat.url}: give that"):
        served(base_urls=(chat.root,)).generate(ask("a"), GREEDY)


def test_nothing_like_it(chat: Chat, served: Served) -> None:
    """Where no API is found, the message says what a base URL looks like."""
    with pytest.raises(ModelError, match=r"check base_url \(most end in /v1\)"):
        served(base_urls=(f"{chat.root}/x",)).generate(ask("a"), GREEDY)


def test_no_tls_there(chat: Chat, served: Served) -> None:
    """A plain server behind https:// is a wrong setting, not an outage."""
    url = chat.url.replace("http:", "https:")

    with pytest.raises(ModelError, match=r"no trusted TLS there: .*give http://"):
        served(base_urls=(url,)).generate(ask("a"), GREEDY)


# Replicas


def test_requests_are_spread(chat: Chat, served: Served) -> None:
    """Each replica gets its share."""
    with serve() as other:
        model = served(base_urls=(chat.url, other.url), concurrency=1)
        model.generate(ask(*map(str, range(20))), GREEDY)

        assert len(chat.asked) == len(other.asked) == 10


def test_dead_replica_is_dropped(chat: Chat, served: Served) -> None:
    """The others answer in its place, and a note says so once."""
    with serve() as gone:
        url = gone.url
    model = served(base_urls=(url, chat.url), concurrency=4)

    answers = model.generate(ask(*map(str, range(40))), GREEDY)

    assert len(answers) == len(chat.asked) == 40
    dropped, tried = model.notes
    assert f"replica {url} was dropped after 5 failures in a row" in dropped
    assert "ConnectError" in tried


def test_retry_goes_elsewhere(chat: Chat, served: Served) -> None:
    """A request that one replica failed is tried at another one."""
    chat.behave = lambda _: refuses(500)
    with serve() as other:
        model = served(base_urls=(chat.url, other.url), concurrency=1)
        model.generate(ask("a"), GREEDY)

        assert (chat.words, other.words) == (["a"], ["a"])


# Secrets


def test_secrets_are_sent(
    chat: Chat, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Key and headers come from the environment, without stray line breaks."""
    monkeypatch.setenv("OUR_KEY", f"{KEY}\n")
    monkeypatch.setenv("OUR_TEAM", "team-1")

    served(api_key_env="OUR_KEY", headers_env={"X-Team": "OUR_TEAM"}).generate(
        ask("a"), GREEDY
    )

    headers = chat.asked[0].headers
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["x-team"] == "team-1"


@pytest.mark.parametrize(
    "answer",
    [
        says("aws s3 ls"),
        refuses(401, f"Incorrect API key provided: {KEY}, or {KEY}-header"),
        refuses(404, f"not for {KEY}"),
        refuses(400, f"not for {KEY}"),
        refuses(500, f"not for {KEY}"),
        refuses(400, "x" * 290 + KEY),
        plain({"error": f"not for {KEY}"}),
        plain({"choices": [], "you": KEY}),
        Answer(body=f"<html>{KEY}".encode()),
        Answer(body=f"[{KEY}".encode()),
        Answer(fault="close"),
        Answer(fault="hang"),
    ],
)
def test_secrets_stay_secret(
    chat: Chat, served: Served, request: pytest.FixtureRequest, answer: Answer
) -> None:
    """Whatever happens, no message, log, note or local of a traceback shows a key."""
    request.getfixturevalue("monkeypatch").setenv("OUR_KEY", KEY)
    request.getfixturevalue("monkeypatch").setenv("OUR_HEADER", f"{KEY}-header")
    log: pytest.LogCaptureFixture = request.getfixturevalue("caplog")
    log.set_level(logging.DEBUG)
    chat.behave = lambda _: answer
    model = served(
        api_key_env="OUR_KEY", headers_env={"X-Key": "OUR_HEADER"}, timeout=0.05
    )

    seen = [repr(model), repr(model.spec), repr(model.requests.secrets)]
    seen += [repr(model.card), *_errors(model), *model.notes, log.text]

    assert KEY[:9] not in "\n".join(seen)


def _errors(model: ServedModel) -> list[str]:
    """Return what goes wrong, as the fullest of tracebacks."""
    try:
        model.generate(ask("a"), GREEDY)
    except AwsbenchError as error:
        return _fully(error)
    return []


def _fully(error: BaseException) -> list[str]:
    """Return a traceback with its locals, and all that led to it."""
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    return list(told.format())


def test_lost_item_keeps_the_key(
    chat: Chat, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error of a single item carries no frames of the HTTP library."""
    monkeypatch.setenv("OUR_KEY", KEY)
    chat.behave = lambda _: Answer(fault="close")

    [lost] = served(api_key_env="OUR_KEY").generate_each(ask("a"), GREEDY)

    assert isinstance(lost, InfraError)
    text = "".join(_fully(lost))
    assert "requesting.py" in text
    assert "httpcore" not in text
    assert KEY not in text


@pytest.mark.parametrize(
    ("value", "told"), [("", "OUR_KEY is not set"), ("a\nb", "OUR_KEY .* characters")]
)
def test_unusable_key(
    served: Served, monkeypatch: pytest.MonkeyPatch, value: str, told: str
) -> None:
    """A key that is missing, or that no header can hold, is named, not shown."""
    monkeypatch.setenv("OUR_KEY", value)

    with pytest.raises(ConfigError, match=told):
        served(api_key_env="OUR_KEY")


def test_unusable_proxy(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that is none is a wrong setting, and nobody waits for it."""
    monkeypatch.setenv("ALL_PROXY", f"nonsense://me:{KEY}@there")

    with pytest.raises(ConfigError, match="the proxy of this machine") as caught:
        served().generate(ask("a", "b"), GREEDY)

    assert KEY not in "".join(traceback.format_exception(caught.value))


# Settings


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"base_urls": ()}, "base_url: give one URL"),
        ({"base_urls": ("http://a/v1", "http://a/v1/")}, "without repeats"),
        ({"base_urls": ("localhost:1234/v1",)}, "is no HTTP address"),
        ({"base_urls": ("http://",)}, "is no HTTP address"),
        ({"base_urls": ("http://a:99999/v1",)}, "is no HTTP address"),
        ({"base_urls": (f"http://me:{KEY}@a/v1",)}, "name secrets by api_key_env"),
        ({"base_urls": (f"http://a/v1?key={KEY}",)}, "name secrets by api_key_env"),
        ({"concurrency": 0}, "concurrency = 0, timeout = 120: give at least one"),
        ({"timeout": 0.0}, "more than no time"),
        ({"extra_body": {"stream": True}}, "extra_body sets stream"),
    ],
)
def test_unusable_settings(settings: dict[str, Any], told: str) -> None:
    """What no server could be asked by is refused, and no secret repeated."""
    with pytest.raises(ConfigError) as caught:
        ServedSpec(**{"base_urls": ("http://a/v1",), **settings})

    assert told in str(caught.value)
    assert KEY not in str(caught.value)


# Lists and identities


def test_list_models(chat: Chat) -> None:
    """Models come in the server's order, each once."""
    chat.pages["/v1/models"] = models("b", "a", "b")

    assert list_models(ServedSpec(base_urls=(chat.url,))) == ("b", "a")


def test_list_is_empty(chat: Chat) -> None:
    """A server may have nothing loaded."""
    chat.pages["/v1/models"] = models()

    assert list_models(ServedSpec(base_urls=(chat.url,))) == ()


def test_list_without_v1(chat: Chat) -> None:
    """The address that works is suggested."""
    with pytest.raises(ModelError, match=f"the API is at {chat.url}: give that"):
        list_models(ServedSpec(base_urls=(chat.root,)))


def test_list_that_is_none(chat: Chat, waits: list[float]) -> None:
    """JSON that is no list is a server out of order."""
    chat.pages["/v1/models"] = plain({"models": []})

    with pytest.raises(InfraError, match="sent no list of models"):
        list_models(ServedSpec(base_urls=(chat.url,)), sleep=waits.append)


def test_identity(chat: Chat) -> None:
    """A served model is who answers alike, and what the server tells."""
    chat.pages["/version"] = plain({"version": "0.11.0"})
    listed = {"data": [{"id": "small", "owned_by": "vllm"}]}
    chat.pages["/v1/models"] = plain(listed)
    spec = ServedSpec(base_urls=(chat.url,), model="small")

    first, again = identity(spec), identity(spec)
    chat.behave = lambda _: says("aws s3api list-buckets")
    other = identity(spec)

    assert first == again
    assert (first.model, first.engine.version, first.fingerprint) == (
        "small",
        "0.11.0",
        "fp_1",
    )
    assert first.server.startswith("BaseHTTP")
    assert other.digest != first.digest


def test_identity_of_what_cannot_chat(chat: Chat) -> None:
    """An embedding model is told by its refusal, not by its name."""
    chat.behave = lambda _: refuses(400, "does not support Chat Completions API")

    with pytest.raises(ModelError, match="does not support Chat"):
        identity(ServedSpec(base_urls=(chat.url,), model="embed"))


def test_identity_without_answers(chat: Chat, waits: list[float]) -> None:
    """No answer is no identity."""
    chat.behave = lambda _: refuses(503)

    with pytest.raises(InfraError, match="answered 503"):
        identity(ServedSpec(base_urls=(chat.url,)), sleep=waits.append)


def test_card(chat: Chat) -> None:
    """Runs and baselines keep who answered, and where."""
    spec = ServedSpec(base_urls=(chat.url,), model="small")
    found = identity(spec)

    made = card("mine", spec, found)

    assert (made.name, made.backend, made.digest) == ("mine", "openai", found.digest)
    assert made.details["base_url"] == [chat.url]
    assert made.details["fingerprint"] == "fp_1"
