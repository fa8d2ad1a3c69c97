"""What of a command is dropped or refused before it reaches the CLI."""

import shlex
from collections.abc import Mapping
from typing import Any

from pytest_awsbench.envs.server.commands import GLOBAL
from pytest_awsbench.envs.server.universe import Ran


REFUSED = 252
"""Exit status of a command that this environment does not run."""
MOST: Mapping[str, int] = {
    "MaxCount": 20,
    "MinCount": 20,
    "ShardCount": 100,
    "DesiredCapacity": 100,
}
"""Parameters of requests that make many things, and how many may be asked for."""
LONGEST = 128 << 10
"""Characters of a command: Linux takes no longer argument, and time grows with them."""
FLAGS = frozenset({
    "--debug",
    "--no-cli-pager",
    "--no-cli-auto-prompt",
    "--cli-auto-prompt",
    "--no-verify-ssl",
})
"""Dropped: without effect here, or of another version of the CLI."""
VALUED = frozenset({"--cli-binary-format", "--endpoint-url", "--ca-bundle"})
"""Dropped with their values: nothing is reached by network, wherever it points."""
TRANSFERS = (["s3", "cp"], ["s3", "mv"], ["s3", "sync"])
REASONS: Mapping[str, str] = {
    "configure": "region and credentials are set",
    "history": "no history is kept",
    "ssm start-session": "it opens a session on a machine",
    "ecs execute-command": "it opens a session on a machine",
    "emr ssh": "it opens a session on a machine",
    "emr put": "it copies files to a machine",
    "emr get": "it copies files from a machine",
    "emr socks": "it opens a session on a machine",
    "ec2-instance-connect ssh": "it opens a session on a machine",
    "ec2-instance-connect open-tunnel": "it opens a session on a machine",
    "codeartifact login": "it configures programs of the host",
    "eks update-kubeconfig": "it configures programs of the host",
    "cloudformation package": "it reads folders of the host",
    "cloudformation deploy": "it reads folders of the host; use create-stack",
    "deploy push": "it reads folders of the host",
    "deploy install": "it changes the host",
    "deploy uninstall": "it changes the host",
    "deploy register": "it changes the host",
    "gamelift upload-build": "it reads folders of the host",
    "logs start-live-tail": "it never ends",
}


def prepared(command: str) -> list[str] | Ran:
    """Return the arguments of a command, without ``aws``; or what refuses it."""
    if len(command) > LONGEST:
        return Ran(REFUSED, "", "aws: Argument list too long")
    try:
        words = shlex.split(command)
    except ValueError as error:
        return Ran(REFUSED, "", str(error))
    if not words or words[0] != "aws":
        return Ran(REFUSED, "", "Only AWS CLI commands (starting with 'aws') run here.")
    arguments = _without_noise(words[1:])
    if _positional(arguments)[:2] in TRANSFERS:
        # How far it shows its progress depends on threads.
        arguments.append("--no-progress")
    why = _refusal(arguments)
    return Ran(REFUSED, "", f"\naws: error: {why}\n") if why else arguments


def _without_noise(words: list[str]) -> list[str]:
    """Drop options that have no effect here."""
    kept, skip = [], False
    for word in words:
        name, _, value = word.partition("=")
        if skip:
            skip = False
        elif name in VALUED:
            skip = not value
        elif not _without_effect(word):
            kept.append(word)
    return kept


def _without_effect(word: str) -> bool:
    """Whether a flag is dropped; the CLI takes any beginning of --debug for it."""
    return word in FLAGS or (len(word) >= len("--d") and "--debug".startswith(word))


def _refusal(words: list[str]) -> str:
    """Say why a command does not run here; empty where it does."""
    names = _positional(words)
    for prefix in (" ".join(names[:1]), " ".join(names[:2])):
        if prefix in REASONS:
            return f"{prefix} is not available in this environment: {REASONS[prefix]}"
    return ""


def _positional(words: list[str]) -> list[str]:
    """Return service and operation, wherever global options stand."""
    found, skip = [], False
    for word in words:
        if skip or word.startswith("-"):
            skip = word in GLOBAL
        else:
            found.append(word)
    return found


def bounded(params: dict[str, Any], **_: object) -> None:
    """Refuse to make thousands of things at once, however they are asked for.

    Raises:
        ValueError: naming the parameter.

    """
    for name, most in MOST.items():
        value = params.get(name)
        if isinstance(value, int) and value > most:
            raise ValueError(f"{name}: at most {most} in this environment")
