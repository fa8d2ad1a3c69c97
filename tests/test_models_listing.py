"""Who answers behind a name: engines, probes, and servers that are still loading."""

from collections.abc import Iterator
from typing import Any

import pytest
from chat_server import Answer, Asked, Chat, models, plain, refuses, says, serve

from pytest_awsbench.errors import InfraError, ModelError
from pytest_awsbench.models.endpoints import ServedSpec
from pytest_awsbench.models.listing import PROBES, Identity, card, identity, no_chat
from pytest_awsbench.models.startup import Startup


@pytest.fixture
def chat() -> Iterator[Chat]:
    """A server that answers well until told otherwise."""
    with serve() as served:
        yield served


def asked_who(chat: Chat, **more: Any) -> Identity:
    """Ask the server's model who it is, without waiting between tries."""
    spec = ServedSpec(base_urls=(chat.url,), model="small")
    return identity(spec, sleep=lambda _: None, **more)


# Engines


PAGES: dict[str, tuple[dict[str, object], tuple[str, str, dict[str, Any]]]] = {
    # docs.vllm.ai: "/version"; "/v1/models" has "root", and "parent" of an adapter
    "vLLM": (
        {
            "/version": {"version": "0.11.0"},
            "/v1/models": {
                "data": [
                    {
                        "id": "small",
                        "owned_by": "vllm",
                        "root": "/w/a",
                        "parent": "base",
                    }
                ]
            },
        },
        ("vLLM", "0.11.0", {"root": "/w/a", "parent": "base"}),
    ),
    # docs.sglang.ai, native APIs: "/get_server_info" and "/get_model_info"
    "SGLang": (
        {
            "/get_server_info": {"version": "0.5.3", "tp_size": 1, "api_key": "sk-1"},
            "/get_model_info": {"model_path": "/w/b", "is_generation": True},
        },
        ("SGLang", "0.5.3", {"model_path": "/w/b"}),
    ),
    # README of llama.cpp's server: "/props"; "/v1/models" has "meta"
    "llama.cpp": (
        {
            "/props": {
                "total_slots": 1,
                "build_info": "b6700-abc",
                "model_path": "/w/c.gguf",
            },
            "/v1/models": {"data": [{"id": "small", "meta": {"n_params": 134515008}}]},
        },
        ("llama.cpp", "b6700-abc", {"model_path": "/w/c.gguf", "n_params": 134515008}),
    ),
    # docs/api.md of Ollama: "/api/version"; "/api/tags" has the digest of the weights
    "Ollama": (
        {
            "/api/version": {"version": "0.12.3"},
            "/api/tags": {"models": [{"name": "small:latest", "digest": "4f2a"}]},
        },
        ("Ollama", "0.12.3", {"digest": "4f2a"}),
    ),
    # TGI's OpenAPI: "/info"
    "TGI": (
        {"/info": {"model_id": "o/m", "model_sha": "9c0d", "version": "3.3.6"}},
        ("TGI", "3.3.6", {"model_id": "o/m", "model_sha": "9c0d"}),
    ),
    # lmstudio.ai/docs, REST API v0: "/api/v0/models/{model}"
    "LM Studio": (
        {"/api/v0/models/small": {"arch": "qwen2", "quantization": "Q4_K_M"}},
        ("LM Studio", "", {"arch": "qwen2", "quantization": "Q4_K_M"}),
    ),
    "none that is known": ({"/version": ["1"]}, ("", "", {})),
    # Many have a version and an API at such addresses: a proxy, Open WebUI
    "another's version": (
        {
            "/version": {"version": "9.9"},
            "/api/version": {"version": "0.6.5"},
            "/api/tags": {"models": []},
        },
        ("", "", {}),
    ),
    # llama.cpp answers some of Ollama's addresses, too
    "llama.cpp as Ollama": (
        {
            "/props": {"total_slots": 1, "build_info": "b6700-abc"},
            "/api/tags": {"models": [{"name": "small", "digest": ""}]},
        },
        ("llama.cpp", "b6700-abc", {}),
    ),
}


@pytest.mark.parametrize("engine", PAGES)
def test_engines(chat: Chat, engine: str) -> None:
    """Each engine is known by its pages; only what says who answers is kept."""
    pages, (name, version, facts) = PAGES[engine]
    chat.pages |= {path: plain(page) for path, page in pages.items()}

    found = asked_who(chat)

    assert (found.engine.name, found.engine.version) == (name, version)
    assert found.engine.facts == facts
    spec = ServedSpec(base_urls=(chat.url,), model="small")
    assert "sk-1" not in str(card("mine", spec, found))


def test_other_weights_are_another_model(chat: Chat) -> None:
    """What the engine tells of the weights counts, its version does not."""
    row = {"id": "small", "root": "/checkpoints/100"}
    chat.pages["/v1/models"] = plain({"data": [row]})
    chat.pages["/version"] = plain({"version": "0.11.0"})
    first = asked_who(chat)
    chat.pages["/version"] = plain({"version": "0.11.1"})
    updated = asked_who(chat)
    chat.pages["/v1/models"] = plain({"data": [{**row, "root": "/checkpoints/200"}]})
    other = asked_who(chat)

    assert first.digest == updated.digest
    assert first.digest != other.digest


