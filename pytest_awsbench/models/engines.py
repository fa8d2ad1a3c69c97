"""Which engine serves a model, and what it tells of the weights, beside the API."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from pytest_awsbench.models.endpoints import ServedSpec


Peek = Callable[[str], object]
"""Returns the JSON at a URL; None for whatever else is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What a server tells of itself and of one model."""

    name: str = ""
    """Empty where it is none that is known."""
    version: str = ""
    facts: Mapping[str, str | int | float] = field(default_factory=dict)
    """What does not change unless the weights do: their folder, digest, size …"""


@dataclass(frozen=True, slots=True)
class _Place:
    """A page by which an engine is known."""

    engine: str
    path: str
    """Below the server's root; ``{model}`` stands for the model's name."""
    version: str = ""
    """The key of the version."""
    facts: tuple[str, ...] = ()
    known_by: str = ""
    """A key without which the page is another's."""
    owner: str = ""
    """Who owns the models of its list, where the page alone tells too little."""


#: The documents of the engines name these pages, in the order in which they are tried.
_PLACES: Final = (
    _Place("vLLM", "version", "version", known_by="version", owner="vllm"),
    _Place("SGLang", "get_server_info", "version", known_by="tp_size"),
    _Place(
        "SGLang",
        "get_model_info",
        facts=("model_path", "weight_version"),
        known_by="is_generation",
    ),
    _Place("llama.cpp", "props", "build_info", ("model_path",), "total_slots"),
    _Place("TGI", "info", "version", ("model_id", "model_sha"), "model_id"),
    _Place(
        "LM Studio",
        "api/v0/models/{model}",
        facts=("arch", "quantization", "compatibility_type"),
        known_by="quantization",
    ),
)
#: Of a row of ``/v1/models``: vLLM's weights and the base of an adapter.
_ROW: Final = ("root", "parent")
#: Of ``meta`` in a row of llama.cpp.
_META: Final = ("n_params", "size", "n_vocab", "n_embd", "n_ctx_train")


def engine_of(spec: ServedSpec, peek: Peek) -> Engine:
    """Return what the first of a model's servers tells, beside its answers."""
    url = spec.base_urls[0]
    root = url.removesuffix("/v1")
    name, version = "", ""
    row = _row(peek(f"{url}/models"), spec.model)
    facts = dict(_listed(row))
    for place in _PLACES:
        if name not in {"", place.engine}:
            continue
        if place.owner and place.owner != row.get("owned_by"):
            continue
        page = peek(f"{root}/{place.path.format(model=quote(spec.model))}")
        if isinstance(page, Mapping) and place.known_by in page:
            name = place.engine
            version = version or str(page.get(place.version) or "")
            facts |= _plain(page, place.facts)
    # Others answer at these addresses of Ollama, too, such as llama.cpp.
    if not name and (tag := _tag(peek(f"{root}/api/tags"), spec.model)):
        name, version = "Ollama", _version(peek(f"{root}/api/version"))
        facts |= _plain(tag, ("digest",))
    return Engine(name=name, version=version, facts=facts)


def _version(page: object) -> str:
    """Return the version that a page tells."""
    return str(page.get("version") or "") if isinstance(page, Mapping) else ""


def _listed(row: Mapping[str, Any]) -> Iterator[tuple[str, str | int | float]]:
    """Yield what the row of a model tells of its weights."""
    yield from _plain(row, _ROW).items()
    meta = row.get("meta")
    if isinstance(meta, Mapping):
        yield from _plain(meta, _META).items()


def _row(page: object, model: str) -> Mapping[str, Any]:
    """Return the row of a model in a list of models; the only one if it has no name."""
    data = page.get("data") if isinstance(page, Mapping) else None
    rows = [row for row in data or () if isinstance(row, Mapping)]
    if not model and len(rows) == 1:
        return rows[0]
    return next((row for row in rows if row.get("id") == model), {})


def _tag(page: object, model: str) -> Mapping[str, Any]:
    """Return the row of a model in Ollama's own list."""
    rows = page.get("models") if isinstance(page, Mapping) else None
    names = {model, f"{model}:latest"}
    return next(
        (r for r in rows or () if isinstance(r, Mapping) and r.get("name") in names), {}
    )


def _plain(
    page: Mapping[str, Any], keys: tuple[str, ...]
) -> dict[str, str | int | float]:
    """Return the plain values of some keys."""
    return {
        key: value
        for key in keys
        if isinstance(value := page.get(key), str | int | float) and value != ""
    }
