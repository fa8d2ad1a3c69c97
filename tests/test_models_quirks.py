"""What servers do each in its own way: one test per quirk, with where it is told of.

The server here is a loopback process that speaks as those engines do; the texts follow
what they were seen to send, with numbers of our own.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from chat_server import (
    Answer,
    Asked,
    Chat,
    in_order,
    models,
    plain,
    refuses,
    says,
    serve,
)
from served_models import Served, ask, models_of

from pytest_awsbench.errors import InfraError, ModelError, TooLongError
from pytest_awsbench.models.endpoints import ServedSpec
from pytest_awsbench.models.listing import list_models
from pytest_awsbench.records import Completion, Decoding


BUDGET = 512
DECODING = Decoding(max_new_tokens=BUDGET)


def vllm(message: str, code: int = 400, kind: str = "BadRequestError") -> Answer:
    """Refuse as vLLM before 0.10, and SGLang, do: the error is the whole body."""
    error = {"object": "error", "message": message, "type": kind, "param": None}
    return plain({**error, "code": code}, code)


def llama_cpp(status: int, message: str, **more: Any) -> Answer:
    """Refuse as llama.cpp does, with numbers of their own."""
    return plain({"error": {"code": status, "message": message, **more}}, status)


@pytest.fixture
def chat() -> Iterator[Chat]:
    """A server that answers well until told otherwise."""
    with serve() as found:
        yield found


@pytest.fixture
def waits() -> list[float]:
    """How long each retry would have waited."""
    return []


@pytest.fixture
def served(chat: Chat, waits: list[float]) -> Iterator[Served]:
    """Make models of the server that retry without waiting."""
    with models_of(chat, waits) as make:
        yield make


# A budget that does not fit beside the prompt


FITS = [
    pytest.param(
        vllm(
            "This model's maximum context length is 700 tokens. However, you requested"
            " 812 tokens (300 in the messages, 512 in the completion). Please reduce"
            " the length of the messages or completion."
        ),
        400,
        # https://github.com/ogx-ai/ogx/issues/4534
        id="vllm",
    ),
    pytest.param(
        refuses(
            400,
            "'max_tokens' or 'max_completion_tokens' is too large: 512. This model's"
            " maximum context length is 700 tokens and your request has 300 input"
            " tokens (512 > 700 - 300). None",
        ),
        400,
        # https://github.com/stepfun-ai/Step-Audio-R1/issues/3
        id="vllm-0.10",
    ),
    pytest.param(
        refuses(
            400,
            "This model's maximum context length is 700 tokens. However, you requested"
            " 512 output tokens and your prompt contains 300 input tokens, for a total"
            " of 812 tokens. Please reduce the length of the input prompt or the number"
            " of requested output tokens.",
        ),
        400,
        # https://github.com/vllm-project/vllm/issues/33418
        id="vllm-0.16",
    ),
    pytest.param(
        # It counts a prompt no further than it must: 300 tokens are `at least 189`.
        refuses(
            400,
            "This model's maximum context length is 700 tokens. However, you requested"
            " 512 output tokens and your prompt contains at least 189 input tokens, for"
            " a total of at least 701 tokens. Please reduce the length of the input"
            " prompt or the number of requested output tokens.",
        ),
        None,
        # vLLM 0.25, vllm/renderers/params.py
        id="vllm-at-least",
    ),
    pytest.param(
        refuses(
            400,
            "max_completion_tokens=512 cannot be greater than"
            " max_model_len=max_total_tokens=400.",
        ),
        None,
        # vLLM 0.25, vllm/renderers/params.py
        id="vllm-larger-than-all",
    ),
    pytest.param(
        vllm(
            "Requested token count exceeds the model's maximum context length of 700"
            " tokens. You requested a total of 812 tokens: 300 tokens from the input"
            " messages and 512 tokens for the completion. Please reduce the number of"
            " tokens in the input messages or the completion to fit within the limit."
        ),
        400,
        # https://github.com/anomalyco/opencode/pull/25230
        id="sglang",
    ),
    pytest.param(
        refuses(
            422,
            "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 700."
            " Given: 300 `inputs` tokens and 512 `max_new_tokens`",
        ),
        400,
        # https://huggingface.co/docs/text-generation-inference (max_total_tokens)
        id="tgi",
    ),
]


@pytest.mark.parametrize(("refusal", "room"), FITS)
def test_budget_larger_than_the_context(
    chat: Chat, served: Served, refusal: Answer, room: int | None
) -> None:
    """The request is repeated with what fits; an answer that fills it says so."""
    chat.behave = in_order(refusal, says("aws s3 l", stop="length"))
    model = served(concurrency=1)

    [answer] = model.generate(ask("a"), DECODING)

    assert [x.body.get("max_tokens") for x in chat.asked] == [BUDGET, room]
    assert (answer.text, answer.stop) == ("aws s3 l", "context")
    [note] = model.notes
    assert note.startswith("1 × answers had less room than 512 tokens: the served")


def test_newer_name_of_the_limit_is_kept(chat: Chat, served: Served) -> None:
    """The limit that is lowered is the one that was sent."""
    chat.behave = in_order(FITS[0].values[0], says("aws s3 ls"))  # type: ignore[arg-type]

    served(extra_body={"max_completion_tokens": BUDGET}).generate(ask("a"), DECODING)

    assert chat.asked[1].body["max_completion_tokens"] == 400
    assert "max_tokens" not in chat.asked[1].body


# A prompt that does not fit


@pytest.mark.parametrize(
    "refusal",
    [
        pytest.param(
            vllm(
                "The input (5000 tokens) is longer than the model's context length"
                " (4096 tokens)."
            ),
            # https://github.com/QwenLM/Qwen3/issues/1321
            id="sglang",
        ),
        pytest.param(
            vllm(
                "The decoder prompt (length 5000) is longer than the maximum model"
                " length of 4096. Make sure that `max_model_len` is no smaller than the"
                " number of text tokens plus multimodal tokens."
            ),
            # https://github.com/Gabesarch/grounded-rl/issues/16
            id="vllm",
        ),
        pytest.param(
            vllm(
                "This model's maximum context length is 4096 tokens. However, you"
                " requested 5512 tokens. Please reduce the length of the messages or"
                " completion."
            ),
            # https://github.com/THUDM/LongBench/issues/104
            id="openai",
        ),
        pytest.param(
            llama_cpp(
                400,
                "request (5000 tokens) exceeds the available context size (4096"
                " tokens), try increasing it",
                type="exceed_context_size_error",
                n_prompt_tokens=5000,
                n_ctx=4096,
            ),
            # https://github.com/oobabooga/textgen/issues/7257
            id="llama.cpp",
        ),
        pytest.param(
            llama_cpp(
                500,
                "the request exceeds the available context size. try increasing the"
                " context size or enable context shift",
                type="exceed_context_size_error",
                n_prompt_tokens=5000,
                n_ctx=4096,
            ),
            # https://github.com/ggml-org/llama.cpp/pull/15780
            id="llama.cpp-500",
        ),
        pytest.param(
            plain(
                {
                    "error": "Trying to keep the first 5000 tokens when context the"
                    " overflows. However, the model is loaded with context length of"
                    " only 4096 tokens, which is not enough. Try to load the model with"
                    " a larger context length, or provide a shorter input."
                },
                400,
            ),
            # https://github.com/lmstudio-ai/lmstudio-bug-tracker/issues/546
            id="lm-studio",
        ),
        pytest.param(
            plain(
                {
                    "error": "The number of tokens to keep from the initial prompt is"
                    " greater than the context length (n_keep: 5000 >= n_ctx: 4096)."
                    " Try to load the model with a larger context length, or provide a"
                    " shorter prompt."
                },
                400,
            ),
            # https://github.com/tinyhumansai/openhuman/issues/3550
            id="lm-studio-0.3.20",
        ),
    ],
)
def test_prompt_longer_than_the_context(
    chat: Chat, served: Served, refusal: Answer
) -> None:
    """It is lost, with both numbers, after one try; the others go on."""
    chat.behave = in_order(refusal, says("aws s3 ls"))

    long, short = served(concurrency=1).generate_each(ask("a", "b"), DECODING)

    assert isinstance(long, TooLongError)
    told = "the prompt has 5000 tokens, the served context holds 4096: shorten"
    assert told in str(long)
    assert isinstance(short, Completion)
    assert chat.words == ["a", "b"]


def test_prompt_longer_than_it_was_counted(chat: Chat, served: Served) -> None:
    """The second refusal of vLLM says that no budget would fit.

    vLLM 0.25, vllm/renderers/params.py: counting stops where the context ends.
    """
    text = (
        "This model's maximum context length is 700 tokens. However, you requested {}"
        " output tokens and your prompt contains at least {} input tokens, for a total"
        " of at least 701 tokens."
    )
    chat.behave = in_order(
        refuses(400, text.format(512, 189)), refuses(400, text.format(0, 701))
    )

    [lost] = served().generate_each(ask("a"), DECODING)

    assert "has at least 701 tokens, the served context holds 700" in str(lost)


@pytest.mark.parametrize("status", [200, 400])
def test_context_without_numbers(chat: Chat, served: Served, status: int) -> None:
    """Where nobody says how much is too much, it is lost: the model was never asked.

    llama.cpp in 2025: https://github.com/continuedev/continue/issues/9797, which came
    with status 200, too: https://github.com/oobabooga/textgen/issues/7257
    """
    told = "the request exceeds the available context size, try increasing it"
    chat.behave = lambda _: plain({"error": {"message": told}}, status)
    model = served()

    [lost] = model.generate_each(ask("a"), DECODING)

    assert isinstance(lost, TooLongError)
    assert "do not fit into the served context: shorten the prompt, lower" in str(lost)
    assert told in str(lost)
    assert len(chat.asked) == 1


# Reasoning


@pytest.mark.parametrize(
    "answer",
    [
        # https://docs.vllm.ai/en/v0.8.3/features/reasoning_outputs.html
        pytest.param(says("aws s3 ls", reasoning_content="So ls."), id="vllm"),
        # https://docs.vllm.ai/en/v0.11.2/features/reasoning_outputs/
        pytest.param(says("aws s3 ls", reasoning="So ls."), id="vllm-0.11"),
        # https://docs.sglang.io/docs/advanced_features/separate_reasoning
        pytest.param(
            says("<think>So ls.</think>\naws s3 ls", reasoning_content=None),
            id="sglang-without-parser",
        ),
        # The template opens the block, so that only its end is said:
        # https://docs.sglang.io/docs/advanced_features/separate_reasoning
        pytest.param(says("So ls.</think>\n\naws s3 ls"), id="deepseek-r1"),
        # https://docs.sglang.io/docs/advanced_features/separate_reasoning
        pytest.param(says("◁think▷So ls.◁/think▷aws s3 ls"), id="kimi-k2"),
        # https://github.com/deepseek-ai/DeepSeek-R1/issues/342
        pytest.param(says("<think>\nSo ls.\n</think>\n\naws s3 ls"), id="lm-studio"),
    ],
)
def test_reasoning(chat: Chat, served: Served, answer: Answer) -> None:
    """Wherever it is put, it is no part of the answer, and kept beside it."""
    chat.behave = lambda _: answer

    [found] = served().generate(ask("a"), DECODING)

    assert (found.text, found.reasoning) == ("aws s3 ls", "So ls.")
    assert found.reasoning_tokens is None


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        # https://platform.openai.com/docs/api-reference/chat/object
        ({"completion_tokens_details": {"reasoning_tokens": 7}}, 7),
        # https://docs.sglang.io/docs/basic_usage/openai_api_completions.md
        ({"reasoning_tokens": 7}, 7),
        # https://github.com/vllm-project/vllm/issues/24184: 0, whatever was thought
        ({"completion_tokens_details": {"reasoning_tokens": 0}}, None),
        ({}, None),
    ],
)
def test_tokens_of_reasoning(
    chat: Chat, served: Served, usage: dict[str, Any], tokens: int | None
) -> None:
    """They are told apart where the server counts them."""
    message = {"content": "aws s3 ls", "reasoning": "So ls."}
    choices = [{"message": message, "finish_reason": "stop"}]
    counts: dict[str, Any] = {"completion_tokens": 12, **usage}
    chat.behave = lambda _: plain({"choices": choices, "usage": counts})

    [found] = served().generate(ask("a"), DECODING)

    assert (found.tokens, found.reasoning_tokens) == (12, tokens)


@pytest.mark.parametrize(
    "answer",
    [
        # https://github.com/vllm-project/vllm/issues/52640
        pytest.param(says(None, stop="length", reasoning="Let me"), id="vllm"),
        # https://docs.vllm.ai/en/v0.8.3/features/reasoning_outputs.html
        pytest.param(says("", stop="length", reasoning_content="Let me"), id="r1"),
        # https://docs.sglang.io/docs/advanced_features/separate_reasoning
        pytest.param(says("<think>\nLet me", stop="length"), id="without-parser"),
    ],
)
def test_cut_off_while_reasoning(chat: Chat, served: Served, answer: Answer) -> None:
    """A model that has not come to its answer was cut off: it said nothing wrong."""
    chat.behave = lambda _: answer

    [found] = served().generate(ask("a"), Decoding(max_new_tokens=4))

    assert (found.text, found.stop, found.reasoning) == ("", "length", "Let me")


# Lists of models


def test_adapters_are_models(chat: Chat, served: Served) -> None:
    """vLLM and SGLang list LoRA adapters as models, whose names are then asked for.

    https://github.com/vllm-project/vllm/issues/4520
    """
    rows: list[dict[str, Any]] = [
        {"id": "base", "root": "owner/base", "parent": None, "max_model_len": 4096},
        {"id": "sft", "root": "/adapters/sft", "parent": "base"},
    ]
    listed = [{"object": "model", "owned_by": "vllm", **row} for row in rows]
    chat.pages["/v1/models"] = plain({"object": "list", "data": listed})

    names = list_models(ServedSpec(base_urls=(chat.url,)))
    for name in names:
        served(model=name).generate(ask("a"), DECODING)

    assert names == ("base", "sft")
    assert [x.body["model"] for x in chat.asked] == ["base", "sft"]


@pytest.mark.parametrize(
    "refusal",
    [
        # https://docs.vllm.ai/en/v0.8.5/features/lora.html
        pytest.param(
            vllm("The model `small` does not exist.", 404, "NotFoundError"), id="vllm"
        ),
        # https://github.com/netease-youdao/QAnything/issues/555
        pytest.param(
            refuses(404, 'model "small" not found, try pulling it first'), id="ollama"
        ),
        # https://github.com/TheBlewish/Automated-AI-Web-Researcher-Ollama/issues/42
        pytest.param(plain({"error": "model 'small' not found"}, 404), id="ollama-api"),
    ],
)
def test_unknown_model(chat: Chat, served: Served, refusal: Answer) -> None:
    """The message repeats the server's words and lists what it serves."""
    chat.pages["/v1/models"] = models("base", "sft")
    chat.behave = lambda _: refusal

    with pytest.raises(ModelError, match=r"small.*it serves base, sft: set model"):
        served().generate(ask("a"), DECODING)


