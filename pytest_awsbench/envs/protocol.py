"""What an environment is to the agent loop, and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What an environment shows after a reset or a step."""

    step: int = 0
    """Steps of this episode so far, as the environment counts them."""
    success: bool = True
    """Whether the command succeeded."""
    output: str = ""
    error: str = ""
    reward: float = 0.0
    """Of this step alone."""
    done: bool = False
    achieved: bool = False
    """Whether the task is done as it was asked."""
    progress: float = 0.0
    """Between 0 and 1, as sent: a server may show less than before."""
    hints: int = 0
    """Hints used so far."""
    hint: str = ""


class Environment(Protocol):
    """One session: an episode at a time. Errors of infrastructure are `InfraError`."""

    def reset(
        self,
        task: Mapping[str, Any] | None = None,
        *,
        seed: int | None = None,
        episode_id: str | None = None,
    ) -> Observation:
        """Begin an episode in an empty world.

        Args:
            task: the task to inject, as plain values; None lets the server choose.
            seed: of everything in the episode that is drawn.
            episode_id: what the server shall call it.

        """
        ...

    def step(self, command: str) -> Observation:
        """Run one command."""
        ...

    def state(self) -> Mapping[str, Any]:
        """Return what the server keeps of the episode, as it sends it."""
        ...

    def close(self) -> None:
        """End the session; safe to call twice."""
        ...
