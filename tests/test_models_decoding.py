"""Batched generation answers as transformers' own does, one prompt at a time."""

import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny_model

from pytest_awsbench.errors import InfraError
from pytest_awsbench.records import Decoding, Message, Prompt


pytestmark = pytest.mark.torch

LIMIT = 40
DECODING = Decoding(max_new_tokens=LIMIT)
PROMPTS = tiny_model.prompts()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tiny checkpoints."""
    return tiny_model.build(tmp_path_factory.getbasetemp() / "tiny")


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    """A base of random weights in float32."""
    return tiny_model.load_one(tiny_model.spec("base", folder / "base"))


@pytest.fixture(scope="module")
def expected(model: Any) -> list[list[int]]:
    """What `generate` answers to every prompt alone."""
    return [tiny_model.reference(model, prompt, LIMIT) for prompt in PROMPTS]


@pytest.fixture
def forwards(model: Any) -> Iterator[list[tuple[int, int]]]:
    """Rows and tokens of every forward pass."""
    shapes: list[tuple[int, int]] = []

    def note(_module: Any, _args: Any, kwargs: dict[str, Any]) -> None:
        shapes.append(tuple(kwargs["input_ids"].shape))

    handle = model.module.register_forward_pre_hook(note, with_kwargs=True)
    yield shapes
    handle.remove()


def worn_out(model: Any, rows: int) -> Any:
    """Let the module run out of memory above a number of rows."""
    import torch

    def refuse(_module: Any, _args: Any, kwargs: dict[str, Any]) -> None:
        if len(kwargs["input_ids"]) > rows:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB")

    return model.module.register_forward_pre_hook(refuse, with_kwargs=True)


def test_batch_answers_as_one_at_a_time(model: Any, expected: list[list[int]]) -> None:
    """Prefix, padding and dropped rows change no token in float32."""
    completions = model.generate(PROMPTS, DECODING)

    texts = [tiny_model.text_of(model, tokens) for tokens in expected]
    assert [c.text for c in completions] == texts
    assert [c.tokens for c in completions] == [len(tokens) for tokens in expected]
    # Else the claim would be weaker than it looks.
    assert len({len(tokens) for tokens in expected}) > 3


@pytest.mark.parametrize("size", [1, 3, 5])
def test_company_does_not_matter(
    model: Any, expected: list[list[int]], size: int
) -> None:
    """A prompt is answered alike in whatever batch it is, and the order is kept."""
    turned = PROMPTS[::-1]
    chunks = [turned[i : i + size] for i in range(0, len(turned), size)]

    completions = [c for chunk in chunks for c in model.generate(chunk, DECODING)]

    texts = [tiny_model.text_of(model, tokens) for tokens in expected]
    assert [c.text for c in completions] == texts[::-1]


def test_prompts_that_share_nothing(
    model: Any, forwards: list[tuple[int, int]]
) -> None:
    """Without a shared prefix, rows of very different lengths are right too."""
    prompts: list[Prompt] = [
        (Message("user", "x"),),
        (Message(tiny_model.TASKS[2], tiny_model.TASKS[6]),),
        (Message("assistant", "list " * 30), Message("user", "y")),
    ]

    completions = model.generate(prompts, DECODING)

    assert forwards[0][0] == len(prompts)
    for prompt, completion in zip(prompts, completions, strict=True):
        tokens = tiny_model.reference(model, prompt, LIMIT)
        assert completion.text == tiny_model.text_of(model, tokens)


def test_same_prompt_twice(model: Any, expected: list[list[int]]) -> None:
    """Equal prompts share all but their last token, and get equal answers."""
    completions = model.generate([PROMPTS[0]] * 3, DECODING)

    text = tiny_model.text_of(model, expected[0])
    assert [c.text for c in completions] == [text] * 3


def test_shared_prefix_runs_once(model: Any, forwards: list[tuple[int, int]]) -> None:
    """The shared system message goes through the model once, as one row."""
    ids = [model.tokenizer(model.chat(p))["input_ids"] for p in PROMPTS]

    model.generate(PROMPTS, DECODING)

    (one, prefix), (rows, rest) = forwards[:2]
    assert (one, rows) == (1, len(PROMPTS))
    assert len({tuple(i[:prefix]) for i in ids}) == 1
    assert prefix + rest == max(len(i) for i in ids)


def test_finished_rows_are_dropped(
    model: Any, expected: list[list[int]], forwards: list[tuple[int, int]]
) -> None:
    """Only rows without an end take another step."""
    model.generate(PROMPTS, DECODING)

    steps = [rows for rows, _ in forwards[2:]]
    longest = max(len(tokens) for tokens in expected)
    assert steps == [
        sum(len(tokens) > step for tokens in expected) for step in range(1, longest)
    ]


def test_stop_reasons(model: Any, expected: list[list[int]]) -> None:
    """An end token is ``eos``, the limit is ``length``; all tokens are counted."""
    completions = model.generate(PROMPTS, DECODING)

    for tokens, completion in zip(expected, completions, strict=True):
        ended = tokens[-1] in tiny_model.ENDS
        assert completion.stop == ("eos" if ended else "length")
        assert completion.latency > 0
    assert {c.stop for c in completions} == {"eos", "length"}


def test_own_end_of_turn_ends(folder: Path, tmp_path: Path) -> None:
    """The template's end of turn ends an answer that the checkpoint forgot to."""
    base = tiny_model.copied(folder / "base", tmp_path / "base")
    tiny_model.edit_json(base / "generation_config.json", eos_token_id=44)
    tiny_model.edit_json(base / "config.json", eos_token_id=44)

    model = tiny_model.load_one(tiny_model.spec("base", base))

    assert {1, 44} <= model._ends


