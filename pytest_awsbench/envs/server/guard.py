"""What a command may do to the machine: read libraries, use its scratch folder.

An audit hook (PEP 578) that denies by default while a command runs. It is no jail for
hostile Python: here fixed code runs with hostile arguments.
"""

import errno
import os
import resource
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any


READABLE = tuple({
    os.path.realpath(sysconfig.get_path(name))
    for name in ("stdlib", "platstdlib", "purelib", "platlib")
})
"""Libraries, which are loaded as they are needed."""
OURS = os.path.realpath(Path(__file__).parents[2])
"""This package: its tasks have their solutions beside them."""
HARMLESS = frozenset({os.devnull, "/dev/urandom"})
MEMORY = 4 << 30
FILE = 64 << 20
"""Largest file that may be written, bytes."""


class Guard:
    """Armed while a command runs."""

    def __init__(self) -> None:
        self._scratch: str | None = None
        sys.addaudithook(self._audit)

    @contextmanager
    def armed(self, scratch: Path) -> Iterator[None]:
        """Deny everything outside of a scratch folder."""
        self._scratch = os.path.realpath(scratch)
        try:
            yield
        finally:
            self._scratch = None

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Decide about one event."""
        if self._scratch is None:
            return
        rule = RULES.get(event)
        if rule is None:
            rule = next((r for p, r in FAMILIES.items() if event.startswith(p)), None)
        if rule is not None:
            rule(self._scratch, arguments)


Rule = Callable[[str, tuple[Any, ...]], None]


def _never(scratch: str, arguments: tuple[Any, ...]) -> None:
    """Deny."""
    del scratch
    raise PermissionError(
        errno.EACCES, "not possible in this environment", str(arguments[:1])
    )


def _opened(scratch: str, arguments: tuple[Any, ...]) -> None:
    """Allow reading libraries, and anything in the scratch folder."""
    path, mode, flags = arguments
    if not isinstance(path, str | bytes | os.PathLike):
        return
    real = os.path.realpath(os.fsdecode(path))
    writes = bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)) or (
        isinstance(mode, str) and not set(mode).isdisjoint("wax+")
    )
    if real in HARMLESS or _inside(real, scratch):
        return
    if writes:
        raise PermissionError(errno.EACCES, "Permission denied", os.fsdecode(path))
    if _inside(real, OURS) or not any(_inside(real, folder) for folder in READABLE):
        raise FileNotFoundError(
            errno.ENOENT, "No such file or directory", os.fsdecode(path)
        )


def _listed(scratch: str, arguments: tuple[Any, ...]) -> None:
    """Allow listing of libraries and of the scratch folder."""
    path = arguments[0] if arguments and arguments[0] is not None else "."
    if not isinstance(path, int):
        _opened(scratch, (path, "r", 0))


def _changed(scratch: str, arguments: tuple[Any, ...]) -> None:
    """Allow changes in the scratch folder."""
    for path in arguments:
        if isinstance(path, str | bytes | os.PathLike):
            real = os.path.realpath(os.fsdecode(path))
            if not _inside(real, scratch):
                raise PermissionError(
                    errno.EACCES, "Permission denied", os.fsdecode(path)
                )


def _inside(path: str, folder: str) -> bool:
    """Whether a real path stands in a folder."""
    return path == folder or path.startswith(folder + os.sep)


RULES: Mapping[str, Rule] = MappingProxyType({
    "open": _opened,
    "os.listdir": _listed,
    "os.scandir": _listed,
    "os.walk": _listed,
    **dict.fromkeys(
        (
            "os.remove",
            "os.rename",
            "os.rmdir",
            "os.mkdir",
            "os.truncate",
            "os.chmod",
            "os.chown",
            "os.utime",
            "os.link",
            "os.symlink",
            "os.setxattr",
            "os.removexattr",
        ),
        _changed,
    ),
    **dict.fromkeys(
        (
            "os.system",
            "os.fork",
            "os.forkpty",
            "os.kill",
            "os.killpg",
            "os.putenv",
            "os.unsetenv",
            "os.chdir",
            "os.fchdir",
            "os.startfile",
            "pty.spawn",
            "ctypes.dlopen",
            "webbrowser.open",
            "signal.pthread_kill",
        ),
        _never,
    ),
})
FAMILIES: Mapping[str, Rule] = MappingProxyType(
    dict.fromkeys(
        (
            "subprocess.",
            "os.exec",
            "os.spawn",
            "os.posix_spawn",
            "socket.connect",
            "socket.bind",
            "socket.getaddrinfo",
            "socket.gethostby",
            "socket.getnameinfo",
            "socket.sendto",
            "socket.sendmsg",
            "urllib.",
            "http.client.",
            "ftplib.",
            "smtplib.",
            "telnetlib.",
            "imaplib.",
            "poplib.",
            "nntplib.",
        ),
        _never,
    )
)


def limit_resources() -> None:
    """Bound memory and files of this process."""
    for what, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_FSIZE, FILE)):
        _, hard = resource.getrlimit(what)
        if hard == resource.RLIM_INFINITY or hard > most:
            resource.setrlimit(what, (most, most))