# Refusals in each server's words


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        # https://github.com/QwenLM/Qwen3/issues/1321
        pytest.param(vllm("top_p must be in (0, 1]"), "top_p must", id="vllm-sglang"),
        # https://github.com/ggml-org/llama.cpp/pull/15780
        pytest.param(
            llama_cpp(400, "Invalid 'messages'", type="invalid_request_error"),
            "Invalid 'messages'",
            id="llama.cpp",
        ),
        # https://github.com/tinyhumansai/openhuman/issues/4181
        pytest.param(
            refuses(400, "No models loaded. Please load a model in the developer page"),
            "No models loaded",
            id="lm-studio",
        ),
        # https://github.com/charmbracelet/crush/issues/2546
        pytest.param(
            plain({"error": 'Failed to load model "small". Error: canceled.'}, 400),
            'Failed to load model "small"',
            id="lm-studio-text",
        ),
        # https://github.com/ollama/ollama/issues/17889
        pytest.param(
            plain({"error": '"small" does not support chat'}, 400),
            "does not support chat",
            id="ollama",
        ),
        # FastAPI's own, of servers that check the request's form
        pytest.param(
            plain({"detail": [{"loc": ["body", "seed"], "msg": "bad"}]}, 422),
            "'seed'",
            id="transformers",
        ),
    ],
)
def test_error_bodies(chat: Chat, served: Served, refusal: Answer, told: str) -> None:
    """What the server says is what the message says, and nothing is tried again."""
    chat.behave = lambda _: refusal

    [lost] = served(concurrency=1).generate_each(ask("a"), DECODING)

    assert isinstance(lost, InfraError)
    assert told in str(lost)
    assert len(chat.asked) == 1