def test_ends_of_the_checkpoint_stay(model: Any) -> None:
    """Loading leaves the generation settings of the module as they were stored."""
    assert model.module.generation_config.eos_token_id == list(tiny_model.ENDS)


def test_newline_ends_where_asked(model: Any) -> None:
    """With stop_at_newline the text ends before its first line break, else it stays."""
    prompts = tiny_model.prompts([f"Task {n}" for n in range(24)])
    whole = model.generate(prompts, DECODING)

    lines = model.generate(
        prompts, Decoding(max_new_tokens=LIMIT, stop_at_newline=True)
    )

    broken = [(a, b) for a, b in zip(whole, lines, strict=True) if "\n" in a.text]
    assert broken
    assert all(b.text == a.text.lstrip().partition("\n")[0] for a, b in broken)
    assert "newline" in {b.stop for _, b in broken}
    assert "newline" not in {c.stop for c in whole}


def test_prompt_beyond_the_window(model: Any, expected: list[list[int]]) -> None:
    """A prompt that fills the context window is not asked; the others are."""
    far: Prompt = (Message("user", "delete the table orders " * 40),)

    first, second = model.generate([far, PROMPTS[0]], DECODING)

    assert (first.text, first.stop, first.tokens) == ("", "context", 0)
    assert first.prompt_tokens > tiny_model.CONTEXT
    assert second.text == tiny_model.text_of(model, expected[0])


def test_answer_cut_by_the_window(model: Any) -> None:
    """What the window cuts off says so, and ends with the window's last token."""
    close = (Message("user", "x" * (tiny_model.CONTEXT - 20)),)
    room = tiny_model.CONTEXT - len(model.tokenizer(model.chat(close))["input_ids"])
    prompts = [close, *PROMPTS[:2]]

    completion = model.generate(prompts, DECODING)[0]

    assert 0 < room < LIMIT
    if completion.stop == "context":
        assert completion.tokens == room
    else:
        assert completion.tokens <= room
    tokens = tiny_model.reference(model, close, room)
    assert completion.text == tiny_model.text_of(model, tokens)
    assert (completion.stop == "eos") == (tokens[-1] in tiny_model.ENDS)


