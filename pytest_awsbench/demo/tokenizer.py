"""The demo's tokenizer: byte-level BPE, cut the way Qwen2's is."""

import random
from pathlib import Path
from typing import Any

from pytest_awsbench.demo.rows import SYSTEM, any_turn
from pytest_awsbench.demo.values import WORDS


VOCABULARY = 2048
END = "<|im_end|>"
PAD = "<|endoftext|>"
CONTEXT = 2048
#: Qwen2's own: `AutoTokenizer` replaces any other by it, and cuts otherwise than
#: was trained.
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content']"
    " + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def train_tokenizer(seed: int) -> Any:
    """Train the BPE so that every word of a name is one token in a command."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers
    from tokenizers import pre_tokenizers as pre
    from tokenizers.trainers import BpeTrainer

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre.Sequence([
        pre.Split(Regex(SPLIT), "isolated"),
        pre.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PAD, "<|im_start|>", END],
        initial_alphabet=sorted(pre.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_corpus(seed), trainer)
    return tokenizer


def save_tokenizer(tokenizer: Any, folder: Path) -> None:
    """Write the files that `AutoTokenizer` reads."""
    from transformers import Qwen2TokenizerFast

    fast = Qwen2TokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        unk_token=None,
        model_max_length=CONTEXT,
    )
    fast.chat_template = CHAT_TEMPLATE
    fast.save_pretrained(folder)


def _corpus(seed: int) -> list[str]:
    """Return rows, and every word in the three forms in which commands have it."""
    rng = random.Random(seed)
    turns = [any_turn(rng) for _ in range(6000)]
    words = [f" {word}-{word}={word}" for word in WORDS]
    return [SYSTEM, *(f"{t.user}\n{t.answer}" for t in turns), *(words * 60)]
