"""How fast answers came: per model and suite, from the times at which they arrived."""

from dataclasses import dataclass, field
from typing import Any


POINTS = 200
"""Of a timeline, at most."""


@dataclass
class Pace:
    """Collects when items of each key were reported, in seconds since the start."""

    times: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    _last: float = 0.0
    _begun: dict[tuple[str, str], float] = field(default_factory=dict)

    def add(self, key: tuple[str, str], seconds: float) -> None:
        """Count one item of a model and suite."""
        # What another model took before is not this one's.
        self._begun.setdefault(key, self._last)
        self.times.setdefault(key, []).append(seconds)
        self._last = seconds

    def throughput(
        self, key: tuple[str, str], tokens: int | None
    ) -> dict[str, Any] | None:
        """Return items and tokens per second; None where nothing was answered.

        Args:
            key: model and suite.
            tokens: generated for these items; None where the backend does not count.

        """
        times = self.times.get(key)
        if not times:
            return None
        start = self._begun[key]
        seconds = times[-1] - start
        return {
            "items": len(times),
            "seconds": round(seconds, 3),
            "items_per_s": _rate(len(times), seconds),
            "tokens_per_s": None if tokens is None else _rate(tokens, seconds),
            "timeline": _thinned([
                [round(at - start, 3), n] for n, at in enumerate(times, start=1)
            ]),
        }


def _rate(count: int, seconds: float) -> float | None:
    """Return a rate; None of no time at all."""
    return round(count / seconds, 3) if seconds > 0 else None


def _thinned(points: list[list[float]]) -> list[list[float]]:
    """Return at most `POINTS` points, the last one among them.

    >>> len(_thinned([[float(n), n] for n in range(1001)]))
    200
    """
    if len(points) <= POINTS:
        return points
    step = (len(points) - 1) / (POINTS - 1)
    return [points[round(n * step)] for n in range(POINTS)]
