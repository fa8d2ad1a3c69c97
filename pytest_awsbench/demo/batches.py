"""Turns as tensors: two forms of the prompt, loss mostly on the answer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_awsbench.demo.rows import SYSTEM, Turn


IGNORED = -100
PROMPT_WEIGHT = 0.2
"""Prompts repeat names, so predicting them teaches copying as well."""

PREFIX = f"<|im_start|>system\n{SYSTEM}<|im_end|>\n"
"""What every full prompt begins with; it is run once per batch."""

Answer = Callable[[Turn], str]


@dataclass(frozen=True, slots=True)
class Batch:
    """Token ids and targets, padded on the right; (rows, length) each."""

    ids: Any
    labels: Any
    prefix: Any
    """Token ids that stand before every row, shape (1, length); may be empty."""
    answered: Any
    """True where a target belongs to the answer."""


def compact(turn: Turn) -> str:
    """Return a turn in few words: copying is learned sooner on short prompts."""
    listed = [f"{i}. {c}" for i, c in enumerate(turn.previous, 1)]
    error = [f"Last error: '{turn.error}'"] if turn.error else []
    user = "\n".join([f"TASK: {turn.text}", *error, *listed])
    return f"<|im_start|>user\n{user}<|im_end|>\n<|im_start|>assistant\n"


def full(turn: Turn) -> str:
    """Return a turn as the chat template renders it after `PREFIX`."""
    return f"<|im_start|>user\n{turn.user}<|im_end|>\n<|im_start|>assistant\n"


def canonical(turn: Turn) -> str:
    """Return the right answer."""
    return turn.answer


def batch_of(
    tokenizer: Any,
    turns: Sequence[Turn],
    form: Callable[[Turn], str],
    answer: Answer = canonical,
) -> Batch:
    """Encode turns as one batch."""
    import torch

    pairs = [
        (tokenizer.encode(form(t)).ids, tokenizer.encode(answer(t) + "<|im_end|>").ids)
        for t in turns
    ]
    length = max(len(prompt) + len(reply) for prompt, reply in pairs)
    ids = torch.zeros(len(pairs), length, dtype=torch.long)
    labels = torch.full((len(pairs), length), IGNORED)
    answered = torch.zeros(len(pairs), length, dtype=torch.bool)
    for row, (prompt, reply) in enumerate(pairs):
        whole = torch.tensor(prompt + reply)
        ids[row, : len(whole)] = whole
        labels[row, : len(whole)] = whole
        answered[row, len(prompt) : len(whole)] = True
    before = tokenizer.encode(PREFIX).ids if form is full else []
    prefix = torch.tensor([before], dtype=torch.long)
    return Batch(ids, labels, prefix, answered)


def logits_of(model: Any, batch: Batch) -> Any:
    """Return what the model expects after each token but the last.

    Keys and values of the prefix are computed once and shared by the rows; gradients
    flow through them.
    """
    if not batch.prefix.numel():
        return model(input_ids=batch.ids).logits[:, :-1]
    cache = model(
        input_ids=batch.prefix, use_cache=True, logits_to_keep=1
    ).past_key_values
    cache.batch_repeat_interleave(len(batch.ids))
    return model(input_ids=batch.ids, past_key_values=cache).logits[:, :-1]


def loss_of(model: Any, batch: Batch) -> Any:
    """Return the mean loss of answers, plus a share of that of prompts."""
    import torch

    logits = logits_of(model, batch)
    losses = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), batch.labels[:, 1:].flatten(), reduction="none"
    )
    answered = batch.answered[:, 1:].flatten()
    asked = (batch.labels[:, 1:].flatten() != IGNORED) & ~answered
    return losses[answered].mean() + PROMPT_WEIGHT * losses[asked].mean()


def exact(model: Any, batch: Batch) -> list[bool]:
    """Return for each row whether greedy decoding would give the whole answer.

    The argmax given the right words so far equals the target everywhere exactly if
    greedy decoding does.
    """
    import torch

    with torch.no_grad():
        guessed = logits_of(model, batch).argmax(-1)
    right = (guessed == batch.labels[:, 1:]) | ~batch.answered[:, 1:]
    return [bool(row) for row in right.all(1)]
