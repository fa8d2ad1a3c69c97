"""Why a server cannot be reached, and who can do what about it."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from pytest_awsbench.errors import AwsbenchError, ConfigError, InfraError


if TYPE_CHECKING:
    from websockets.exceptions import InvalidStatus

_DENIED = {401, 403}
_BUSY = {408, 425, 429}
_SERVER_ERROR = 500


def require(url: str) -> None:
    """Make sure that the package that speaks WebSocket is there."""
    if find_spec("websockets") is None:
        raise ConfigError(
            f"{url}: an environment needs the package websockets;"
            ' pip install "pytest-awsbench[env]"'
        )


@contextmanager
def reaching(url: str, timeout: float) -> Iterator[None]:
    """Say what is wrong where a server cannot be reached, and what to do."""
    from websockets.exceptions import (
        InvalidProxy,
        InvalidStatus,
        ProxyError,
        WebSocketException,
    )

    try:
        yield
    except InvalidStatus as error:
        raise _refused(url, error) from error
    except (InvalidProxy, ImportError) as error:
        raise ConfigError(
            f"{url}: the proxy of this machine cannot be used: {error}; mend"
            " HTTPS_PROXY, or name the host in NO_PROXY"
        ) from error
    except ProxyError as error:
        raise InfraError(
            f"{url}: the proxy does not lead there: {error}; name the host in NO_PROXY,"
            " or try again later"
        ) from error
    except (WebSocketException, AssertionError) as error:
        # The assertion is one of the library, about servers that speak first.
        raise _no_websocket(url, error) from error
    except TimeoutError as error:
        raise InfraError(
            f"{url}: no connection in {timeout:g} s; check that the server runs, and"
            " that nothing on the way blocks it"
        ) from error
    except ssl.SSLError as error:
        raise _no_tls(url, error) from error
    except OSError as error:
        raise InfraError(
            f"{url}: cannot be reached: {error.strerror or error}; start the server, or"
            " correct the URL"
        ) from error


def _no_websocket(url: str, error: Exception) -> AwsbenchError:
    """Say what no answer in HTTP means: a server that stops, or something else."""
    from websockets.exceptions import InvalidHandshake

    cause = error.__cause__ or error
    if isinstance(error, InvalidHandshake) and not isinstance(cause, EOFError):
        return ConfigError(
            f"{url}: what is there does not speak WebSocket: {cause}; check the port,"
            " and give https:// if the server wants TLS"
        )
    return InfraError(
        f"{url}: the connection ended before it was a WebSocket:"
        f" {str(cause) or 'the server spoke first'}; see the server's log, try again"
        " later, and give https:// if it wants TLS"
    )


def _refused(url: str, error: "InvalidStatus") -> AwsbenchError:
    """Say what an HTTP status in place of a WebSocket means."""
    status = error.response.status_code
    if status in _DENIED:
        return ConfigError(
            f"{url}: the server answered {status}; set a token that may use it"
        )
    if status in _BUSY or status >= _SERVER_ERROR:
        return InfraError(
            f"{url}: the server answered {status}: it may be starting, asleep or out"
            " of order; see its log, and try again later"
        )
    location = error.response.headers.get("Location")
    hint = f" but leads to {location}" if location else ""
    return ConfigError(
        f"{url}: answered HTTP {status}{hint}: no OpenEnv server is there; give the"
        " address under which /ws is served, and a token if it is private"
    )


def _no_tls(url: str, error: ssl.SSLError) -> AwsbenchError:
    """Say why there is no encrypted connection."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return ConfigError(
            f"{url}: the certificate is not trusted: {error.verify_message}; set"
            " SSL_CERT_FILE to that of the authority that signed it"
        )
    return ConfigError(
        f"{url}: no TLS there: {error.reason or error}; give http:// if the server"
        " is a plain one"
    )
