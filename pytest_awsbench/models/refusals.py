"""What an HTTP response or a broken connection means, and who can do what about it."""

import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from pytest_awsbench.errors import ModelError
from pytest_awsbench.models.overflows import Overflow
from pytest_awsbench.models.replies import error_text, overflow_of


if TYPE_CHECKING:
    import httpx

DENIED: Final = frozenset({401, 403})
MISSING: Final = 404
PASSING: Final = frozenset({408, 409, 425, 429})
SERVER_ERROR: Final = 500
NOT_IMPLEMENTED: Final = 501
GONE: Final = frozenset({502, 503, 504})
TOO_LONG: Final = frozenset({400, 413, 422})
DECLINED: Final = frozenset({*TOO_LONG, 451})
"""What is said of a request: another one may be answered."""


class PassingError(Exception):
    """A try that failed in a way that may pass."""

    def __init__(
        self,
        told: str,
        *,
        label: str,
        after: float | None = None,
        strike: bool = False,
        gone: bool = False,
    ) -> None:
        super().__init__(told)
        self.label = label
        """Few words, to count by."""
        self.after = after
        """Seconds that the server wants to be left alone."""
        self.strike = strike
        """Whether it says that the server is unwell, not only busy."""
        self.gone = gone
        """Whether it would meet every request: one prompt alone may cause a 500."""


class DeclinedError(ModelError):
    """A request that is declined, such as by a filter of contents: maybe no other."""


class OverflowingError(Exception):
    """A prompt and a budget that do not fit into the context that is served."""

    def __init__(self, told: str, overflow: Overflow) -> None:
        super().__init__(told)
        self.overflow = overflow
        """As far as the server told."""


def unreached(
    url: str, error: "httpx.RequestError", told: str
) -> PassingError | ModelError:
    """Return what a broken connection means.

    Args:
        url: the base URL that was asked.
        error: of the library.
        told: its words, fit to be shown.

    """
    kind = type(error).__name__
    if (tls := _tls(error)) is not None:
        return ModelError(
            f"{url}: no trusted TLS there: {tls}; set SSL_CERT_FILE to the certificate"
            " of the authority, or give http:// if the server is a plain one"
        )
    if kind in {"ReadTimeout", "WriteTimeout"}:
        return PassingError(
            f"{url}: no answer in time ({kind}); raise timeout, or lower concurrency"
            " or max_tokens",
            label=kind,
            strike=True,
            gone=True,
        )
    return PassingError(
        f"{url}: cannot be reached or broke off ({kind}: {told or 'no words'}); check"
        " that the server runs and listens there",
        label=kind,
        strike=True,
        gone=kind.startswith("Connect"),
    )


def refused(
    url: str, response: "httpx.Response", told: str
) -> PassingError | OverflowingError | ModelError:
    """Return what a response that is no answer means.

    Args:
        url: the base URL that was asked.
        response: of the server.
        told: the server's own words, fit to be shown.

    """
    status = response.status_code
    said = f"{url}: the server answered {status}" + (f": {told}" if told else "")
    overflow = overflow_of(decoded(response) or {"message": response.text})
    # llama.cpp called it a fault of its own for a while, at status 500, with numbers.
    counted = overflow is not None and overflow.context is not None
    if overflow and (status in TOO_LONG or (counted and status == SERVER_ERROR)):
        return OverflowingError(said, overflow)
    if status in PASSING or (status >= SERVER_ERROR and status != NOT_IMPLEMENTED):
        return PassingError(
            f"{said}; see its log, or lower concurrency",
            label=str(status),
            after=retry_after(response.headers.get("Retry-After"), datetime.now(UTC)),
            strike=status >= SERVER_ERROR,
            gone=status in GONE,
        )
    if status in DENIED:
        return ModelError(
            f"{said}; let api_key_env name the variable that holds a key which may use"
            " this model"
        )
    if response.is_redirect:
        return ModelError(f"{said}, it leads elsewhere; give its final address")
    advice = "change the model's settings (model, max_tokens, extra_body)"
    if status in DECLINED:
        return DeclinedError(f"{said}; {advice}, or this prompt if others are answered")
    return ModelError(f"{said}; {advice}")


def no_json(url: str, response: "httpx.Response") -> PassingError | ModelError:
    """Return what a body that is not JSON means: a web page, or a broken answer."""
    if response.text.lstrip().startswith("<"):
        return ModelError(
            f"{url}: answers by a web page, not by JSON; base_url must lead to an"
            " OpenAI-compatible API: most end in /v1"
        )
    return PassingError(
        f"{url}: the server's answer is broken JSON; see its log", label="broken JSON"
    )


def decoded(response: "httpx.Response") -> object:
    """Return the JSON of a response, None where there is none."""
    try:
        return response.json()
    except ValueError:
        return None


def server_words(response: "httpx.Response") -> str:
    """Return what a server says is wrong; a web page says nothing."""
    payload = decoded(response)
    told = response.text if payload is None else error_text(payload)
    told = " ".join(told.split())
    return "" if told.startswith("<") else told


def retry_after(value: str | None, now: datetime) -> float | None:
    """Return the seconds that a ``Retry-After`` asks for, None where it asks nothing.

    >>> now = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
    >>> retry_after("2.5", now), retry_after("Thu, 01 Jan 2026 12:00:30 GMT", now)
    (2.5, 30.0)
    >>> retry_after("soon", now), retry_after("-1", now), retry_after("nan", now)
    (None, 0.0, None)
    """
    try:
        seconds = float(value or "")
    except ValueError:
        pass
    else:
        return max(0.0, seconds) if seconds == seconds else None  # noqa: PLR0124 - NaN
    try:
        date = parsedate_to_datetime(value or "")
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - now).total_seconds())


def _tls(error: BaseException) -> str | None:
    """Return why there is no encrypted connection, None where that is not why."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if cause is None or isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return None
    return getattr(cause, "verify_message", "") or cause.reason or str(cause)
