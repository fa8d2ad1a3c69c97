"""The check before a run: it is an emulator, and it grades."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


pytest.importorskip("websockets")

from fault_server import Behaviour, Faulty, Session, failing, saying, scripted, serve

from pytest_awsbench.envs.preflight import EMULATOR, WHO, preflight
from pytest_awsbench.envs.schema import Task
from pytest_awsbench.errors import AwsbenchError, ConfigError, InfraError


REAL = "123456789012"


def identity(account: Any) -> str:
    """Return what the CLI prints."""
    return json.dumps({"UserId": "A", "Account": account, "Arn": "arn:aws:iam::x"})


def server(**shown: Any) -> Behaviour:
    """Behave as a server that answers the command in this way."""
    usual = {"step": 1, "reward": 1.0, "done": True, "achieved": True}
    return scripted(
        saying(), saying(**{"output": identity(EMULATOR), **usual, **shown})
    )


@contextmanager
def refused(
    behave: Behaviour, kind: type[AwsbenchError], *words: str
) -> Iterator[None]:
    """Assert that the check fails with these words, and no more was sent."""
    with serve(behave) as faulty:
        with pytest.raises(kind) as caught:
            preflight(faulty.url)
        yield
    said = str(caught.value)
    assert faulty.url.removeprefix("http") in said
    assert all(word in said for word in words), said
    assert harmless(faulty)


def harmless(faulty: Faulty) -> bool:
    """Tell whether nothing was run but the question who it is, and nothing set up."""
    tasks = [m["data"]["task"] for m in faulty.heard if m["type"] == "reset"]
    empty = all(Task(**task).setup_commands == () for task in tasks)
    return empty and set(faulty.commands()) <= {WHO}


@pytest.mark.parametrize("reward", [1.0, 1.05])
def test_emulator(reward: float) -> None:
    """An emulator that grades is fine; one command tells."""
    with serve(server(reward=reward)) as faulty:
        account = preflight(faulty.url)

    assert account == EMULATOR
    assert [m["type"] for m in faulty.heard] == ["reset", "step", "close"]
    assert harmless(faulty)


def test_real_account() -> None:
    """A real account is refused, and nothing was run in it but the question."""
    with refused(
        server(output=identity(REAL)), ConfigError, REAL, "nothing was run in it but"
    ):
        pass


def test_allowed_account() -> None:
    """An account may be allowed; emulators always are."""
    with serve(server(output=identity(REAL))) as faulty:
        assert preflight(faulty.url, allow_accounts=[REAL]) == REAL
    with serve(server()) as faulty:
        assert preflight(faulty.url, allow_accounts=[REAL]) == EMULATOR


@pytest.mark.parametrize(
    "shown",
    [
        {"reward": 0.85},
        {"done": False},
        {"achieved": False, "done": False, "reward": 0.0},
    ],
)
def test_does_not_grade(shown: dict[str, Any]) -> None:
    """A server that does not pay for a task that is solved is no measure."""
    with refused(server(**shown), InfraError, "does not grade", "start it anew"):
        pass


@pytest.mark.parametrize(
    "output", ["", "000000000000\tarn\tA", "[]", "null", '{"UserId": "A"}']
)
def test_no_account(output: str) -> None:
    """Without an account nothing is assumed."""
    with refused(server(output=output), InfraError, "names no account"):
        pass


@pytest.mark.parametrize("account", [0, None, "", "everyone", "0000000000001"])
def test_strange_account(account: Any) -> None:
    """What is no account is not let pass for one."""
    with refused(server(output=identity(account)), InfraError, "which is none"):
        pass


def test_aws_itself_refuses() -> None:
    """Keys of an emulator that reach AWS are refused there, and here."""
    denial = "An error occurred (InvalidClientTokenId) when calling GetCallerIdentity"
    behave = server(success=False, output="", error=denial, reward=0.0, done=False)

    with refused(behave, ConfigError, "InvalidClientTokenId", "AWS CLI 2.13"):
        pass


def test_command_fails() -> None:
    """Any other failure is the server's."""
    behave = server(success=False, output="", error="aws: not found", done=False)

    with refused(behave, InfraError, "aws: not found", "check the emulator"):
        pass


def test_task_is_refused() -> None:
    """A server that takes no task of ours is another kind of server."""
    with refused(
        scripted(failing("VALIDATION_ERROR")), InfraError, "simplest of tasks"
    ):
        pass


def test_session_is_given_back() -> None:
    """Whatever comes of it, the session is closed, and its slot free."""
    ended: list[int] = []

    def behave(session: Session) -> None:
        try:
            server(reward=0.0, done=False)(session)
        finally:
            ended.append(session.number)

    with serve(behave) as faulty:
        with pytest.raises(InfraError):
            preflight(faulty.url)
        assert ended == [0]
