"""Where a served model is, how it is asked, and the secrets that this takes."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

from pytest_awsbench.errors import ConfigError


#: What every request says by itself.
_OURS = frozenset({"messages", "model", "n", "stream"})
_HIDDEN = "***"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedSpec:
    """A model behind an OpenAI-compatible API.

    Secrets are named by their environment variables, and never held.
    """

    base_urls: tuple[str, ...]
    """One, or one per replica, such as ``http://localhost:8000/v1``."""
    model: str = ""
    """As the server calls it; empty where it serves one and wants no name."""
    api_key_env: str | None = None
    """The environment variable that holds the key."""
    headers_env: Mapping[str, str] = field(default_factory=dict)
    """More headers: name → environment variable that holds the value."""
    concurrency: int = 8
    """Requests in flight, over all replicas."""
    timeout: float = 120.0
    """Seconds without a byte after which a try has failed."""
    startup_timeout: float = 60.0
    """Seconds to wait for a server that is still loading, before the first item."""
    max_tokens: int | None = None
    """In place of the decoding's ``max_new_tokens``."""
    temperature: float | None = None
    """In place of the decoding's."""
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    """More of the request; a value of None takes a field out."""

    @property
    def is_pattern(self) -> bool:
        """Whether the name stands for all models of the server that it matches."""
        return not {*"*?"}.isdisjoint(self.model)

    def __post_init__(self) -> None:
        """Refuse what no server could be asked by.

        Raises:
            ConfigError: naming the field.

        """
        urls = tuple(url.rstrip("/") for url in self.base_urls)
        object.__setattr__(self, "base_urls", urls)
        if not urls or len({*urls}) < len(urls):
            raise ConfigError(
                "base_url: give one URL, or a list without repeats, such as"
                ' "http://localhost:8000/v1"'
            )
        for url in urls:
            _check_url(url)
        if self.concurrency < 1 or not self.timeout > 0:
            raise ConfigError(
                f"concurrency = {self.concurrency}, timeout = {self.timeout:g}: give at"
                " least one request, and more than no time"
            )
        if not self.startup_timeout >= 0:
            raise ConfigError(
                f"startup_timeout = {self.startup_timeout:g}: give 0 seconds or more"
            )
        if taken := sorted(_OURS & self.extra_body.keys()):
            raise ConfigError(
                f"extra_body sets {', '.join(taken)}, which the run itself sets; take"
                " that out"
            )


@dataclass(frozen=True, slots=True)
class Secrets:
    """Headers whose values nobody may see."""

    headers: Mapping[str, str] = field(repr=False)
    values: frozenset[str] = field(repr=False)

    @classmethod
    def of(cls, spec: ServedSpec) -> Self:
        """Read the environment variables that a model names.

        Raises:
            ConfigError: naming the variable that is missing or cannot be sent.

        """
        headers = {name: _read(var, name) for name, var in spec.headers_env.items()}
        values = frozenset(headers.values())
        if spec.api_key_env is not None:
            key = _read(spec.api_key_env, "api_key_env")
            headers["Authorization"] = f"Bearer {key}"
            values |= {key}
        return cls(headers, values)

    def redact(self, text: str) -> str:
        """Return a text of the server's, which may repeat what it was sent."""
        for value in sorted(self.values, key=len, reverse=True):
            text = text.replace(value, _HIDDEN)
        return text


def _read(variable: str, use: str) -> str:
    """Return the value of an environment variable, fit for a header."""
    value = os.environ.get(variable, "").strip()
    if not value:
        raise ConfigError(
            f"the environment variable {variable} is not set ({use}); export it, or"
            " take its name out of the configuration"
        )
    # Libraries quote what they cannot send.
    if not (value.isascii() and value.isprintable()):
        raise ConfigError(
            f"the environment variable {variable} ({use}) holds characters that no"
            " HTTP header may have; export it anew"
        )
    return value


def _check_url(url: str) -> None:
    """Refuse a base URL that cannot be one."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
        usable = usable and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError(
            f"base_url: {url!r} is no HTTP address; give one such as"
            " http://localhost:8000/v1"
        )
    if parts.username or parts.password or parts.query or parts.fragment:
        # Unquoted: a secret may be in it.
        raise ConfigError(
            f"base_url: the address of {parts.hostname} holds more than host and path;"
            " name secrets by api_key_env or headers_env"
        )
