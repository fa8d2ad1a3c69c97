"""Extraction, the built-in metrics and the outcome of one answer."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pytest_awsbench.episodes import StopReason
from pytest_awsbench.records import Completion, Sample
from pytest_awsbench.scoring.answers import (
    METRIC_VERSIONS,
    METRICS,
    canonical_match,
    exact_match,
    extract_command,
    is_truncated,
    outcome,
    score,
)
from pytest_awsbench.scoring.commands import parse_command


TARGET = (
    "aws dynamodb put-item --table-name orders"
    """ --item '{"id":{"S":"001"},"state":{"S":"on hold"}}'"""
)
REORDERED = (
    """aws dynamodb put-item --item '{"id":{"S":"001"},"state":{"S":"on hold"}}'"""
    " --table-name orders"
)


def sample(target: str = TARGET) -> Sample:
    """Return a sample that has this target."""
    return Sample(id="s", prompt=(), target=target, prompt_hash="p", task_id="t")


def judge(text: str, target: str = TARGET, stop: StopReason = "eos") -> str:
    """Return the outcome, and the metrics as digits in the order of reports."""
    asked, answer = sample(target), Completion(text=text, stop=stop)
    scores = {s.metric: s.value for s in score(asked, answer)}
    digits = "".join("?" if v is None else f"{v:.0f}" for v in scores.values())
    return f"{outcome(asked, answer, scores)} {digits}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TARGET, "exact 111111"),
        (f"```bash\n{TARGET}\n```", "exact 011111"),
        (f"Here is the command:\n\n{TARGET}", "exact 011111"),
        (f"```{TARGET}```", "exact 011111"),
        (f'"{TARGET}"', "miss 000000"),
        (f"`{TARGET}`", "miss 000000"),
        (f"$ {TARGET}", "miss 000000"),
        (TARGET.replace(" --", "  --"), "exact 111111"),
        (REORDERED, "operation 111101"),
        (TARGET.replace("name orders", "name=orders"), "operation 111101"),
        (TARGET.replace("dynamodb", "dynamo"), "format 110000"),
        ("", "miss 000000"),
    ],
    ids=[
        "untouched",
        "fence",
        "prose before",
        "one-line fence",
        "quotes",
        "backticks",
        "prompt",
        "two spaces",
        "option order",
        "--k=v",
        "wrong service",
        "empty",
    ],
)
def test_damages(text: str, expected: str) -> None:
    """Each known damage of an answer costs exactly the metrics that it should."""
    assert judge(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TARGET.replace("put-item", "get-item"), "service 111000"),
        (TARGET.replace("001", "002"), "operation 111100"),
        (TARGET.replace("on hold", "on  hold"), "operation 111100"),
        (TARGET.replace('":{', '": {'), "operation 111101"),
        (TARGET.rstrip("'"), "format 110000"),
        (f"{TARGET} --region eu-west-1", "operation 111100"),
        (f"  {TARGET}", "exact 011111"),
        (f"{TARGET}\nThis stores the item.", "exact 111111"),
        (f"{TARGET}\r\n", "exact 111111"),
        (f"aws s3 ls\n{TARGET}", "format 110000"),
        ("aws is great, run it", "format 110000"),
        (TARGET.replace("aws ", "AWS "), "miss 000000"),
        (TARGET.replace("aws ", "aws\t"), "miss 000000"),
    ],
)
def test_near_misses(text: str, expected: str) -> None:
    """What differs in meaning, or is no command, never counts as the target."""
    assert judge(text) == expected


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("```aws s3 ls```", "aws s3 ls"),
        ("```bash aws s3 ls```", "aws s3 ls"),
        ("```aws\naws s3 ls\n```", "aws s3 ls"),
        ("```sh\naws s3 ls", "aws s3 ls"),
        ("```\naws s3 ls```", "aws s3 ls"),
        ("```aws s3 ls``` lists buckets", "aws s3 ls"),
        ("````\naws s3 ls\n````", "aws s3 ls"),
        ("aws sns publish --message '```x```' --topic t", None),
        ("use aws s3 ls", None),
        ("'aws s3 ls'", None),
        ("aws", None),
    ],
)
def test_extraction(text: str, command: str | None) -> None:
    """Fences go, whatever their form; a line that starts otherwise is no command."""
    expected = text if text.startswith("aws sns") else command

    assert extract_command(text) == expected


@pytest.mark.parametrize("stop", ["length", "context"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TARGET, "truncated 000000"),
        (TARGET[:30], "truncated 000000"),
        ("Let me think about this", "truncated 000000"),
        (f"```bash\n{TARGET}", "truncated 000000"),
        ("", "truncated 000000"),
        (f"{TARGET}\nThis stores", "exact 111111"),
        (f"{TARGET}\n", "exact 111111"),
        (f"```{TARGET}```", "exact 011111"),
    ],
)
def test_truncation(text: str, stop: StopReason, expected: str) -> None:
    """A cut before the end of the command scores 0; a cut after it costs nothing."""
    assert judge(text, stop=stop) == expected


@pytest.mark.parametrize("stop", ["eos", "newline"])
def test_own_end_is_no_truncation(stop: StopReason) -> None:
    """A model that ends its answer itself is judged by what it said."""
    assert not is_truncated(Completion(text="", stop=stop))
    assert judge(TARGET, stop=stop) == "exact 111111"


def test_truncation_says_so() -> None:
    """The reason of each score names the cut."""
    scores = score(sample(), Completion(text="aws s3", stop="length"))

    assert {s.reason for s in scores} == {
        "cut off (length) before a complete 'aws' line"
    }


def test_help() -> None:
    """A hint is the help command with an option, not another operation."""
    assert judge("aws help --task-hint", "aws help --task-hint") == "exact 111111"
    assert judge("aws help", "aws help --task-hint") == "operation 111100"
    assert judge("aws s3 help", "aws help") == "format 110000"


def test_unreadable_target_is_not_zero() -> None:
    """Nobody can tell whether an answer is the command of a broken target."""
    broken = "aws s3 ls 's3://b"

    assert judge(broken, broken) == "exact 11??1?"
    assert judge("aws s3 ls", broken) == "format 11??0?"
    assert judge("I cannot do that", broken) == "miss 000000"
    assert judge(broken, broken, stop="length") == "truncated 000000"


def test_metrics_have_versions() -> None:
    """Every metric is named after its scorer and carries a version."""
    answer = Completion(text=TARGET)

    assert [s.metric for s in score(sample(), answer)] == list(METRICS)
    assert METRIC_VERSIONS.keys() == METRICS.keys()


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.text(alphabet="aws3 `'\"\\\n\t$-=lc"))
def test_any_text_is_judged(text: str) -> None:
    """No text breaks a scorer, and every answer gets one known word."""
    word, digits = judge(text).split()

    assert word in {"format", "miss"}
    assert len(digits) == len(METRICS)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.text(alphabet="ab '\"\\\t-={}[],:1"), st.text(alphabet=" \t", max_size=3))
def test_exact_implies_canonical(rest: str, space: str) -> None:
    """What equals a readable target token for token is the target's command."""
    asked = sample(f"aws ec2 describe-instances --filters {rest}")
    answer = Completion(
        text=f"aws {space}ec2 describe-instances{space} --filters {rest}"
    )

    assume(parse_command(asked.target.strip()) is not None)

    assert exact_match(asked, answer).value == 1.0
    assert canonical_match(asked, answer).value == 1.0
