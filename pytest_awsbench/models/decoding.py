"""Batched generation: a greedy loop of our own, and `generate` for all else.

The loop runs the prefix that all prompts share once, and drops rows that are done.
In float32 its answers are those of `generate`, one prompt at a time.
"""

import inspect
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import DynamicCache, GenerationConfig
from transformers.cache_utils import DynamicLayer

from pytest_awsbench.episodes import StopReason


LOOP_NEEDS = {"position_ids", "logits_to_keep", "past_key_values"}
"""What a module must take to go through the loop."""
MIN_PREFIX = 16
"""Shared tokens from which sharing pays."""
TIE_ULPS = 4
"""Gap of the two best logits, in units of the last place, that counts as a tie."""


@dataclass(slots=True)
class Row:
    """One prompt on its way."""

    ids: list[int]
    limit: int
    """Tokens that may be generated."""
    limit_is_context: bool
    new: list[int] = field(default_factory=list)
    stop: StopReason = "eos"
    seconds: float = 0.0
    near_ties: int = 0
    thinks: bool = False
    """Whether the prompt ends inside of reasoning, with which the answer goes on."""


@dataclass(frozen=True, slots=True)
class Ends:
    """When a row is done."""

    tokens: frozenset[int]
    """End tokens."""
    breaks: Callable[[list[int]], bool]
    """Whether the tokens so far hold a line break that ends the answer."""


def greedy(module: Any, rows: Sequence[Row], ends: Ends) -> None:
    """Fill `new`, `stop`, `seconds` and `near_ties` of every row.

    Args:
        module: a causal language model with plain attention.
        rows: prompts with their limits, at least one.
        ends: when a row is done.

    """
    began = time.perf_counter()
    live = list(rows)
    with torch.inference_mode():
        logits, cache, mask = _prefill(module, rows)
        while True:
            chosen, ties = _best(logits)
            keep = []
            for place, (row, token, tie) in enumerate(
                zip(live, chosen, ties, strict=True)
            ):
                row.near_ties += tie
                if not _ended(row, token, ends):
                    keep.append(place)
                else:
                    row.seconds = time.perf_counter() - began
            if not keep:
                return
            if len(keep) < len(live):
                index = torch.tensor(keep, device=_beside(module, mask))
                cache.batch_select_indices(index)
                mask, live = mask[index], [live[place] for place in keep]
            mask = torch.nn.functional.pad(mask, (0, 1), value=1)
            last = torch.tensor([[row.new[-1]] for row in live], device=mask.device)
            logits = module(
                input_ids=last,
                attention_mask=mask,
                position_ids=mask.sum(1, keepdim=True) - 1,
                past_key_values=cache,
                use_cache=True,
            ).logits[:, -1]


def generated(
    module: Any, rows: Sequence[Row], ends: Ends, pad: int, **sampling: Any
) -> None:
    """Fill the rows through `generate`: sampling, and caches of other kinds."""
    began = time.perf_counter()
    longest = max(len(row.ids) for row in rows)
    ids = torch.tensor([[pad] * (longest - len(r.ids)) + r.ids for r in rows])
    mask = torch.tensor([[0] * (longest - len(r.ids)) + [1] * len(r.ids) for r in rows])
    with torch.inference_mode(), _own_settings(module):
        output = module.generate(
            input_ids=ids.to(module.device),
            attention_mask=mask.to(module.device),
            max_new_tokens=max(row.limit for row in rows),
            eos_token_id=sorted(ends.tokens),
            pad_token_id=pad,
            **sampling,
        )
    for row, tokens in zip(rows, output[:, longest:].tolist(), strict=True):
        for token in tokens:
            if _ended(row, token, ends):
                break
        row.seconds = time.perf_counter() - began


def is_plain(module: Any) -> bool:
    """Whether every layer keeps keys and values of all tokens, at given positions."""
    inner = _inner(module)
    takes = inspect.signature(inner.forward).parameters
    # Without positions of its own a row would count the padding before it (MPT does).
    if getattr(inner, "_is_stateful", False) or LOOP_NEEDS - set(takes):
        return False
    layers = DynamicCache(config=inner.config).layers
    return bool(layers) and all(type(layer) is DynamicLayer for layer in layers)


@contextmanager
def _own_settings(module: Any) -> Iterator[None]:
    """Keep stored sampling settings and penalties out: greedy answers ignore them."""
    holders = (module, _inner(module))
    stored = [holder.generation_config for holder in holders]
    for holder in holders:
        holder.generation_config = GenerationConfig()
    try:
        yield
    finally:
        for holder, settings in zip(holders, stored, strict=True):
            holder.generation_config = settings


def _inner(module: Any) -> Any:
    """Return the causal language model inside of peft's wrapper, if there is one."""
    return module.get_base_model() if hasattr(module, "peft_config") else module


def _beside(module: Any, tensor: Any) -> Any:
    """Return from where all layers can be indexed: their device, or the CPU."""
    places = getattr(module, "hf_device_map", {})
    return tensor.device if len({*places.values()}) < 2 else "cpu"  # noqa: PLR2004


def _prefill(module: Any, rows: Sequence[Row]) -> tuple[Any, Any, Any]:
    """Run all prompts; return logits of the last token, cache and mask.

    Layout: the shared prefix, padding, what follows the prefix.
    """
    device = module.device
    shared = _shared(rows)
    cache = DynamicCache(config=module.config)
    if shared:
        prefix = torch.tensor([rows[0].ids[:shared]], device=device)
        module(
            input_ids=prefix, past_key_values=cache, use_cache=True, logits_to_keep=1
        )
        cache.batch_repeat_interleave(len(rows))
    longest = max(len(row.ids) for row in rows) - shared
    ids, mask = [], []
    for row in rows:
        rest = row.ids[shared:]
        gap = longest - len(rest)
        ids.append([0] * gap + rest)
        mask.append([1] * shared + [0] * gap + [1] * len(rest))
    attention = torch.tensor(mask, device=device)
    positions = (attention.cumsum(1) - 1).clamp(min=0)[:, shared:]
    logits = module(
        input_ids=torch.tensor(ids, device=device),
        attention_mask=attention,
        position_ids=positions,
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    ).logits[:, -1]
    return logits, cache, attention


def _shared(rows: Sequence[Row]) -> int:
    """Return how many first tokens all prompts share, if sharing them pays.

    Each prompt keeps at least one token of its own, whose logits begin its answer.
    """
    if len(rows) == 1:
        return 0
    first, last = min(r.ids for r in rows), max(r.ids for r in rows)
    same = 0
    for a, b in zip(first, last, strict=False):
        if a != b:
            break
        same += 1
    same = min(same, min(len(row.ids) for row in rows) - 1)
    return same if same >= MIN_PREFIX else 0


def _best(logits: Any) -> tuple[list[int], list[bool]]:
    """Return the most likely tokens, and whether another one came close."""
    top = logits.topk(2, dim=-1)
    best, second = top.values[:, 0], top.values[:, 1]
    gap = TIE_ULPS * torch.finfo(logits.dtype).eps * best.abs()
    return top.indices[:, 0].tolist(), (best - second <= gap).tolist()


def _ended(row: Row, token: int, ends: Ends) -> bool:
    """Append a token; return whether the row is done, and note why."""
    row.new.append(token)
    if token in ends.tokens:
        row.stop = "eos"
        return True
    if ends.breaks(row.new):
        row.stop = "newline"
        return True
    if len(row.new) >= row.limit:
        row.stop = "context" if row.limit_is_context else "length"
        return True
    return False