# Probes


def told(*tokens: tuple[str, float]) -> Answer:
    """Answer by tokens, each with its lead over the next best one."""
    content = [
        {
            "token": token,
            "logprob": -0.1,
            "top_logprobs": [
                {"token": token, "logprob": -0.1},
                {"token": "?", "logprob": -0.1 - lead},
            ],
        }
        for token, lead in tokens
    ]
    text = "".join(token for token, _ in tokens)
    choice = {
        "message": {"role": "assistant", "content": text},
        "finish_reason": "stop",
        "logprobs": {"content": content},
    }
    return plain({"model": "small", "choices": [choice]})


def test_noise_of_batching_changes_no_identity(chat: Chat) -> None:
    """After a token that another one could have won, an answer tells nothing."""
    answers = [
        told(("aws", 9.0), (" s3", 0.02), (" ls", 8.0)),
        told(("aws", 8.9), (" s3api", 0.01), (" list-buckets", 7.0)),
        told(("aws", 9.0), (" ec2", 5.0), (" ls", 8.0)),
    ]
    chat.behave = lambda asked: answers[asked.number // len(PROBES)]

    first, batched, other = (asked_who(chat).digest for _ in answers)

    assert first == batched
    assert first != other


def test_probes_come_one_after_the_other(chat: Chat) -> None:
    """Each is a batch by itself, greedy, with log-probs."""
    asked_who(chat)

    assert [asked.words for asked in chat.asked] == [p[0].content for p in PROBES]
    assert chat.connections <= 2
    body = chat.asked[0].body
    assert (body["temperature"], body["logprobs"], body["top_logprobs"]) == (0, True, 2)


def test_probes_are_greedy_whatever_is_configured(chat: Chat) -> None:
    """A drawn answer would be another model's every time."""
    spec = ServedSpec(
        base_urls=(chat.url,), model="small", extra_body={"temperature": 0.6}
    )

    identity(spec)

    assert [asked.body["temperature"] for asked in chat.asked] == [0.0, 0.0]


def test_context_without_room_for_a_probe(chat: Chat) -> None:
    """Who cannot read one line cannot be judged, and the message says why."""
    chat.behave = lambda _: refuses(400, "maximum context length is 8 tokens")

    with pytest.raises(ModelError, match="8 tokens; serve a larger context"):
        asked_who(chat)


def test_server_without_log_probs(chat: Chat) -> None:
    """A server that refuses log-probs is asked without, from then on."""

    def strict(asked: Asked) -> Answer:
        known = "logprobs" not in asked.body
        return says("aws s3 ls") if known else refuses(400, "unknown: logprobs")

    chat.behave = strict

    found = asked_who(chat)

    assert found.digest
    assert len(chat.asked) == len(PROBES) + 1


def test_refusal_of_another_kind_is_no_reason_to_skip(chat: Chat) -> None:
    """Who is refused for a key, or for its name, should be judged, and cannot be."""
    spec = ServedSpec(base_urls=(chat.url,), model="small")

    assert no_chat(spec, ModelError("answered 404: no such model")) == ""
    assert no_chat(spec, ModelError("400: small does not support chat")) != ""


# Servers that are still loading


@pytest.fixture
def said() -> list[str]:
    """What the user was told."""
    return []


def test_waits_until_it_is_up(chat: Chat, said: list[str]) -> None:
    """However often it says "not yet": one line tells, and time decides."""
    chat.behave = lambda a: refuses(503) if a.number < 12 else says("aws s3 ls")

    found = asked_who(chat, startup=Startup(60, said.append))

    assert found.digest
    assert len(chat.asked) == 12 + len(PROBES)
    [line] = said
    assert "answered 503: so it is" in line
    assert "waiting up to 60 s for it to start" in line


def test_waits_no_longer_than_it_may(chat: Chat, said: list[str]) -> None:
    """After that it is infrastructure, and the message names the setting."""
    chat.behave = lambda _: refuses(503)
    ticks = iter(range(0, 10_000, 5))

    with pytest.raises(InfraError, match="after 60 s, which is startup_timeout"):
        asked_who(chat, startup=Startup(60, said.append, lambda: next(ticks)))

    assert 5 < len(chat.asked) < 20
    assert len(said) == 1


def test_other_faults_get_no_patience(chat: Chat, said: list[str]) -> None:
    """A server that is up and fails is tried as often as ever."""
    chat.behave = lambda _: refuses(500)

    with pytest.raises(InfraError, match="after 5 tries"):
        asked_who(chat, startup=Startup(60, said.append))

    assert (len(chat.asked), said) == (5, [])


def test_lists_of_a_loading_server(chat: Chat, said: list[str]) -> None:
    """The list is waited for, too."""
    from pytest_awsbench.models.listing import list_models

    chat.pages["/v1/models"] = [*[refuses(503)] * 8, models("small")]
    spec = ServedSpec(base_urls=(chat.url,))

    found = list_models(spec, startup=Startup(60, said.append), sleep=lambda _: None)

    assert found == ("small",)
    assert len(said) == 1
