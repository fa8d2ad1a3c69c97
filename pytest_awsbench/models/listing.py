"""What a server serves, and how to notice that it serves something else by now."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from pytest_awsbench.models.endpoints import ServedSpec
from pytest_awsbench.models.replies import Answered, model_ids
from pytest_awsbench.models.requesting import Requests
from pytest_awsbench.models.served import ServedModel
from pytest_awsbench.records import Decoding, Message, ModelCard, Prompt


#: Short, and each leaves a model several ways to go on.
PROBES: Final[Sequence[Prompt]] = (
    (Message("user", "Reply with one AWS CLI command that lists all S3 buckets."),),
    (Message("user", "Count from one to ten in words."),),
    (Message("user", "Name a river, a metal, and a colour."),),
    (Message("user", "Continue: the quick brown"),),
)
_DECODING: Final = Decoding(max_new_tokens=24)
#: Where engines tell their version, below the server's root.
_VERSIONS: Final = ("version", "api/version")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who answers under a name, as far as can be told from outside."""

    model: str
    """As the server calls it in its answers."""
    server: str
    """Its ``Server`` header."""
    version: str
    """Of the engine; empty where it does not tell."""
    fingerprint: str
    """``system_fingerprint``; empty where it sends none."""
    digest: str
    """Hex digest of the greedy answers to the probes."""


def list_models(
    base_url: str,
    *,
    api_key_env: str | None = None,
    headers_env: Mapping[str, str] | None = None,
    timeout: float = 10.0,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[str, ...]:
    """Return the models that a server lists, in its order, without repeats.

    Those that cannot chat, such as embedding models, are among them.

    Raises:
        ConfigError: if the URL is none, or a variable is missing.
        ModelError: if there is no such API, or the key is refused.
        InfraError: if the server does not answer.

    """
    spec = ServedSpec(
        base_urls=(base_url,),
        api_key_env=api_key_env,
        headers_env=headers_env or {},
        timeout=timeout,
    )
    requests = Requests(spec, sleep)
    with requests.client() as client:
        return requests.get(client, "/models", lambda payload, _: _ids(payload))


def identity(
    spec: ServedSpec,
    *,
    probes: Sequence[Prompt] = PROBES,
    sleep: Callable[[float], None] = time.sleep,
) -> Identity:
    """Ask a served model who it is.

    Raises:
        ConfigError: if a variable is missing.
        ModelError: if the server refuses to answer, as it does for embedding models.
        InfraError: if a probe gets no answer.

    """
    model = ServedModel(spec, card(spec.model, spec, None), sleep=sleep)
    try:
        answers = []
        for answer in model.answer_each(probes, _DECODING):
            if not isinstance(answer, Answered):
                raise answer
            answers.append(answer)
        return Identity(
            model=answers[0].model or spec.model,
            server=model.requests.server,
            version=_version(model.requests),
            fingerprint=answers[0].fingerprint,
            digest=_digest([
                [a.completion.reasoning, a.completion.text] for a in answers
            ]),
        )
    finally:
        model.close()


def card(name: str, spec: ServedSpec, found: Identity | None) -> ModelCard:
    """Return who a served model is, as runs and baselines keep it.

    Args:
        name: as configured.
        spec: where it is, and how it is asked.
        found: who answers there; None where nobody was asked.

    """
    hosts = ", ".join(urlsplit(url).netloc for url in spec.base_urls)
    told: dict[str, Any] = {"model": spec.model, "base_url": list(spec.base_urls)}
    if found is not None:
        told |= {
            "served_as": found.model,
            "server": found.server,
            "version": found.version,
            "fingerprint": found.fingerprint,
        }
    return ModelCard(
        name=name,
        backend="openai",
        description=f"{spec.model or 'the model'} served at {hosts}",
        digest=found.digest if found else "",
        template_digest="",
        details=told,
    )


def _ids(payload: object) -> tuple[str, ...]:
    """Return the names in a list of models."""
    ids = model_ids(payload)
    if ids is None:
        raise ValueError("sent no list of models")
    return tuple(ids)


def _version(requests: Requests) -> str:
    """Return the engine's version, where it tells it."""
    root = requests.spec.base_urls[0].removesuffix("/v1")
    with requests.client() as client:
        for path in _VERSIONS:
            told = requests.peek(client, f"{root}/{path}")
            if isinstance(told, Mapping) and isinstance(told.get("version"), str):
                return str(told["version"])
    return ""


def _digest(value: object) -> str:
    """Return the digest of plain values."""
    text = json.dumps(value, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
