"""Scores of one answer against its target: one definition per metric.

A completion that was cut off before a complete ``aws`` line scores 0 on every metric.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from pytest_awsbench.records import Completion, Sample, Score
from pytest_awsbench.scoring.commands import Command, parse_command
from pytest_awsbench.scoring.words import raw_words


class Scorer(Protocol):
    """Judges one completion; any function of this shape is a scorer."""

    def __call__(self, sample: Sample, completion: Completion, /) -> Score:
        """Return the score of one metric."""
        ...


FENCE: Final = "```"
_OPENING: Final = re.compile(r"`{3,}(?:[\w+-]+[ \t]+(?=aws ))?[ \t]*")


class _Line(NamedTuple):
    """A line without its fences."""

    text: str
    whole: bool
    """Whether something came after it: a line break or a closing fence."""


def extract_command(text: str) -> str | None:
    r"""Return the first line that starts with ``aws ``, ``` fences stripped.

    A fence opens or closes at an end of a line, and may hold the command on its own
    line. Space around a line does not count; a prompt or a quote before ``aws`` does,
    so such a line is no command.

    >>> extract_command("Try this:\n```bash\naws s3 ls\n```")
    'aws s3 ls'
    >>> extract_command("```aws s3 ls```")
    'aws s3 ls'
    >>> extract_command("$ aws s3 ls") is None
    True
    """
    line = _command_line(text)
    return None if line is None else line.text


@lru_cache(maxsize=4096)
def _command_line(text: str) -> _Line | None:
    return next((x for x in _lines(text) if x.text.startswith("aws ")), None)


def _lines(text: str) -> Iterator[_Line]:
    lines = text.split("\n")
    for number, line in enumerate(lines, start=1):
        inner, fence = line.strip(), ""
        if inner.startswith(FENCE):
            inner, fence, _ = _OPENING.sub("", inner, count=1).partition(FENCE)
        elif inner.endswith(FENCE):
            inner, fence = inner.removesuffix(FENCE), FENCE
        yield _Line(inner.strip(), whole=bool(fence) or number < len(lines))


def is_truncated(completion: Completion) -> bool:
    """Tell whether a completion was cut off before a complete ``aws`` line.

    The line that a cut fell into is not complete, even if it could be run.
    """
    if not completion.cut_off:
        return False
    line = _command_line(completion.text)
    return line is None or not line.whole


def format_ok(_sample: Sample, completion: Completion, /) -> Score:
    """1 when the raw text starts with ``aws ``, nothing stripped."""
    holds = completion.text.startswith("aws ")
    return _score("format_ok", completion, holds, "does not start with 'aws '")


def format_ok_after_extract(_sample: Sample, completion: Completion, /) -> Score:
    """1 when an ``aws `` line exists after ``` fences and prose are stripped."""
    holds = _command_line(completion.text) is not None
    return _score("format_ok_after_extract", completion, holds, "no 'aws ' line")


def service_match(sample: Sample, completion: Completion, /) -> Score:
    """1 when the extracted command has the target's service."""
    return _compare("service_match", sample, completion, lambda c: c.service)


def op_match(sample: Sample, completion: Completion, /) -> Score:
    """1 when the extracted command has the target's service *and* operation."""
    return _compare("op_match", sample, completion, lambda c: (c.service, c.operation))


def exact_match(sample: Sample, completion: Completion, /) -> Score:
    """1 when the extracted line equals the target token for token.

    Space between tokens does not count; a token's quoting, and space inside quotes,
    is compared as written.
    """
    line = extract_command(completion.text)
    holds = line is not None and _tokens(line) == _tokens(sample.target)
    return _score("exact_match", completion, holds, "differs from the target")


def canonical_match(sample: Sample, completion: Completion, /) -> Score:
    """1 when the extracted line is the target's command, as `parse_command` reads both.

    The order of options, quoting, and equivalent forms of one value do not matter.
    """
    return _compare("canonical_match", sample, completion, lambda c: c)


METRICS: Final[Mapping[str, Scorer]] = MappingProxyType({
    "format_ok": format_ok,
    "format_ok_after_extract": format_ok_after_extract,
    "service_match": service_match,
    "op_match": op_match,
    "exact_match": exact_match,
    "canonical_match": canonical_match,
})
"""The built-in scorers, in the order of reports."""

METRIC_VERSIONS: Final[Mapping[str, int]] = MappingProxyType(dict.fromkeys(METRICS, 1))
"""Metric → version of its definition; scores of two versions do not compare."""


def score(sample: Sample, completion: Completion) -> tuple[Score, ...]:
    """Return one score per built-in metric, in the order of reports."""
    return tuple(scorer(sample, completion) for scorer in METRICS.values())


_OUTCOMES: Final = (
    ("exact_match", "exact"),
    ("op_match", "operation"),
    ("service_match", "service"),
    ("format_ok_after_extract", "format"),
)


def outcome(
    sample: Sample, completion: Completion, scores: Mapping[str, float | None]
) -> str:
    """Return one word for an answer, the first of these that holds.

    ``truncated`` (cut off before a complete ``aws`` line), ``exact`` (exact_match),
    ``operation`` (op_match), ``service`` (service_match), ``format``
    (format_ok_after_extract), ``miss``.
    """
    del sample
    if is_truncated(completion):
        return "truncated"
    return next((word for metric, word in _OUTCOMES if scores.get(metric)), "miss")


def _tokens(line: str) -> tuple[str, ...]:
    # A quote that is never closed leaves no tokens to tell apart.
    return raw_words(line.strip()) or (line.strip(),)


def _score(metric: str, completion: Completion, holds: object, otherwise: str) -> Score:
    if is_truncated(completion):
        reason = f"cut off ({completion.stop}) before a complete 'aws' line"
        return Score(metric=metric, value=0.0, reason=reason)
    return Score(
        metric=metric, value=float(bool(holds)), reason="" if holds else otherwise
    )


def _compare(
    metric: str,
    sample: Sample,
    completion: Completion,
    part: Callable[[Command], object],
) -> Score:
    line = extract_command(completion.text)
    if line is None or is_truncated(completion):
        return _score(metric, completion, None, "no 'aws ' line")
    target, answer = parse_command(sample.target.strip()), parse_command(line)
    if target is None:
        reason = "the target cannot be read as an AWS CLI command"
        return Score(metric=metric, value=None, reason=reason)
    holds = answer is not None and part(answer) == part(target)
    return _score(metric, completion, holds, "differs from the target")
