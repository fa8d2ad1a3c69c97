"""Everything one process knows of a run: suites, models, and the way to answers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

import pytest

from pytest_awsbench import stores
from pytest_awsbench.answering import Answers, Ask, completing
from pytest_awsbench.chunks import Chunk, in_order, plan_chunks
from pytest_awsbench.engine import Engine
from pytest_awsbench.envs.source import EnvSource
from pytest_awsbench.errors import AwsbenchError, ConfigError, InfraError
from pytest_awsbench.flags import ROOT, env_wanted, selects
from pytest_awsbench.ledger import Account, journal_of, now
from pytest_awsbench.models.loading import Prepared, Share, load, prepare
from pytest_awsbench.options import Options
from pytest_awsbench.records import (
    Answer,
    Result,
    Run,
    Sample,
    Score,
    answer_from_json,
)
from pytest_awsbench.staging import load_env, playing, source_of
from pytest_awsbench.suites.builtin import NAME as DATASET
from pytest_awsbench.suites.builtin import load_dataset
from pytest_awsbench.suites.env import NAME as ENV
from pytest_awsbench.suites.env import EnvSuite
from pytest_awsbench.suites.suite import Suite


Role = Literal["local", "controller", "worker"]
EXIT_INFRA = 75
"""EX_TEMPFAIL: infrastructure failed; try again, with ``--awsbench-resume``."""
LIBRARIES = (
    "pytest-awsbench",
    "torch",
    "transformers",
    "peft",
    "bitsandbytes",
    "datasets",
)


@dataclass(kw_only=True)
class BenchSession:
    """One process of a run."""

    config: pytest.Config
    options: Options
    role: Role
    suites: Mapping[str, Suite]
    chunks: Mapping[str, tuple[Chunk, ...]]
    """By suite: what is generated together."""
    prepared: Mapping[str, Prepared]
    engine: Engine
    answers: dict[tuple[str, str], Answers]
    accounts: Mapping[tuple[str, str], Account]
    """By model and suite; a worker reads the baselines alone."""
    source: EnvSource | None
    """Where sessions of suite ``env`` come from."""
    date: str
    failure: AwsbenchError | None = None
    """Why the run ended before its first item."""

    @classmethod
    def open(
        cls, config: pytest.Config, options: Options, *, suites: bool = True
    ) -> "BenchSession":
        """Check everything that can be checked without loading a model.

        Args:
            config: pytest's.
            options: ours.
            suites: whether suites run; else only tests that use a model.

        Raises:
            pytest.UsageError: naming the file, key, row or model at fault.

        """
        role = role_of(config)
        with blamed():
            found = load_suites(config, options) if suites else {}
            source = source_of(config, options) if ENV in found else None
            if role != "worker" and suites and not options.collect_only:
                stores.open_folder(options.out)
            prepared = prepare_models(options, found)
            accounts = open_accounts(options, found, prepared, role)
        plans = plan_suites(options, found)
        engine = Engine(lambda: load(list(prepared.values()), share_of(config)))
        recorded = recorded_answers(config, accounts)
        with blamed():
            asks = ways_to_ask(options, found, prepared, source, engine)
        bench = cls(
            config=config,
            options=options,
            role=role,
            suites=found,
            chunks=plans,
            prepared=prepared,
            engine=engine,
            answers={
                (model, name): Answers(
                    model, ask, plans[name], recorded.get((model, name), {})
                )
                for (model, name), ask in asks.items()
            },
            source=source,
            accounts=accounts,
            date=now(),
        )
        if bench.loads_early:
            bench.engine.start()
        if source is not None and source.server and bench.plays:
            with blamed():
                source.server.launch()
        return bench

    @property
    def loads_early(self) -> bool:
        """Whether to load while pytest collects: imports are most of a short run."""
        options = self.options
        idle = self.role == "controller" or options.collect_only or options.resume
        return bool(self.suites) and not idle

    @property
    def plays(self) -> bool:
        """Whether episodes may be played in this run, here or on workers."""
        options = self.options
        return not options.collect_only and not options.resume

    @property
    def node_ids(self) -> Iterator[str]:
        """Node ids of all that can be selected, collected in this process or not."""
        for model in self.prepared:
            yield f"{ROOT}::{model}"
            for name, suite in self.suites.items():
                yield f"{ROOT}::{model}::{name}"
                yield from (f"{ROOT}::{model}::{name}::{s.id}" for s in suite.samples)

    def answer(self, model: str, suite: str, sample: Sample) -> Result:
        """Wait for one answer and score it."""
        completion = self.answers[model, suite].take(sample.id, self.engine)
        return self.score(self.suites[suite], sample, completion)

    def score(self, suite: Suite, sample: Sample, completion: Answer) -> Result:
        """Score one answer with the suite's scorers and those of hooks."""
        extra = self.config.hook.pytest_awsbench_score(
            suite=suite.name, sample=sample, completion=completion
        )
        return suite.score(sample, completion, list(_flat(extra)))

    def finished(self) -> list[dict[str, Any]]:
        """Return the answers generated since the last call, as plain values."""
        return [
            {"model": model, "suite": suite, "completions": _plain(rows)}
            for (model, suite), answers in self.answers.items()
            if (rows := answers.finished())
        ]

    def was(self, model: str, suite: str, sample_id: str) -> str | None:
        """Return the outcome that the baseline holds for an item."""
        return self.accounts[model, suite].was(sample_id)

    def complete(self, account: Account) -> None:
        """Score kept answers of items that were not selected."""
        account.complete_from_recorded(self.score)

    def run_of(self, account: Account) -> Run:
        """Return what was measured of one model on one suite."""
        return account.run(library_versions(), self.date)

    def notes(self) -> list[str]:
        """Return what happened while loading and generating that must be said."""
        files = [entry.files for entry in self.prepared.values() if entry.files]
        notes = [note for found in files for note in found.notes]
        if self.engine.loaded:
            for name, model in self.engine.models().items():
                notes += [f"{name}: {note}" for note in model.notes]
        return notes


