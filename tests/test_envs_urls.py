"""URLs of servers: any that a user may have at hand, and none that cannot do."""

import pytest

from pytest_awsbench.envs.urls import exposure, is_loopback, socket_url
from pytest_awsbench.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://127.0.0.1:8000", "ws://127.0.0.1:8000/ws"),
        ("http://127.0.0.1:8000//", "ws://127.0.0.1:8000/ws"),
        (" http://127.0.0.1:8000/ws\n", "ws://127.0.0.1:8000/ws"),
        ("ws://127.0.0.1:8000/ws/", "ws://127.0.0.1:8000/ws"),
        ("HTTPS://owner-name.hf.space", "wss://owner-name.hf.space/ws"),
        ("wss://host/", "wss://host/ws"),
        ("http://[::1]:8000/", "ws://[::1]:8000/ws"),
        ("https://host/envs//aws/", "wss://host/envs/aws/ws"),
        ("https://host/envs/aws/ws", "wss://host/envs/aws/ws"),
        ("https://host/aws", "wss://host/aws/ws"),
    ],
)
def test_socket_url(text: str, url: str) -> None:
    """Whatever leads to a server is made the URL of its socket, once."""
    assert socket_url(text) == url
    assert socket_url(url) == url


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "does not begin with"),
        ("localhost:8000", "does not begin with"),
        ("127.0.0.1:8000", "is no URL|does not begin with"),
        ("ftp://host", "does not begin with"),
        ("http://", "names no host"),
        ("http:///ws", "names no host"),
        ("http://a b", "names no host"),
        ("http://ho\x00st", "names no host"),
        ("http://host:port", "is no URL"),
        ("http://host:99999", "is no URL"),
        ("http://[::1", "is no URL"),
        ("http://host/?task=1", "goes on after the path"),
        ("http://host/#ws", "goes on after the path"),
    ],
)
def test_nonsense(text: str, words: str) -> None:
    """What cannot be a server is refused, with an example of what can."""
    with pytest.raises(ConfigError, match=words) as caught:
        socket_url(text)

    assert "give the server's address, such as http://127.0.0.1:8000" in str(
        caught.value
    )


def test_secrets_are_not_repeated() -> None:
    """A URL with a password is refused, and not shown."""
    with pytest.raises(ConfigError) as caught:
        socket_url("https://user:secret@host/ws")

    assert "give a token instead" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_page_of_a_space() -> None:
    """The page of a Space is told from the Space."""
    with pytest.raises(ConfigError, match=r"https://owner-name\.hf\.space"):
        socket_url("https://huggingface.co/spaces/owner/name")


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9:8000", True),
        ("[::1]:8000", True),
        ("localhost", True),
        ("LOCALHOST:80", True),
        ("env.localhost", True),
        ("localhost.example.com", False),
        ("10.0.0.7", False),
        ("[::2]", False),
        ("127.0.0.1.nip.io", False),
        ("host", False),
    ],
)
def test_loopback(host: str, here: bool) -> None:  # noqa: FBT001 - a parameter
    """Only what cannot lead elsewhere is this machine; the rest is warned of."""
    url = f"ws://{host}/ws"

    assert is_loopback(url) is here
    assert (exposure(url) == "") is here


def test_exposure() -> None:
    """Plain traffic to elsewhere is warned of, with what to do; TLS is not."""
    warning = exposure("ws://10.0.0.7:8000/ws")

    assert warning.startswith("ws://10.0.0.7:8000/ws is not encrypted")
    assert "use https://" in warning
    assert exposure("wss://10.0.0.7:8000/ws") == ""
