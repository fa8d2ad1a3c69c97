"""What a user says about a model, and what every backend must offer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from pytest_awsbench.models.endpoints import ServedSpec
from pytest_awsbench.records import Completion, Decoding, ModelCard, Prompt


Quantization = Literal["nf4", "fp4", "int8"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """One configured model, defaults and inheritance already applied."""

    name: str
    backend: str = "transformers"
    """``transformers``, ``openai`` or ``replay``."""
    path: str = ""
    """A local folder, a Hub id or a ``.gguf`` file; for ``replay`` a ``.jsonl``."""
    revision: str | None = None
    adapter: str | None = None
    """A LoRA adapter: local folder or Hub id."""
    adapter_revision: str | None = None
    quantization: Quantization | None = None
    dtype: str = "auto"
    """``auto`` is as stored, and float32 on a CPU; else a torch name."""
    device: str = "auto"
    """``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps`` …"""
    device_map: str | None = None
    """How accelerate lays the model out over all devices, such as ``auto``."""
    attn_implementation: str | None = None
    torch_compile: bool = False
    chat_template: str | None = None
    """A Jinja template, or a path to one; None uses the tokenizer's own."""
    chat_template_kwargs: Mapping[str, Any] = field(default_factory=dict)
    trust_remote_code: bool = False
    replay_key: str | None = None
    """Which ``model`` of a file with the answers of several."""
    served: ServedSpec | None = None
    """Where a model of backend ``openai`` is."""
    configured: str = ""
    """The table of the configuration that it comes from; empty for an inline one."""
    screened: bool = False
    """Whether a pattern found it: then its faults are its own, and end no run."""


class Model(Protocol):
    """Answers a batch of prompts."""

    @property
    def card(self) -> ModelCard:
        """Who this is."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """What happened that a report must say, such as a halved batch."""
        ...

    def generate(
        self, prompts: Sequence[Prompt], decoding: Decoding
    ) -> list[Completion]:
        """Answer all prompts as one batch, in their order."""
        ...

    def close(self) -> None:
        """Free memory and devices; safe to call twice."""
        ...
