"""The built-in demo: its data, and that its weights are what the command made."""

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pytest_awsbench import demo
from pytest_awsbench.demo.generate import dumps, generate, held_out
from pytest_awsbench.demo.rows import HINT
from pytest_awsbench.demo.templates import TEMPLATES, TIERS
from pytest_awsbench.scoring.commands import parse_command


Rows = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def rows() -> Rows:
    """All parts of the data."""
    return {
        part: [json.loads(line) for line in path.read_text().splitlines()]
        for part, path in demo.DATASETS.items()
    }


def task_of(row: dict[str, Any]) -> str:
    """Return the text of a row's task."""
    return str(row["messages"][1]["content"]).partition("\n")[0]


def test_data_is_what_the_generator_makes() -> None:
    """The committed files are the generator's, byte for byte."""
    for part, turns in generate().items():
        assert demo.DATASETS[part].read_text(encoding="utf-8") == dumps(turns)


def test_held_out_rows_share_no_prompt(rows: Rows) -> None:
    """No held-out prompt stands in the other parts."""
    prompts = {
        part: {row["messages"][1]["content"] for row in found}
        for part, found in rows.items()
    }

    assert not prompts["heldout"] & (prompts["train"] | prompts["reserve"])


def test_held_out_rows_share_no_pair(rows: Rows) -> None:
    """No held-out task stands with its answer in the other parts, hints apart."""
    pairs = {
        part: {
            (task_of(row), row["messages"][-1]["content"])
            for row in found
            if row["messages"][-1]["content"] != HINT
        }
        for part, found in rows.items()
    }

    assert not pairs["heldout"] & (pairs["train"] | pairs["reserve"])


def test_held_out_rows_cover_everything(rows: Rows) -> None:
    """150 rows: every task, 1 to 7 rows each, all tiers, all sources."""
    heldout = rows["heldout"]
    counts = Counter(row["task_id"] for row in heldout)

    assert len(heldout) == 150
    assert set(counts) == {template.id for template in TEMPLATES}
    assert max(counts.values()) <= 7
    assert {row["difficulty"] for row in heldout} == set(TIERS)
    assert len({row["source"] for row in heldout}) == 5


def test_tasks_are_many_and_valid() -> None:
    """At least 60 tasks over at least 15 services; every command can be read."""
    commands = [c for t in TEMPLATES for c in (*t.commands, t.verify)]
    parsed = [parse_command(command) for command in commands]

    assert len(TEMPLATES) >= 60
    assert all(1 <= len(template.commands) <= 6 for template in TEMPLATES)
    assert None not in parsed
    assert len({command.service for command in parsed if command}) >= 15


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda t: f"task-{t.id}")
def test_commands_exist(template: Any) -> None:
    """Service, operation and options of every command are AWS's own."""
    from botocore.loaders import Loader
    from botocore.model import ServiceModel

    loader = Loader()
    for text in (*template.commands, template.verify):
        command = parse_command(text)
        assert command is not None
        name = "s3" if command.service == "s3api" else command.service
        model = ServiceModel(loader.load_service_model(name, "service-2"))
        operations = {_kebab(n): n for n in model.operation_names}
        assert command.operation in operations, text
        shape = model.operation_model(operations[command.operation]).input_shape
        known = {_kebab(member) for member in shape.members} if shape else set()
        given = [word[2:] for word in text.split() if word.startswith("--")]
        assert set(given) <= known | {"max-items"}, text
        required = {_kebab(m) for m in shape.required_members} if shape else set()
        assert required <= set(given), text


def test_weights_are_what_the_command_made() -> None:
    """Every file has the digest that the training wrote; the data is the same."""
    provenance = json.loads(demo.PROVENANCE.read_text())
    folder = demo.PROVENANCE.parent

    found = {
        path.relative_to(folder).as_posix(): hashlib.sha256(
            path.read_bytes()
        ).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path != demo.PROVENANCE
    }

    assert found == provenance["sha256"]
    text = dumps(held_out())
    assert provenance["data_sha256"] == hashlib.sha256(text.encode()).hexdigest()
    assert provenance["seed"] == demo.SEED


def test_weights_are_small() -> None:
    """The base stays below 8 MB, the adapter below 1 MB."""
    assert _size(demo.BASE) <= 8_000_000
    assert _size(demo.ADAPTER) <= 1_000_000


def test_pair_is_worth_showing() -> None:
    """The base is mediocre in the ways that matter, and the adapter mends it."""
    figures = json.loads(demo.PROVENANCE.read_text())["figures"]
    base, adapter = figures["base"]["overall"], figures["adapter"]["overall"]

    assert 0.3 <= base["exact_match"] <= 0.5
    assert base["format_ok"] <= base["format_ok_after_extract"] - 0.2
    assert 0.8 <= adapter["exact_match"] <= 0.97
    assert adapter["format_ok"] >= 0.98
    for source in figures["adapter"]["by_source"].values():
        assert source["exact_match"] >= 0.5


@pytest.mark.torch
def test_tokenizer_is_read_as_it_was_trained(rows: Rows) -> None:
    """`AutoTokenizer` and tokenizer.json cut every row alike."""
    from tokenizers import Tokenizer
    from transformers import AutoTokenizer

    plain = Tokenizer.from_file(str(demo.BASE / "tokenizer.json"))
    auto = AutoTokenizer.from_pretrained(demo.BASE)

    for row in (row for found in rows.values() for row in found):
        text = auto.apply_chat_template(row["messages"], tokenize=False)
        ids = auto(text, add_special_tokens=False)["input_ids"]
        assert ids == plain.encode(text).ids


def _kebab(name: str) -> str:
    """Return a name as the CLI writes it."""
    from botocore import xform_name

    return str(xform_name(name, "-"))


def _size(folder: Path) -> int:
    """Return the bytes of a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