def test_wrong_address_with_status_200(chat: Chat, served: Served) -> None:
    """LM Studio answers a wrong path by an error, and by status 200.

    https://github.com/lmstudio-ai/lmstudio-bug-tracker/issues/618
    """
    said = plain({"error": "Unexpected endpoint or method. (POST /chat/completions)"})
    chat.pages["/chat/completions"] = said

    with pytest.raises(ModelError, match=f"the API is at {chat.url}: give that"):
        served(base_urls=(chat.root,)).generate(ask("a"), DECODING)


def test_bursts_of_429(chat: Chat, served: Served, waits: list[float]) -> None:
    """All requests of a burst wait as long as they are told, and all are answered.

    Routers before several servers: https://github.com/BerriAI/litellm/issues/4695
    """
    busy = refuses(429, "No deployments available, try again in 2 seconds")
    told = plain({"error": "busy"}, 429, Retry_After="2")

    def first_refuses(asked: Asked) -> Answer:
        if int(asked.words) >= 16 or chat.words.count(asked.words) > 1:
            return says("aws s3 ls")
        return told if int(asked.words) % 2 else busy

    chat.behave = first_refuses
    model = served(concurrency=16)

    answers = model.generate(ask(*map(str, range(40))), DECODING)

    assert len(answers) == 40
    assert any("requests were tried again: 16 × 429" in note for note in model.notes)
    assert sorted(2 <= wait <= 2.25 for wait in waits) == [False] * 8 + [True] * 8


