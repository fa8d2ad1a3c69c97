"""What a process needs before its first item: suites, models, journals, baselines."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any, Literal

import pytest

from pytest_awsbench import demo, stores
from pytest_awsbench.answering import Ask, completing, losing
from pytest_awsbench.chunks import Chunk, in_order, plan_chunks
from pytest_awsbench.engine import Engine
from pytest_awsbench.envs.source import EnvSource
from pytest_awsbench.errors import ConfigError
from pytest_awsbench.flags import env_wanted, selects
from pytest_awsbench.ledger import Account, identity, journal_of, limited
from pytest_awsbench.models.loading import Prepared, prepare, prepare_served
from pytest_awsbench.models.spec import ModelSpec
from pytest_awsbench.options import BUILTIN, Options, say
from pytest_awsbench.records import (
    Answer,
    Decoding,
    ModelCard,
    Score,
    answer_from_json,
)
from pytest_awsbench.repeating import draws_of, of_run
from pytest_awsbench.sizing import Sizes
from pytest_awsbench.staging import load_env, playing
from pytest_awsbench.suites.builtin import NAME as DATASET
from pytest_awsbench.suites.builtin import load_dataset
from pytest_awsbench.suites.env import EnvSuite
from pytest_awsbench.suites.leakage import leakage, read_train
from pytest_awsbench.suites.suite import Suite


Role = Literal["local", "controller", "worker"]
"""What a process is to pytest-xdist."""


def load_suites(config: pytest.Config, options: Options) -> dict[str, Suite]:
    """Load the built-in suites and those of hooks, by name."""
    found: list[Suite] = []
    if selects(config, DATASET):
        data = load_dataset(
            options.dataset,
            split=options.settings.split,
            max_per_combo=options.max_per_combo,
            root=options.root,
        )
        main = not hasattr(config, "workerinput") and not options.collect_only
        found.append(_with_leakage(options, data) if main else data)
    if env_wanted(config):
        found.append(load_env(config, options))
    found += flat(config.hook.pytest_awsbench_load_suite(config=config))
    suites: dict[str, Suite] = {}
    for suite in found:
        if suites.setdefault(suite.name, suite) is not suite:
            raise ConfigError(f"two suites are called {suite.name!r}; rename one")
    return suites


def _with_leakage(options: Options, suite: Suite) -> Suite:
    """Return a suite that knows how much of it stands in the training rows."""
    settings = options.settings
    if settings.train is None:
        return suite
    builtin = settings.train == BUILTIN
    source = str(demo.DATASETS["train"]) if builtin else settings.train
    train = read_train(source, settings.train_split, options.root)
    found = leakage(suite.samples, train)
    warnings = (*suite.warnings, found.warning) if found.warning else suite.warnings
    return replace(suite, leakage=found, warnings=warnings)


def prepare_models(
    config: pytest.Config, options: Options, suites: Mapping[str, Suite]
) -> tuple[dict[str, Prepared], dict[str, str]]:
    """Find the files of all models of the run, and identify them.

    Returns:
        The models by name; and which of a pattern cannot be judged, and why.

    """
    samples = [
        sample
        for suite in suites.values()
        if not isinstance(suite, EnvSuite)
        for sample in suite.samples
    ]
    cache = options.out / "digests.json" if suites else None
    known = getattr(config, "workerinput", {}).get("awsbench_served", {})
    everyone = {
        spec.name: prepare(spec, options.root, samples, cache)
        if spec.served is None
        else _told(spec, known[spec.name])
        if spec.name in known
        else prepare_served(spec, spec.served, say)
        for spec in options.models
    }
    return (
        {name: entry for name, entry in everyone.items() if not entry.skipped},
        {name: entry.skipped for name, entry in everyone.items() if entry.skipped},
    )


def sent_to_workers(prepared: Mapping[str, Prepared]) -> dict[str, dict[str, Any]]:
    """Return who the served models are, as plain values: they are asked once."""
    return {
        name: {"card": asdict(entry.card), "failure": entry.failure}
        for name, entry in prepared.items()
        if entry.served is not None
    }


def _told(spec: ModelSpec, sent: Mapping[str, Any]) -> Prepared:
    """Return a served model as the main process found it."""
    return Prepared(
        spec=spec,
        card=ModelCard(**sent["card"]),
        served=spec.served,
        failure=sent["failure"],
    )


def open_accounts(
    options: Options,
    suites: Mapping[str, Suite],
    prepared: Mapping[str, Prepared],
    sizes: Sizes,
    role: Role,
) -> dict[tuple[str, str], Account]:
    """Open journals and baselines of every model and suite.

    Args:
        options: of the run.
        suites: by name.
        prepared: models by name.
        sizes: how many prompts make a chunk where that is not configured.
        role: a worker reads no journal.

    """
    return {
        (entry.spec.name, suite.name): _account(options, entry, suite, sizes, role)
        for entry in prepared.values()
        for suite in suites.values()
    }


def _account(
    options: Options,
    entry: Prepared,
    suite: Suite,
    sizes: Sizes,
    role: Role,
) -> Account:
    """Open the journal and the baseline of a model on a suite."""
    name = entry.spec.name
    baseline, path = stores.find_baseline(options.baselines, name, entry.spec, suite)
    decoding = options.decoding(entry.spec)
    if isinstance(suite, EnvSuite) or entry.replay is not None:
        # An episode cannot go on both with a turn and with what replaced it, and what
        # is recorded is not said anew.
        decoding = replace(decoding, retry_truncated=None)
    if options.add_run and baseline is not None:
        # A further run with the seeds of the stored ones would repeat them.
        decoding = of_run(decoding, baseline.runs)
    draws = draws_of(options.repeats, entry.card, decoding)
    ident = identity(entry.card, suite, decoding, draws)
    limits = options.settings.limits(name, sizes(entry, suite, ident))
    ident = limited(ident, limits)
    journal = journal_of(options.out / "journal", ident, name, suite.name)
    kept = options.resume and role != "worker"
    return Account(
        model=entry.card,
        suite=suite,
        decoding=decoding,
        limits=limits,
        draws=draws,
        journal=journal,
        recorded=journal.read() if kept else {},
        baseline=baseline,
        baseline_path=path,
    )


def recorded_answers(
    config: pytest.Config, accounts: Mapping[tuple[str, str], Account]
) -> dict[tuple[str, str], Mapping[str, Answer]]:
    """Return the answers that are kept; a worker got them from the main process."""
    if not hasattr(config, "workerinput"):
        return {key: account.recorded for key, account in accounts.items()}
    return {
        (entry["model"], entry["suite"]): {
            sample_id: answer_from_json(row) for sample_id, row in entry["completions"]
        }
        for entry in config.workerinput.get("awsbench_recorded", [])
    }


def plan_suites(
    options: Options, accounts: Mapping[tuple[str, str], Account]
) -> dict[tuple[str, str], tuple[Chunk, ...]]:
    """Return what is asked together, for every model and suite."""
    return {
        key: in_order(account.suite.samples, 2 * options.settings.live_episodes)
        if isinstance(account.suite, EnvSuite)
        else plan_chunks(account.suite.samples, account.limits)
        for key, account in accounts.items()
    }


def way_to_ask(
    options: Options,
    account: Account,
    decoding: Decoding,
    source: EnvSource | None,
    engine: Engine,
) -> Ask:
    """Return how the answers of a model to a suite are made."""
    if isinstance(account.suite, EnvSuite) and source is not None:
        ask = playing(account.suite, decoding, options, source, engine)
    else:
        ask = completing(decoding, account.draws, account.suite.is_truncated)
    return losing(ask) if account.model.backend == "openai" else ask


def flat(values: Iterable[Any]) -> Iterable[Any]:
    """Flatten what hooks returned: one value or several each."""
    for value in values:
        if isinstance(value, Score | Suite):
            yield value
        else:
            yield from value
