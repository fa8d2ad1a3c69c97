"""Which of several servers gets the next request, and which gets none any more."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_awsbench.errors import InfraError


STRIKES = 5
"""Failures one after the other after which a replica is dropped."""


@dataclass(slots=True, eq=False)
class Replica:
    """One server of several that serve the same model."""

    url: str
    flying: int = 0
    """Requests in flight."""
    served: int = 0
    """Requests given to it so far."""
    strikes: int = 0
    """Failures since it last answered; those that came together count once."""


class Replicas:
    """Spreads requests; one that is dead is dropped, the last one is not."""

    def __init__(self, urls: Sequence[str]) -> None:
        self.notes: list[str] = []
        self.answered = 0
        """Requests that any replica answered, be it by a refusal."""
        self._alive = [Replica(url) for url in urls]
        self._down = ""
        self._lock = threading.Lock()

    def take(self, but: Replica | None = None) -> tuple[Replica, int]:
        """Return who is least busy, and its strikes; another one after a failure.

        Raises:
            InfraError: if nobody answers any more.

        """
        with self._lock:
            if self._down:
                raise InfraError(self._down)
            others = [r for r in self._alive if r is not but] or self._alive
            chosen = min(others, key=lambda r: (r.flying, r.served))
            chosen.flying += 1
            chosen.served += 1
            return chosen, chosen.strikes

    def answer(self, replica: Replica) -> None:
        """Note that a replica answered."""
        with self._lock:
            replica.flying -= 1
            replica.strikes = 0
            self.answered += 1

    def strike(self, replica: Replica, before: int, why: str) -> None:
        """Note that a replica failed, and drop it if it often did.

        Args:
            replica: which.
            before: its strikes when the request began: of all that are in flight when
                a server stumbles, only the first counts.
            why: for the note.

        """
        with self._lock:
            replica.flying -= 1
            if replica.strikes == before:
                replica.strikes += 1
            if replica.strikes < STRIKES or len(self._alive) == 1:
                return
            if replica in self._alive:
                self._alive.remove(replica)
                self.notes.append(
                    f"replica {replica.url} was dropped after {STRIKES} failures in a"
                    f" row: {why}; the others answered in its place"
                )

    def give_up(self, answered: int, why: str) -> None:
        """Ask nobody any more, unless someone answered since.

        Args:
            answered: the count when the request began that failed for good.
            why: said to all who ask later.

        """
        with self._lock:
            if self.answered == answered:
                self._down = self._down or f"not asked any more, since {why}"
