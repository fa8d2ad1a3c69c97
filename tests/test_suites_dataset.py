"""Data sets become samples, or say which row cannot."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from projects import row, write_jsonl

from pytest_awsbench.errors import DataError
from pytest_awsbench.suites.dataset import Dataset, load


def read(source: Path | str, root: Path = Path("/nowhere"), **more: Any) -> Dataset:
    """Load a data set."""
    given_values = {"split": None, "max_per_combo": None, "builtin": Path("/none")}
    return load(str(source), root=root, **{**given_values, **more})


def anonymous(number: int, **changed: object) -> dict[str, Any]:
    """Return a row without an id of its own; None leaves a key out."""
    full = {**row(number), "id": None, **changed}
    return {key: value for key, value in full.items() if value is not None}


def complaint(path: Path, text: str) -> str:
    """Return what is said of a .jsonl file with this text."""
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read(path)
    return str(caught.value)


def complaint_about(path: Path, bad: Mapping[str, object]) -> str:
    """Return what is said of a row that follows a good one."""
    write_jsonl(path, [anonymous(0), bad])
    with pytest.raises(DataError) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: line 2: ")
    return message


def ids(dataset: Dataset) -> list[str]:
    """Return the ids of all samples, in order."""
    return [sample.id for sample in dataset.samples]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a test writes its data set."""
    return tmp_path / "data.jsonl"


def test_row_becomes_sample(path: Path) -> None:
    """Everything that a row says is in its sample; the last message is the target."""
    write_jsonl(path, [anonymous(1, task_id=7, step_idx=2)])

    [sample] = read(path).samples

    assert [m.role for m in sample.prompt] == ["system", "user"]
    assert sample.target == "aws s3api list-objects-v2 --bucket b-1"
    assert (sample.tier, sample.source) == ("beginner", "success_first_step")
    assert (sample.task_id, sample.step_idx) == ("7", 2)
    assert re.fullmatch(r"beginner-[0-9a-f]{8}", sample.id)
    assert re.fullmatch(r"[0-9a-f]{16}", sample.prompt_hash)


def test_bare_row(path: Path) -> None:
    """A row of messages alone is enough: its cluster is itself."""
    write_jsonl(path, [{"messages": row(1)["messages"]}])

    [sample] = read(path).samples

    assert re.fullmatch(r"[0-9a-f]{8}", sample.id)
    assert (sample.task_id, sample.tier, sample.source) == (sample.id, "", "")
    assert sample.step_idx is None


def test_builtin(path: Path, tmp_path: Path) -> None:
    """``builtin`` is the given file, and called so."""
    write_jsonl(path, [anonymous(n) for n in range(3)])

    dataset = read("builtin", tmp_path, builtin=path)

    assert (dataset.card.name, dataset.card.samples) == ("builtin", 3)
    assert dataset.card.tasks == 3


def test_relative_and_absolute_path(path: Path, tmp_path: Path) -> None:
    """A path is relative to the root, or absolute; the name is as configured."""
    write_jsonl(path, [anonymous(0)])

    relative, absolute = read("data.jsonl", tmp_path), read(path)

    assert relative.samples == absolute.samples
    assert relative.card.name == "data.jsonl"
    assert relative.card.digest == absolute.card.digest


def test_ids_survive_insertion_and_reordering(path: Path) -> None:
    """An id depends on what a row says, not on where it stands."""
    rows = [anonymous(n) for n in range(5)]
    before = read(write_jsonl(path, rows))

    after = read(write_jsonl(path, [anonymous(9), *reversed(rows)]))

    assert ids(after)[1:] == ids(before)[::-1]


def test_renumbered_tasks_keep_ids(path: Path) -> None:
    """Other task numbers are other clusters, not other items."""
    before = read(write_jsonl(path, [anonymous(1)]))

    after = read(write_jsonl(path, [anonymous(1, task_id=99)]))

    assert ids(after) == ids(before)
    assert after.samples[0].task_id == "99"


