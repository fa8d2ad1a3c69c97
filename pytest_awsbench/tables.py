"""The tables of a run, as lines of text."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean

from pytest_awsbench.cells import aligned, change, number, points, value
from pytest_awsbench.curvelines import curve_lines, recovery_line
from pytest_awsbench.episodes import Episode, Play
from pytest_awsbench.figures import Figures, SideBySide
from pytest_awsbench.flips import Flip, other_metric
from pytest_awsbench.gates import Group, Verdict
from pytest_awsbench.ledger import Account
from pytest_awsbench.measuring import KINDS, easy_first
from pytest_awsbench.records import Completion, Draws
from pytest_awsbench.reproducing import same_model_lines
from pytest_awsbench.scoring.episodes import conditional
from pytest_awsbench.suites.suite import Suite
from pytest_awsbench.throughput import speed_line
from pytest_awsbench.truncation import truncation_lines, truncation_of
from pytest_awsbench.verdicts import amount, interval, p_text


HEADS = ("metric", "baseline", "change", "noise floor", "90% CI", "verdict")


def suite_lines(
    account: Account, figures: Figures, flips: Sequence[Flip], named: int | None
) -> Iterator[str]:
    """Yield one model's table on one suite, then tiers, sources and flips.

    Args:
        account: a complete one.
        figures: what it shows.
        flips: the items that changed.
        named: how many of these to name; None for all.

    """
    yield from aligned([_heads(account), *_rows(account, figures)])
    for verdict in account.verdicts:
        yield from (f"  {verdict.name}: {note}" for note in verdict.notes)
    primary = account.suite.primary
    for by in KINDS:
        yield from _groups(figures, primary, by)
    yield from _changes_by_group(account, primary)
    if named is None:
        for metric in account.suite.scorers:
            if metric != primary:
                yield from _groups(figures, metric, "tier")
    yield from _footer(account, figures)
    yield from same_model_lines(account)
    yield from _flips(account, flips, named)


def comparison_lines(
    suite: Suite, figures: Mapping[str, Figures], compared: Sequence[SideBySide]
) -> Iterator[str]:
    """Yield models of one run side by side, with each difference to the first.

    Args:
        suite: what all of them answered.
        figures: what each model shows, by name, in the order of the run.
        compared: each but the first with the first.

    """
    first = compared[0].first
    heads = ["metric", *figures, *(f"{pair.other} - {first}" for pair in compared)]
    rows = [heads]
    for place, metric in enumerate(suite.scorers):
        unit = suite.unit(metric)
        means = [one.means.get(metric) for one in figures.values()]
        rows.append([
            metric,
            *(value(mean.mean if mean else None, unit) for mean in means),
            *(_difference(pair.verdicts[place]) for pair in compared),
        ])
    yield from aligned(rows)


def _heads(account: Account) -> list[str]:
    """Return the heads of the columns; without a baseline only two."""
    heads = [HEADS[0], account.model.name]
    if any(v.old is not None for v in account.verdicts) or account.baseline:
        heads += HEADS[1:]
    return heads


def _rows(account: Account, figures: Figures) -> Iterator[list[str]]:
    """Yield a row per gate, then per metric that no gate judges, for orientation."""
    for verdict in account.verdicts:
        yield verdict_cells(verdict, gated=True)
    for verdict in figures.ungated:
        yield verdict_cells(verdict, gated=False)


def verdict_cells(verdict: Verdict, *, gated: bool) -> list[str]:
    """Return one verdict as the cells below `HEADS` and the model's name."""
    cells = [_label(verdict), value(verdict.new, verdict.unit)]
    if verdict.old is None or verdict.change is None:
        missed = (
            f"MISSED: {verdict.threshold_missed}" if verdict.threshold_missed else ""
        )
        return [*cells, *([""] * 4 if missed else []), *([missed] if missed else [])]
    floor = verdict.noise_floor
    return [
        *cells,
        value(verdict.old, verdict.unit),
        amount(verdict, verdict.change),
        "n/a" if floor is None else amount(verdict, floor, ""),
        interval(verdict),
        _judgement(verdict, gated=gated),
    ]


def _label(verdict: Verdict) -> str:
    """Return what is judged; which way is better only where it is not up."""
    text = verdict.metric
    extra = verdict.name.removeprefix("gate-").removeprefix(verdict.metric)
    if extra and not verdict.against:
        text += f" ({extra.lstrip('-')})"
    if verdict.direction == "lower":
        text += " ↓"
    return text + (f" vs {verdict.against}" if verdict.against else "")


def _judgement(verdict: Verdict, *, gated: bool) -> str:
    """Return the verdict in words; in small letters where it is not gated."""
    text = verdict.word if gated else verdict.word.lower().replace("_", " ")
    if verdict.threshold_missed:
        text += f"  MISSED: {verdict.threshold_missed}"
    if gated and verdict.p is not None:
        text += f"  {p_text(verdict.p)}"
        if verdict.p_holm is not None:
            text += f" (Holm {p_text(verdict.p_holm)})"
        if verdict.test == "unpaired":
            return f"{text}, unpaired"
        what = "tasks" if verdict.test == "continuous" else "answers"
        text += (
            f", {verdict.changed} {what} changed:"
            f" {verdict.worse} worse, {verdict.better} better"
        )
    return text


def _groups(figures: Figures, metric: str, by: str) -> Iterator[str]:
    """Yield a metric by tier or by source, on one line."""
    found = [
        (group.name, group.means[metric])
        for group in figures.groups[by]
        if metric in group.means
    ]
    if found:
        means = "  ".join(f"{name or '-'} {value(m.mean, m.unit)}" for name, m in found)
        yield f" {metric} by {by}: {means}"


