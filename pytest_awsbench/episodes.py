"""An episode: what the model did in an environment, turn by turn."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self


StopReason = Literal["eos", "length", "newline", "context"]
"""Why a completion ended: its own end token, ``max_new_tokens``, a first newline
(only where configured), or the model's context window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One prompt, what the model answered, and what the environment made of it."""

    prompt_hash: str
    answer: str
    """What the model said, verbatim, without its reasoning."""
    command: str
    """What was sent."""
    well_formed: bool = True
    """Whether the answer held a command; else `command` is a stand-in."""
    success: bool = True
    output: str = ""
    error: str = ""
    reward: float = 0.0
    progress: float = 0.0
    """The highest of the episode so far, between 0 and 1."""
    hints: int = 0
    """Used so far in the episode."""
    stop: StopReason = "eos"
    tokens: int | None = None
    dropped: int = 0
    """Oldest turns that did not fit into the model's context any more."""
    model_s: float | None = None
    """Seconds from the start of its batch to its last token."""
    env_s: float | None = None
    """Seconds that the environment took."""
    reasoning: str = ""
    """What the model thought aloud before it answered; no later prompt shows it."""
    reasoning_tokens: int | None = None
    """Those of `tokens` that it took; None where they are not told apart."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """One trial of one task, played to its end."""

    seed: int
    achieved: bool
    turns: tuple[Turn, ...]
    cap: int
    """Turns after which it was stopped."""
    tries: int = 1
    """How often it was begun; more than once where infrastructure failed."""

    @property
    def reward(self) -> float:
        """Sum of the rewards of its steps."""
        return sum(turn.reward for turn in self.turns)

    @property
    def steps(self) -> int:
        """Turns taken; an episode that failed counts as the cap."""
        return len(self.turns) if self.achieved else self.cap

    @property
    def progress(self) -> float:
        """Highest progress; an achieved task has 1."""
        return float(self.achieved) or max((t.progress for t in self.turns), default=0)

    @property
    def hints(self) -> int:
        """Hints used."""
        return max((turn.hints for turn in self.turns), default=0)

    @property
    def first_failure(self) -> int | None:
        """The index of the first turn whose command failed."""
        return next((n for n, t in enumerate(self.turns) if not t.success), None)

    @property
    def tokens(self) -> int:
        """Generated tokens."""
        return sum(turn.tokens or 0 for turn in self.turns)

    @property
    def seconds(self) -> float:
        """Seconds in the model and in the environment."""
        return sum((t.model_s or 0.0) + (t.env_s or 0.0) for t in self.turns)

    def to_json(self) -> dict[str, Any]:
        """Return plain values, fit for JSON and for execnet."""
        data = {name: getattr(self, name) for name in self.__slots__}
        return {**data, "turns": [turn.to_json() for turn in self.turns]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        turns = tuple(Turn(**turn) for turn in data["turns"])
        return cls(**{**data, "turns": turns})


@dataclass(frozen=True, slots=True)
class Play:
    """All trials of one task: what an item of suite `env` is answered with."""

    episodes: tuple[Episode, ...]

    @property
    def achieved(self) -> int:
        """How many trials achieved the task."""
        return sum(episode.achieved for episode in self.episodes)

    def to_json(self) -> dict[str, Any]:
        """Return plain values, fit for JSON and for execnet."""
        return {"episodes": [episode.to_json() for episode in self.episodes]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(tuple(Episode.from_json(row) for row in data["episodes"]))
