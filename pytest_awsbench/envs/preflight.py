"""What has to hold before any task is given to a server."""

import json
import re
from collections.abc import Collection

from pytest_awsbench.envs.client import Client
from pytest_awsbench.envs.protocol import Observation
from pytest_awsbench.errors import ConfigError, DataError, InfraError


EMULATOR = "000000000000"
WHO = "aws sts get-caller-identity"
TASK = {
    "task_id": 0,
    "difficulty": "warmup",
    "description": "Show which account this is.",
    "success_criteria": {
        "command_contains": "sts",
        "operation": "get-caller-identity",
    },
}
"""Asking who it is solves it, so that one harmless command shows all that is needed."""

_ACCOUNT = re.compile(r"[0-9]{12}")
_DENIALS = (
    "InvalidClientTokenId",
    "UnrecognizedClient",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "Unable to locate credentials",
)


def preflight(
    url: str,
    *,
    allow_accounts: Collection[str] = (EMULATOR,),
    timeout: float = 60.0,
    token: str | None = None,
) -> str:
    """Check that a server works and runs commands in an emulator; return its account.

    A server takes no command before a reset, so the first thing sent is a reset. That
    is safe: it injects a task without setup commands, and a server empties its own
    emulator; one that works on a real account has no emulator, and empties nothing.
    Then it runs ``aws sts get-caller-identity``, and nothing else in any account.

    Args:
        url: any URL of the server.
        allow_accounts: accounts in which models may run commands, besides that of
            emulators.
        timeout: seconds that each of the two may take.
        token: sent as a bearer token.

    Raises:
        ConfigError: if it is another account, or the URL cannot be right.
        InfraError: if the server cannot be reached, or does not grade.

    """
    client = Client(url, timeout=timeout, token=token)
    try:
        client.reset(TASK, episode_id="preflight")
        seen = client.step(WHO)
    except DataError as error:
        raise InfraError(
            f"{client.url}: the server refuses the simplest of tasks ({error}); check"
            " that it is an aws_rl_env server"
        ) from error
    finally:
        client.close()
    account = _account(client.url, seen)
    if account not in {EMULATOR, *allow_accounts}:
        raise ConfigError(
            f"{client.url}: commands run there in the account {account}, which is no"
            f" emulator's ({EMULATOR}); nothing was run in it but {WHO!r}. Start the"
            " server with an emulator, or allow this account by its number"
        )
    if not (seen.done and seen.achieved and seen.reward >= 1):
        raise InfraError(
            f"{client.url}: {WHO!r} solves the task that was given, but the server"
            f" answered reward {seen.reward:g} and done {seen.done}: it does not grade"
            " as it should; check that it is an aws_rl_env server, and start it anew"
        )
    return account


def _account(url: str, seen: Observation) -> str:
    """Read the account from the answer."""
    if not seen.success:
        raise _unanswered(url, seen.error.strip())
    try:
        account = json.loads(seen.output)["Account"]
    except (ValueError, KeyError, TypeError) as error:
        raise InfraError(
            f"{url}: {WHO!r} printed {seen.output[:120]!r}, which names no account; an"
            " earlier command may have changed the configuration of the server's AWS"
            " CLI: start the server anew"
        ) from error
    if not isinstance(account, str) or not _ACCOUNT.fullmatch(account):
        raise InfraError(
            f"{url}: {WHO!r} named the account {account!r}, which is none; check the"
            " emulator behind the server"
        )
    return account


def _unanswered(url: str, error: str) -> ConfigError | InfraError:
    """Say what a failure means: a refusal comes from AWS, not from an emulator."""
    if any(denial in error for denial in _DENIALS):
        return ConfigError(
            f"{url}: {WHO!r} was refused, as by AWS itself: {error}; nothing else was"
            " run. Start the server with an emulator, and with AWS CLI 2.13 or newer"
        )
    return InfraError(
        f"{url}: {WHO!r} failed: {error}; check the emulator and the AWS CLI of the"
        " server, and start it anew"
    )