def test_nothing_asked(model: Any) -> None:
    """No prompts, no answers."""
    assert model.generate([], DECODING) == []


def test_out_of_memory_halves(model: Any, expected: list[list[int]]) -> None:
    """A batch that does not fit is halved until it does, and a note says so."""
    handle = worn_out(model, rows=2)
    try:
        completions = model.generate(PROMPTS, DECODING)
    finally:
        handle.remove()

    texts = [tiny_model.text_of(model, tokens) for tokens in expected]
    assert [c.text for c in completions] == texts
    assert [c.tokens for c in completions] == [len(tokens) for tokens in expected]
    assert "a batch of 8 ran out of memory and was halved" in model.notes[-3]
    assert all("a batch of 4 ran out of memory" in note for note in model.notes[-2:])


def test_out_of_memory_frees_what_failed(model: Any) -> None:
    """The cache of the batch that did not fit is gone when its halves run."""
    import torch

    caches: list[weakref.ref[Any]] = []
    alive: list[bool] = []

    def refuse(_module: Any, _args: Any, kwargs: dict[str, Any]) -> None:
        cache, rows = kwargs["past_key_values"], len(kwargs["input_ids"])
        # The step after the prompts: the cache holds all of them by now.
        if rows > 4 and kwargs["input_ids"].shape[1] == 1:
            caches.append(weakref.ref(cache))
            raise torch.OutOfMemoryError("CUDA out of memory")
        alive.extend(ref() is not None for ref in caches)

    handle = model.module.register_forward_pre_hook(refuse, with_kwargs=True)
    try:
        model.generate(PROMPTS, DECODING)
    finally:
        handle.remove()

    assert alive
    assert not any(alive)


def test_one_prompt_that_does_not_fit(model: Any) -> None:
    """A single prompt without memory is a fault of infrastructure, with its size."""
    handle = worn_out(model, rows=0)
    try:
        with pytest.raises(InfraError, match=r"^model base: one prompt of \d+ tokens"):
            model.generate(PROMPTS[:2], DECODING)
    finally:
        handle.remove()


def test_other_errors_are_not_memory(model: Any) -> None:
    """Any other error of the module stops at once, and is not taken for memory."""

    def fail(*_: Any) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    handle = model.module.register_forward_pre_hook(fail)
    notes = list(model.notes)
    try:
        with pytest.raises(RuntimeError, match="mat1 and mat2"):
            model.generate(PROMPTS, DECODING)
    finally:
        handle.remove()
    assert model.notes == notes


def test_sampling_repeats_by_seed(model: Any) -> None:
    """Sampled answers repeat with their seed, and differ with another."""
    warm = Decoding(max_new_tokens=12, temperature=1.0, top_p=0.95, seed=1)
    other = Decoding(max_new_tokens=12, temperature=1.0, top_p=0.95, seed=2)

    first, again = model.generate(PROMPTS, warm), model.generate(PROMPTS, warm)
    different = model.generate(PROMPTS, other)

    assert [c.text for c in first] == [c.text for c in again]
    assert [c.text for c in first] != [c.text for c in different]


def test_sampling_leaves_random_numbers_alone(model: Any) -> None:
    """The stream of random numbers of the user's own tests goes on undisturbed."""
    import torch

    torch.manual_seed(7)
    expected = torch.rand(3)

    torch.manual_seed(7)
    model.generate(PROMPTS[:2], Decoding(max_new_tokens=4, temperature=1.0))

    assert torch.rand(3).equal(expected)


