"""What a model thinks aloud, told apart from what it answers.

Servers disagree about where reasoning goes: some leave it in the text between
``<think>`` and ``</think>``, some move it to a field of its own. One model must get the
same answer out of all of them.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final


#: An opening tag counts at the start of a line only: a command may quote one.
_TAG: Final = re.compile(
    r"^[ \t]*(?:<\s*think(?:ing)?\s*>|\[THINK\]|◁think▷)"
    r"|(?P<end><\s*/\s*think(?:ing)?\s*>|\[/THINK\]|◁/think▷)",
    re.IGNORECASE | re.MULTILINE,
)
#: Fields in which servers hand reasoning over, the first that is filled wins.
_FIELDS: Final = ("reasoning_content", "reasoning")


@dataclass(frozen=True, slots=True, kw_only=True)
class Separated:
    """An answer, and the reasoning that led to it."""

    answer: str
    """Verbatim where there is no reasoning in the text; else without the space that
    the reasoning left behind."""
    reasoning: str = ""
    closed: bool = True
    """Whether the reasoning came to its end; if not, there is no answer yet."""
    end: int = field(default=0, compare=False, repr=False)
    """How many characters of the text the reasoning and its tags took: all up to its
    last end."""


def separate(text: str, *, opened: bool = False) -> Separated:
    r"""Take reasoning out of a text.

    Args:
        text: what a model said.
        opened: whether it was reasoning from the first word on, since its prompt ends
            with an opening tag.

    >>> separate("<think>\nList, so ls.\n</think>\n\naws s3 ls")
    Separated(answer='aws s3 ls', reasoning='List, so ls.', closed=True)

    Cut off while it thinks, a model has not answered:

    >>> separate("<think>List, so ls. Or")
    Separated(answer='', reasoning='List, so ls. Or', closed=False)

    Where the chat template opens the block, the text shows only its end:

    >>> separate("List, so ls.\n</think>\naws s3 ls").answer
    'aws s3 ls'

    Without reasoning, a text stays as it is:

    >>> separate(" aws s3 ls\n").answer
    ' aws s3 ls\n'

    """
    answers: list[str] = []
    thoughts: list[str] = []
    position, thinking, found = 0, opened, opened
    end = len(text) if opened else 0
    for tag in _TAG.finditer(text):
        part, ends = text[position : tag.start()], tag["end"] is not None
        if thinking and not ends:
            # Reasoning about tags is reasoning; the first end closes the block.
            continue
        if not ends:
            answers.append(part)
        elif thinking:
            thoughts.append(part)
        else:
            # An end without a beginning: all that was said so far was reasoning.
            thoughts += [*answers, part]
            answers = []
        position, thinking, found = tag.end(), not ends, True
        end = tag.end() if ends else len(text)
    if not found:
        return Separated(answer=text)
    (thoughts if thinking else answers).append(text[position:])
    return Separated(
        answer="".join(answers).strip(),
        reasoning=_joined(thoughts),
        closed=not thinking,
        end=end,
    )


def opens_reasoning(prompt: str) -> bool:
    r"""Tell whether a rendered prompt ends inside of reasoning, as some templates do.

    What the model then says begins in the middle of its thoughts.

    >>> opens_reasoning("<|im_start|>assistant\n<think>\n")
    True
    >>> opens_reasoning("<|im_start|>assistant\n<think>\n\n</think>\n\n")
    False
    """
    tags = [*_TAG.finditer(prompt)]
    if not tags or tags[-1]["end"] is not None:
        return False
    return not prompt[tags[-1].end() :].strip()


def is_tag(token: str) -> bool:
    """Tell whether a token is a mark of reasoning.

    >>> is_tag("[/THINK]"), is_tag("<|im_end|>")
    (True, False)
    """
    return _TAG.fullmatch(token) is not None


def from_message(message: Mapping[str, Any]) -> Separated:
    """Read the message of a chat completion, whichever way its server chose.

    >>> from_message({"content": "aws s3 ls", "reasoning_content": "So ls."})
    Separated(answer='aws s3 ls', reasoning='So ls.', closed=True)
    >>> from_message({"content": None, "reasoning": "Let me see"})
    Separated(answer='', reasoning='Let me see', closed=False)
    >>> parts = [{"type": "text", "text": "aws s3 "}, {"type": "text", "text": "ls"}]
    >>> from_message({"content": parts}).answer
    'aws s3 ls'

    Raises:
        ValueError: if the content is neither text, nor parts, nor null.

    """
    found = separate(_text(message.get("content")))
    filled = (message.get(field) for field in _FIELDS)
    told = next((value for value in filled if isinstance(value, str) and value), "")
    if not told:
        return found
    return Separated(
        answer=found.answer,
        reasoning=_joined([told, found.reasoning]),
        closed=found.closed and bool(found.answer.strip()),
    )


def _text(content: object) -> str:
    """Return content as text."""
    match content:
        case None:
            return ""
        case str():
            return content
        case Sequence():
            texts = (part.get("text") for part in content if isinstance(part, Mapping))
            return "".join(text for text in texts if isinstance(text, str))
    raise ValueError(f"'content' must be a text or null, got {type(content).__name__}")


def _joined(thoughts: Sequence[str]) -> str:
    """Return pieces of reasoning as one text."""
    return "\n".join(piece for t in thoughts if (piece := t.strip()))
