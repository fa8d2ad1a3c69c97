"""Curves over k as lines of text: pass@k of repeats, recovery after failures."""

from collections.abc import Iterator
from math import inf

from pytest_awsbench.cells import percent
from pytest_awsbench.episodes import Episode, Play
from pytest_awsbench.ledger import Account
from pytest_awsbench.scoring.episodes import WITHIN
from pytest_awsbench.stats.curves import (
    Share,
    mean_share,
    pass_at_k,
    pass_hat_k,
    recovery_curve,
)
from pytest_awsbench.stats.tango import Interval


def curve_lines(account: Account) -> Iterator[str]:
    """Yield pass@k and pass^k of the primary metric, where items were repeated."""
    metric = account.suite.primary
    results = [
        (sample, account.results[sample.id])
        for sample in account.suite.samples
        if account.results[sample.id].scores.get(metric) is not None
    ]
    k = min((result.k for _, result in results), default=1)
    counts = [(r.scores[metric] or 0.0) * r.k for _, r in results]
    wins, runs = [round(count) for count in counts], [r.k for _, r in results]
    if k == 1 or not all(
        abs(count - won) < 1e-6 and 0 <= won <= of  # noqa: PLR2004 - only rounding
        for count, won, of in zip(counts, wins, runs, strict=True)
    ):
        return
    clusters = [sample.task_id for sample, _ in results]
    for name, chance in (("pass@", pass_at_k), ("pass^", pass_hat_k)):
        values = chance(wins, runs, k)
        yield f" {metric}, {name}{k}: {_shown(mean_share(values, clusters))}"


def recovery_line(account: Account) -> str:
    """Return which share of episodes with a failed command was completed soon after.

    The band holds at all k at once, from 0 to the largest.
    """
    steps, clusters = [], []
    for sample in account.suite.samples:
        play = account.results[sample.id].completion
        for episode in play.episodes if isinstance(play, Play) else ():
            turns = _recovery(episode)
            if turns is not None:
                steps.append(turns)
                clusters.append(sample.task_id)
    name = f"recovery_rate@{'/'.join(map(str, WITHIN))}"
    if not steps:
        return f"{name}: no command failed"
    curve = recovery_curve(steps, clusters, max(WITHIN))
    at = [(curve.rates[k - 1], curve.band[k - 1]) for k in WITHIN]
    points = [f"{percent(rate)} ({_span(band)})" for rate, band in at]
    return (
        f"{name} of {len(steps)} episodes with a failed command, never gated:"
        f" {', '.join(points)}; 90% band"
    )


def _recovery(episode: Episode) -> float | None:
    """Return the turns from the first failed command to the end of the task."""
    first = episode.first_failure
    if first is None:
        return None
    return float(len(episode.turns) - 1 - first) if episode.achieved else inf


def _shown(share: Share) -> str:
    """Return a share with its interval."""
    return f"{percent(share.mean)} (90% CI {_span(share.interval)})"


def _span(interval: Interval) -> str:
    """Return an interval of shares, in percent."""
    return f"{100 * interval.low:.1f} ... {100 * interval.high:.1f}"
