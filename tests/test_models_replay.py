"""Recorded answers are a model, or it is said which answer is missing."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from projects import write_jsonl

from pytest_awsbench.errors import DataError, InfraError
from pytest_awsbench.models.replay import ReplayModel, load, replay_models
from pytest_awsbench.models.spec import ModelSpec
from pytest_awsbench.records import Completion, Decoding, Message, Sample


SPEC = ModelSpec(name="tuned", backend="replay", path="answers.jsonl")
SYSTEM = Message("system", "Answer with one command.")


def sample(number: int, system: Message = SYSTEM) -> Sample:
    """Return a sample with an id of its own."""
    prompt = (system, Message("user", f"List bucket b-{number}."))
    return replace(Sample.of(prompt, f"aws s3 ls b-{number}"), id=f"id-{number}")


def turns(asked: Sample, answer: str | None = None) -> list[dict[str, str]]:
    """Return the messages of a sample as rows hold them."""
    rows = [{"role": m.role, "content": m.content} for m in asked.prompt]
    last = [{"role": "assistant", "content": answer}] if answer else []
    return [*rows, *last]


SAMPLES = [sample(n) for n in range(4)]


def record(
    folder: Path,
    rows: Sequence[Mapping[str, Any]],
    samples: Sequence[Sample] = SAMPLES,
    key: str | None = None,
) -> ReplayModel:
    """Write recorded answers and load them as a model."""
    write_jsonl(folder / "answers.jsonl", rows)
    return load(replace(SPEC, replay_key=key), folder, samples)


def by_id(count: int = 4, **more: object) -> list[dict[str, Any]]:
    """Return an answer to each of the first samples."""
    return [
        {"id": f"id-{n}", "completion": f"answer {n}", **more} for n in range(count)
    ]


def complaint(
    folder: Path,
    rows: Sequence[Mapping[str, Any]],
    samples: Sequence[Sample] = SAMPLES,
    key: str | None = None,
) -> str:
    """Return why recorded answers cannot be used."""
    with pytest.raises(DataError) as caught:
        record(folder, rows, samples, key)
    assert str(folder / "answers.jsonl") in str(caught.value)
    return str(caught.value)


def said(model: ReplayModel, samples: Sequence[Sample] = SAMPLES) -> list[str]:
    """Return what a model answers."""
    return [c.text for c in model.generate([s.prompt for s in samples], Decoding())]


# Looking up


def test_by_id(tmp_path: Path) -> None:
    """Rows with ids answer the samples of these ids, in any order."""
    model = record(tmp_path, by_id()[::-1])

    assert said(model) == ["answer 0", "answer 1", "answer 2", "answer 3"]
    assert said(model, [SAMPLES[2]]) == ["answer 2"]


@pytest.mark.parametrize("answer", [None, "recorded elsewhere"])
def test_by_messages(tmp_path: Path, answer: str | None) -> None:
    """Rows with messages answer their prompt; a trailing answer is not of it."""
    rows = [
        {"messages": turns(s, answer), "completion": f"answer {s.id}"} for s in SAMPLES
    ]

    assert said(record(tmp_path, rows))[3] == "answer id-3"


def test_by_prompt(tmp_path: Path) -> None:
    """Rows with a prompt answer samples whose user said this last."""
    rows = [
        {"prompt": s.prompt[-1].content, "completion": f"answer {s.id}"}
        for s in SAMPLES
    ]

    assert said(record(tmp_path, rows))[1] == "answer id-1"


def test_messages_of_another_system(tmp_path: Path) -> None:
    """Answers to the same words under another system message are other answers."""
    other = sample(0, Message("system", "Say nothing."))
    rows = [{"messages": turns(other), "completion": "nothing"}]

    assert "no answer for 1 of 1 samples" in complaint(tmp_path, rows, SAMPLES[:1])


def test_messages_beside_a_foreign_id(tmp_path: Path) -> None:
    """Where the id is of another data set, the messages of a row still count."""
    rows = [
        {"id": n, "messages": turns(s), "completion": s.id}
        for n, s in enumerate(SAMPLES)
    ]

    assert said(record(tmp_path, rows)) == [s.id for s in SAMPLES]


def test_numbers_as_ids(tmp_path: Path) -> None:
    """A number counts as its digits."""
    numbered = [replace(s, id=str(n)) for n, s in enumerate(SAMPLES)]
    rows = [{"id": n, "completion": f"answer {n}"} for n in range(4)]

    assert said(record(tmp_path, rows, numbered), numbered)[3] == "answer 3"


def test_more_answers_than_samples(tmp_path: Path) -> None:
    """A subset may be asked: other recorded answers do no harm."""
    assert said(record(tmp_path, by_id(), SAMPLES[:1]), SAMPLES[:1]) == ["answer 0"]


def test_everything_recorded(tmp_path: Path) -> None:
    """Why an answer ended, its tokens and its time are replayed."""
    rows = by_id(1, stop="length", tokens=128, latency=0.5)
    model = record(tmp_path, rows, SAMPLES[:1])

    [completion] = model.generate([SAMPLES[0].prompt], Decoding())

    assert completion == Completion(
        text="answer 0", stop="length", tokens=128, latency=0.5
    )


def test_text_is_verbatim(tmp_path: Path) -> None:
    """White space, fences and emptiness are what the model said."""
    rows = by_id()
    rows[0]["completion"], rows[1]["completion"] = "\n```\naws s3 ls\n```  ", ""

    assert said(record(tmp_path, rows))[:2] == ["\n```\naws s3 ls\n```  ", ""]


def test_prompt_of_no_suite(tmp_path: Path) -> None:
    """A prompt without a recorded answer is missing, never wrong."""
    model = record(tmp_path, by_id())

    with pytest.raises(InfraError) as caught:
        model.generate([(Message("user", "Who?"),)], Decoding())

    assert str(caught.value).startswith("model tuned: no recorded answer to")


def test_own_prompts(tmp_path: Path) -> None:
    """Recorded prompts of no suite are answered too, for tests of the user's own."""
    rows: list[dict[str, Any]] = [
        {"prompt": "Who?", "completion": "aws sts get-caller-identity"},
        {"messages": turns(sample(9)), "completion": "answer 9"},
    ]
    model = record(tmp_path, [*by_id(), *rows])

    who, ninth = model.generate(
        [(Message("user", "Who?"),), sample(9).prompt], Decoding()
    )

    assert (who.text, ninth.text) == ("aws sts get-caller-identity", "answer 9")


