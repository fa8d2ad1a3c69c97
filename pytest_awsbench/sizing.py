"""``chunk_size = "auto"``: decided once, by the main process, and kept on resuming."""

from collections.abc import Callable, Mapping

import pytest

from pytest_awsbench.chunks import DEFAULT, estimated
from pytest_awsbench.ledger import recorded_size
from pytest_awsbench.models.loading import Prepared
from pytest_awsbench.options import Options
from pytest_awsbench.suites.env import EnvSuite
from pytest_awsbench.suites.suite import Suite


Sizes = Callable[[Prepared, Suite, Mapping[str, object]], int | None]
"""How many prompts of a model and a suite make a chunk, by the answers' identity."""


def chunk_sizes(
    config: pytest.Config, options: Options, prepared: Mapping[str, Prepared]
) -> Sizes:
    """Return how chunk sizes are found where none is configured."""
    if options.settings.chunk_size is not None:
        return lambda *_: None
    told = getattr(config, "workerinput", {}).get("awsbench_chunk_sizes")
    if told is not None:
        known = {(model, suite): size for model, suite, size in told}
        return lambda entry, suite, _: known[entry.spec.name, suite.name]
    workers = len(config.getoption("tx", None) or ()) or 1

    def decide(entry: Prepared, suite: Suite, ident: Mapping[str, object]) -> int:
        if entry.files is None or isinstance(suite, EnvSuite) or not suite.samples:
            return _of_server(entry)
        if options.resume:
            limit = options.settings.chunk_tokens
            ident = {**ident, **({} if limit is None else {"chunk_tokens": limit})}
            folder = options.out / "journal"
            kept = recorded_size(folder, ident, entry.spec.name, suite.name)
            if kept is not None:
                return kept
        from pytest_awsbench.models.capacity import fitting

        decoding = options.decoding(entry.spec)
        answer = decoding.retry_truncated or decoding.max_new_tokens
        tokens = answer + max(estimated(s.prompt) for s in suite.samples)
        return fitting(entry, list(prepared.values()), tokens, workers)

    return decide


def _of_server(entry: Prepared) -> int:
    """Return enough prompts to keep a server busy; what is recorded needs none."""
    return (
        DEFAULT if entry.served is None else max(DEFAULT, 4 * entry.served.concurrency)
    )
