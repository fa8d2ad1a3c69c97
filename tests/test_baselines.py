"""Baselines: what is stored, how it reads in a diff, and how damage is reported."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_awsbench.baselines import SCHEMA, Baseline, dumps, loads
from pytest_awsbench.errors import StoreError
from pytest_awsbench.records import (
    Completion,
    DataCard,
    Decoding,
    ItemStats,
    ModelCard,
    Result,
    Run,
    Sample,
)


PATH = Path("awsbench_baselines/sft/dataset.json")
VERSIONS = {"exact_match": 2, "op_match": 1}


def run_of(scores: dict[str, dict[str, float | None]]) -> Run:
    """Return a run that measured these items, and one that it lost."""
    samples = [
        Sample(
            id=sample_id,
            prompt=(),
            target="aws s3 ls",
            prompt_hash=f"hash-{sample_id}",
            task_id=f"task-{sample_id}",
            tier="warmup",
            source="first_step",
        )
        for sample_id in (*scores, "lost")
    ]
    return Run(
        suite="dataset",
        model=ModelCard(
            name="sft",
            backend="replay",
            description="demo base + LoRA adapter",
            digest="3f2a91c0",
            template_digest="77aa",
            details={"path": "/home/someone/models/sft"},
        ),
        data=DataCard(name="builtin", digest="9c0d11aa", samples=3, tasks=3),
        decoding=Decoding(seed=7),
        samples=samples,
        results={
            sample_id: Result(
                sample_id=sample_id,
                completion=Completion(text="aws s3 ls --secret hunter2"),
                scores=values,
                outcome="exact",
            )
            for sample_id, values in scores.items()
        },
        versions={"pytest-awsbench": "0.1.0"},
        date="2026-11-21T05:00:00+00:00",
    )


def baseline() -> Baseline:
    """Return a baseline of two items."""
    return Baseline.from_run(
        run_of({
            "b": {"exact_match": 0.0, "op_match": 1.0, "canonical_match": None},
            "a": {"exact_match": 1.0, "op_match": 1.0, "one_line": 0.5},
        }),
        VERSIONS,
    )


def edited(change: Callable[[str], str]) -> str:
    """Return the text of a baseline after an edit that changed something."""
    text = dumps(baseline())
    after = change(text)
    assert after != text
    return after


def test_from_run() -> None:
    """A baseline holds what each item showed; lost items and None are absent."""
    stored = baseline()

    assert set(stored.items) == {"a", "b"}
    assert stored.runs == 1
    assert stored.items["a"] == ItemStats(
        prompt_hash="hash-a",
        cluster="task-a",
        tier="warmup",
        source="first_step",
        outcome="exact",
        sums={"exact_match": (1, 1), "op_match": (1, 1), "one_line": (0.5, 0.25)},
    )
    assert "canonical_match" not in stored.items["b"].sums


def test_metric_versions() -> None:
    """Metrics keep their versions; one of a hook counts as its first."""
    assert baseline().metrics == {
        "canonical_match": 1,
        "exact_match": 2,
        "one_line": 1,
        "op_match": 1,
    }


def test_arm() -> None:
    """A baseline is one side of a comparison."""
    stored = baseline()

    arm = stored.arm("baseline")

    assert (arm.label, arm.data_digest) == ("baseline", "9c0d11aa")
    assert arm.items == stored.items
    assert arm.metric_versions["exact_match"] == 2


def test_provenance() -> None:
    """The header says who answered what, how, with what, when and how often."""
    header = baseline().provenance()

    assert header["schema"] == SCHEMA
    assert header["model"]["weights"] == "3f2a91c0"
    assert header["data"]["digest"] == "9c0d11aa"
    assert header["decoding"]["seed"] == 7
    assert header["versions"] == {"pytest-awsbench": "0.1.0"}
    assert (header["date"], header["runs"]) == ("2026-11-21T05:00:00+00:00", 1)


def test_one_line_per_item() -> None:
    """Items stand on one line each, sorted, whole numbers without a point."""
    text = dumps(baseline())

    lines = text.splitlines()

    rows = lines[lines.index('  "items": {') + 1 : -2]
    assert [row[:9] for row in rows] == ['    "a": ', '    "b": ']
    assert json.loads(text)["items"].keys() == {"a", "b"}
    assert '"exact_match": [1, 1], "one_line": [0.5, 0.25]' in rows[0]
    assert '"weight": 1,' in rows[0]
    assert text.endswith("\n}\n")


def test_no_answers_and_no_paths() -> None:
    """A stored file tells neither what a model said nor where it lay."""
    text = dumps(baseline())

    assert "hunter2" not in text
    assert "/home/someone" not in text


def test_round_trip() -> None:
    """What is read is what was written, to the byte."""
    text = dumps(baseline())

    stored = loads(text, PATH)

    assert stored == baseline()
    assert dumps(stored) == text


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=8),
        st.builds(
            ItemStats,
            prompt_hash=st.text(max_size=8),
            cluster=st.text(max_size=8),
            tier=st.text(max_size=8),
            weight=st.floats(0.01, 100),
            k=st.integers(1, 5),
            sums=st.dictionaries(
                st.sampled_from(["exact_match", "op_match"]),
                st.tuples(st.floats(0, 5), st.floats(0, 5)),
            ),
        ),
        min_size=1,
        max_size=5,
    )
)
@settings(derandomize=True, deadline=None, max_examples=40)
def test_any_items_survive(items: dict[str, ItemStats]) -> None:
    """Whatever ids and tasks are called, they are read as they were written."""
    stored = replace(baseline(), items=items)

    assert loads(dumps(stored), PATH) == stored


def test_same_as() -> None:
    """Two baselines say the same whenever they were measured, not whatever."""
    stored = baseline()

    assert stored.same_as(replace(stored, date="2020-01-01T00:00:00+00:00"))
    assert not stored.same_as(replace(stored, runs=3))
    assert not stored.same_as(replace(stored, items={}))


def test_newer_schema() -> None:
    """A file of a newer version asks for an upgrade."""
    text = edited(lambda text: text.replace('"schema": 1', '"schema": 2'))

    with pytest.raises(StoreError) as caught:
        loads(text, PATH)

    assert str(caught.value) == (
        "awsbench_baselines/sft/dataset.json: written by a newer pytest-awsbench"
        " (schema 2; this one reads 1); upgrade pytest-awsbench"
    )


@pytest.mark.parametrize("schema", ["0", '"1"', "null"])
def test_other_schema(schema: str) -> None:
    """A file of no known version is refused by name, never guessed at."""
    text = edited(lambda text: text.replace('"schema": 1', f'"schema": {schema}'))

    with pytest.raises(StoreError, match=r"dataset\.json: schema .* cannot be read"):
        loads(text, PATH)


def line_of(text: str, part: str) -> int:
    """Return the number of the line on which a part stands."""
    return text[: text.index(part)].count("\n") + 1


def test_truncated() -> None:
    """Half a file names the line on which it ends."""
    text = dumps(baseline())
    line = line_of(text, "hash-b")

    with pytest.raises(StoreError, match=f"not JSON: .* line {line} "):
        loads(text[: text.index("hash-b") + 3], PATH)


def test_merge_conflict() -> None:
    """A conflict that nobody resolved names its line."""
    text = edited(lambda text: text.replace('    "b"', '<<<<<<< HEAD\n    "b"'))
    line = line_of(text, "<<<<<<<")

    with pytest.raises(StoreError, match=f"damaged .*line {line} .*version control"):
        loads(text, PATH)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"prompt": "hash-b", ', "", "prompt"),
        (
            '"cluster": "task-b"',
            '"cluster": 7',
            "cluster: Input should be a valid string",
        ),
        ('"exact_match": [0, 0]', '"exact_match": [0]', "items.b.sums"),
        ('"exact_match": [0, 0]', '"exact_match": "x"', "items.b.sums"),
        ('"exact_match": [0, 0]', '"exact_match": null', "items.b.sums"),
    ],
)
def test_damaged_item(old: str, new: str, words: str) -> None:
    """A damaged item names file, line, item and what is wrong."""
    text = edited(lambda text: text.replace(old, new))

    with pytest.raises(StoreError) as caught:
        loads(text, PATH)

    message = str(caught.value)
    assert message.startswith(f"{PATH}: the baseline is damaged")
    line = line_of(text, '    "b": ')
    assert f"line {line}: items.b" in message
    assert words in message


@pytest.mark.parametrize("key", ["suite", "model", "date", "runs", "metrics", "items"])
def test_missing_header_key(key: str) -> None:
    """A header that lacks a key names it."""
    text = edited(lambda text: text.replace(f'"{key}":', '"other":'))

    with pytest.raises(StoreError, match=f"{key}: Field required"):
        loads(text, PATH)


@pytest.mark.parametrize("text", ["[]", "null", '"text"'])
def test_not_an_object(text: str) -> None:
    """JSON of another shape is refused."""
    with pytest.raises(StoreError, match="line 1: not an object"):
        loads(text, PATH)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"runs": 1', '"runs": "1"'),
        ('"date": "2026', '"date": 2026, "was": "'),
        ('"digest": "9c0d11aa"', '"digests": "9c0d11aa"'),
        ('"weight": 1, "k": 1', '"weight": 1, "k": 0'),
        ('"weight": 1', '"weight": 0'),
        ('"weight": 1', '"weight": true'),
        ('"exact_match": [1, 1]', '"exact_match": [NaN, 1]'),
        ('"exact_match": [1, 1]', '"exact_match": ["1", 1]'),
    ],
)
def test_wrong_type(old: str, new: str) -> None:
    """A value of another type, or an impossible one, is refused where it is read."""
    text = edited(lambda text: text.replace(old, new))

    with pytest.raises(StoreError):
        loads(text, PATH).arm("baseline")


def test_item_that_stands_twice() -> None:
    """A merge that kept both lines of an item is refused."""
    text = edited(lambda text: text.replace('    "b": ', '    "a": '))

    with pytest.raises(StoreError, match="'a'"):
        loads(text, PATH)


@pytest.mark.parametrize("metric", ["tier", "source", "k", "weight", "prompt"])
def test_metric_of_any_name(metric: str) -> None:
    """A user's metric may have any name, and changes no other value."""
    stored = Baseline.from_run(run_of({"a": {metric: 1.0}}), {})

    assert loads(dumps(stored), PATH) == stored
