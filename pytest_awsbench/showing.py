"""One answer, shown to a person: prompt, target, answer, and their difference."""

import difflib

from pytest_awsbench.records import Prompt, Sample


WIDTH = 2_000
"""Longest text that is shown in full, characters."""


def explain(sample: Sample, text: str) -> str:
    """Return prompt, target, answer and what differs, for a terminal or a report."""
    shown = {
        "prompt": _last_user(sample.prompt),
        "target": sample.target,
        "answer": text or "(empty)",
    }
    lines = [f"{name}: {_indented(value)}" for name, value in shown.items()]
    if text:
        lines.append(f"diff:   {_indented(_difference(sample.target, text))}")
    return "\n".join(lines)


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
