"""The AWS CLI in process: a fresh session per command, on parts that are loaded once.

awscli must be imported before moto: it brings a botocore of its own under that name.
"""

import copy
import io
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import awscli.clidriver as cli
import awscli.help
import awscli.paramfile
from awscli import EnvironmentVariables
from awscli.bcdoc.textwriter import TextWriter
from awscli.customizations.s3 import s3handler
from awscli.s3transfer.futures import NonThreadedExecutor
from botocore.awsrequest import AWSResponse
from botocore.httpsession import URLLib3Session
from botocore.session import Session
from docutils.core import publish_string

from pytest_awsbench.envs.server.universe import Ran


MAX_OUTPUT = 1_000_000
"""Characters of output that are kept."""
LIMIT_S = 5.0
"""Seconds of CPU that a command may take: a busy machine is not the model's fault."""
WALL_S = 60.0
"""Seconds after which it is stopped anyway."""
TIMED_OUT = 124
_ADVERT = re.compile(r"^usage: \rNote: AWS CLI version 2.*?\n\nusage: ", re.DOTALL)
_CHOICES = re.compile(r"(Invalid choice), valid choices are:\n\n(?:[^\n]+\n)+")

Answer = Callable[..., AWSResponse]
"""The emulator: answers a signed request, given with the name of its event."""


class Late(BaseException):
    """A command took too long."""


class Driver:
    """Runs commands; nothing of one is left for the next."""

    def __init__(self, answer: Answer) -> None:
        _tame()
        driver = cli.create_clidriver()
        self._session = driver.session
        self._events = self._session._original_handler  # noqa: SLF001 - no public way
        self._events.register_first("before-send", answer)
        self._parts = {
            name: self._session.get_component(name)
            for name in ("data_loader", "endpoint_resolver")
        }

    def on(self, event: str, handler: Callable[..., Any]) -> None:
        """Have a handler called in every command."""
        self._events.register(event, handler)

    def run(self, arguments: Sequence[str]) -> Ran:
        """Run a command, given without ``aws``."""
        with _streams() as (output, error):
            try:
                with _limited():
                    code = self._driver().main(list(arguments))
            except SystemExit as stop:
                code = stop.code if isinstance(stop.code, int) else 1
            except Late:
                return Ran(TIMED_OUT, "", f"Command timed out after {LIMIT_S:.0f}s")
            return Ran(int(code or 0), _text(output), tidied(_text(error)))

    def _driver(self) -> Any:  # noqa: ANN401 - of awscli
        """Return a driver with a session of its own."""
        session = Session(
            EnvironmentVariables,
            copy.copy(self._events),
            include_builtin_handlers=False,
        )
        for name, part in self._parts.items():
            session.register_component(name, part)
        session.set_credentials("AKIAIOSFODNN7EXAMPLE", "test")
        session.user_agent_name = "aws-cli"
        return cli.CLIDriver(session=session)


def tidied(error: str) -> str:
    """Return an error without advertising, and without lists of all there is.

    Version 2 of the CLI shows neither; a list of 300 services would be all that a model
    still sees of its episode.
    """
    return _CHOICES.sub(r"\1\n", _ADVERT.sub("\nusage: ", error))


class PlainHelp:
    """Writes help as plain text: no pager, no typesetting program."""

    def render(self, contents: bytes) -> None:
        """Write a page."""
        text = publish_string(contents, writer=TextWriter())
        sys.stdout.write(text.decode() if isinstance(text, bytes) else text)


def _tame() -> None:
    """Take from the CLI what reaches outside of it."""
    sys.argv[:] = ["aws"]
    awscli.help.get_renderer = PlainHelp
    # Values such as http://… are text, and $NAME in a file's name is not expanded.
    awscli.paramfile.REMOTE_PREFIX_MAP.clear()
    awscli.paramfile.os = _NoExpansion()
    URLLib3Session.send = _no_network
    # Threads would finish in an order of their own.
    s3handler.TransferManager = partial(
        s3handler.TransferManager, executor_cls=NonThreadedExecutor
    )


class _NoExpansion:
    """Stands for `os` where the CLI reads files: names are what they are."""

    path = type(
        "path", (), {"expandvars": staticmethod(str), "expanduser": staticmethod(str)}
    )

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any of os
        return getattr(os, name)


def _no_network(self: Any, request: Any) -> Any:  # noqa: ANN401 - of botocore
    """Refuse a request that the emulator did not answer."""
    del self
    raise ConnectionError(f"no network here: {request.url}")


@contextmanager
def _streams() -> Iterator[tuple[io.TextIOWrapper, io.TextIOWrapper]]:
    """Stand in for the standard streams; the input is empty."""
    old = sys.stdin, sys.stdout, sys.stderr
    fresh = [io.TextIOWrapper(io.BytesIO(), "utf-8", "replace") for _ in range(3)]
    sys.stdin, sys.stdout, sys.stderr = fresh
    try:
        yield fresh[1], fresh[2]
    finally:
        sys.stdin, sys.stdout, sys.stderr = old


@contextmanager
def _limited() -> Iterator[None]:
    """Stop what takes too long."""

    def late(*_: object) -> None:
        raise Late

    timers = {
        signal.SIGPROF: (signal.ITIMER_PROF, LIMIT_S),
        signal.SIGALRM: (signal.ITIMER_REAL, WALL_S),
    }
    before = {name: signal.signal(name, late) for name in timers}
    for timer, seconds in timers.values():
        signal.setitimer(timer, seconds)
    try:
        yield
    finally:
        for timer, _ in timers.values():
            signal.setitimer(timer, 0)
        for name, handler in before.items():
            signal.signal(name, handler)


def _text(stream: io.TextIOWrapper) -> str:
    """Return what was written, up to a bound."""
    stream.flush()
    buffer: Any = stream.buffer
    text = str(buffer.getvalue()[: 4 * MAX_OUTPUT].decode("utf-8", "replace"))
    if len(text) > MAX_OUTPUT:
        return f"{text[:MAX_OUTPUT]}\n… (cut: over {MAX_OUTPUT:,} characters)\n"
    return text
