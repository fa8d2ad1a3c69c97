"""A checkpoint from a local folder: weights, tokenizer, and what can be wrong."""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError, safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer

from pytest_awsbench.errors import ConfigError, InfraError, ModelError
from pytest_awsbench.models.folders import ADAPTER_WEIGHTS
from pytest_awsbench.models.spec import ModelSpec
from pytest_awsbench.models.weights import Files
from pytest_awsbench.records import ModelCard


@dataclass(frozen=True, slots=True, kw_only=True)
class Loadable:
    """A model whose files are on this machine."""

    spec: ModelSpec
    files: Files
    card: ModelCard

    @property
    def base_key(self) -> tuple[object, ...]:
        """What two models must have in common to share their base weights."""
        spec, files = self.spec, self.files
        return (
            files.base,
            files.gguf_file,
            spec.quantization,
            spec.dtype,
            spec.device,
            spec.device_map,
            spec.torch_compile,
            spec.attn_implementation,
            spec.trust_remote_code,
            files.adapter if changes_base(files.adapter) else None,
        )


def changes_base(adapter: Path | None) -> bool:
    """Whether an adapter brings weights of the base, which loading would replace.

    peft saves embeddings beside an adapter that adapts them. Such a model gets a base
    of its own: on a shared one it would change what the others answer.
    """
    if adapter is None or not (adapter / ADAPTER_WEIGHTS[0]).is_file():
        return False
    try:
        with safe_open(adapter / ADAPTER_WEIGHTS[0], framework="pt") as file:
            return any(".base_layer." in key for key in file.keys())  # noqa: SIM118
    except SafetensorError:
        # Damaged: attaching it says so.
        return False


@dataclass(slots=True)
class Checkpoint:
    """Loaded base weights."""

    module: Any
    device: torch.device
    notes: list[str] = field(default_factory=list)
    """What a report on every model of it must say."""


def load_checkpoint(loadable: Loadable) -> Checkpoint:
    """Load base weights.

    Raises:
        ModelError: if the files are damaged, incomplete or of an unknown kind.
        ConfigError: if a package or a device is missing.
        InfraError: if the device has not enough memory.

    """
    spec, files = loadable.spec, loadable.files
    _be_quiet()
    device = device_of(spec)
    where = _where(loadable)
    with _blamed(spec, files.base):
        module, info = AutoModelForCausalLM.from_pretrained(
            files.base,
            output_loading_info=True,
            # Reported with names below; transformers would only log them.
            ignore_mismatched_sizes=True,
            **where,
            **_weights_arguments(spec, files.base, device),
        )
        # Quantized weights are placed as they are read, as are those of a map.
        if not (getattr(module, "is_quantized", False) or spec.device_map):
            module.to(device)
    _check_weights(loadable, info)
    module.eval().requires_grad_(requires_grad=False)
    return Checkpoint(module, device, _left_over(loadable, info))