def test_close_twice(tmp_path: Path) -> None:
    """Closing is safe, and safe again."""
    model = record(tmp_path, by_id())

    model.close()
    model.close()

    assert list(model.notes) == []


# Missing and contradictory answers


def test_missing_answers(tmp_path: Path) -> None:
    """Samples without an answer are counted and named: nothing is scored silently."""
    message = complaint(tmp_path, by_id(1))

    assert "no answer for 3 of 4 samples" in message
    assert "(first: id-1, id-2, id-3" in message


def test_contradiction(tmp_path: Path) -> None:
    """Two answers to one id are refused with both lines."""
    rows = [*by_id(), {"id": "id-1", "completion": "something else"}]

    assert "lines 2 and 5 answer the same prompt differently" in complaint(
        tmp_path, rows
    )


def test_contradiction_in_how_it_ended(tmp_path: Path) -> None:
    """The same text, once complete and once cut off, is a contradiction too."""
    rows = [*by_id(), {"id": "id-1", "completion": "answer 1", "stop": "length"}]

    assert "lines 2 and 5 answer the same prompt" in complaint(tmp_path, rows)


def test_contradiction_between_id_and_messages(tmp_path: Path) -> None:
    """A row by id and a row by messages that answer one sample must agree."""
    rows = [*by_id(), {"messages": turns(SAMPLES[1]), "completion": "something else"}]

    assert "lines 2 and 5 answer the same prompt" in complaint(tmp_path, rows)


def test_contradiction_between_twins(tmp_path: Path) -> None:
    """A model is asked prompts: samples with the same prompt cannot differ."""
    twins = [SAMPLES[0], replace(SAMPLES[0], id="id-1")]

    assert "lines 1 and 2 answer the same prompt" in complaint(
        tmp_path, by_id(2), twins
    )


def test_repeated_answer(tmp_path: Path) -> None:
    """The same answer twice is no contradiction."""
    assert said(record(tmp_path, by_id() * 2))[1] == "answer 1"


# Several models


def test_several_models(tmp_path: Path) -> None:
    """One file may hold the answers of several models."""
    rows = [*by_id(model="small"), *by_id(model="large")]
    rows[4]["completion"] = "better"

    small, large = (record(tmp_path, rows, key=k) for k in ("small", "large"))

    assert replay_models(tmp_path / "answers.jsonl") == ["small", "large"]
    assert (said(small)[0], said(large)[0]) == ("answer 0", "better")
    assert small.card.digest != large.card.digest


def test_one_named_model(tmp_path: Path) -> None:
    """Where all answers are of one model, no key is needed."""
    assert said(record(tmp_path, by_id(model="only")))[0] == "answer 0"


def test_no_named_model(tmp_path: Path) -> None:
    """A file without ``model`` has one model without a name."""
    record(tmp_path, by_id())

    assert replay_models(tmp_path / "answers.jsonl") == []


