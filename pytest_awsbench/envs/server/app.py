"""The OpenEnv server around episodes: WebSocket sessions, health, schemas."""

import hmac
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pydantic import BaseModel, Field
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from pytest_awsbench.envs.schema import Task
from pytest_awsbench.envs.server.episode import IDLE, Episode, Rules
from pytest_awsbench.envs.server.openenv import (
    Action,
    Environment,
    EnvironmentMetadata,
    create_fastapi_app,
)
from pytest_awsbench.envs.server.openenv import Observation as BaseObservation
from pytest_awsbench.envs.server.universe import Universe


UNAUTHORIZED = 401
POLICY_VIOLATION = 1008
"""Close code of a WebSocket that was not allowed."""


class Command(Action):  # type: ignore[misc]  # openenv is untyped
    """What an agent does: one AWS CLI command."""

    command: str


class TaskInfo(BaseModel):
    """What an agent may know of its task."""

    task_id: int
    difficulty: str
    description: str
    desired_state_spec: str | None = None


class AwsObservation(BaseObservation):  # type: ignore[misc]
    """What an agent sees."""

    episode_id: str
    step_count: int = Field(ge=0)
    command_success: bool
    command_output: str = ""
    error: str = ""
    task: TaskInfo | None = None
    task_achieved: bool = False
    partial_progress: float = Field(default=0.0, ge=0, le=1)
    hints_used: int = Field(default=0, ge=0)
    hint_text: str = ""


class AwsEnvironment(Environment[Command, AwsObservation, Any]):  # type: ignore[misc]
    """An episode, as openenv wants to have it."""

    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self, open_universe: Callable[[], Universe], rules: Rules) -> None:
        super().__init__()
        self._open = open_universe
        self._rules = rules
        self._episode: Episode | None = None

    def reset(
        self,
        seed: int | None = None,
        episode_id: str | None = None,
        task: dict[str, Any] | None = None,
        **_: object,
    ) -> AwsObservation:
        """Begin an episode; the account is opened with the first one."""
        injected = Task.model_validate(task) if task is not None else None
        return _observation(self._playing().reset(injected, episode_id, seed))

    def step(
        self,
        action: Command,
        timeout_s: float | None = None,
        **_: object,
    ) -> AwsObservation:
        """Run one command."""
        del timeout_s
        return _observation(self._playing().step(action.command))

    @property
    def state(self) -> dict[str, Any]:
        """What is known of the episode."""
        # Asked on the event loop: opening an account would hold up all sessions.
        return dict(IDLE) if self._episode is None else self._episode.state()

    def close(self) -> None:
        """Give the account back."""
        if self._episode is not None:
            self._episode.close()

    def get_metadata(self) -> EnvironmentMetadata:
        """Say what this is."""
        return EnvironmentMetadata(
            name="pytest-awsbench",
            description="AWS CLI tasks on an emulated account",
            version="1.0.0",
        )

    def _playing(self) -> Episode:
        """Return the session's episode."""
        if self._episode is None:
            self._episode = Episode(self._open(), self._rules)
        return self._episode


class Door:
    """Lets in who has the token, where there is one; health is for everybody."""

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app = app
        self._expected = None if token is None else f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request or a connection."""
        kind = scope["type"]
        if kind == "lifespan" or scope["path"] == "/health" or self._known(scope):
            # openenv closes sockets that are closed already.
            with suppress(WebSocketDisconnect):
                await self._app(scope, receive, send)
        elif kind == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})
        else:
            await send({
                "type": "http.response.start",
                "status": UNAUTHORIZED,
                "headers": [],
            })
            await send({"type": "http.response.body", "body": b"token needed"})

    def _known(self, scope: Scope) -> bool:
        """Whether who asks has the token."""
        given = dict(scope["headers"]).get(b"authorization", b"")
        return self._expected is None or hmac.compare_digest(given, self._expected)


def make_app(
    open_universe: Callable[[], Universe],
    rules: Rules,
    sessions: int,
    token: str | None = None,
) -> ASGIApp:
    """Return the server's application.

    Args:
        open_universe: opens an account of its own for a session.
        rules: how episodes are played.
        sessions: most sessions at once.
        token: what clients must send as ``Authorization: Bearer …``.

    """

    def environment() -> AwsEnvironment:
        return AwsEnvironment(open_universe, rules)

    app = create_fastapi_app(
        environment, Command, AwsObservation, max_concurrent_envs=sessions
    )
    return Door(app, token)


def _observation(frame: dict[str, Any]) -> AwsObservation:
    """Return a frame as openenv's type."""
    return AwsObservation(
        **frame["observation"], reward=frame["reward"], done=frame["done"]
    )