def test_duplicates_get_suffixes(path: Path) -> None:
    """The same row again is an item of its own, in file order."""
    write_jsonl(path, [anonymous(1), anonymous(2), anonymous(1), anonymous(1)])

    first, other, second, third = ids(read(path))

    assert [second, third] == [f"{first}-2", f"{first}-3"]
    assert other != first


@pytest.mark.parametrize(
    ("given_id", "used"),
    [("row-1", "row-1"), ("s3/list buckets (2)", "s3-list-buckets-2"), (12, "12")],
)
def test_id_of_row(path: Path, given_id: object, used: str) -> None:
    """A row's own id is used, fit for node ids and files."""
    write_jsonl(path, [anonymous(1, id=given_id)])

    assert ids(read(path)) == [used]


def test_two_rows_with_one_id(path: Path) -> None:
    """Ids that a data set repeats get a suffix and share no cluster by accident."""
    rows = [anonymous(n, id="same", task_id=None) for n in range(3)]
    for entry in rows:
        entry.pop("task_id", None)
    write_jsonl(path, rows)

    samples = read(path).samples

    assert [s.id for s in samples] == ["same", "same-2", "same-3"]
    assert [s.task_id for s in samples] == ["same", "same-2", "same-3"]


def test_suffix_meets_an_id(path: Path) -> None:
    """A suffix never makes an id that another row has."""
    write_jsonl(path, [anonymous(n, id=i) for n, i in enumerate(["a", "a-2", "a"])])

    assert len(set(ids(read(path)))) == 3


def test_letters_outside_ascii_stay_apart(path: Path) -> None:
    """Ids that differ in letters that node ids cannot have still differ."""
    texts = ["größe", "grüße"]
    once = ids(
        read(write_jsonl(path, [anonymous(n, id=t) for n, t in enumerate(texts)]))
    )

    texts.reverse()
    again = ids(
        read(write_jsonl(path, [anonymous(n, id=t) for n, t in enumerate(texts)]))
    )

    assert all(name.isascii() for name in once)
    assert once == again[::-1]


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=30), st.text(max_size=12))
def test_any_text_gives_a_safe_id(
    tmp_path_factory: pytest.TempPathFactory, words: str, tier: str
) -> None:
    """Whatever a row says, its id is fit for node ids, ``-k``, files and shells."""
    path = tmp_path_factory.mktemp("any") / "data.jsonl"
    messages = [
        {"role": "user", "content": words},
        {"role": "assistant", "content": "aws s3 ls"},
    ]
    write_jsonl(path, [{"messages": messages, "difficulty": tier}])

    [sample] = read(path).samples

    assert re.fullmatch(r"[A-Za-z0-9._-]+", sample.id)


def test_edited_prompt_changes_hash_and_digest(path: Path) -> None:
    """An edited prompt under the same id is noticed."""
    edited = anonymous(1, id="x")
    before = read(write_jsonl(path, [edited]))
    edited["messages"][1]["content"] += " Quickly."

    after = read(write_jsonl(path, [edited]))

    assert ids(after) == ids(before)
    assert after.samples[0].prompt_hash != before.samples[0].prompt_hash
    assert after.card.digest != before.card.digest


def test_digest_ignores_order(path: Path) -> None:
    """The same rows in another order are the same data."""
    rows = [anonymous(n) for n in range(4)]

    digests = {read(write_jsonl(path, r)).card.digest for r in (rows, rows[::-1])}

    assert len(digests) == 1


def test_max_per_combo(path: Path) -> None:
    """The first K rows per tier and source are taken, in file order, and declared."""
    rows = [anonymous(n) for n in range(10)]
    whole = read(write_jsonl(path, rows))

    subset = read(path, max_per_combo=2)

    assert ids(subset) == ids(whole)[:6]
    assert (subset.card.samples, subset.card.subset) == (6, "max_per_combo=2")
    assert subset.card.digest != whole.card.digest
    assert whole.card.subset == ""


