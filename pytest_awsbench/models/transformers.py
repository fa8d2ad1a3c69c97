"""The backend of local checkpoints: transformers, peft and bitsandbytes."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jinja2 import TemplateError

from pytest_awsbench.errors import InfraError, ModelError
from pytest_awsbench.models.adapters import active, adapter_name, attach
from pytest_awsbench.models.checkpoint import (
    Checkpoint,
    Loadable,
    compile_blocks,
    load_checkpoint,
    load_tokenizer,
    set_threads,
)
from pytest_awsbench.models.decoding import Ends, Row, generated, greedy, is_plain
from pytest_awsbench.models.spec import Model
from pytest_awsbench.models.weights import template_text
from pytest_awsbench.records import Completion, Decoding, ModelCard, Prompt
from pytest_awsbench.scoring.reasoning import is_tag, opens_reasoning, separate


__all__ = ["Loadable", "TransformersModel", "load", "set_threads"]

ENDS_OF_TURN = ("<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|end|>")
"""Tokens that end a turn in common chat templates; some checkpoints forget them."""


def load(loadables: Sequence[Loadable]) -> Mapping[str, Model]:
    """Load models; those on the same base share its weights.

    Raises:
        ModelError: if a checkpoint or an adapter cannot be used.
        ConfigError: if a package or a device is missing.
        InfraError: if memory is short.

    """
    shared: dict[tuple[object, ...], Checkpoint] = {}
    models: dict[str, Model] = {}
    for loadable in loadables:
        key = loadable.base_key
        if key not in shared:
            shared[key] = load_checkpoint(loadable)
        checkpoint = shared[key]
        tokenizer = load_tokenizer(loadable, checkpoint.module)
        if loadable.files.adapter is not None:
            attach(checkpoint, loadable, tokenizer)
        models[loadable.spec.name] = TransformersModel(checkpoint, loadable, tokenizer)
    for loadable in loadables:
        if loadable.spec.torch_compile:
            compile_blocks(shared[loadable.base_key].module)
    return models


class TransformersModel:
    """One model on a base that it may share with others."""

    def __init__(
        self, checkpoint: Checkpoint, loadable: Loadable, tokenizer: Any
    ) -> None:
        self.tokenizer = tokenizer
        self.card: ModelCard = loadable.card
        self.notes: list[str] = list(checkpoint.notes)
        self._checkpoint = checkpoint
        self._spec = loadable.spec
        self._adapter = adapter_name(loadable) if loadable.files.adapter else None
        self._template = self._chat_template()
        self._ends = _end_tokens(checkpoint.module, tokenizer)
        self._tags = _reasoning_tags(tokenizer)
        self._plain = is_plain(checkpoint.module)
        self.device_name = _named(checkpoint.device)
        """For people, such as ``cpu`` or the name of a GPU."""

    @property
    def module(self) -> Any:
        """The torch module; models on one base share it."""
        return self._checkpoint.module

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self._checkpoint.device

    @property
    def context(self) -> int:
        """Tokens that fit into the context window."""
        config = self.module.config.get_text_config()
        return int(getattr(config, "max_position_embeddings", None) or 1 << 30)

    def chat(self, prompt: Prompt) -> str:
        """Render messages as the chat template does, ready for the answer.

        Raises:
            ModelError: if the template refuses the messages.

        """
        messages = [{"role": m.role, "content": m.content} for m in prompt]
        try:
            return str(
                self.tokenizer.apply_chat_template(
                    messages,
                    chat_template=self._template,
                    tokenize=False,
                    add_generation_prompt=True,
                    **self._spec.chat_template_kwargs,
                )
            )
        except (TemplateError, ValueError, TypeError) as error:
            roles = ", ".join(m.role for m in prompt)
            raise ModelError(
                f"model {self._spec.name}: its chat template refuses messages of"
                f" {roles}: {error}; set chat_template to one that takes them"
            ) from error

    def fits(self, prompt: Prompt, decoding: Decoding) -> bool:
        """Whether a prompt leaves room in the context for a whole answer."""
        ids = self.tokenizer(self.chat(prompt), add_special_tokens=False)["input_ids"]
        return len(ids) + decoding.max_new_tokens <= self.context

    def generate(
        self, prompts: Sequence[Prompt], decoding: Decoding
    ) -> list[Completion]:
        """Answer all prompts as one batch, in their order.

        A batch that does not fit into memory is halved, and a note says so.

        Raises:
            ModelError: if the chat template refuses a prompt.
            InfraError: if a single prompt does not fit into memory.

        """
        rows = [self._row(prompt, decoding) for prompt in prompts]
        with active(self.module, self._adapter):
            self._fill([row for row in rows if row.limit > 0], decoding)
        return [self._completion(row, decoding) for row in rows]

    def close(self) -> None:
        """Give memory back."""
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        elif self.device.type == "mps":
            torch.mps.empty_cache()

    def _row(self, prompt: Prompt, decoding: Decoding) -> Row:
        """Return a prompt as tokens, with the room that the context leaves."""
        text = self.chat(prompt)
        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        room = max(0, self.context - len(ids))
        row = Row(
            ids, min(room, decoding.max_new_tokens), room < decoding.max_new_tokens
        )
        row.thinks = opens_reasoning(text)
        if not room:
            row.stop = "context"
        return row

    def _fill(self, rows: list[Row], decoding: Decoding) -> None:
        """Generate, in halves where the whole does not fit into memory."""
        if not rows:
            return
        if shortage := self._shortage(rows, decoding):
            self._halve(rows, decoding, shortage)

    def _shortage(self, rows: list[Row], decoding: Decoding) -> str | None:
        """Run one batch; say what was lacking if it ran out of memory.

        Not the error itself is returned: its frames would hold the cache of the batch
        that did not fit for as long as its halves run.
        """
        try:
            self._run(rows, decoding)
        except RuntimeError as error:
            if not _is_out_of_memory(error):
                raise
            return str(error) or type(error).__name__
        return None

    def _halve(self, rows: list[Row], decoding: Decoding, shortage: str) -> None:
        """Generate two halves of a batch that did not fit."""
        if len(rows) == 1:
            raise InfraError(
                f"model {self._spec.name}: one prompt of {len(rows[0].ids)} tokens does"
                f" not fit into memory: {shortage}"
            )
        self.close()
        middle = len(rows) // 2
        self.notes.append(
            f"a batch of {len(rows)} ran out of memory and was halved;"
            f" set chunk_size = {middle}"
        )
        for row in rows:
            row.new, row.near_ties = [], 0
        self._fill(rows[:middle], decoding)
        self._fill(rows[middle:], decoding)

    def _run(self, rows: list[Row], decoding: Decoding) -> None:
        """Generate one batch."""
        # One template renders all prompts: all of them begin to think, or none.
        breaks = self._breaks(decoding, thinks=rows[0].thinks)
        ends = Ends(self._ends, breaks)
        if decoding.temperature == 0 and self._plain:
            greedy(self.module, rows, ends)
            return
        sampling: dict[str, Any] = {"do_sample": decoding.temperature > 0}
        if sampling["do_sample"]:
            sampling |= {
                "temperature": decoding.temperature,
                "top_p": decoding.top_p,
                "top_k": 0,
            }
        # The stream of random numbers belongs to the user's own tests.
        with torch.random.fork_rng(
            devices=[self.device] if self.device.type == "cuda" else []
        ):
            torch.manual_seed(decoding.seed)
            generated(self.module, rows, ends, self.tokenizer.pad_token_id, **sampling)

    def _breaks(self, decoding: Decoding, *, thinks: bool) -> Any:
        """Return what finds the line break that ends an answer, not the reasoning."""
        if not decoding.stop_at_newline:
            return lambda _new: False
        return lambda new: (
            "\n" in separate(self._text(new), opened=thinks).answer.lstrip()
        )

    def _text(self, new: list[int]) -> str:
        """Return generated tokens as text, verbatim, with the marks of reasoning."""
        if not self._tags.keys() & set(new):
            return self._decoded(new)
        pieces, start = [], 0
        for place, token in enumerate(new):
            if token in self._tags:
                pieces += [self._decoded(new[start:place]), self._tags[token]]
                start = place + 1
        return "".join([*pieces, self._decoded(new[start:])])

    def _decoded(self, new: list[int]) -> str:
        """Return tokens as text, without those that are special."""
        return str(
            self.tokenizer.decode(
                new, skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        )

    def _completion(self, row: Row, decoding: Decoding) -> Completion:
        """Return what a row says."""
        found = separate(self._text(row.new), opened=row.thinks)
        text = found.answer
        if decoding.stop_at_newline:
            text = text.lstrip().partition("\n")[0]
        return Completion(
            text=text,
            reasoning=found.reasoning,
            reasoning_tokens=self._tokens_up_to(found.end, row.new),
            stop=row.stop,
            prompt_tokens=len(row.ids),
            tokens=len(row.new),
            latency=round(row.seconds, 4),
            near_ties=row.near_ties,
        )

    def _tokens_up_to(self, end: int, new: list[int]) -> int | None:
        """Return how many tokens the first characters took, None of no characters."""
        if not end:
            return None
        return bisect_left(
            range(len(new)), end, key=lambda count: len(self._text(new[:count]))
        )

    def _chat_template(self) -> str | None:
        """Return the configured template; None where the tokenizer's own is used.

        Raises:
            ModelError: if there is neither.

        """
        given = template_text(self._spec)
        if given is None:
            if self.tokenizer.chat_template is None:
                raise ModelError(
                    f"model {self._spec.name}: the tokenizer of {self._spec.path} has"
                    ' no chat template; set chat_template = "chat.jinja" under'
                    f" [tool.awsbench.models.{self._spec.name}]"
                )
            return None
        return given


def _end_tokens(module: Any, tokenizer: Any) -> frozenset[int]:
    """Return every token that ends an answer."""
    configured = module.generation_config.eos_token_id
    ids = [*configured] if isinstance(configured, list) else [configured]
    vocabulary = tokenizer.get_vocab()
    ids += [tokenizer.eos_token_id, *(vocabulary.get(t) for t in ENDS_OF_TURN)]
    return frozenset(i for i in ids if i is not None)


def _named(device: torch.device) -> str:
    """Return a device as people call it."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return str(device)


def _reasoning_tags(tokenizer: Any) -> dict[int, str]:
    """Return the special tokens that mark reasoning: decoding would drop them."""
    return {
        token: str(added)
        for token, added in getattr(tokenizer, "added_tokens_decoder", {}).items()
        if added.special and is_tag(str(added))
    }


def _is_out_of_memory(error: RuntimeError) -> bool:
    """Whether memory ran out: on a GPU, or in the allocator of the CPU."""
    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or (
        "out of memory" in text or "can't allocate memory" in text
    )
