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
    ("s3api", "list-buckets"): frozenset({"ls"}),
    ("s3api", "list-objects"): frozenset({"ls", "list-objects-v2"}),
    ("s3api", "list-objects-v2"): frozenset({"ls", "list-objects"}),
    ("s3api", "create-bucket"): frozenset({"mb"}),
    ("s3api", "delete-bucket"): frozenset({"rb"}),
    ("s3api", "delete-object"): frozenset({"rm"}),
})
"""Commands that do what operations of another name do."""
TRANSFERS = ("cp", "mv", "sync")
"""Of ``aws s3``; which way decides what they do."""
SILENT = frozenset({"-", "--quiet", "--only-show-errors"})
"""With these a transfer does not say what it did."""
FAMILY: Mapping[str, str] = MappingProxyType({"s3api": "s3", "ebs": "ec2"})
"""Services whose commands stand under two names."""
READING = (
    *("list", "describe", "get", "ls", "help", "head", "wait"),
    *("scan", "query", "batch-get", "filter", "lookup", "search", "presign"),
    *("validate", "receive-message", "simulate"),
)
PRETENDING = frozenset({"--generate-cli-skeleton", "--dryrun", "--dry-run"})
"""Options with which a command changes nothing, and says that it succeeded."""
USAGE = 2
"""Exit status of a command that the CLI did not understand."""
_PAGE = re.compile(r"\s*[\w-]+\n\^+\n\s*Description\n")
"""How help begins."""
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
        bare = [word for word in self._own if not word.startswith("-")]
        service, operation, *_ = [*bare[:2], "", ""]
        return service, operation

    @cached_property
    def _own(self) -> list[str]:
        """The words after ``aws`` but for global options, and what they are given."""
        own, skip = [], False
        for word in self.words[1:]:
            if skip:
                skip = False
            elif word.partition("=")[0] in GLOBAL:
                skip = "=" not in word
            else:
                own.append(word)
        return own

    @property
    def given(self) -> list[str]:
        """What its own options are given, and its other words: what it may name."""
        return [
            word.partition("=")[2] if word.startswith("--") else word
            for word in self._own
            if word not in self._names and ("=" in word or not word.startswith("--"))
        ]

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
        if self.service == "s3" and self.operation in TRANSFERS:
            return _transferred(self) | {self.operation}
        return SAME.get(self._names, frozenset()) | {self.operation}

    @property
    def pretends(self) -> bool:
        """Whether it did nothing in spite of its success: help, or a dry run."""
        options = {word.partition("=")[0] for word in self.words}
        page = _PAGE.match(self.ran.output) is not None
        return page or not PRETENDING.isdisjoint(options)

    @property
    def only_reads(self) -> bool:
        """Whether it changed nothing: it reads, or was not even understood."""
        return self.ran.code == USAGE or self.operation.startswith(READING)

    def names(self, resource: str) -> bool:
        """Whether a resource is named as a whole, not as a part of another name."""
        return any(
            found.rstrip(".") == resource or _secret(word) == resource
            for word in self.words
            for found in (word, *_NAMES.findall(word), *word.split("="))
        )


def succeeded(history: Iterable[Executed]) -> list[Executed]:
    """Return the commands that succeeded."""
    return [executed for executed in history if executed.ok]


def family(service: str) -> str:
    """Return the service, under its first name."""
    return FAMILY.get(service, service)


def _transferred(executed: Executed) -> frozenset[str]:
    """Return what a transfer did, as it says itself; nothing if it found nothing."""
    output, done = executed.ran.output, set()
    if not SILENT.isdisjoint(executed.words):
        ends = executed.given
        done.add("get-object" if ends and ends[0].startswith("s3://") else "put-object")
    if re.search(r"(upload|copy|move): .* to s3://", output):
        done.add("put-object")
    if re.search(r"(download|copy|move): s3://.* to ", output):
        done.add("get-object")
    return frozenset(done | ({"copy-object"} if len(done) > 1 else set()))


def _secret(word: str) -> str:
    """Return the name in a secret's ARN, which ends with six characters of its own."""
    found = re.search(r":secret:(.+)-\w{6}$", word)
    return found[1] if found else ""
