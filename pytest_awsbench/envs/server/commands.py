"""A command that was run, as grading sees it: service, operation, and what it names."""

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from pytest_awsbench.envs.server.universe import Ran


GLOBAL = frozenset({
    "--region",
    "--profile",
    "--output",
    "--query",
    "--endpoint-url",
    "--color",
    "--ca-bundle",
    "--cli-read-timeout",
    "--cli-connect-timeout",
    "--cli-binary-format",
})
"""Global options that take a value; they may stand before the service."""
SAME: Mapping[tuple[str, str], frozenset[str]] = MappingProxyType({
    ("s3", "mb"): frozenset({"create-bucket"}),
    ("s3", "rb"): frozenset({"delete-bucket"}),
    ("s3", "ls"): frozenset({"list-buckets", "list-objects", "list-objects-v2"}),
    ("s3", "rm"): frozenset({"delete-object", "delete-objects"}),
    ("s3", "cp"): frozenset({"put-object", "get-object", "copy-object"}),
    ("s3", "mv"): frozenset({"put-object", "get-object", "copy-object"}),
    ("s3", "sync"): frozenset({"put-object", "get-object", "copy-object"}),
    ("s3api", "list-buckets"): frozenset({"ls"}),
    ("s3api", "list-objects"): frozenset({"ls", "list-objects-v2"}),
    ("s3api", "list-objects-v2"): frozenset({"ls", "list-objects"}),
    ("s3api", "create-bucket"): frozenset({"mb"}),
    ("s3api", "delete-bucket"): frozenset({"rb"}),
    ("s3api", "delete-object"): frozenset({"rm"}),
    ("s3api", "put-object"): frozenset({"cp"}),
})
"""Commands that do what operations of another name do."""
READING = ("list", "describe", "get", "ls", "help", "head", "wait")
USAGE = 2
"""Exit status of a command that the CLI did not understand."""
_NAMES = re.compile(r"[^\s/:=,;{}\[\]()\"'|]+")


@dataclass(frozen=True)
class Executed:
    """One command of an episode, with what it did."""

    command: str
    ran: Ran

    @property
    def ok(self) -> bool:
        """Whether it succeeded."""
        return self.ran.ok

    @cached_property
    def words(self) -> list[str]:
        """The command as a shell would split it."""
        try:
            return shlex.split(self.command)
        except ValueError:
            return self.command.split()

    @cached_property
    def _names(self) -> tuple[str, str]:
        """Service and operation, wherever global options stand."""
        bare, skip = [], False
        for word in self.words[1:]:
            if skip:
                skip = False
            elif word in GLOBAL:
                skip = True
            elif not word.startswith("-"):
                bare.append(word)
            elif len(bare) >= 2:  # noqa: PLR2004 - both are found
                break
        service, operation, *_ = [*bare[:2], "", ""]
        return service, operation

    @property
    def service(self) -> str:
        """Such as ``s3api``."""
        return self._names[0]

    @property
    def operation(self) -> str:
        """Such as ``create-bucket``."""
        return self._names[1]

    @cached_property
    def operations(self) -> frozenset[str]:
        """Its operation, and those that it is another name of."""
        return SAME.get(self._names, frozenset()) | {self.operation}

    @property
    def only_reads(self) -> bool:
        """Whether it changed nothing: it reads, or was not even understood."""
        return self.ran.code == USAGE or self.operation.startswith(READING)

    def names(self, resource: str) -> bool:
        """Whether a resource is named as a whole, not as a part of another name."""
        return resource in self.words or any(
            found == resource
            for word in self.words
            for found in (*_NAMES.findall(word), *word.split("="))
        )


def succeeded(history: Iterable[Executed]) -> list[Executed]:
    """Return the commands that succeeded."""
    return [executed for executed in history if executed.ok]
