"""Confirming a red verdict: fresh runs are pooled with the first, and judged again.

Never one after the other until one is green: that would hide drops that are there.
"""

from collections.abc import Mapping
from dataclasses import replace

from pytest_awsbench.errors import AwsbenchError
from pytest_awsbench.gates import Gate, Verdict
from pytest_awsbench.ledger import Account
from pytest_awsbench.records import Arm, ItemStats, Result
from pytest_awsbench.repeating import CONFIRMING, repeatable
from pytest_awsbench.session import BenchSession
from pytest_awsbench.suites.env import EnvSuite
from pytest_awsbench.verdicts import amount, p_text


def confirmed(
    bench: BenchSession,
    account: Account,
    gate: Gate,
    verdict: Verdict,
    sides: tuple[Arm, Arm | None],
) -> Verdict:
    """Return the verdict on the first run and fresh ones together.

    Args:
        bench: makes the answers, in this process.
        account: the model and the suite.
        gate: with the number of fresh runs.
        verdict: of the first run, red.
        sides: this run and what it is compared with.

    """
    from pytest_awsbench.judging import judge

    if _deterministic(bench, account):
        note = (
            f"confirm = {gate.confirm} cannot change anything: greedy decoding of a"
            " local model repeats itself, so nothing was run again"
        )
        return replace(verdict, notes=(*verdict.notes, note))
    try:
        runs = _fresh_runs(bench, account, gate.confirm)
    except AwsbenchError as error:
        note = f"not confirmed, because fresh runs failed: {error}"
        return replace(verdict, notes=(*verdict.notes, note))
    new, old = sides
    items = dict(new.items)
    for results in runs:
        items = {i: _pooled(item, results[i]) for i, item in items.items()}
    second = judge(gate, replace(new, items=items), old)
    word = "confirmed" if second.red else "not confirmed"
    note = (
        f"{word} by {len(runs)} fresh runs, pooled with the first; the first alone:"
        f" {amount(verdict, verdict.change or 0.0)}, {p_text(verdict.p or 0.0)}"
    )
    return replace(second, notes=(note, *second.notes))


def _fresh_runs(
    bench: BenchSession, account: Account, count: int
) -> list[Mapping[str, Result]]:
    """Measure again as often as is still needed; other gates use the same runs."""
    while len(account.fresh_runs) < count:
        number = CONFIRMING + len(account.fresh_runs)
        account.fresh_runs.append(bench.measure_again(account, number))
    return account.fresh_runs[:count]


def _deterministic(bench: BenchSession, account: Account) -> bool:
    """Whether a fresh run would be the same run."""
    same_answers = repeatable(account.model, account.decoding)
    if not isinstance(account.suite, EnvSuite):
        return same_answers
    settings = bench.options.settings
    embedded = bench.options.env_url is None and (
        bench.source is None or bench.source.factory is None
    )
    return same_answers and embedded and not settings.chaos


def _pooled(item: ItemStats, result: Result) -> ItemStats:
    """Return an item with one more result."""
    sums = {}
    for metric, (total, squares) in item.sums.items():
        value = result.scores.get(metric)
        if value is None:
            continue
        more = result.sums(metric, value)
        sums[metric] = (total + more[0], squares + more[1])
    return replace(item, k=item.k + result.k, sums=sums)
