"""Where an environment is: what a user gives, and what a WebSocket needs."""

from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from pytest_awsbench.errors import ConfigError


_SCHEMES = {"http": "ws", "ws": "ws", "https": "wss", "wss": "wss"}
_GIVE = "give the server's address, such as http://127.0.0.1:8000"
_SPACE = "huggingface.co"


def socket_url(text: str) -> str:
    """Return the WebSocket URL of a server, whichever of its URLs is given.

    >>> socket_url("http://127.0.0.1:8000/")
    'ws://127.0.0.1:8000/ws'
    >>> socket_url("wss://owner-name.hf.space/ws/")
    'wss://owner-name.hf.space/ws'

    Raises:
        ConfigError: if it is no URL of a server; its words say what to give.

    """
    text = text.strip()
    parts = _split(text)
    _check(text, parts)
    # A server answers //ws with 404, so no slash may be left over.
    path = [part for part in parts.path.split("/") if part]
    if path[-1:] != ["ws"]:
        path.append("ws")
    return "/".join([f"{_SCHEMES[parts.scheme]}://{parts.netloc}", *path])


def is_loopback(url: str) -> bool:
    """Tell whether a URL leads to this machine, and cannot lead elsewhere.

    >>> is_loopback("ws://localhost:8000/ws"), is_loopback("ws://10.0.0.7/ws")
    (True, False)
    """
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        # A name: what it resolves to may change.
        return False


def exposure(url: str) -> str:
    """Return what to warn of before a URL is used; empty where nothing is amiss."""
    if urlsplit(url).scheme in ("https", "wss") or is_loopback(url):
        return ""
    return (
        f"{url} is not encrypted: whoever is on the way can read a token, and change"
        " what commands run and how they are graded; use https://, or a tunnel to"
        " 127.0.0.1"
    )


def _split(text: str) -> SplitResult:
    """Take a URL apart, its port included."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise ConfigError(f"env: {text!r} is no URL ({error}); {_GIVE}") from error
    return parts


def _check(text: str, parts: SplitResult) -> None:
    """Refuse what cannot be a server."""
    if parts.scheme not in _SCHEMES:
        raise ConfigError(
            f"env: {text!r} does not begin with http://, https://, ws:// or wss://;"
            f" {_GIVE}"
        )
    if parts.username is not None or parts.password is not None:
        # Not quoted: what stands there is secret.
        raise ConfigError(
            f"env: the URL of {parts.hostname!r} holds a user or a password, which"
            " reports would show; take it out, and give a token instead"
        )
    if not parts.hostname or not text.isprintable() or " " in text:
        raise ConfigError(f"env: {text!r} names no host; {_GIVE}")
    if parts.query or parts.fragment:
        raise ConfigError(f"env: {text!r} goes on after the path; {_GIVE}")
    if parts.hostname == _SPACE:
        raise ConfigError(
            f"env: {text!r} is a page about a Space; give the address of the Space"
            " itself, such as https://owner-name.hf.space"
        )