def test_subset_keeps_ids_of_duplicates(path: Path) -> None:
    """An item of a subset has the id that it has in the whole."""
    rows = [anonymous(1), anonymous(1, difficulty="warmup"), anonymous(1)]
    whole = read(write_jsonl(path, rows))

    assert set(ids(read(path, max_per_combo=1))) <= set(ids(whole))


def test_target_that_is_no_command(path: Path) -> None:
    """Targets that no answer can match are kept, counted and shown once."""
    rows = [anonymous(n) for n in range(4)]
    for entry in rows[2:]:
        entry["messages"][-1]["content"] = "kubectl get pods"
    write_jsonl(path, rows)

    dataset = read(path)

    assert dataset.card.samples == 4
    [warning] = dataset.warnings
    assert "2 targets are" in warning
    assert "AWS command (first: " in warning


def test_no_warnings_where_all_is_well(path: Path) -> None:
    """A good data set is loaded without a word."""
    write_jsonl(path, [anonymous(0)])

    assert read(path).warnings == ()


def test_blank_lines_and_bom(path: Path) -> None:
    """Blank lines, CR LF and a byte order mark are no errors."""
    text = json.dumps(anonymous(0)) + "\r\n\r\n" + json.dumps(anonymous(1)) + "\r\n"
    path.write_bytes(text.encode("utf-8-sig"))

    assert len(read(path).samples) == 2


def test_missing_file(tmp_path: Path) -> None:
    """A missing file is named with the place where it was looked for."""
    with pytest.raises(DataError) as caught:
        read("data/val.jsonl", tmp_path)

    assert str(tmp_path / "data/val.jsonl") in str(caught.value)


def test_unknown_kind_of_file(tmp_path: Path) -> None:
    """What is neither a known file nor a Hub id is refused with what is allowed."""
    (tmp_path / "val.csv").touch()

    with pytest.raises(DataError) as caught:
        read("val.csv", tmp_path)

    message = str(caught.value)
    assert ".jsonl or .parquet file" in message
    assert "Hub id owner/name" in message
    assert str(tmp_path / "val.csv") in message


def test_parent_folder_is_no_hub_id(tmp_path: Path) -> None:
    """A path that leaves the folder is no Hub id: nothing is asked of the Hub."""
    with pytest.raises(DataError, match=r"\.jsonl or \.parquet file"):
        read("../data", tmp_path)


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_empty_file(path: Path, text: str) -> None:
    """A file without rows is refused."""
    message = complaint(path, text)

    assert str(path) in message
    assert "is empty" in message


def test_not_json(path: Path) -> None:
    """A damaged line is named."""
    good = json.dumps(anonymous(0))

    assert complaint(path, good + "\n{oops\n").startswith(f"{path}: line 2: not JSON: ")


def test_row_is_no_object(path: Path) -> None:
    """A row that is a list is named and shown."""
    assert complaint(path, "[1, 2]\n") == f"{path}: line 1: not an object but [1, 2]"


def test_not_utf_8(path: Path) -> None:
    """A file in another encoding is named."""
    path.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(DataError) as caught:
        read(path)

    assert "cannot be read" in str(caught.value)
    assert str(path) in str(caught.value)