def load_tokenizer(loadable: Loadable, module: Any) -> Any:
    """Load a model's tokenizer: the adapter's own, or that of the base.

    Raises:
        ModelError: if there is none, or it has tokens that the weights do not know.

    """
    own, base = loadable.files.own_tokenizer, loadable.files.base
    folder = own or base
    where = _where(loadable)
    if own:
        where.pop("gguf_file", None)
    with _blamed(loadable.spec, folder):
        tokenizer = AutoTokenizer.from_pretrained(folder, **where)
    what = f"model {loadable.spec.name}: {folder}"
    # transformers makes an empty one where no files are.
    if not tokenizer("aws s3 ls", add_special_tokens=False)["input_ids"]:
        raise ModelError(
            f"{what} has no tokenizer: it turns text into no tokens; save the tokenizer"
            " beside the weights"
        )
    known = module.get_input_embeddings().weight.shape[0]
    if own and len(tokenizer) > known:
        raise ModelError(
            f"{what} has a tokenizer of {len(tokenizer)} tokens, but {base} embeds"
            f" {known}: it was made for another base"
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _where(loadable: Loadable) -> dict[str, Any]:
    """Return how `from_pretrained` finds local files."""
    spec, files = loadable.spec, loadable.files
    where: dict[str, Any] = {"gguf_file": files.gguf_file} if files.gguf_file else {}
    return where | {
        "trust_remote_code": spec.trust_remote_code,
        "local_files_only": True,
    }


def _check_weights(loadable: Loadable, info: Mapping[str, Any]) -> None:
    """Refuse weights that are lacking or of another shape: they would be random."""
    what = f"model {loadable.spec.name}: {loadable.files.base}"
    if missing := sorted(info["missing_keys"]):
        raise ModelError(
            f"{what} lacks {len(missing)} weights (first: {missing[0]});"
            " they would be random"
        )
    if wrong := sorted(info["mismatched_keys"], key=str):
        name, stored, wanted = wrong[0]
        raise ModelError(
            f"{what}: {len(wrong)} weights are not of the shape that config.json says"
            f" (first: {name} is {list(stored)}, not {list(wanted)})"
        )


def _left_over(loadable: Loadable, info: Mapping[str, Any]) -> list[str]:
    """Say which stored weights the architecture has no place for."""
    left = sorted(info["unexpected_keys"])
    if not left:
        return []
    first = f"{len(left)} stored weights were not used (first: {left[0]})"
    return [f"{loadable.files.base}: {first}: config.json has no place for them"]


def compile_blocks(module: Any) -> None:
    """Have repeated blocks compiled when they first run, for any length.

    Block by block: that takes seconds where the whole would take minutes, and what
    was compiled for one serves the next of its kind, whatever its place. Adapters are
    compiled with them, so they must be attached before.
    """
    torch._dynamo.config.allow_unspec_int_on_nn_module = True  # noqa: SLF001
    for blocks in module.modules():
        if isinstance(blocks, torch.nn.ModuleList):
            for block in blocks:
                block.compile(dynamic=True)


def set_threads(workers: int) -> None:
    """Divide the cores among worker processes; alone, torch's own choice stands."""
    if workers > 1:
        # Not on macOS and Windows.
        affinity = getattr(os, "sched_getaffinity", None)
        cores = len(affinity(0)) if affinity else os.cpu_count() or 1
        torch.set_num_threads(max(1, cores // workers))


def _be_quiet() -> None:
    """Keep progress bars and advice out of the output of tests."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    # It tells every process without a GPU which kernels it could not load.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)


def _weights_arguments(
    spec: ModelSpec, base: Path, device: torch.device
) -> dict[str, Any]:
    """Return how the weights are read."""
    dtype = _dtype(spec, device)
    arguments: dict[str, Any] = {"dtype": dtype}
    if spec.attn_implementation:
        arguments["attn_implementation"] = spec.attn_implementation
    stored = transformers.PretrainedConfig.get_config_dict(base)[0]
    packed = _stored_quantization(stored)
    if spec.device_map:
        arguments["device_map"] = spec.device_map
    elif spec.quantization or packed:
        arguments["device_map"] = {"": device}
    if spec.quantization and packed and spec.quantization != packed:
        raise ModelError(
            f"model {spec.name}: {base} is stored in {packed} and cannot be loaded in"
            f" {spec.quantization}; remove quantization, or name the full weights"
        )
    if spec.quantization and not packed:
        kept = stored.get("dtype") or stored.get("torch_dtype") or "float32"
        compute = getattr(torch, kept) if dtype == "auto" else dtype
        arguments["quantization_config"] = _quantization(spec, compute)
    return arguments


def _stored_quantization(config: Mapping[str, Any]) -> str | None:
    """Return in what weights are stored, as we would configure it."""
    stored = config.get("quantization_config")
    if not stored:
        return None
    if stored.get("load_in_8bit"):
        return "int8"
    kind = stored.get("bnb_4bit_quant_type") if stored.get("load_in_4bit") else None
    return str(kind or stored.get("quant_method"))


def _quantization(spec: ModelSpec, compute: Any) -> Any:
    """Return what bitsandbytes shall do."""
    from transformers import BitsAndBytesConfig

    if spec.quantization == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=spec.quantization,
        bnb_4bit_compute_dtype=compute,
    )


def _dtype(spec: ModelSpec, device: torch.device) -> Any:
    """Return the precision: as stored on a GPU, float32 on a CPU."""
    if spec.dtype != "auto":
        return getattr(torch, spec.dtype)
    return torch.float32 if device.type == "cpu" else "auto"


def device_of(spec: ModelSpec) -> torch.device:
    """Return the device, or say that it is not there."""
    name = spec.device
    if name == "auto":
        apple = "mps" if torch.backends.mps.is_available() else "cpu"
        name = "cuda" if torch.cuda.is_available() else apple
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(
            f"model {spec.name}: device {name!r}: use auto, cpu, cuda, cuda:N or mps"
        ) from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            f"model {spec.name}: device {name!r}, but torch sees no CUDA device;"
            ' use device = "auto" or "cpu"'
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ConfigError(
            f"model {spec.name}: device {name!r}, but torch sees no Apple GPU;"
            ' use device = "auto" or "cpu"'
        )
    return device


@contextmanager
def readable(what: str) -> Iterator[None]:
    """Say whether files are damaged, or too large for this machine."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise InfraError(f"{what} does not fit into memory: {error}") from error
    except SafetensorError as error:
        raise ModelError(f"{what}: damaged safetensors file: {error}") from error


@contextmanager
def _blamed(spec: ModelSpec, folder: Path) -> Iterator[None]:
    """Say which files cannot be loaded, and why."""
    what = f"model {spec.name}: {folder}"
    try:
        with readable(what):
            yield
    except ImportError as error:
        extra = "gguf" if "gguf" in str(error).lower() else "transformers"
        raise ConfigError(
            f"{what} needs a package that is not installed ({error});"
            f' pip install "pytest-awsbench[{extra}]"'
        ) from error
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        text = str(error).strip() or type(error).__name__
        raise ModelError(f"{what} cannot be loaded: {text}") from error
