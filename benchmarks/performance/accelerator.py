"""Batched generation against one at a time, and against what the hardware allows.

python -m benchmarks.performance.accelerator makes a model of random weights, of the
shape of a 3B one in bfloat16 on a GPU and of six million parameters on a CPU, and
answers 150 prompts with 64 tokens each. The floor: the weights are read once per step
at the memory bandwidth that a copy reaches here, after a prefill at the rate that a
large matrix product reaches here. `--size` and `--device` choose otherwise.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.performance.generation import chunked, singly
from pytest_awsbench import demo
from pytest_awsbench.models.loading import Share, load, prepare
from pytest_awsbench.models.spec import ModelSpec
from pytest_awsbench.records import Decoding, Sample
from pytest_awsbench.suites.builtin import load_dataset


TOKENS = 64
ROUNDS = 3
SHAPES = {
    "3b": {
        "hidden_size": 2048,
        "intermediate_size": 11008,
        "num_hidden_layers": 36,
        "num_attention_heads": 16,
        "num_key_value_heads": 2,
        "vocab_size": 151_936,
    },
    "small": {
        "hidden_size": 256,
        "intermediate_size": 1024,
        "num_hidden_layers": 4,
        "num_attention_heads": 8,
        "num_key_value_heads": 2,
        "vocab_size": 8192,
    },
}
"""Of Qwen2 models; ``3b`` is that of Qwen2.5-3B."""


def main() -> None:
    """Measure, and print what was found."""
    import torch

    there = "cuda" if torch.cuda.is_available() else "cpu"
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--device", default=there)
    parser.add_argument("--size", choices=SHAPES)
    parser.add_argument("--chunk", type=int, nargs="+", default=[32, 64, 150])
    parser.add_argument("--prompts", type=int, default=150)
    parser.add_argument("--alone", type=int, default=10, help="asked one at a time")
    options = parser.parse_args()
    size = options.size or ("3b" if options.device.startswith("cuda") else "small")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dtype = "float32" if options.device == "cpu" else "bfloat16"
        _write(folder, SHAPES[size], dtype, options.device)
        spec = ModelSpec(name=size, path=str(folder), device=options.device)
        model: Any = load([prepare(spec, folder, (), None)], Share())[size]
    suite = load_dataset("builtin", split=None, max_per_combo=None, root=Path.cwd())
    found = _measured(model, suite.samples[: options.prompts], options)
    print(json.dumps({"model": size, "device": options.device, **found}, indent=2))


def _write(folder: Path, shape: dict[str, int], dtype: str, device: str) -> None:
    """Write a checkpoint of random weights, with the tokenizer of the demo pair."""
    import torch
    from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(demo.BASE)
    config = Qwen2Config(**shape, tie_word_embeddings=True)
    # No token ends an answer: all have the same length.
    config.eos_token_id = None
    torch.manual_seed(0)
    with torch.device(device):
        module = Qwen2ForCausalLM(config).to(getattr(torch, dtype))
    module.generation_config.eos_token_id = None
    module.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _measured(model: Any, samples: tuple[Sample, ...], options: Any) -> dict[str, Any]:
    """Return seconds for all prompts, of each way, and how they compare."""
    decoding = Decoding(max_new_tokens=TOKENS)
    alone = samples[:: max(1, len(samples) // options.alone)][: options.alone]
    floor = _floor(model, samples)
    singly(model, alone[:1], TOKENS)
    chunked(model, samples[: options.chunk[0]], options.chunk[0], decoding)
    each = median(_timed(model, lambda: singly(model, alone, TOKENS)) for _ in range(2))
    one = each * len(samples) / len(alone)
    found: dict[str, Any] = {
        "floor, seconds": round(sum(floor.values()), 3),
        **{what: round(seconds, 4) for what, seconds in floor.items()},
        "one at a time, seconds": round(one, 2),
    }
    for size in options.chunk:
        run = partial(chunked, model, samples, size, decoding)
        taken = median(_timed(model, run) for _ in range(ROUNDS))
        found[f"chunks of {size}"] = {
            "seconds": round(taken, 3),
            "times one at a time": round(one / taken, 1),
            "times the floor": round(taken / sum(floor.values()), 2),
        }
    return found


def _floor(model: Any, samples: tuple[Sample, ...]) -> dict[str, float]:
    """Return the seconds that reading weights and computing a prefill must take.

    All prompts at once: each of the steps reads the weights once. Two operations per
    parameter and token of a prompt; a prefix that all share is computed once.
    """
    import torch

    weights = list(model.module.parameters())
    size = sum(p.numel() * p.element_size() for p in weights)
    parameters = sum(p.numel() for p in weights)
    chats = [model.tokenizer(model.chat(s.prompt))["input_ids"] for s in samples]
    pairs = enumerate(zip(min(chats), max(chats), strict=False))
    shared = next(place for place, (first, last) in pairs if first != last)
    tokens = shared + sum(len(ids) - shared for ids in chats)
    dtype, device = weights[0].dtype, weights[0].device
    block = torch.empty(min(size, 2**30) // 2, dtype=torch.uint8, device=device)
    side = 8192 if device.type == "cuda" else 1024
    square = torch.ones(side, side, dtype=dtype, device=device)
    copied = min(_timed(model, block.clone) for _ in range(5))
    product = min(_timed(model, lambda: square @ square) for _ in range(5))
    bandwidth = 2 * block.numel() / copied
    peak = 2 * side**3 / product
    return {
        "floor of the steps": TOKENS * size / bandwidth,
        "floor of the prefill": 2 * parameters * tokens / peak,
    }


def _timed(model: Any, run: Callable[[], Any]) -> float:
    """Return the seconds of a call, the device's work included."""
    import torch

    def settle() -> None:
        if model.device.type == "cuda":
            torch.cuda.synchronize()

    settle()
    began = time.perf_counter()
    run()
    settle()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
