"""The embedded environment of a run: started for it, gone with it."""

import importlib.util
import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from pytest_awsbench.errors import ConfigError, InfraError


MODULE = "pytest_awsbench.envs.server"
NEEDS = ("openenv", "moto", "awscli", "websockets", "yaml")
"""What the extra [env] brings."""
START_S = 180.0
"""How long the server may take to be ready, seconds; on an idle machine five."""
STOP_S = 15.0


class EmbeddedServer:
    """A server process on the loopback that ends with this one, however that ends."""

    def __init__(self, arguments: Sequence[str], log: Path) -> None:
        """Take what is needed to start.

        Args:
            arguments: flags of ``awsbench env``, without host and port.
            log: where what the server says of itself is kept.

        """
        self._arguments = arguments
        self._log = log
        self._process: subprocess.Popen[str] | None = None
        self._file: IO[str] | None = None
        self._url = ""

    def launch(self) -> None:
        """Start the process; `url` waits until it is ready.

        Raises:
            ConfigError: if the extra [env] is not installed.

        """
        if self._process is not None:
            return
        lacking = [name for name in NEEDS if importlib.util.find_spec(name) is None]
        if lacking:
            raise ConfigError(
                f"the embedded environment needs {', '.join(lacking)}, not installed:"
                ' pip install "pytest-awsbench[env]"'
            )
        self._file = self._log.open("w", encoding="utf-8")
        flags = ["--port=0", "--with-parent", *self._arguments]
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            # Without the working folder, in which anything may lie.
            [sys.executable, "-P", "-m", MODULE, *flags],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._file,
            text=True,
            # Ctrl-C is for pytest; the server ends when its input does.
            start_new_session=True,
        )

    @property
    def url(self) -> str:
        """Where it listens.

        Raises:
            InfraError: if it ended, or is not ready in time.

        """
        self.launch()
        if not self._url:
            self._url = self._announced()
        return self._url

    def close(self) -> None:
        """Stop the process; safe to call twice."""
        process, self._process = self._process, None
        if process is None:
            return
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._file is not None:
            self._file.close()

    def _announced(self) -> str:
        """Wait for the line that says where the server listens."""
        lines: list[str] = []
        assert self._process is not None  # noqa: S101 - launched before
        assert self._process.stdout is not None  # noqa: S101 - a pipe
        reader = threading.Thread(
            target=lambda stream: lines.append(stream.readline()),
            args=(self._process.stdout,),
            daemon=True,
        )
        reader.start()
        reader.join(START_S)
        try:
            return str(json.loads(lines[0])["url"])
        except (IndexError, ValueError, KeyError, TypeError) as error:
            ended = self._process.poll()
            how = f"took over {START_S:.0f} s" if ended is None else f"ended ({ended})"
            raise InfraError(
                f"the embedded environment {how} before it was ready; see {self._log}"
            ) from error
