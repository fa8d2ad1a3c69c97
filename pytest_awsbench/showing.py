"""One answer, shown to a person: with its prompt and target, or turn by turn."""

import difflib
from collections import Counter
from collections.abc import Iterator

from pytest_awsbench.episodes import Episode, Play, Turn
from pytest_awsbench.records import Answer, Completion, Prompt, Sample
from pytest_awsbench.reports.visible import visible


WIDTH = 2_000
"""Longest text that is shown in full, characters."""
REASONING = 240
"""Longest reasoning that is shown in full, characters."""


def explain(sample: Sample, answer: Answer) -> str:
    """Return what was asked and what came of it, for a terminal or a report.

    Characters that steer a terminal or show nothing are named.
    """
    return visible(_explained(sample, answer))


def _explained(sample: Sample, answer: Answer) -> str:
    """Return what was asked and answered, verbatim."""
    if isinstance(answer, Play):
        return "\n".join([f"task: {_last_user(sample.prompt)}", *_transcripts(answer)])
    if isinstance(answer, Completion):
        return _compared(sample, answer)
    shown = Counter(completion.text for completion in answer.completions)
    said = {completion.text: completion for completion in reversed(answer.completions)}
    return "\n".join(
        f"{count} of {len(answer.completions)} answers\n{_compared(sample, said[text])}"
        for text, count in shown.most_common()
    )


def _compared(sample: Sample, completion: Completion) -> str:
    """Return prompt, target, reasoning, answer and what differs."""
    text = completion.text
    shown = {"prompt": _last_user(sample.prompt), "target": sample.target}
    if completion.reasoning:
        shown["reasoning"] = _shortened(
            completion.reasoning, completion.reasoning_tokens
        )
    shown["answer"] = (text or "(empty)") + _cut(completion)
    lines = [f"{name}: {_indented(value)}" for name, value in shown.items()]
    if text:
        lines.append(f"diff:   {_indented(_difference(sample.target, text))}")
    return "\n".join(lines)


def _cut(completion: Completion) -> str:
    """Say that an answer is not over, and what it was asked twice for."""
    ends = {
        "length": " … (cut off by the token budget)",
        "context": " … (no context left)",
    }
    told = ends.get(completion.stop, "")
    if completion.first is not None:
        told += "\n(asked again: the first budget was not enough)"
    return told


def _shortened(reasoning: str, tokens: int | None) -> str:
    """Return how a train of thought begins and ends, on one line.

    >>> _shortened("List the buckets. So s3 ls.", 9)
    'List the buckets. So s3 ls. (9 tokens)'
    """
    text = " ".join(reasoning.split())
    counted = [f"{len(text):,} characters"] if len(text) > REASONING else []
    counted += [f"{tokens:,} tokens"] if tokens is not None else []
    if len(text) > REASONING:
        half = REASONING // 2
        text = f"{text[:half].rstrip()} … {text[-half:].lstrip()}"
    return f"{text} ({', '.join(counted)})" if counted else text


def _last_user(prompt: Prompt) -> str:
    """Return what the user said last."""
    return next(m.content for m in reversed(prompt) if m.role == "user")


def _difference(target: str, text: str) -> str:
    """Mark the words that are missing from an answer, and those too many.

    >>> _difference("aws s3 ls", "aws s3api ls now")
    'aws [-s3-] {+s3api+} ls {+now+}'
    """
    old, new = target.split(), text[:WIDTH].split()
    parts: list[str] = []
    matcher = difflib.SequenceMatcher(a=old, b=new, autojunk=False)
    for what, a0, a1, b0, b1 in matcher.get_opcodes():
        if what == "equal":
            parts.append(" ".join(old[a0:a1]))
            continue
        if a1 > a0:
            parts.append(f"[-{' '.join(old[a0:a1])}-]")
        if b1 > b0:
            parts.append(f"{{+{' '.join(new[b0:b1])}+}}")
    return " ".join(parts)


def _indented(text: str) -> str:
    """Return a text whose further lines stand below its first."""
    if len(text) > WIDTH:
        text = f"{text[:WIDTH]} … ({len(text):,} characters)"
    return text.strip().replace("\n", "\n        ")


def _transcripts(play: Play) -> Iterator[str]:
    """Yield the lines of every trial."""
    for number, episode in enumerate(play.episodes, start=1):
        yield _head(number, len(play.episodes), episode)
        for index, turn in enumerate(episode.turns, start=1):
            yield from _turn_lines(index, turn)


def _head(number: int, count: int, episode: Episode) -> str:
    """Return how a trial ended."""
    name = f"trial {number} of {count}: " if count > 1 else ""
    how = "complete" if episode.achieved else "incomplete"
    return (
        f"{name}{how} after {len(episode.turns)} of at most {episode.cap} turns,"
        f" reward {episode.reward:.2f}, progress {episode.progress:.2f},"
        f" {episode.hints} hints"
    )


def _turn_lines(index: int, turn: Turn) -> Iterator[str]:
    """Yield one turn: what was said, what was sent, what came back."""
    yield f"{index:3} [{turn.prompt_hash[:8]}] $ {_indented(turn.command)}"
    if turn.reasoning:
        yield f"      reasoning: {_shortened(turn.reasoning, turn.reasoning_tokens)}"
    if turn.answer.strip() != turn.command:
        yield f"      answer: {_indented(turn.answer or '(empty)')}"
    for name, text in (("output", turn.output), ("error", turn.error)):
        if text.strip():
            yield f"      {name}: {_indented(text)}"
    times = f", model {turn.model_s or 0:.2f} s, environment {turn.env_s or 0:.2f} s"
    yield f"      reward {turn.reward:.2f}, progress {turn.progress:.2f}{times}"