def test_sampling_ignores_stored_penalties(
    folder: Path, tmp_path: Path, model: Any
) -> None:
    """A penalty of the checkpoint reaches sampled answers no more than greedy ones."""
    base = tiny_model.copied(folder / "base", tmp_path / "base")
    tiny_model.edit_json(
        base / "generation_config.json", repetition_penalty=1.8, min_p=0.2
    )
    odd = tiny_model.load_one(tiny_model.spec("odd", base))
    warm = Decoding(max_new_tokens=24, temperature=0.5, seed=3)

    completions = odd.generate(PROMPTS, warm)

    texts = [c.text for c in model.generate(PROMPTS, warm)]
    assert [c.text for c in completions] == texts
    assert odd.module.generation_config.repetition_penalty == 1.8


def test_greedy_ignores_stored_sampling(
    folder: Path, tmp_path: Path, model: Any
) -> None:
    """Sampling settings and penalties of a checkpoint do not reach greedy answers."""
    base = tiny_model.copied(folder / "base", tmp_path / "base")
    tiny_model.edit_json(
        base / "generation_config.json",
        do_sample=True,
        temperature=1.5,
        repetition_penalty=1.8,
    )

    odd = tiny_model.load_one(tiny_model.spec("odd", base))

    texts = [c.text for c in model.generate(PROMPTS, DECODING)]
    assert [c.text for c in odd.generate(PROMPTS, DECODING)] == texts


def test_near_ties_are_counted(folder: Path, model: Any) -> None:
    """In bfloat16 close calls show up; in float32 there are none."""
    low = tiny_model.load_one(tiny_model.spec("low", folder / "base", dtype="bfloat16"))

    ties = sum(c.near_ties for c in low.generate(PROMPTS, DECODING))

    assert ties > 0
    assert sum(c.near_ties for c in model.generate(PROMPTS, DECODING)) == 0


def test_text_is_verbatim(folder: Path, tmp_path: Path) -> None:
    """Spaces before dots and quotes stay, though a tokenizer says to tidy them up."""
    base = tiny_model.copied(folder / "base", tmp_path / "base")
    tiny_model.edit_json(
        base / "tokenizer_config.json",
        clean_up_tokenization_spaces=True,
        clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output=True,
    )
    model = tiny_model.load_one(tiny_model.spec("base", base))
    command = "aws s3 cp . s3://logs --exclude '*' , --recursive"

    text = model._text(model.tokenizer(command)["input_ids"])

    assert text == command


def test_sliding_windows_go_through_generate(tmp_path: Path) -> None:
    """Layers that forget are left to transformers, and answer as it does."""
    base = tiny_model.save_base(
        tmp_path / "base",
        use_sliding_window=True,
        sliding_window=32,
        max_window_layers=0,
    )
    model = tiny_model.load_one(tiny_model.spec("base", base))

    completions = model.generate(PROMPTS[:4], DECODING)

    assert not model._plain
    alone = [tiny_model.reference(model, prompt, LIMIT) for prompt in PROMPTS[:4]]
    assert [c.text for c in completions] == [
        tiny_model.text_of(model, tokens) for tokens in alone
    ]
    assert [c.tokens for c in completions] == [len(tokens) for tokens in alone]


def test_positions_from_padding_go_through_generate(tmp_path: Path) -> None:
    """A model that takes no positions would count padding, so the loop is not used."""
    import torch
    from transformers import MptConfig, MptForCausalLM

    words = tiny_model.save_tokenizer(tmp_path / "base")
    torch.manual_seed(0)
    shape = {"d_model": 64, "n_heads": 4, "n_layers": 2, "initializer_range": 0.3}
    config = MptConfig(vocab_size=len(words), eos_token_id=1, **shape)
    MptForCausalLM(config).save_pretrained(tmp_path / "base")
    model = tiny_model.load_one(tiny_model.spec("mpt", tmp_path / "base"))

    completions = model.generate(PROMPTS, Decoding(max_new_tokens=12))

    alone = [model.generate([p], Decoding(max_new_tokens=12))[0] for p in PROMPTS]
    assert [c.text for c in completions] == [c.text for c in alone]
