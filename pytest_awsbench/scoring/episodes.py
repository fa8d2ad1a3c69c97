"""What an episode is worth: one definition per metric.

Summed step rewards pay dawdling: a level of progress is paid again on every step. So
``completion_rate`` is what is gated by default, and reward is shown beside it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean, pstdev
from types import MappingProxyType
from typing import Final

from pytest_awsbench.episodes import Episode, Play


Metric = Callable[[Episode], float]

METRICS: Final[Mapping[str, Metric]] = MappingProxyType({
    "completion_rate": lambda e: float(e.achieved),
    "avg_max_progress": lambda e: e.progress,
    "avg_episode_reward": lambda e: e.reward,
    "avg_steps": lambda e: float(e.steps),
    "hint_usage_rate": lambda e: float(e.hints > 0),
    "format_failure_rate": lambda e: _share(not t.well_formed for t in e.turns),
})
"""Metric → value of one episode; the mean over episodes is what its name says."""
VERSIONS: Final[Mapping[str, int]] = MappingProxyType(dict.fromkeys(METRICS, 1))
NUMBERS: Final = frozenset({"avg_episode_reward", "avg_steps"})
"""Not shares: rewards and turns."""
LOWER: Final = frozenset({"avg_steps", "hint_usage_rate", "format_failure_rate"})
"""Less is better."""
WITHIN: Final = (5, 10, 15)
"""Steps of `recovery_rate`."""
CONDITIONAL: Final[Mapping[str, str]] = MappingProxyType({
    "avg_steps_to_complete": "it is a mean over completed episodes only: completing"
    " more hard tasks makes it worse; gate completion_rate or avg_steps",
    "avg_reward_per_step": "it is a ratio over all steps, to which long episodes"
    " contribute more; gate completion_rate",
    "reward_std": "it is a spread, not a quality; gate completion_rate",
    **{
        f"recovery_rate@{k}": "it is a share of the episodes in which a command"
        " failed, and which these are depends on the model; gate completion_rate"
        for k in WITHIN
    },
})
"""Shown, never gated, and why."""


def trial_scores(play: Play) -> tuple[dict[str, float | None], dict[str, float]]:
    """Return each metric's mean over the trials, and its sum of squares."""
    means: dict[str, float | None] = {}
    squares = {}
    for name, metric in METRICS.items():
        values = [metric(episode) for episode in play.episodes]
        means[name] = fmean(values)
        squares[name] = sum(value * value for value in values)
    return means, squares


def outcome(play: Play) -> str:
    """Return ``complete``, ``partly`` (some trials) or ``incomplete``."""
    if play.achieved == len(play.episodes):
        return "complete"
    return "partly" if play.achieved else "incomplete"


def conditional(episodes: Sequence[Episode]) -> dict[str, float | None]:
    """Return what is a figure of all episodes together, and of no single one."""
    done = [episode.steps for episode in episodes if episode.achieved]
    turns = [turn for episode in episodes for turn in episode.turns]
    return {
        "reward_std": pstdev([e.reward for e in episodes]) if episodes else None,
        "avg_reward_per_step": _mean(turn.reward for turn in turns),
        "avg_steps_to_complete": _mean(map(float, done)),
        **{f"recovery_rate@{k}": recovery_rate(episodes, k) for k in WITHIN},
    }


def recovery_rate(episodes: Iterable[Episode], k: int) -> float | None:
    """Return the share of episodes that recovered: completed soon after a failure.

    Args:
        episodes: any; those in which no command failed do not count.
        k: turns after the first failed one within which the task must be achieved.

    """
    failed = [(e, n) for e in episodes if (n := e.first_failure) is not None]
    return _mean(float(e.achieved and len(e.turns) - 1 - n <= k) for e, n in failed)


def _mean(values: Iterable[float]) -> float | None:
    """Return a mean; None of nothing."""
    known = list(values)
    return fmean(known) if known else None


def _share(flags: Iterable[bool]) -> float:
    """Return the share of what is true; 0 of nothing."""
    return _mean(map(float, flags)) or 0.0
