"""Real checkpoints, tiny and random: a base, adapters, and damaged ones.

torch is imported where it is used: without it this module is still collected.
"""

import json
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_awsbench.models.spec import Model, ModelSpec
from pytest_awsbench.models.weights import Files, card, resolve
from pytest_awsbench.records import Message, Prompt


CONTEXT = 256
HIDDEN = 64
SYSTEM = "You turn tasks into one AWS CLI command, and answer with that line alone."
TASKS = (
    "Create a bucket named build-cache-7",
    "List all queues.",
    "Delete the table orders, which nobody has read since the migration to the new"
    " cluster, and say so to the team that owns it",
    "Describe the instances i-0a1b2c3d and i-0b2c3d4e in the region eu-central-1",
    "Show the policy of the role deployer",
    "Stop it",
    "Put a record into the stream clicks with the partition key user-42 and the data"
    " that the last step of the pipeline wrote",
    "Tag the function resize with team=images",
)
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
#: Many, so that random weights end their answers, each at another length.
ENDS = (1, *range(40, 56))
WEIGHTS = "model.safetensors"
ADAPTER_WEIGHTS = "adapter_model.safetensors"


def prompts(tasks: Sequence[str] = TASKS) -> list[Prompt]:
    """Return prompts that share a system message."""
    return [(Message("system", SYSTEM), Message("user", task)) for task in tasks]


@contextmanager
def quiet() -> Iterator[None]:
    """Keep off the warnings of libraries about themselves, as the engine does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def build(folder: Path) -> Path:
    """Write all checkpoints, unless another test module has; return their folder."""
    import torch

    # One thread is fastest at this size, above all where the cores are shared.
    torch.set_num_threads(1)
    if not folder.exists():
        fresh = folder.with_suffix(".new")
        save_base(fresh / "base")
        save_adapter(fresh / "base", fresh / "adapter", seed=1)
        save_adapter(fresh / "base", fresh / "second", seed=2)
        save_adapter(fresh / "base", fresh / "zero", seed=None)
        fresh.rename(folder)
    return folder


def save_base(folder: Path, **changes: Any) -> Path:
    """Write a Qwen2 of random weights, blurred enough that batching could show."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    tokenizer = save_tokenizer(folder)
    shape = {
        "vocab_size": len(tokenizer),
        "hidden_size": HIDDEN,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": CONTEXT,
        "initializer_range": 0.3,
        "bos_token_id": None,
        "eos_token_id": 1,
    }
    torch.manual_seed(0)
    module = Qwen2ForCausalLM(Qwen2Config(**{**shape, **changes}))
    module.generation_config.eos_token_id = list(ENDS)
    module.save_pretrained(folder)
    return folder


def save_tokenizer(folder: Path) -> Any:
    """Write a byte-level tokenizer with a chat template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator([SYSTEM, *TASKS], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token="<|im_end|>", pad_token="<|im_end|>"
    )
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    return tokenizer


def save_adapter(base: Path, folder: Path, *, seed: int | None, **changes: Any) -> Path:
    """Write a LoRA adapter; without a seed its B is zero, as before training."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    wanted = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"]}
    config = LoraConfig(task_type="CAUSAL_LM", **{**wanted, **changes})
    with quiet():
        module = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    if seed is not None:
        torch.manual_seed(seed)
        for name, weights in module.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weights, std=0.5)
    module.save_pretrained(folder)
    return folder


def copied(folder: Path, to: Path) -> Path:
    """Return a copy of a checkpoint, to be damaged."""
    return Path(shutil.copytree(folder, to))


def edit_json(path: Path, **changes: Any) -> None:
    """Change keys of a JSON file; None deletes one."""
    data = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({k: v for k, v in data.items() if v is not None}))


def drop_weight(path: Path, part: str) -> None:
    """Delete the weights whose name contains a part."""
    from safetensors.torch import load_file, save_file

    kept = {k: v for k, v in load_file(path).items() if part not in k}
    save_file(kept, path, metadata={"format": "pt"})


def cut(path: Path) -> None:
    """Keep half of a file, as a broken download does."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def spec(name: str, base: Path, adapter: Path | None = None, **more: Any) -> ModelSpec:
    """Return a model as configured."""
    return replace(
        ModelSpec(name=name, path=str(base), device="cpu"),
        adapter=str(adapter) if adapter else None,
        **more,
    )


def load_all(*specs: ModelSpec) -> Mapping[str, Model]:
    """Load models in one go, as a run does."""
    from pytest_awsbench.models import transformers

    found: list[tuple[ModelSpec, Files]] = [(s, resolve(s, Path())) for s in specs]
    with quiet():
        return transformers.load([
            transformers.Loadable(spec=s, files=files, card=card(s, files))
            for s, files in found
        ])


def load_one(one: ModelSpec) -> Any:
    """Load one model."""
    return load_all(one)[one.name]


def reference(model: Any, prompt: Prompt, limit: int) -> list[int]:
    """Return the tokens of transformers' own greedy `generate`, one prompt alone."""
    import torch

    ids = model.tokenizer(
        model.chat(prompt), add_special_tokens=False, return_tensors="pt"
    )
    with torch.inference_mode():
        out = model.module.generate(
            **ids,
            do_sample=False,
            max_new_tokens=limit,
            eos_token_id=list(ENDS),
            pad_token_id=1,
        )
    tokens: list[int] = out[0, ids["input_ids"].shape[1] :].tolist()
    return tokens


def text_of(model: Any, tokens: list[int]) -> str:
    """Return tokens as text, as completions hold it."""
    return str(model.tokenizer.decode(tokens, skip_special_tokens=True))


def save_gguf(base: Path, file: Path) -> Path:
    """Write the base as llama.cpp stores it, not quantized."""
    import gguf
    from safetensors.torch import load_file

    config = json.loads((base / "config.json").read_text())
    writer = gguf.GGUFWriter(file, "qwen2")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(10000.0)
    _write_tokenizer(writer, json.loads((base / "tokenizer.json").read_text()))
    for name, weights in load_file(base / WEIGHTS).items():
        writer.add_tensor(_gguf_name(name), weights.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def _write_tokenizer(writer: Any, tokenizer: dict[str, Any]) -> None:
    """Write vocabulary, merges and chat template."""
    vocabulary = tokenizer["model"]["vocab"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(sorted(vocabulary, key=vocabulary.__getitem__))
    # 3 marks a control token, 1 an ordinary one.
    writer.add_token_types([3, 3] + [1] * (len(vocabulary) - 2))
    writer.add_token_merges([" ".join(pair) for pair in tokenizer["model"]["merges"]])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_pad_token_id(1)
    writer.add_chat_template(TEMPLATE)


GGUF_NAMES = {
    "model.layers.": "blk.",
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "self_attn.o_proj": "attn_output",
    "self_attn.": "attn_",
    "mlp.": "ffn_",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "_proj": "",
}


def _gguf_name(name: str) -> str:
    """Return what llama.cpp calls a tensor."""
    for ours, theirs in GGUF_NAMES.items():
        name = name.replace(ours, theirs)
    return name
