"""The tables of a run, as lines of text."""

from collections.abc import Iterator, Sequence
from statistics import fmean

from pytest_awsbench.cells import aligned, change, number, percent, points
from pytest_awsbench.curvelines import curve_lines, recovery_line
from pytest_awsbench.episodes import Episode, Play
from pytest_awsbench.gates import Gate, Group, Verdict
from pytest_awsbench.judging import judge
from pytest_awsbench.ledger import Account, arm_of
from pytest_awsbench.pairing import mean_of, weighted
from pytest_awsbench.records import Arm, Completion, Draws
from pytest_awsbench.reproducing import same_model_lines
from pytest_awsbench.scoring.episodes import conditional
from pytest_awsbench.throughput import speed_line
from pytest_awsbench.verdicts import amount, interval, p_text


TIERS = ("warmup", "beginner", "intermediate", "advanced", "expert")
HEADS = ("metric", "baseline", "change", "noise floor", "90% CI", "verdict")


def suite_lines(account: Account, flips: int | None) -> Iterator[str]:
    """Yield one model's table on one suite, then tiers, sources and flips.

    Args:
        account: a complete one.
        flips: how many changed items to name; None for all.

    """
    yield from aligned([_heads(account), *_rows(account)])
    for verdict in account.verdicts:
        yield from (f"  {verdict.name}: {note}" for note in verdict.notes)
    primary = account.suite.primary
    for by in ("tier", "source"):
        yield from _groups(account, primary, by)
    yield from _changes_by_group(account, primary)
    if flips is None:
        for metric in account.suite.scorers:
            if metric != primary:
                yield from _groups(account, metric, "tier")
    yield from _footer(account)
    yield from same_model_lines(account)
    yield from _flips(account, flips)


def comparison_lines(accounts: Sequence[Account]) -> Iterator[str]:
    """Yield models of one run side by side, with each difference to the first."""
    arms = [_arm(account) for account in accounts]
    first = accounts[0]
    names = [account.model.name for account in accounts]
    heads = ["metric", *names, *(f"{n} - {names[0]}" for n in names[1:])]
    rows = [heads]
    for metric in first.suite.scorers:
        means = [_mean(account, metric) for account in accounts]
        shown = number if metric in first.suite.numbers else percent
        gate = _orienting(first, metric)
        verdicts = [judge(gate, arm, arms[0]) for arm in arms[1:]]
        rows.append([metric, *map(shown, means), *map(_difference, verdicts)])
    yield from aligned(rows)


def _heads(account: Account) -> list[str]:
    """Return the heads of the columns; without a baseline only two."""
    heads = [HEADS[0], account.model.name]
    if any(v.old is not None for v in account.verdicts) or account.baseline:
        heads += HEADS[1:]
    return heads


def _rows(account: Account) -> Iterator[list[str]]:
    """Yield a row per gate, then per metric that no gate judges, for orientation."""
    for verdict in account.verdicts:
        yield _row(verdict, gated=True)
    gated = {verdict.metric for verdict in account.verdicts}
    new = _arm(account)
    old = account.baseline.arm("baseline") if account.baseline else None
    for metric in account.suite.scorers:
        if metric in gated:
            continue
        yield _row(judge(_orienting(account, metric), new, old), gated=False)


def _orienting(account: Account, metric: str) -> Gate:
    """Return a gate on a metric that none is configured for."""
    suite = account.suite
    return Gate(
        suite=suite.name,
        metric=metric,
        unit="number" if metric in suite.numbers else "share",
        direction="lower" if metric in suite.lower else "higher",
    )