session_key = pytest.StashKey[BenchSession]()


def session_of(config: pytest.Config) -> BenchSession | None:
    """Return the session of this process, if a run was asked for."""
    return config.stash.get(session_key, None)


def role_of(config: pytest.Config) -> Role:
    """Return what this process is to pytest-xdist."""
    if hasattr(config, "workerinput"):
        return "worker"
    distributed = config.getoption("dist", "no") != "no" and config.getoption("tx", [])
    return "controller" if distributed and not config.option.collectonly else "local"


def share_of(config: pytest.Config) -> Share:
    """Return what part of the machine this process takes."""
    given = getattr(config, "workerinput", {})
    return Share(
        slot=given.get("awsbench_slot", 0), workers=given.get("workercount", 1)
    )


@contextmanager
def blamed() -> Iterator[None]:
    """Turn our errors into pytest's: exit status 4, or 75 for infrastructure."""
    try:
        yield
    except InfraError as error:
        pytest.exit(f"awsbench: {error}", returncode=EXIT_INFRA)
    except AwsbenchError as error:
        raise pytest.UsageError(f"awsbench: {error}") from error


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
    found += _flat(config.hook.pytest_awsbench_load_suite(config=config))
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


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that a result may depend on."""
    found: dict[str, str] = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _plain(rows: Sequence[tuple[str, Answer]]) -> list[tuple[str, dict[str, Any]]]:
    """Return completions as plain values."""
    return [(sample_id, completion.to_json()) for sample_id, completion in rows]


def _flat(values: Iterable[Any]) -> Iterable[Any]:
    """Flatten what hooks returned: one value or several each."""
    for value in values:
        if isinstance(value, Score | Suite):
            yield value
        else:
            yield from value
