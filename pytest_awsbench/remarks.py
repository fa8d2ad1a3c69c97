"""What is said of a run besides its numbers: warnings of gates, and claims."""

from collections.abc import Iterable, Iterator

from pytest_awsbench.gates import Gate, Verdict
from pytest_awsbench.session import BenchSession
from pytest_awsbench.stats.status import Status


def gate_warnings(bench: BenchSession) -> list[str]:
    """Return what must be said of gates before a run."""
    from pytest_awsbench.foresight import warnings_of

    return [
        f"awsbench: warning: {'::'.join((*key, planned.name))}: {warning}"
        for key, gates in bench.gates.gates.items()
        for planned in gates
        if isinstance(planned.gate, Gate)
        for warning in warnings_of(
            planned.gate,
            bench.accounts[key].suite.samples,
            bench.accounts[key].baseline,
        )
    ]


def claim_lines(bench: BenchSession) -> Iterator[str]:
    """Yield whether "better" may be said of a model that has guards, and why not.

    An intersection-union test: every primary gate improved and every guard passed.
    """
    for model in bench.prepared:
        judged = list(_judged(bench, model))
        guards = [pair for pair in judged if pair[0].guard]
        # A gate that has thresholds alone, and no baseline, compares nothing.
        primary = [
            (gate, v)
            for gate, v in judged
            if not gate.guard
            and not (v and v.status is Status.SKIPPED and v.thresholds)
        ]
        if not any(v is not None and v.guard for _, v in guards):
            continue
        open_ = [
            (gate, v)
            for gate, v in primary
            if v is None or v.red or v.status is not Status.IMPROVED
        ]
        open_ += [(g, v) for g, v in guards if v is None or v.red or v.guard != "PASS"]
        if primary and not open_:
            yield (
                f"claim: {model} is better: {_names(primary)} improved, and"
                f" {_names(guards)} did not suffer"
            )
        else:
            reasons = ", ".join(f"{g.metric} {_word(v)}" for g, v in open_)
            yield f"claim: {model} cannot be called better: {reasons or 'no gate'}"


def _judged(bench: BenchSession, model: str) -> Iterator[tuple[Gate, Verdict | None]]:
    """Yield a model's gates, each with its verdict; None where it was not judged."""
    for key, account in bench.accounts.items():
        if account.model.name != model:
            continue
        verdicts = {verdict.name: verdict for verdict in account.verdicts}
        for planned in bench.gates.gates[key]:
            if isinstance(planned.gate, Gate):
                yield planned.gate, verdicts.get(planned.name)


def _word(verdict: Verdict | None) -> str:
    """Return what a gate says; one that is red for a threshold says so, too."""
    if verdict is None:
        return "not judged"
    return verdict.word + (" MISSED" if verdict.threshold_missed else "")


def _names(judged: Iterable[tuple[Gate, Verdict | None]]) -> str:
    """Name the metrics of gates."""
    return ", ".join(dict.fromkeys(gate.metric for gate, _ in judged))
