"""How many prompts fit into memory together: from a model's shape, before it loads."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch

from pytest_awsbench.errors import ConfigError
from pytest_awsbench.models.checkpoint import device_of
from pytest_awsbench.models.folders import CONFIG, base_weights
from pytest_awsbench.models.loading import Prepared, Share, spread
from pytest_awsbench.models.spec import ModelSpec


SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
"""Far apart, so that a little more or less of free memory changes nothing."""
CPU_MOST = 32
"""On a CPU larger chunks were slower, whatever fits."""
USED = 0.5
"""Share of the free memory that is planned with; allocators fragment the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What the memory of a decoder depends on."""

    layers: int
    kv_heads: int
    head_dim: int
    hidden: int
    inner: int
    """Width of the feed-forward block."""
    vocabulary: int
    bytes: int
    """Of one value of a cache or an activation."""

    @classmethod
    def of(cls, config: Mapping[str, Any], width: int) -> Self:
        """Read the shape from a ``config.json``.

        Args:
            config: its content.
            width: bytes of a value.

        Raises:
            KeyError: if the architecture names its parts otherwise.

        """
        text = config.get("text_config", config)
        heads, hidden = text["num_attention_heads"], text["hidden_size"]
        return cls(
            layers=text["num_hidden_layers"],
            kv_heads=text.get("num_key_value_heads") or heads,
            head_dim=text.get("head_dim") or hidden // heads,
            hidden=hidden,
            inner=text["intermediate_size"],
            vocabulary=text["vocab_size"],
            bytes=width,
        )

    def cache(self, tokens: int) -> int:
        """Return the bytes of keys and values of a row.

        >>> shape = Shape(layers=28, kv_heads=2, head_dim=128, hidden=1536,
        ...               inner=8960, vocabulary=151936, bytes=2)
        >>> shape.cache(1024) // 2**20
        28
        """
        return 2 * self.layers * self.kv_heads * self.head_dim * self.bytes * tokens

    def row(self, tokens: int) -> int:
        """Return the bytes that a row takes: cache, activations, mask and logits.

        The cache of one layer is copied whenever it grows; activations are those of
        one layer, while the prompts are read; logits are those of the last token, in
        float32 beside their own precision.
        """
        copied = 2 * self.cache(tokens) // self.layers
        activations = tokens * (6 * self.hidden + 3 * self.inner) * self.bytes
        mask = tokens * tokens * self.bytes
        logits = self.vocabulary * (4 + self.bytes)
        return self.cache(tokens) + copied + activations + mask + logits


def fitting(
    entry: Prepared, loaded: Sequence[Prepared], tokens: int, workers: int
) -> int:
    """Return how many rows of so many tokens fit beside the weights.

    Args:
        entry: the model.
        loaded: all models of the run; weights of one base count once.
        tokens: of the longest row, its answer included.
        workers: processes that share the machine.

    Raises:
        ConfigError: if the model's files do not tell its shape.

    """
    spec = entry.spec
    shape = _shape(entry)
    bases = {p.files.base: p for p in loaded if p.files is not None}
    weights = sum(_weights(base) for base in bases.values())
    device = device_of(spec)
    free, beside = free_memory(spec, device, workers)
    most = CPU_MOST if device.type == "cpu" else SIZES[-1]
    room = USED * (free / beside - weights)
    fit = [size for size in SIZES if size <= most and size * shape.row(tokens) <= room]
    return max(fit, default=1)


def free_memory(spec: ModelSpec, device: torch.device, workers: int) -> tuple[int, int]:
    """Return the free bytes of a device, and how many processes share them."""
    if device.type == "cuda":
        devices = torch.cuda.device_count()
        if spec.device_map is not None:
            return sum(_cuda_free(n) for n in range(devices)), workers
        names = [
            spread(spec.device, Share(n, workers), devices) for n in range(workers)
        ]
        fullest = min(_cuda_free(torch.device(name).index or 0) for name in {*names})
        return fullest, max(names.count(name) for name in names)
    if device.type == "mps":
        most = torch.mps.recommended_max_memory()
        return most - torch.mps.driver_allocated_memory(), workers
    import psutil

    return psutil.virtual_memory().available, workers


def _cuda_free(index: int) -> int:
    """Return the free bytes of a CUDA device."""
    return int(torch.cuda.mem_get_info(index)[0])


def _shape(entry: Prepared) -> Shape:
    """Return the shape of a model, or say that it cannot be read."""
    assert entry.files is not None  # noqa: S101 - only local models have a shape
    if entry.files.gguf_file:
        raise _unknown(entry, entry.files.gguf_file, "only a config.json does")
    path = entry.files.base / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        return Shape.of(config, _width(entry.spec, config))
    except (KeyError, OSError, ValueError) as error:
        raise _unknown(entry, path, error) from error


def _unknown(entry: Prepared, path: object, why: object) -> ConfigError:
    """Return the error for a model whose files do not tell its shape."""
    return ConfigError(
        f'model {entry.spec.name}: chunk_size = "auto" needs the shape of the model,'
        f" and {path} does not tell it ({why}); set chunk_size to a number"
    )


def _width(spec: ModelSpec, config: Mapping[str, Any]) -> int:
    """Return the bytes of a value that is computed with."""
    name = spec.dtype
    if name == "auto":
        stored = config.get("dtype") or config.get("torch_dtype") or "float32"
        name = "float32" if device_of(spec).type == "cpu" else str(stored)
    return int(getattr(torch, name).itemsize)


def _weights(entry: Prepared) -> float:
    """Return about how many bytes the weights take once they are loaded."""
    assert entry.files is not None  # noqa: S101 - only local models have weights
    if entry.files.gguf_file:
        # Packed in 4 to 8 bits there, unpacked here.
        return 4.0 * (entry.files.base / entry.files.gguf_file).stat().st_size
    files = base_weights(f"model {entry.spec.name}", entry.files.base)
    stored = float(sum(path.stat().st_size for path in files))
    config = json.loads((entry.files.base / CONFIG).read_text(encoding="utf-8"))
    name = config.get("dtype") or config.get("torch_dtype") or "float32"
    packed: int = getattr(torch, str(name)).itemsize
    return stored * _width(entry.spec, config) / packed
