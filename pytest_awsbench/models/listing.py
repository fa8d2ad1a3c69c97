"""What a server serves, and how to notice that it serves something else by now."""

import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from pytest_awsbench.errors import ModelError
from pytest_awsbench.models.digests import combined
from pytest_awsbench.models.endpoints import ServedSpec
from pytest_awsbench.models.engines import Engine, engine_of
from pytest_awsbench.models.probing import PROBES, probe
from pytest_awsbench.models.replies import model_ids
from pytest_awsbench.models.requesting import PEEK_S, Requests
from pytest_awsbench.models.served import ServedModel
from pytest_awsbench.models.startup import Startup
from pytest_awsbench.records import ModelCard, Prompt


__all__ = ["PROBES", "Identity", "card", "identity", "list_models", "no_chat"]

#: How engines say that a model is for something else, such as ranking or speech.
_NO_CHAT: Final = re.compile(
    r"not support.{0,40}\b(chat|generation|generate|completion)"
    r"|\bnot (a chat model|llm)\b",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who answers under a name, as far as can be told from outside."""

    model: str
    """As the server calls it in its answers."""
    server: str
    """Its ``Server`` header."""
    engine: Engine = field(default_factory=Engine)
    fingerprint: str
    """``system_fingerprint``; empty where it sends none."""
    digest: str
    """Hex digest of what the engine tells of the weights, and of greedy answers."""


def list_models(
    spec: ServedSpec,
    *,
    startup: Startup | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[str, ...]:
    """Return the models that a server lists, in its order, without repeats.

    Those that cannot chat, such as embedding models, are among them.

    Args:
        spec: where it is; of several replicas any is asked.
        startup: patience with a server that is still loading; by default none.
        sleep: waits between tries.

    Raises:
        ConfigError: if an environment variable is missing.
        ModelError: if there is no such API, or the key is refused.
        InfraError: if the server does not answer.

    """
    requests = Requests(spec, sleep, startup)
    with requests.client() as client:
        return requests.get(client, "/models", lambda payload, _: _ids(payload))


def identity(
    spec: ServedSpec,
    *,
    probes: Sequence[Prompt] = PROBES,
    startup: Startup | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Identity:
    """Ask a served model who it is.

    Raises:
        ConfigError: if a variable is missing.
        ModelError: if the server refuses to answer, as it does for embedding models.
        InfraError: if a probe gets no answer.

    """
    model = ServedModel(
        spec, card(spec.model, spec, None), sleep=sleep, startup=startup
    )
    try:
        probed = list(probe(model, probes))
        with model.requests.client() as client:
            engine = engine_of(spec, lambda url: model.requests.peek(client, url))
        first = probed[0].answered
        return Identity(
            model=first.model or spec.model,
            server=model.requests.server,
            engine=engine,
            fingerprint=first.fingerprint,
            digest=_digest([dict(engine.facts), [found.sure for found in probed]]),
        )
    finally:
        model.close()


def no_chat(spec: ServedSpec, refusal: ModelError) -> str:
    """Say why a model that refused a probe is none to judge; empty if it should be.

    A model that makes embeddings is told by its making them, whatever it is called.
    """
    if _embeds(spec):
        return "it makes embeddings"
    return str(refusal) if _NO_CHAT.search(str(refusal)) else ""


def card(name: str, spec: ServedSpec, found: Identity | None) -> ModelCard:
    """Return who a served model is, as runs and baselines keep it.

    Args:
        name: as configured.
        spec: where it is, and how it is asked.
        found: who answers there; None where nobody was asked, or nobody answered.

    """
    hosts = ", ".join(urlsplit(url).netloc for url in spec.base_urls)
    told: dict[str, Any] = {"model": spec.model, "base_url": list(spec.base_urls)}
    if spec.extra_body:
        # Digested: what a proxy wants to be sent may be a secret.
        told["extra_body"] = combined(dict(spec.extra_body))
    if found is not None:
        told |= {
            "served_as": found.model,
            "server": found.server,
            "engine": found.engine.name,
            "version": found.engine.version,
            "fingerprint": found.fingerprint,
            "facts": dict(found.engine.facts),
        }
    return ModelCard(
        name=name,
        backend="openai",
        description=f"{spec.model or 'the model'} served at {hosts}",
        digest=found.digest if found else "",
        template_digest="",
        details=told,
    )


def _embeds(spec: ServedSpec) -> bool:
    """Whether a model makes embeddings."""
    body = {"model": spec.model, "input": "aws"}
    with Requests(spec).client() as client:
        try:
            url = f"{spec.base_urls[0]}/embeddings"
            response = client.post(url, json=body, timeout=PEEK_S)
            told = response.json() if response.is_success else None
        except (httpx.HTTPError, ValueError):
            return False
    rows = told.get("data") if isinstance(told, Mapping) else None
    return isinstance(rows, list) and any(
        isinstance(row, Mapping) and row.get("embedding") for row in rows
    )


def _ids(payload: object) -> tuple[str, ...]:
    """Return the names in a list of models."""
    ids = model_ids(payload)
    if ids is None:
        raise ValueError("sent no list of models")
    return tuple(ids)


def _digest(value: object) -> str:
    """Return the digest of plain values."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
