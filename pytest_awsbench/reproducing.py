"""Is it the same model still? A run against a baseline of the very same weights."""

from collections.abc import Iterator

from pytest_awsbench.ledger import Account
from pytest_awsbench.records import ItemStats
from pytest_awsbench.stats.repro import Repro, flip_rate_bound, repro_check
from pytest_awsbench.verdicts import p_text


def same_model_lines(account: Account) -> Iterator[str]:
    """Say whether an unchanged model still answers as it did, within decode noise.

    Yields nothing where anything that answers depend on differs from the baseline.
    """
    baseline, metric = account.baseline, account.suite.primary
    if baseline is None or not _unchanged(account):
        return
    ids = [
        i
        for i, result in account.results.items()
        if i in baseline.items
        and result.k == 1
        and result.scores.get(metric) in {0.0, 1.0}
        and _counted(baseline.items[i], metric)
    ]
    if not ids:
        return
    stored = [baseline.items[i] for i in ids]
    counts = [item.sums[metric][0] for item in stored]
    ks = [item.k for item in stored]
    now = [account.results[i].scores[metric] or 0.0 for i in ids]
    flips = sum(
        value * item.k != count
        for value, item, count in zip(now, stored, counts, strict=True)
    )
    yield f" same weights and data as the baseline: {_said(flips, ids, ks)}"
    if flips:
        yield from _doubt(account, repro_check(counts, ks, now))


def _counted(item: ItemStats, metric: str) -> bool:
    """Whether a stored item says how many of its runs were right."""
    total = item.sums.get(metric, (-1.0, 0.0))[0]
    return float(total).is_integer() and 0 <= total <= item.k


def _said(flips: int, ids: list[str], ks: list[int]) -> str:
    """Return how many items came out otherwise."""
    if flips:
        return f"{flips} of {len(ids)} items differ from it"
    bound = flip_rate_bound(sum(ks))
    return f"none of {len(ids)} items differs (fewer than {100 * bound:.1f}% would)"


def _doubt(account: Account, found: Repro) -> Iterator[str]:
    """Say whether decoding noise explains the differences."""
    chances = (
        f"drop {p_text(found.p_drop)}, disagreement {p_text(found.p_disagreement)}"
    )
    if found.same():
        yield f"  within decode noise ({chances})"
        return
    assert account.baseline is not None  # noqa: S101 - asked only with one
    yield (
        f"  warning: more than decode noise ({chances}): the model is the same, so"
        " something around it is not; compare the versions of libraries in the baseline"
        f" ({_versions(account)}), the hardware, and how the model is computed (device,"
        " attn_implementation, torch_compile)"
    )


def _versions(account: Account) -> str:
    """Name the libraries that a local model's answers depend on."""
    assert account.baseline is not None  # noqa: S101 - asked only with one
    named = ("torch", "transformers", "bitsandbytes")
    held = account.baseline.versions
    return ", ".join(f"{n} {held[n]}" for n in named if n in held) or "none recorded"


def _unchanged(account: Account) -> bool:
    """Whether weights, template, data, decoding and settings are the baseline's."""
    baseline, card = account.baseline, account.model
    assert baseline is not None  # noqa: S101 - asked only with one
    return (
        baseline.model["weights"] == card.digest
        and baseline.model["template"] == card.template_digest
        and baseline.data["digest"] == account.suite.data.digest
        and dict(baseline.decoding) == account.decoding.to_json()
        and dict(baseline.settings) == dict(account.suite.settings)
    )
