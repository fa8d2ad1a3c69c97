"""Everything one process knows of a run: suites, models, and the way to answers."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest

from pytest_awsbench import stores
from pytest_awsbench.answering import Answers
from pytest_awsbench.chunks import Chunk
from pytest_awsbench.engine import Engine
from pytest_awsbench.envs.source import EnvSource
from pytest_awsbench.errors import AwsbenchError, InfraError
from pytest_awsbench.flags import ROOT
from pytest_awsbench.gateplan import GatePlan, plan_gates
from pytest_awsbench.hygiene import possible_selection, refuse_selecting_run
from pytest_awsbench.ledger import Account, now
from pytest_awsbench.models.loading import Prepared, Share, load
from pytest_awsbench.opening import (
    Role,
    flat,
    load_suites,
    open_accounts,
    plan_suites,
    prepare_models,
    recorded_answers,
    way_to_ask,
)
from pytest_awsbench.options import EXIT_INFRA, Options
from pytest_awsbench.records import Answer, Completion, Draws, Result, Run, Sample
from pytest_awsbench.repeating import of_run
from pytest_awsbench.sizing import chunk_sizes
from pytest_awsbench.staging import source_of
from pytest_awsbench.stopping import Stopper, open_stopper
from pytest_awsbench.suites.env import NAME as ENV
from pytest_awsbench.suites.env import EnvSuite
from pytest_awsbench.suites.suite import Suite, pooled, with_first


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
    chunks: Mapping[tuple[str, str], tuple[Chunk, ...]]
    """By model and suite: what is generated together."""
    prepared: Mapping[str, Prepared]
    engine: Engine
    answers: dict[tuple[str, str], Answers]
    accounts: Mapping[tuple[str, str], Account]
    """By model and suite; a worker reads the baselines alone."""
    gates: GatePlan
    stopper: Stopper
    source: EnvSource | None
    """Where sessions of suite ``env`` come from."""
    skipped: Mapping[str, str]
    """Models that a pattern found and that cannot be judged, and why."""
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
            gates = plan_gates(config, options, found)
            prepared, skipped = prepare_models(config, options, found)
            if skipped:
                options = options.without(skipped)
                gates = plan_gates(config, options, found)
            accounts = open_accounts(
                options, found, prepared, chunk_sizes(config, options, prepared), role
            )
            _refuse_selection(options, accounts, role)
        plans = plan_suites(options, accounts)
        engine = Engine(lambda: load(list(prepared.values()), share_of(config)))
        recorded = recorded_answers(config, accounts)
        with blamed():
            asks = {
                key: way_to_ask(options, account, account.decoding, source, engine)
                for key, account in accounts.items()
            }
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
                    model, ask, plans[model, name], recorded.get((model, name), {})
                )
                for (model, name), ask in asks.items()
            },
            source=source,
            accounts=accounts,
            gates=gates,
            stopper=open_stopper(
                options, gates.gates, accounts, _decided_folder(config, options)
            ),
            skipped=skipped,
            date=now(),
        )
        bench._begin()
        return bench

    def _begin(self) -> None:
        """Start what takes its time, so that it is ready when items need it."""
        if self.role != "worker":
            self.stopper.forget()
        if self.loads_early:
            self.engine.start()
        if self.source is not None and self.source.server and self.plays:
            with blamed():
                self.source.server.launch()

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
        """Score an answer with the suite's scorers and those of hooks."""
        if isinstance(completion, Draws):
            each = [self.score(suite, sample, one) for one in completion.completions]
            return pooled(completion, each)
        if isinstance(completion, Completion) and completion.first is not None:
            first = self.score(suite, sample, completion.first)
            return with_first(self._scored(suite, sample, completion), first)
        return self._scored(suite, sample, completion)

    def _scored(self, suite: Suite, sample: Sample, completion: Answer) -> Result:
        """Score one answer, or the trials of a task."""
        extra = self.config.hook.pytest_awsbench_score(
            suite=suite.name, sample=sample, completion=completion
        )
        return suite.score(sample, completion, list(flat(extra)))

    def finished(self) -> list[dict[str, Any]]:
        """Return the answers generated since the last call, as plain values."""
        return [
            {
                "model": model,
                "suite": suite,
                "completions": _plain(found.rows),
                "ages": found.ages,
                "began": found.began,
            }
            for (model, suite), answers in self.answers.items()
            if (found := answers.finished()).rows
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

    def measure_again(self, account: Account, number: int) -> Mapping[str, Result]:
        """Answer and score a suite once more, in this process, with other seeds.

        Args:
            account: the model and the suite.
            number: of the run, from 0 for the one that is stored.

        Raises:
            AwsbenchError: what went wrong while answering.

        """
        if self.source is not None and isinstance(account.suite, EnvSuite):
            self.source.preflight()
        decoding = of_run(account.decoding, number)
        ask = way_to_ask(self.options, account, decoding, self.source, self.engine)
        chunks = self.chunks[account.key]
        answers = Answers(account.model.name, ask, chunks, {})
        for chunk in chunks:
            answers.request(chunk.samples[0].id, self.engine)
        return {
            s.id: self.score(account.suite, s, answers.take(s.id, self.engine))
            for s in account.suite.samples
        }

    def opening_notes(self) -> Iterator[str]:
        """Yield what was found out before the first item, by the main process."""
        for name, why in self.skipped.items():
            yield f"{name}: not judged: {why}"
        for account in self.accounts.values():
            yield from _changed_behind_its_name(account)

    def notes(self) -> list[str]:
        """Return what happened while loading and generating that must be said."""
        files = [entry.files for entry in self.prepared.values() if entry.files]
        notes = [note for found in files for note in found.notes]
        notes += [
            _asked_once(account, self.options)
            for account in self.accounts.values()
            if account.draws < self.options.repeats
            and not isinstance(account.suite, EnvSuite)
        ]
        served = [name for name, entry in self.prepared.items() if entry.served]
        if served:
            several = f"{len(served)} models are served: their"
            notes.append(
                f"{several if served[1:] else f'{served[0]}: served: its'} answers may"
                " vary with load, so this run is not bit-reproducible;"
                " --awsbench-repeats=3 shows how much"
            )
        if self.options.update and self.options.selected_from == 1:
            found = (
                possible_selection(self.options.out, account)
                for account in self.accounts.values()
            )
            notes += [note for note in found if note]
        if self.engine.loaded:
            for name, model in self.engine.models().items():
                notes += [f"{name}: {note}" for note in model.notes]
        return notes

    def devices(self) -> list[str]:
        """Return where the models of this process were loaded, as far as they tell."""
        if not self.engine.loaded:
            return []
        models = self.engine.models().values()
        names = (getattr(model, "device_name", None) for model in models)
        return [name for name in names if name is not None]


def _refuse_selection(
    options: Options, accounts: Mapping[tuple[str, str], Account], role: Role
) -> None:
    """Refuse to store a run that chose its model."""
    if options.update and role != "worker":
        for account in accounts.values():
            refuse_selecting_run(options.out, account, options.selected_from)


def _decided_folder(config: pytest.Config, options: Options) -> Path:
    """Return where the main process tells workers that a suite is decided."""
    given = getattr(config, "workerinput", {}).get("awsbench_decided")
    return Path(given) if given else options.out / f"decided-{os.getpid()}"


def _changed_behind_its_name(account: Account) -> Iterator[str]:
    """Say that another model is served than when the baseline was stored.

    Weights on this machine change when somebody changes them; a server's may have been
    changed by anybody.
    """
    card, baseline = account.model, account.baseline
    if card.backend == "openai" and baseline is not None and card.digest:
        then = str(baseline.model["weights"])
        if then != card.digest:
            yield (
                f"{card.name}: not the model that its {account.suite.name} baseline of"
                f" {baseline.date[:10]} is of: what is served by this name answers"
                f" otherwise ({then[:8]} then, {card.digest[:8]} now)"
            )


def _asked_once(account: Account, options: Options) -> str:
    """Say why prompts were not asked as often as was wished."""
    return (
        f"{account.model.name}: asked once, not {options.repeats} times: greedy"
        " decoding of a local model repeats itself; set temperature to see its noise"
    )


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


@cache
def library_versions() -> Mapping[str, str]:
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
