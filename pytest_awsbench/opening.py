"""What a process needs before its first item: suites, models, journals, baselines."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import pytest

from pytest_awsbench import stores
from pytest_awsbench.answering import Ask, completing
from pytest_awsbench.chunks import Chunk, in_order, plan_chunks
from pytest_awsbench.engine import Engine
from pytest_awsbench.envs.source import EnvSource
from pytest_awsbench.errors import ConfigError
from pytest_awsbench.flags import env_wanted, selects
from pytest_awsbench.ledger import Account, journal_of
from pytest_awsbench.models.loading import Prepared, prepare
from pytest_awsbench.options import Options
from pytest_awsbench.records import Answer, Score, answer_from_json
from pytest_awsbench.staging import load_env, playing
from pytest_awsbench.suites.builtin import NAME as DATASET
from pytest_awsbench.suites.builtin import load_dataset
from pytest_awsbench.suites.env import EnvSuite
from pytest_awsbench.suites.suite import Suite


Role = Literal["local", "controller", "worker"]
"""What a process is to pytest-xdist."""


def load_suites(config: pytest.Config, options: Options) -> dict[str, Suite]:
    """Load the built-in suites and those of hooks, by name."""
    found: list[Suite] = []
    if selects(config, DATASET):
        found.append(
            load_dataset(
                options.dataset,
                split=options.settings.split,
                max_per_combo=options.max_per_combo,
                root=options.root,
            )
        )
    if env_wanted(config):
        found.append(load_env(config, options))
    found += flat(config.hook.pytest_awsbench_load_suite(config=config))
    suites: dict[str, Suite] = {}
    for suite in found:
        if suites.setdefault(suite.name, suite) is not suite:
            raise ConfigError(f"two suites are called {suite.name!r}; rename one")
    return suites


def prepare_models(
    options: Options, suites: Mapping[str, Suite]
) -> dict[str, Prepared]:
    """Find the files of all models of the run, and identify them."""
    samples = [
        sample
        for suite in suites.values()
        if not isinstance(suite, EnvSuite)
        for sample in suite.samples
    ]
    cache = options.out / "digests.json" if suites else None
    return {
        spec.name: prepare(spec, options.root, samples, cache)
        for spec in options.models
    }


def open_accounts(
    options: Options,
    suites: Mapping[str, Suite],
    prepared: Mapping[str, Prepared],
    role: Role,
) -> dict[tuple[str, str], Account]:
    """Open journals and baselines of every model and suite."""
    accounts = {}
    for entry in prepared.values():
        decoding = options.decoding(entry.spec)
        for suite in suites.values():
            journal = journal_of(
                options.out / "journal",
                entry.card,
                suite,
                decoding,
                options.settings.chunk_size,
            )
            baseline, path = stores.find_baseline(
                options.baselines, entry.spec.name, entry.spec, suite
            )
            kept = options.resume and role != "worker"
            accounts[entry.spec.name, suite.name] = Account(
                model=entry.card,
                suite=suite,
                decoding=decoding,
                journal=journal,
                recorded=journal.read() if kept else {},
                baseline=baseline,
                baseline_path=path,
            )
    return accounts


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
    options: Options, suites: Mapping[str, Suite]
) -> dict[str, tuple[Chunk, ...]]:
    """Return what is asked together, for every suite."""
    settings = options.settings
    return {
        name: in_order(suite.samples, 2 * settings.live_episodes)
        if isinstance(suite, EnvSuite)
        else plan_chunks(suite.samples, settings.chunk_size)
        for name, suite in suites.items()
    }


def ways_to_ask(
    options: Options,
    suites: Mapping[str, Suite],
    prepared: Mapping[str, Prepared],
    source: EnvSource | None,
    engine: Engine,
) -> dict[tuple[str, str], Ask]:
    """Return how answers are made, for every model and suite."""
    ways: dict[tuple[str, str], Ask] = {}
    for model, entry in prepared.items():
        for name, suite in suites.items():
            if isinstance(suite, EnvSuite) and source is not None:
                ask = playing(suite, entry.spec, options, source, engine)
            else:
                ask = completing(options.decoding(entry.spec))
            ways[model, name] = ask
    return ways


def flat(values: Iterable[Any]) -> Iterable[Any]:
    """Flatten what hooks returned: one value or several each."""
    for value in values:
        if isinstance(value, Score | Suite):
            yield value
        else:
            yield from value
