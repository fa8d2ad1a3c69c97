"""LoRA adapters: attached to a shared base, and proved to act on it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from pytest_awsbench.errors import ConfigError, ModelError
from pytest_awsbench.models.checkpoint import Checkpoint, Loadable, readable


WEIGHTS = "adapter_model.safetensors"
PROBE = "aws s3api create-bucket --bucket probe"


def attach(checkpoint: Checkpoint, loadable: Loadable, tokenizer: Any) -> None:
    """Attach an adapter under the model's name; the base's weights stay as they are.

    Raises:
        ModelError: if it is damaged, or was made for another base.

    """
    try:
        from peft import PeftModel
    except ImportError as error:
        raise ConfigError(
            f"model {loadable.spec.name}: adapters need peft, which is not installed:"
            ' pip install "pytest-awsbench[transformers]"'
        ) from error

    name, folder = adapter_name(loadable), loadable.files.adapter
    assert folder is not None  # noqa: S101 - only called for models with one
    # peft would choose a device of its own, the first GPU, for what it reads.
    where = {"torch_device": str(checkpoint.device)}
    with _blamed(loadable, folder):
        if isinstance(checkpoint.module, PeftModel):
            checkpoint.module.load_adapter(folder, adapter_name=name, **where)
        else:
            checkpoint.module = PeftModel.from_pretrained(
                checkpoint.module, folder, adapter_name=name, **where
            )
    checkpoint.module.eval().requires_grad_(requires_grad=False)
    _check_keys(checkpoint, loadable, folder)
    _prove(checkpoint, loadable, tokenizer)


def adapter_name(loadable: Loadable) -> str:
    """Return the name by which torch knows an adapter, which takes no dots."""
    return loadable.spec.name.replace("_", "__").replace(".", "_dot_")


@contextmanager
def active(module: Any, adapter: str | None) -> Iterator[None]:
    """Switch to an adapter, or to the base without any."""
    if not hasattr(module, "peft_config"):
        yield
    elif adapter is None:
        with module.disable_adapter():
            yield
    else:
        if module.active_adapter != adapter:
            module.set_adapter(adapter)
            module.requires_grad_(requires_grad=False)
        yield


def _check_keys(checkpoint: Checkpoint, loadable: Loadable, folder: Path) -> None:
    """Refuse an adapter whose weights are not exactly those that the base takes."""
    from peft import get_peft_model_state_dict

    if not (folder / WEIGHTS).is_file():
        return
    with safe_open(folder / WEIGHTS, framework="pt") as file:
        stored = set(file.keys())
    taken, with_embeddings = (
        set(
            get_peft_model_state_dict(
                checkpoint.module,
                adapter_name=adapter_name(loadable),
                save_embedding_layers=embeddings,
            )
        )
        for embeddings in (False, True)
    )
    # Where the adapter adapts embeddings, peft may have saved these beside it.
    left, lacking = sorted(stored - with_embeddings), sorted(taken - stored)
    if left or lacking:
        shown = (left or lacking)[0]
        raise ModelError(
            f"model {loadable.spec.name}: adapter {folder} was made for another base"
            f" than {loadable.files.base}: {len(left)} of its weights have no place"
            f" there, {len(lacking)} are lacking (first: {shown})"
        )


def _prove(checkpoint: Checkpoint, loadable: Loadable, tokenizer: Any) -> None:
    """Refuse an adapter that changes nothing: it would be judged as the base."""
    ids = tokenizer(PROBE, return_tensors="pt")["input_ids"]
    ids = ids.to(checkpoint.device)
    with torch.inference_mode():
        with active(checkpoint.module, adapter_name(loadable)):
            adapted = checkpoint.module(input_ids=ids).logits
        with active(checkpoint.module, None):
            plain = checkpoint.module(input_ids=ids).logits
    if torch.equal(adapted, plain):
        raise ModelError(
            f"model {loadable.spec.name}: adapter {loadable.files.adapter} has no"
            " effect: with it and without it the base answers a probe prompt alike;"
            " was it saved before training?"
        )


@contextmanager
def _blamed(loadable: Loadable, folder: Path) -> Iterator[None]:
    """Say which adapter cannot be attached to which base, and why."""
    what = f"model {loadable.spec.name}: adapter {folder}"
    try:
        with readable(what):
            yield
    except (ValueError, RuntimeError, KeyError, TypeError, OSError) as error:
        text = (str(error).strip() or type(error).__name__).splitlines()
        raise ModelError(
            f"{what} does not fit the base {loadable.files.base}:"
            f" {' '.join(line.strip() for line in text[:3])}"
        ) from error