# Answers


def test_aborted_with_status_200(chat: Chat, served: Served) -> None:
    """What SGLang aborts is no answer, though it looks like one.

    https://github.com/radixark/miles/pull/3337
    """
    chat.behave = in_order(says("aws s3", stop="abort"), says("aws s3 ls"))

    [answer] = served().generate(ask("a"), DECODING)

    assert answer.text == "aws s3 ls"
    assert len(chat.asked) == 2


@pytest.mark.parametrize(
    "logprobs",
    [
        None,
        {"content": [{"token": "aws", "logprob": -0.1, "top_logprobs": []}]},
        # https://github.com/vllm-project/vllm/issues/3179: of the older API
        {"tokens": ["aws"], "token_logprobs": [-0.1], "top_logprobs": None},
    ],
)
def test_logprobs(chat: Chat, served: Served, logprobs: dict[str, Any] | None) -> None:
    """They may be asked for, and the answer is the same whatever form they have.

    https://github.com/vllm-project/vllm/pull/2918
    """
    chat.behave = lambda _: plain({
        "choices": [
            {
                "message": {"content": "aws s3 ls"},
                "logprobs": logprobs,
                "finish_reason": "stop",
                "matched_stop": 151645,
            }
        ]
    })

    [answer] = served(extra_body={"logprobs": True, "top_logprobs": 1}).generate(
        ask("a"), DECODING
    )

    assert (answer.text, answer.tokens) == ("aws s3 ls", None)
    assert chat.asked[0].body["logprobs"] is True


