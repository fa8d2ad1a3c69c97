"""Reasoning is told apart from answers, however a model or a server marks it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_awsbench.scoring.reasoning import Separated, from_message, separate


@pytest.mark.parametrize(
    ("text", "answer", "reasoning", "closed"),
    [
        ("<think>a</think>b", "b", "a", True),
        ("  <think>\n\n</think>\n\nb\n", "b", "", True),
        ("< THINK >\n a \n</ think >\n b", "b", "a", True),
        ("<thinking>a</thinking>b", "b", "a", True),
        ("[THINK]a[/THINK]b", "b", "a", True),
        ("<think>a", "", "a", False),
        ("<think>", "", "", False),
        ("a</think>b", "b", "a", True),
        ("<think>a</think>b\n<think>c</think>d", "b\nd", "a\nc", True),
        ("<think>a</think>b\n<think>c", "b", "a\nc", False),
        ("<think>\na\n<think>\nb</think>c</think>d", "d", "a\n<think>\nb\nc", True),
        ("<think>I may write\n<think> or not.</think>d", "d", None, True),
        ("aws s3 ls", "aws s3 ls", "", True),
        (" aws s3 ls\n", " aws s3 ls\n", "", True),
        ("", "", "", True),
    ],
)
def test_separate(text: str, answer: str, reasoning: str | None, closed: bool) -> None:  # noqa: FBT001
    """Tags may be opened by the template, left open, repeated, or nested."""
    found = separate(text)

    assert (found.answer, found.closed) == (answer, closed)
    assert reasoning in {None, found.reasoning}


def test_quoted_tag_is_no_reasoning() -> None:
    """A command may hold a tag as a value."""
    command = "aws sns publish --message '<think>' --topic-arn a"

    assert separate(command) == Separated(answer=command)


@given(st.text(alphabet=st.characters(exclude_characters="<[")))
def test_other_text_is_verbatim(text: str) -> None:
    """Where nothing marks reasoning, nothing is touched."""
    assert separate(text) == Separated(answer=text)


@given(
    st.lists(
        st.sampled_from(["<think>", "</think>", "\n", "a", "[THINK]", "[/THINK]", " "])
    )
)
def test_no_tag_survives_in_an_answer(pieces: list[str]) -> None:
    """An answer never holds the end of a block, and an open block is the last."""
    found = separate("".join(pieces))

    assert "</think>" not in found.answer
    assert "[/THINK]" not in found.answer


def test_field_and_tags_together() -> None:
    """Reasoning in two places is all reasoning."""
    message = {"content": "<think>b</think>c", "reasoning_content": "a"}

    assert from_message(message) == Separated(answer="c", reasoning="a\nb")


def test_empty_field() -> None:
    """A server that always sends the field has not always something to say."""
    message = {"content": "c", "reasoning_content": None, "reasoning": ""}

    assert from_message(message) == Separated(answer="c")


def test_parts() -> None:
    """Content in parts is the text of these; what is no text is left out."""
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "a"}]}

    found = from_message({"content": [thinking, {"type": "text", "text": "b"}, "c"]})

    assert found.answer == "b"


def test_unknown_content() -> None:
    """Content of another kind is an error, never an answer."""
    with pytest.raises(ValueError, match="'content' must be a text or null, got int"):
        from_message({"content": 5})
