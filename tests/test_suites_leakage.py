"""Leakage: what of the held-out rows stands in the training rows."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_server import ask, environment, serve
from hypothesis import given, settings
from hypothesis import strategies as st
from projects import row, write_jsonl

from pytest_awsbench.errors import DataError
from pytest_awsbench.records import Message, Sample
from pytest_awsbench.suites.leakage import (
    Leakage,
    Overlap,
    leakage,
    normalised,
    read_train,
)


properties = settings(derandomize=True, deadline=None, max_examples=60)


def asked(number: int, *, task: str = "", target: str = "") -> Sample:
    """Return a sample; by default neither prompt, task nor answer is another's."""
    return Sample.of(
        f"TASK: list the objects of bucket b-{number}",
        target or f"aws s3 ls s3://b-{number}",
        task_id=task or f"task-{number}",
    )


def counts(found: Leakage) -> tuple[int, int, int, int]:
    """Return how many prompts, whole prompts, pairs and answers overlap."""
    overlaps = (found.prompts, found.verbatim, found.pairs, found.answers)
    prompts, verbatim, pairs, answers = (overlap.count for overlap in overlaps)
    return prompts, verbatim, pairs, answers


def test_nothing_in_common() -> None:
    """Rows of other tasks leak nothing."""
    found = leakage([asked(1), asked(2)], [asked(3), asked(4), asked(5)])

    assert counts(found) == (0, 0, 0, 0)
    assert found.train == 3
    assert found.warning == ""


def test_same_row() -> None:
    """A row that was trained on leaks whole, however often it was."""
    found = leakage([asked(1), asked(2)], [asked(1), asked(3), asked(1)])

    assert counts(found) == (1, 1, 1, 1)
    assert found.prompts.examples == (asked(1).id,)
    assert found.prompts.share == 0.5


def test_same_words_under_another_system_message() -> None:
    """The last user message is compared; the whole prompt only to the letter."""
    words = Message("user", "TASK: list the objects of bucket b-1")
    other = Sample.of(
        (Message("system", "Reply with one command."), words), "aws s3 ls", task_id="9"
    )

    assert counts(leakage([asked(1)], [other])) == (1, 0, 0, 0)


def test_last_user_message_counts() -> None:
    """Earlier turns are no prompt of their own."""
    first, last = Message("user", "Hello."), Message("user", "List the buckets.")
    answer = Message("assistant", "aws s3 help")
    held_out = Sample.of((first, answer, last), "aws s3 ls")

    assert leakage([held_out], [Sample.of("Hello.", "hi")]).prompts.count == 0
    assert leakage([held_out], [Sample.of("list the buckets", "x")]).prompts.count == 1


def test_same_task_and_answer() -> None:
    """The answer of a task may be learnt from another prompt of the same task."""
    held_out = asked(1, task="7", target="aws s3 ls")

    trained = leakage([held_out], [asked(2, task="7", target="AWS  s3 ls")])
    elsewhere = leakage([held_out], [asked(2, task="8", target="aws s3 ls")])

    assert counts(trained) == (0, 0, 1, 1)
    assert counts(elsewhere) == (0, 0, 0, 1)


def test_rows_without_a_task() -> None:
    """Where no task is named, the pair is that of prompt and answer."""
    held_out = Sample.of("List the buckets.", "aws s3 ls")

    same = leakage([held_out], [Sample.of("list the buckets", "aws s3 ls")])
    answer = leakage([held_out], [Sample.of("What is there?", "aws s3 ls")])

    assert counts(same) == (1, 0, 1, 1)
    assert counts(answer) == (0, 0, 0, 1)


def test_text_of_a_report() -> None:
    """The header says all three shares and how many rows were seen."""
    held_out = [asked(n, target="aws s3 ls" if n < 30 else "") for n in range(50)]
    trained = [asked(0), *(asked(n, target="aws s3 ls") for n in range(100, 1599))]

    found = leakage(held_out, trained)

    assert found.text == (
        "leakage: 2.0% of prompts, 0.0% of (task, answer) pairs, 60.0% of answers"
        " stand in train (1,500 rows)"
    )


def test_one_training_row() -> None:
    """One row is no rows."""
    assert leakage([asked(1)], [asked(2)]).text.endswith("stand in train (1 row)")


def test_answers_alone_are_no_warning() -> None:
    """``aws s3 ls`` may be right for every task."""
    held_out = [asked(n, target="aws s3 ls") for n in range(10)]

    found = leakage(held_out, [asked(99, target="aws s3 ls")])

    assert found.answers.share == 1
    assert found.worst.share == 0
    assert found.warning == ""


def test_warning_of_prompts() -> None:
    """More than 5 % of the prompts: the report must say so, with examples."""
    held_out = [asked(n) for n in range(50)]
    trained = [asked(n, task="another") for n in (3, 7, 9, 11)]

    found = leakage(held_out, trained)

    first = ", ".join(held_out[n].id for n in (3, 7, 9))
    assert found.warning == (
        "8.0% of prompts of the held-out rows stand in the training rows (4 of 50;"
        f" first: {first}): scores on them may measure memory; take them out of one"
        " side"
    )


def test_warning_of_pairs() -> None:
    """So of pairs; the larger share is named."""
    held_out = [asked(n, task="7", target="aws s3 ls") for n in range(10)]

    found = leakage(held_out, [asked(0), asked(50, task="7", target="aws s3 ls")])

    assert (found.prompts.share, found.pairs.share) == (0.1, 1)
    assert found.worst is found.pairs
    assert found.warning.startswith("100.0% of (task, answer) pairs of the held-out")