def test_streaming_is_off(chat: Chat, served: Served) -> None:
    """Some servers stream unless told otherwise, as Ollama's own API does.

    https://github.com/ollama/ollama/blob/main/docs/api.md
    """
    served().generate(ask("a"), DECODING)

    assert chat.asked[0].body["stream"] is False


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (plain({"object": "chat.completion"}), "without 'choices', it holds object"),
        (plain({"choices": []}), "without 'choices', it holds choices"),
        (plain([]), "without 'choices', it holds nothing"),
        (says("a", content=5), "'content' must be a text or null, got int"),
        (Answer(body=b'{"choices": ['), "broken JSON"),
        (Answer(fault="hang"), "no answer in time (ReadTimeout)"),
        (Answer(fault="close"), "cannot be reached or broke off"),
    ],
)
def test_no_answer(chat: Chat, served: Served, answer: Answer, told: str) -> None:
    """What is no answer is infrastructure, after five tries; never a wrong answer."""
    chat.behave = lambda _: answer

    # Short only for what must run out: under load any other answer may be late.
    patience = 0.05 if answer.fault == "hang" else 60.0

    [lost] = served(timeout=patience).generate_each(ask("a"), DECODING)

    assert isinstance(lost, InfraError)
    assert told in str(lost)
    assert "(after 5 tries)" in str(lost)


def test_a_web_page(chat: Chat, served: Served) -> None:
    """A proxy's sign-in page is no API, however often it is asked."""
    chat.behave = lambda _: Answer(body=b"<!DOCTYPE html><title>Sign in</title>")

    with pytest.raises(ModelError, match="answers by a web page, not by JSON"):
        served().generate(ask("a"), DECODING)


@pytest.mark.parametrize("reasoning", [None, "So I need not say it."])
def test_nothing_said(chat: Chat, served: Served, reasoning: str | None) -> None:
    """A model that ends by itself and says nothing has answered: by nothing.

    https://github.com/vllm-project/vllm/issues/42548
    """
    chat.behave = lambda _: says(None, reasoning=reasoning)

    [answer] = served().generate(ask("a"), DECODING)

    assert (answer.text, answer.stop) == ("", "eos")
    assert answer.reasoning == (reasoning or "")