def _row(verdict: Verdict, *, gated: bool) -> list[str]:
    """Return one verdict as cells."""
    shown = number if verdict.unit == "number" else percent
    cells = [_label(verdict), shown(verdict.new)]
    if verdict.old is None or verdict.change is None:
        missed = (
            f"MISSED: {verdict.threshold_missed}" if verdict.threshold_missed else ""
        )
        return [*cells, *([""] * 4 if missed else []), *([missed] if missed else [])]
    floor = verdict.noise_floor
    return [
        *cells,
        shown(verdict.old),
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


def _groups(account: Account, metric: str, by: str) -> Iterator[str]:
    """Yield a metric by tier or by source, on one line."""
    groups: dict[str, list[tuple[float, float]]] = {}
    for sample in account.suite.samples:
        value = account.results[sample.id].scores.get(metric)
        if value is not None:
            groups.setdefault(getattr(sample, by), []).append((value, sample.weight))
    if groups and set(groups) != {""}:
        shown = number if metric in account.suite.numbers else percent
        names = sorted(groups, key=_easy_first)
        means = "  ".join(
            f"{n or '-'} {shown(weighted(*zip(*groups[n], strict=True)))}"
            for n in names
        )
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
            ordered = sorted(groups, key=lambda group: _easy_first(group.name))
            yield f" change by {by}, not gated: {'  '.join(map(_moved, ordered))}"


def _moved(group: Group) -> str:
    """Return the change of a group, with its q value."""
    q = p_text(group.q).replace("p", "q", 1)
    return f"{group.name or '-'} {points(group.new - group.old)} ({q}, n={group.n})"


def _easy_first(name: str) -> int:
    """Order the usual tiers by difficulty; others keep the order of the data."""
    return TIERS.index(name) if name in TIERS else len(TIERS)


def _footer(account: Account) -> Iterator[str]:
    """Yield what no item has by itself: lengths of answers, or figures of episodes."""
    answers = [result.completion for result in account.results.values()]
    completions = [answer for answer in answers if isinstance(answer, Completion)]
    drawn = [answer for answer in answers if isinstance(answer, Draws)]
    completions += [one for answer in drawn for one in answer.completions]
    episodes = [e for a in answers if isinstance(a, Play) for e in a.episodes]
    if completions:
        yield _lengths(completions)
    yield from curve_lines(account)
    if episodes:
        yield from _episode_lines(account, episodes)
    if account.throughput is not None:
        yield speed_line(account.throughput)


def _episode_lines(account: Account, episodes: Sequence[Episode]) -> Iterator[str]:
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
    yield (
        f" mean episode: {fmean(e.tokens for e in episodes):.1f} tokens,"
        f" {fmean(e.seconds for e in episodes):.2f} s"
        + (f"; {again} begun again after faults of infrastructure" if again else "")
    )
    if account.baseline is not None and _disagree(account):
        yield (
            " warning: reward and completion disagree: reward rose, completion did not;"
            " a level of progress is paid on every step, so dawdling pays"
        )


def _disagree(account: Account) -> bool:
    """Whether reward rose against the baseline where completion did not."""
    assert account.baseline is not None  # noqa: S101 - asked only with one
    new, old = _arm(account), account.baseline.arm("baseline")
    reward, done = (
        change(mean_of(new.items.values(), m), mean_of(old.items.values(), m))
        for m in ("avg_episode_reward", "completion_rate")
    )
    return reward is not None and done is not None and reward > 0 >= done


def _lengths(completions: Sequence[Completion]) -> str:
    """Return mean raw length, tokens and latency, and what was cut off."""
    parts = [f"{fmean(len(c.text) for c in completions):.0f} characters"]
    tokens = [c.tokens for c in completions if c.tokens is not None]
    if tokens:
        parts.append(f"{fmean(tokens):.1f} tokens")
    latencies = [c.latency for c in completions if c.latency is not None]
    if latencies:
        parts.append(f"{fmean(latencies):.2f} s in its batch")
    line = f" mean answer: {', '.join(parts)}"
    cut = sum(c.stop in {"length", "context"} for c in completions)
    ties = sum(c.near_ties > 0 for c in completions)
    line += f"; {cut} cut off" if cut else ""
    return line + (f"; {ties} with near-ties" if ties else "")


def _flips(account: Account, shown: int | None) -> Iterator[str]:
    """Yield the items that changed between right and wrong."""
    verdict = next((v for v in account.verdicts if v.old is not None), None)
    if verdict is None or not (verdict.regressed or verdict.fixed):
        return
    prefix = f"awsbench::{account.model.name}::{account.suite.name}"
    yield f"flips: {len(verdict.regressed)} regressed, {len(verdict.fixed)} fixed"
    flips = [("regressed", i) for i in verdict.regressed]
    flips += [("fixed", i) for i in verdict.fixed]
    for word, sample_id in flips[:shown]:
        yield f"  {word:9} {prefix}::{sample_id}"
    if shown is not None and len(flips) > shown:
        yield f"  … {len(flips) - shown} more with -v"


def _arm(account: Account) -> Arm:
    """Return an account as one side of a comparison."""
    return arm_of(account.run({}, ""), account.suite, account.model.name)


def _mean(account: Account, metric: str) -> float | None:
    """Return a metric's mean over the items that have it."""
    return mean_of(_arm(account).items.values(), metric)


def _difference(verdict: Verdict) -> str:
    """Return a difference with its interval."""
    if verdict.change is None:
        return ""
    return f"{amount(verdict, verdict.change)} ({interval(verdict)})"