@pytest.mark.parametrize(("leaked", "warns"), [(5, False), (6, True)])
def test_tolerated(leaked: int, warns: bool) -> None:  # noqa: FBT001 - a parameter
    """Up to 5 % a report need not warn."""
    held_out = [asked(n) for n in range(100)]

    found = leakage(held_out, held_out[:leaked])

    assert bool(found.warning) is warns


def test_training_rows_are_streamed() -> None:
    """Training rows are taken one by one, once."""
    taken = 0

    def trained() -> Iterator[Sample]:
        nonlocal taken
        for number in range(2000):
            taken += 1
            yield asked(number)

    found = leakage([asked(1999)], trained())

    assert (taken, found.train, found.prompts.count) == (2000, 2000, 1)


def test_nothing_to_compare() -> None:
    """An empty side is no clean one: an iterator may have been used up."""
    used_up = iter([asked(1)])
    next(used_up)

    with pytest.raises(ValueError, match="no training rows"):
        leakage([asked(1)], used_up)
    with pytest.raises(ValueError, match="no held-out rows"):
        leakage([], [asked(1)])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("List the buckets.", "list   the\nbuckets"),
        ("ＬＩＳＴ the buckets", "list the buckets !?"),
        ("Straße", "STRASSE"),
        ("ﬁle", "FILE…"),
        ("\u00e9", "e\u0301"),
    ],
)
def test_same_text(one: str, other: str) -> None:
    """Case, width, space and a last full stop do not make another text."""
    assert normalised(one) == normalised(other)


def test_other_text() -> None:
    """Punctuation inside matters, and punctuation alone is a text."""
    assert normalised("s3://a.b") != normalised("s3://ab")
    assert normalised("?") != normalised("!")
    assert normalised(" ") == ""


@given(st.text("aB .?\n。…ßﬁＡǅİ\u00e9e\u0301\u03b1\u0345\u2126", max_size=12))
@properties
def test_normalised_once_and_for_all(text: str) -> None:
    """What is normalised stays as it is."""
    assert normalised(normalised(text)) == normalised(text)


@given(
    st.lists(st.integers(0, 12), min_size=1, max_size=12),
    st.lists(st.integers(0, 12), min_size=1, max_size=12),
)
@properties
def test_counts_are_those_of_sets(held_out: list[int], train: list[int]) -> None:
    """Each held-out row counts once if it stands in the training rows at all."""
    found = leakage([asked(n) for n in held_out], [asked(n) for n in train])

    expected = sum(n in set(train) for n in held_out)
    assert counts(found) == (expected,) * 4
    assert len(found.pairs.examples) == min(expected, 3)


def test_overlap_in_words() -> None:
    """An overlap shows as a share."""
    assert str(Overlap(what="prompts", count=1, of=3)) == "33.3% of prompts"


def test_read_train(tmp_path: Path) -> None:
    """A training file is read as a held-out one, relative to its root."""
    write_jsonl(tmp_path / "train.jsonl", [row(1), row(2), row(1)])

    samples = list(read_train("train.jsonl", None, tmp_path))

    assert [s.id for s in samples] == ["row-00001", "row-00002", "row-00001"]
    assert counts(leakage(samples[:1], samples)) == (1, 1, 1, 1)


def without_answer(number: int) -> dict[str, Any]:
    """Return a row that ends with the user's message."""
    full = row(number)
    return {**full, "messages": full["messages"][:-1]}


def test_row_without_answer(tmp_path: Path) -> None:
    """A row without a target is refused by file and line, when it is reached."""
    path = write_jsonl(tmp_path / "train.jsonl", [row(1), without_answer(2)])
    samples = read_train("train.jsonl", None, tmp_path)

    assert next(samples).id == "row-00001"
    with pytest.raises(DataError) as caught:
        next(samples)
    assert str(caught.value).startswith(f"{path}: line 2: the last message is from")


def test_no_training_file(tmp_path: Path) -> None:
    """A file that is not there is missed at once, and said to be the training data."""
    with pytest.raises(
        DataError, match=r"^training data: dataset 'no\.jsonl': no such"
    ):
        read_train("no.jsonl", None, tmp_path)


def test_parquet(tmp_path: Path) -> None:
    """Training rows may stand in a parquet file."""
    datasets = pytest.importorskip("datasets")
    table = datasets.Dataset.from_list([row(n) for n in range(3)])
    table.to_parquet(str(tmp_path / "train.parquet"))

    samples = list(read_train("train.parquet", None, tmp_path))

    assert [s.target for s in samples] == [
        row(n)["messages"][-1]["content"] for n in range(3)
    ]


#: Reads training rows of the Hub, each with its split, and prints their ids or errors.
CLIENT = """
import json, sys
from pathlib import Path
from pytest_awsbench.errors import DataError
from pytest_awsbench.suites.leakage import read_train

def read(split):
    try:
        return [s.id for s in read_train("o/data", split, Path("/nowhere"))]
    except DataError as error:
        return str(error)

print(json.dumps({"all": [read(split) for split in (None, "validation", "sft")]}))
"""


def test_hub(tmp_path: Path) -> None:
    """Of a data set of the Hub the split ``train`` is taken, not the held-out one."""
    folder = tmp_path / "data"
    folder.mkdir()
    for split, numbers in (("train", (1, 2, 3)), ("validation", (4,))):
        write_jsonl(folder / f"{split}.jsonl", [row(n) for n in numbers])
    with serve() as hub:
        hub.add("datasets/o/data", folder)

        answer = ask(CLIENT, environment(hub.url, tmp_path / "home"))

    default, held_out, unknown = answer["all"]
    assert default == ["row-00001", "row-00002", "row-00003"]
    assert held_out == ["row-00004"]
    assert unknown.startswith("training data: dataset o/data: no split 'sft'; it has")