ASSISTANT = {"role": "assistant", "content": "aws s3 ls"}
USER = {"role": "user", "content": "List."}


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"prompt": "List."}, ["'messages'"]),
        ({"messages": "List."}, ["'messages' must be a list", "'List.'"]),
        ({"messages": []}, ["'messages' must be a list", "[]"]),
        ({"messages": [USER, {"role": "assistant"}]}, ["messages[1]", "'content'"]),
        ({"messages": [{"content": "x"}, ASSISTANT]}, ["messages[0]", "'role'"]),
        ({"messages": ["List.", ASSISTANT]}, ["messages[0]", "'List.'"]),
        ({"messages": [ASSISTANT, USER]}, ["last message is from 'user'", "target"]),
        ({"messages": [ASSISTANT]}, ["user", "before the target"]),
        ({"messages": [USER, ASSISTANT], "task_id": [1]}, ["'task_id'", "[1]"]),
        ({"messages": [USER, ASSISTANT], "task_id": True}, ["'task_id'", "True"]),
        ({"messages": [USER, ASSISTANT], "difficulty": {}}, ["'difficulty'", "{}"]),
        ({"messages": [USER, ASSISTANT], "step_idx": "two"}, ["'step_idx'", "'two'"]),
        ({"messages": [USER, ASSISTANT], "step_idx": 1.5}, ["'step_idx'", "1.5"]),
    ],
)
def test_bad_row(path: Path, bad: Mapping[str, object], words: Sequence[str]) -> None:
    """A row that is no sample is named by line, key and value."""
    message = complaint_about(path, bad)

    assert all(word in message for word in words), message


def test_half_a_character(path: Path) -> None:
    """Half a surrogate pair, which no tokenizer can take, is an error of its row."""
    text = json.dumps({"messages": [{**USER, "content": "\ud800"}, ASSISTANT]})

    assert "line 1: half a surrogate pair" in complaint(path, text)


def test_ten_thousand_rows(path: Path) -> None:
    """Ids of large data sets are unique."""
    write_jsonl(path, [anonymous(n) for n in range(10_000)])

    dataset = read(path)

    assert len(set(ids(dataset))) == 10_000


# Parquet


def write_parquet(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write rows as a parquet file."""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist(list(rows)), path)
    return path


def test_parquet_is_jsonl(tmp_path: Path) -> None:
    """The same rows give the same samples, whatever the format."""
    rows = [anonymous(1), anonymous(2), anonymous(2)]
    # A column with gaps, and one of numbers that another tool turned into floats.
    rows[0].pop("task_id")
    text = write_jsonl(tmp_path / "a.jsonl", rows)
    floats = [{**r, "task_id": r.get("task_id") and float(r["task_id"])} for r in rows]
    table = write_parquet(tmp_path / "a.parquet", floats)

    assert read(table).samples == read(text).samples
    assert read(table).card.digest == read(text).card.digest


def test_changed_parquet_is_read_again(tmp_path: Path) -> None:
    """A file that was rewritten in place is not served from a cache."""
    path = write_parquet(tmp_path / "a.parquet", [anonymous(1)])
    before = read(path)

    after = read(write_parquet(path, [anonymous(2)]))

    assert ids(after) != ids(before)


def test_parquet_without_messages(tmp_path: Path) -> None:
    """A table without prompts is refused with the columns that it has."""
    path = write_parquet(tmp_path / "a.parquet", [{"question": "q", "answer": "a"}])

    with pytest.raises(DataError) as caught:
        read(path)

    assert str(caught.value).startswith(f"{path}: no column 'messages'; it has")
    assert str(caught.value).endswith("question, answer")


def test_bad_parquet_row(tmp_path: Path) -> None:
    """A bad row of a table is named by its number."""
    rows = [anonymous(1), {"messages": [USER, USER]}]
    path = write_parquet(tmp_path / "a.parquet", rows)

    with pytest.raises(DataError) as caught:
        read(path)

    assert str(caught.value).startswith(
        f"{path}: row 2: the last message is from 'user'"
    )


def test_damaged_parquet(tmp_path: Path) -> None:
    """A file that is not parquet is named."""
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1 and nothing more")

    with pytest.raises(DataError) as caught:
        read(path)

    assert str(path) in str(caught.value)


def test_missing_parquet(tmp_path: Path) -> None:
    """A missing table is named with the place where it was looked for."""
    with pytest.raises(DataError) as caught:
        read("a.parquet", tmp_path)

    assert str(tmp_path / "a.parquet") in str(caught.value)
