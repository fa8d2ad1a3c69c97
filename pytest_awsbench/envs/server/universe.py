"""The seam between grading and emulation: a world that runs commands."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command did."""

    code: int
    """Exit status: 0, 1, 2 (usage), 255 (an error that the service answered)."""
    output: str
    error: str

    @property
    def ok(self) -> bool:
        """Whether it succeeded."""
        return self.code == 0


class Universe(Protocol):
    """An isolated, empty account that one session owns."""

    def reset(self, seed: int) -> None:
        """Empty the account; from here on the seed decides everything drawn."""
        ...

    def run(self, command: str) -> Ran:
        """Run an AWS CLI command, as text, without a shell."""
        ...

    def close(self) -> None:
        """Give the account back."""
        ...
