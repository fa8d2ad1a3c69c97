"""Local models that think aloud: their answers are told apart as a server's are."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_model

from pytest_awsbench.answering import completing
from pytest_awsbench.chunks import Limits, plan_chunks
from pytest_awsbench.errors import InfraError
from pytest_awsbench.records import (
    Answer,
    Completion,
    Decoding,
    Draws,
    Sample,
)


pytestmark = pytest.mark.torch

DECODING = Decoding(max_new_tokens=16)
OPENS = tiny_model.TEMPLATE + "{% if add_generation_prompt %}<think>\n{% endif %}"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny base of random weights."""
    return tiny_model.build(tmp_path_factory.getbasetemp() / "tiny") / "base"


@pytest.fixture
def model(base: Path) -> Any:
    """The base, loaded."""
    return tiny_model.load_one(tiny_model.spec("m", base))


def longest(model: Any) -> tuple[int, list[int]]:
    """Return the prompt that gets the longest answer, and its tokens."""
    prompts = tiny_model.prompts()
    answers = [tiny_model.reference(model, p, 16) for p in prompts]
    return max(enumerate(answers), key=lambda pair: len(set(pair[1])))


def marked(model: Any, end: int) -> None:
    """Have a token that the weights do say mean the end of reasoning."""
    model._tags = {end: "</think>"}


def test_reasoning_ends_at_its_mark(model: Any) -> None:
    """What stands before the mark is reasoning, and so are its tokens."""
    place, tokens = longest(model)
    end = tokens.index(tokens[5])
    marked(model, tokens[end])

    [answer] = model.generate([tiny_model.prompts()[place]], DECODING)

    last = max(n for n, token in enumerate(tokens) if token == tokens[end])
    assert answer.tokens == len(tokens)
    assert answer.reasoning_tokens == last + 1
    rest = tiny_model.text_of(model, tokens[last + 1 :])
    assert answer.text == rest.strip()
    assert answer.reasoning.startswith(tiny_model.text_of(model, tokens[:3]).strip())


def test_without_a_mark_nothing_is_touched(model: Any) -> None:
    """Other models' answers are verbatim, and hold no reasoning."""
    place, tokens = longest(model)

    [answer] = model.generate([tiny_model.prompts()[place]], DECODING)

    assert answer.text == tiny_model.text_of(model, tokens)
    assert (answer.reasoning, answer.reasoning_tokens) == ("", None)


def test_template_that_opens_reasoning(base: Path) -> None:
    """Where the prompt ends in an open block, what is cut off is no answer yet."""
    spec = replace(tiny_model.spec("m", base), chat_template=OPENS)
    model = tiny_model.load_one(spec)

    answers = model.generate(tiny_model.prompts(), DECODING)

    assert {answer.text for answer in answers} == {""}
    assert all(answer.reasoning_tokens == answer.tokens for answer in answers)
    place = max(range(len(answers)), key=lambda n: answers[n].tokens)
    tokens = tiny_model.reference(model, tiny_model.prompts()[place], 16)
    assert answers[place].reasoning == tiny_model.text_of(model, tokens).strip()


def test_a_line_break_in_reasoning_ends_nothing(base: Path) -> None:
    """``stop_at_newline`` is about the answer: reasoning may have many lines."""
    spec = replace(tiny_model.spec("m", base), chat_template=OPENS)
    model = tiny_model.load_one(spec)
    line = "\n"
    model._decoded = lambda new: line.join("x" * len(new))

    answers = model.generate(
        tiny_model.prompts(), replace(DECODING, stop_at_newline=True)
    )

    assert "newline" not in {answer.stop for answer in answers}
    assert max(answer.tokens for answer in answers) > 2


def test_special_marks_are_kept(base: Path) -> None:
    """Marks that are special tokens would vanish with the others of their kind.

    Magistral's are: https://huggingface.co/mistralai/Magistral-Small-2507
    """
    from pytest_awsbench.models.transformers import _reasoning_tags

    model = tiny_model.load_one(tiny_model.spec("m", base))
    model.tokenizer.add_special_tokens({
        "additional_special_tokens": ["[THINK]", "[/THINK]", "[INST]"]
    })

    model._tags = _reasoning_tags(model.tokenizer)

    assert sorted(model._tags.values()) == ["[/THINK]", "[THINK]"]
    ids = model.tokenizer("[THINK]So ls.[/THINK]aws s3 ls")["input_ids"]
    assert model._text(ids) == "[THINK]So ls.[/THINK]aws s3 ls"


def kept(model: Any, decoding: Decoding, size: int) -> dict[str, Answer | InfraError]:
    """Ask the tiny prompts as a run does, chunk by chunk."""
    samples = [Sample.of(p, "") for p in tiny_model.prompts()]
    found: dict[str, Answer | InfraError] = {}
    ask = completing(decoding)
    for chunk in plan_chunks(samples, Limits(size=size)):
        ask(model, chunk, (), lambda sample, answer: found.update({sample.id: answer}))
    return {sample.id: found[sample.id] for sample in samples}


def completions(found: dict[str, Answer | InfraError]) -> Sequence[Completion]:
    """Return answers, of which none is lost."""
    answers = [x for x in found.values() if isinstance(x, Completion)]
    assert len(answers) == len(found)
    return answers


@pytest.mark.parametrize("size", [2, 8])
def test_asked_again(model: Any, size: int) -> None:
    """A local model is asked again, too, and then says what it says with more room."""
    small, large = Decoding(max_new_tokens=3), Decoding(max_new_tokens=24)

    once = completions(kept(model, small, size))
    whole = completions(kept(model, large, size))
    twice = completions(kept(model, replace(small, retry_truncated=24), size))

    assert {answer.stop for answer in once} >= {"length"}
    for first, final, answer in zip(once, whole, twice, strict=True):
        if first.stop != "length":
            assert answer.first is None
            continue
        assert answer.first is not None
        assert (answer.first.text, answer.first.stop) == (first.text, "length")
        assert (answer.text, answer.stop) == (final.text, final.stop)


def test_a_full_context_is_not_asked_again(model: Any) -> None:
    """No budget mends a context that is full."""
    decoding = Decoding(
        max_new_tokens=tiny_model.CONTEXT, retry_truncated=2 * tiny_model.CONTEXT
    )

    answers = completions(kept(model, decoding, 8))

    assert all(answer.first is None for answer in answers)


@pytest.mark.parametrize("first", [None, Completion(text="a", stop="length")])
def test_answers_travel(first: Completion | None) -> None:
    """Both answers survive the way through a journal, alone or as draws."""
    answer = Completion(text="b", reasoning="c", reasoning_tokens=2, first=first)

    assert Completion.from_json(answer.to_json()) == answer
    assert Draws.from_json(Draws((answer,)).to_json()) == Draws((answer,))
