"""Where the sessions of a run come from: an embedded server, a URL, or a factory."""

from collections.abc import Callable
from dataclasses import dataclass, field

from pytest_awsbench.envs.embedded import EmbeddedServer
from pytest_awsbench.envs.protocol import Environment
from pytest_awsbench.errors import InfraError


@dataclass(kw_only=True)
class EnvSource:
    """Opens sessions with the environment of a run."""

    name: str
    """``builtin``, a URL, or what a factory is called."""
    given_url: str = ""
    """Of a server that is already there."""
    server: EmbeddedServer | None = None
    """The embedded one, where this process is to start it."""
    factory: Callable[[], Environment] | None = None
    """A project's own way to a session."""
    timeout: float = 300.0
    """Seconds that one answer may take."""
    token: str | None = None
    allow_accounts: tuple[str, ...] = ()
    _checked: bool = field(default=False, init=False)

    @property
    def url(self) -> str:
        """Where the server listens; empty where a factory opens sessions.

        Raises:
            InfraError: if the embedded server does not start.

        """
        if self.given_url or self.factory is not None:
            return self.given_url
        if self.server is None:
            raise InfraError("no environment: the main process named none")
        return self.server.url

    def connect(self) -> Environment:
        """Open a session; nothing is sent before its first reset."""
        if self.factory is not None:
            return self.factory()
        from pytest_awsbench.envs.client import Client

        return Client(self.url, timeout=self.timeout, token=self.token)

    def preflight(self) -> None:
        """See once that the environment works, and that it is no real account.

        Raises:
            ConfigError: if commands would reach an account that is not allowed.
            InfraError: if it cannot be reached, or does not do what it must.

        """
        if self._checked or self.factory is not None:
            return
        from pytest_awsbench.envs.preflight import preflight

        preflight(
            self.url,
            allow_accounts=("000000000000", *self.allow_accounts),
            timeout=self.timeout,
            token=self.token,
        )
        self._checked = True

    def close(self) -> None:
        """Stop what was started."""
        if self.server is not None:
            self.server.close()