def _changes_by_group(account: Account, metric: str) -> Iterator[str]:
    """Yield where a metric changed against the baseline: for orientation, not gated."""
    verdict = next(
        (v for v in account.verdicts if v.metric == metric and v.groups), None
    )
    if verdict is None or not verdict.changed:
        return
    for by in ("tier", "source"):
        groups = [g for g in verdict.groups if g.by == by and g.old != g.new]
        if groups:
            ordered = sorted(groups, key=lambda group: easy_first(group.name))
            yield f" change by {by}, not gated: {'  '.join(map(_moved, ordered))}"


def _moved(group: Group) -> str:
    """Return the change of a group, with its q value."""
    q = p_text(group.q).replace("p", "q", 1)
    return f"{group.name or '-'} {points(group.new - group.old)} ({q}, n={group.n})"


def _footer(account: Account, figures: Figures) -> Iterator[str]:
    """Yield what no item has by itself: lengths of answers, or figures of episodes."""
    answers = [result.completion for result in account.results.values()]
    completions = [answer for answer in answers if isinstance(answer, Completion)]
    drawn = [answer for answer in answers if isinstance(answer, Draws)]
    completions += [one for answer in drawn for one in answer.completions]
    episodes = [e for a in answers if isinstance(a, Play) for e in a.episodes]
    if completions:
        yield _lengths(completions)
    units = {metric: account.suite.unit(metric) for metric in account.suite.ordered}
    for text in truncation_lines(truncation_of(account), units):
        yield f" {text}"
    yield from curve_lines(account)
    if episodes:
        yield from _episode_lines(account, figures, episodes)
    # What was recorded was not made here.
    if account.throughput is not None and account.model.backend != "replay":
        yield speed_line(account.throughput)


def _episode_lines(
    account: Account, figures: Figures, episodes: Sequence[Episode]
) -> Iterator[str]:
    """Yield conditional figures, which are shown and never gated."""
    found = conditional(episodes)
    yield (
        f" of all {len(episodes)} episodes, never gated:"
        f" reward_std {number(found['reward_std'])},"
        f" avg_reward_per_step {number(found['avg_reward_per_step'])},"
        f" avg_steps_to_complete {number(found['avg_steps_to_complete'])}"
    )
    yield f" {recovery_line(account)}"
    again = sum(episode.tries > 1 for episode in episodes)
    thought = sum(turn.reasoning_tokens or 0 for e in episodes for turn in e.turns)
    reasoning = f" ({thought / len(episodes):.1f} of reasoning)" if thought else ""
    yield (
        f" mean episode: {fmean(e.tokens for e in episodes):.1f} tokens{reasoning},"
        f" {fmean(e.seconds for e in episodes):.2f} s"
        + (f"; {again} begun again after faults of infrastructure" if again else "")
    )
    if _disagree(figures):
        yield (
            " warning: reward and completion disagree: reward rose, completion did not;"
            " a level of progress is paid on every step, so dawdling pays"
        )


def _disagree(figures: Figures) -> bool:
    """Whether reward rose against the baseline where completion did not."""
    reward, done = (
        change(mean.mean, mean.old) if (mean := figures.means.get(metric)) else None
        for metric in ("avg_episode_reward", "completion_rate")
    )
    return reward is not None and done is not None and reward > 0 >= done


def _lengths(completions: Sequence[Completion]) -> str:
    """Return mean raw length, tokens and latency, and what was cut off."""
    parts = [f"{fmean(len(c.text) for c in completions):.0f} characters"]
    tokens = [c.tokens for c in completions if c.tokens is not None]
    if tokens:
        parts.append(f"{fmean(tokens):.1f} tokens")
    thought = [c.reasoning_tokens for c in completions if c.reasoning_tokens]
    if thought:
        # A server that does not count them is no model that is brief.
        many = "" if len(thought) == len(completions) else f" in {len(thought)} answers"
        parts.append(f"{fmean(thought):.1f} of reasoning{many}")
    elif said := [len(c.reasoning) for c in completions if c.reasoning]:
        parts.append(f"{fmean(said):.0f} characters of reasoning")
    latencies = [c.latency for c in completions if c.latency is not None]
    if latencies:
        parts.append(f"{fmean(latencies):.2f} s in its batch")
    line = f" mean answer: {', '.join(parts)}"
    cut = sum(c.stop in {"length", "context"} for c in completions)
    ties = sum(c.near_ties > 0 for c in completions)
    line += f"; {cut} cut off" if cut else ""
    return line + (f"; {ties} with near-ties" if ties else "")


def _flips(account: Account, flips: Sequence[Flip], named: int | None) -> Iterator[str]:
    """Yield the items that changed, against what the first gate compares with."""
    if not flips:
        return
    shown = [flip for flip in flips if flip.against == flips[0].against]
    worse = sum(flip.kind == "regressed" for flip in shown)
    prefix = f"awsbench::{account.model.name}::{account.suite.name}"
    yield f"flips: {worse} regressed, {len(shown) - worse} fixed"
    for flip in shown[:named]:
        metric = other_metric(flip.metric, account.suite.primary)
        yield f"  {flip.kind:9} {prefix}::{flip.id}{f' ({metric})' if metric else ''}"
    if named is not None and len(shown) > named:
        yield f"  … {len(shown) - named} more with -v"


def _difference(verdict: Verdict) -> str:
    """Return a difference with its interval."""
    if verdict.change is None:
        return ""
    return f"{amount(verdict, verdict.change)} ({interval(verdict)})"