def test_choice_is_needed(tmp_path: Path) -> None:
    """Answers of several models need a choice; the message lists them."""
    message = complaint(tmp_path, [*by_id(model="small"), *by_id(model="large")])

    assert "small, large" in message
    assert "replay:answers.jsonl#small" in message


def test_unknown_key(tmp_path: Path) -> None:
    """A model that the file does not have is refused with those that it has."""
    rows = [*by_id(model="small"), *by_id(model="large")]

    message = complaint(tmp_path, rows, key="huge")

    assert "no answers of model 'huge'" in message
    assert "small, large" in message


def test_some_rows_without_model(tmp_path: Path) -> None:
    """Rows without a model among rows with one are not left out silently."""
    write_jsonl(tmp_path / "answers.jsonl", [*by_id(model="small"), *by_id()])

    with pytest.raises(DataError, match=r"answers\.jsonl: line 5 has no 'model'"):
        replay_models(tmp_path / "answers.jsonl")


# Damaged files


def test_missing_file(tmp_path: Path) -> None:
    """A missing file is named with the place where it was looked for."""
    with pytest.raises(DataError) as caught:
        load(SPEC, tmp_path, SAMPLES)

    assert "recorded answers" in str(caught.value)
    assert str(tmp_path / "answers.jsonl") in str(caught.value)


def test_empty_file(tmp_path: Path) -> None:
    """A file without answers is said to be empty."""
    assert "is empty" in complaint(tmp_path, [])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{oops", ["not JSON"]),
        ("[1]", []),
        ('{"id": "id-1"}', ["needs a text 'completion'"]),
        ('{"id": "id-1", "completion": null}', ["needs a text 'completion'"]),
        ('{"completion": "x"}', ["needs", "id", "messages", "prompt"]),
        ('{"prompt": 1, "completion": "x"}', ["needs", "id", "messages", "prompt"]),
        ('{"messages": ["x"], "completion": "x"}', ["messages", "role and content"]),
        ('{"id": "id-1", "completion": "x", "stop": "bored"}', ["'bored'", "eos, len"]),
    ],
)
def test_damaged_row(tmp_path: Path, line: str, words: Sequence[str]) -> None:
    """A row that is no answer is named by its line."""
    path = tmp_path / "answers.jsonl"
    path.write_text(json.dumps(by_id(1)[0]) + "\n\n" + line + "\n")

    with pytest.raises(DataError) as caught:
        load(SPEC, tmp_path, SAMPLES)

    message = str(caught.value)
    assert message.startswith(f"{path}: line 3: ")
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    ("key", "value"), [("tokens", "many"), ("tokens", 1.5), ("latency", -1)]
)
def test_bad_measurement(tmp_path: Path, key: str, value: object) -> None:
    """Tokens and time that are no numbers are refused, not passed on."""
    rows = [{**by_id(1)[0], key: value}]

    message = complaint(tmp_path, rows, SAMPLES[:1])

    assert f"line 1: {key!r} must be" in message


# Identity


def test_card(tmp_path: Path) -> None:
    """Recorded answers are identified by what they say."""
    model = record(tmp_path, by_id())

    assert (model.card.name, model.card.backend) == ("tuned", "replay")
    assert "answers.jsonl" in model.card.description


def test_digest_follows_answers(tmp_path: Path) -> None:
    """Another answer is another model; another order is not."""
    rows = by_id()
    before = record(tmp_path, rows).card.digest
    reordered = record(tmp_path, rows[::-1]).card.digest
    rows[0]["completion"] = "changed"

    after = record(tmp_path, rows).card.digest

    assert reordered == before
    assert after != before


def test_ten_thousand_answers(tmp_path: Path) -> None:
    """Large files are read whole."""
    samples = [sample(n) for n in range(10_000)]
    write_jsonl(tmp_path / "answers.jsonl", by_id(10_000))

    model = load(SPEC, tmp_path, samples)

    assert said(model, samples)[9_999] == "answer 9999"


def test_nothing_heavy_is_imported(tmp_path: Path) -> None:
    """Replaying needs neither torch nor `datasets` nor the Hub."""
    write_jsonl(tmp_path / "answers.jsonl", by_id())
    code = (
        "import sys; from pathlib import Path;"
        "from pytest_awsbench.models.replay import load;"
        "from pytest_awsbench.models.spec import ModelSpec;"
        "spec = ModelSpec(name='x', backend='replay', path='answers.jsonl');"
        f"load(spec, Path({str(tmp_path)!r}), []);"
        "print({'torch', 'datasets', 'huggingface_hub', 'numpy'} & {*sys.modules})"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert done.stdout == "set()\n"
