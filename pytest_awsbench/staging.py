"""What the suite ``env`` needs of a run: its tasks, its rules, its environment."""

import os
from collections.abc import Collection, Sequence
from typing import Any

import pytest

from pytest_awsbench.answering import Ask, Keep, each
from pytest_awsbench.chunks import Chunk
from pytest_awsbench.demo.rows import SYSTEM
from pytest_awsbench.engine import Engine
from pytest_awsbench.envs.embedded import EmbeddedServer
from pytest_awsbench.envs.source import EnvSource
from pytest_awsbench.envs.urls import exposure
from pytest_awsbench.models.spec import Model
from pytest_awsbench.options import BUILTIN, Options
from pytest_awsbench.records import Decoding
from pytest_awsbench.suites.builtin import load_dataset
from pytest_awsbench.suites.env import EnvSuite, env_suite
from pytest_awsbench.suites.playing import Player
from pytest_awsbench.suites.prompting import adapter_named
from pytest_awsbench.suites.seating import Rules
from pytest_awsbench.suites.selecting import Catalog, select
from pytest_awsbench.suites.suite import Suite


TOKEN = "AWSBENCH_ENV_TOKEN"  # noqa: S105 - the name of a variable
"""Holds the token of a server that demands one."""


def load_env(config: pytest.Config, options: Options) -> EnvSuite:
    """Load the tasks of a run as a suite.

    Raises:
        ConfigError: if the selection means nothing, or the extra is missing.
        DataError: naming file and entry, where tasks cannot be used.

    """
    from pytest_awsbench.envs.catalog import (
        VARIANTS,
        builtin_tasks,
        cluster_of,
        load_tasks,
    )

    chosen = select(
        options.tasks,
        options.root,
        options.settings.seed,
        Catalog(
            builtin=builtin_tasks,
            load=load_tasks,
            held_out=lambda: _held_out(options),
            # The built-in data set names its templates, of which tasks are variants.
            cluster_of=lambda task: str(task.task_id // VARIANTS),
        ),
    )
    clusters = {}
    if chosen.source == BUILTIN:
        clusters = {t.task_id: cluster_of(t) for t in chosen.tasks}
    return env_suite(
        chosen,
        clusters=clusters,
        settings=_identity(config, options),
        warnings=_exposed(options),
    )


def _exposed(options: Options) -> tuple[str, ...]:
    """Say that others may read along on the way to an environment."""
    warning = exposure(options.env_url) if options.env_url else ""
    return (warning,) if warning else ()


def source_of(
    config: pytest.Config, options: Options, *, of_process: bool = False
) -> EnvSource:
    """Return where sessions come from; a worker gets the URL of the main process.

    Args:
        config: pytest's.
        options: ours.
        of_process: where the main process started none, as it plays no tasks, start
            one for this process alone.

    """
    settings = options.settings
    given = getattr(config, "workerinput", {})
    factory = config.hook.pytest_awsbench_env_factory(config=config)
    url = given.get("awsbench_env_url") or options.env_url or ""
    embedded = not (url or factory) and (of_process or not given)
    return EnvSource(
        name=_environment_name(config, options),
        given_url=url,
        server=_server(config, options) if embedded else None,
        factory=factory,
        timeout=settings.env_timeout,
        token=os.environ.get(TOKEN),
        allow_accounts=tuple(settings.allow_accounts),
    )


def playing(
    suite: EnvSuite,
    decoding: Decoding,
    options: Options,
    source: EnvSource,
    engine: Engine,
) -> Ask:
    """Return how tasks are answered: played live, many at once."""
    settings = options.settings
    rules = Rules(
        adapter=adapter_named(settings.prompt, _system_prompt(options)),
        decoding=decoding,
        max_steps=settings.max_steps,
        trials=options.repeats,
        live=settings.live_episodes,
    )
    return _Playing(suite, Player(rules, source.connect, each), engine)


class _Playing:
    """Answers items by playing them."""

    def __init__(self, suite: EnvSuite, player: Player, engine: Engine) -> None:
        self._suite = suite
        self._player = player
        self._engine = engine

    @property
    def live(self) -> int:
        """Episodes that are being played."""
        return self._player.live

    def __call__(
        self, model: Model, chunk: Chunk, spare: Collection[str], keep: Keep
    ) -> None:
        """Play what is not to spare."""
        tasks = [(s, self._suite.tasks[s.id]) for s in chunk.samples]
        left = [(sample, task) for sample, task in tasks if sample.id not in spare]
        self._player.play(model, left, keep, lambda: self._engine.closing)


def _server(config: pytest.Config, options: Options) -> EmbeddedServer:
    """Return the embedded server of a run, not started."""
    settings = options.settings
    worker = getattr(config, "workerinput", {}).get("workerid")
    log = f"environment-{worker}.log" if worker else "environment.log"
    arguments = [
        f"--sessions={2 * settings.live_episodes + 2}",
        f"--seed={settings.seed}",
        f"--grading={settings.grading}",
        *(["--chaos"] if settings.chaos else []),
    ]
    return EmbeddedServer(arguments, options.out / log)


def _identity(config: pytest.Config, options: Options) -> dict[str, Any]:
    """Return what an episode depends on besides model, decoding and task."""
    settings = options.settings
    return {
        "environment": _environment_name(config, options),
        "prompt": settings.prompt,
        "max_steps": settings.max_steps,
        "trials": options.repeats,
        "grading": settings.grading,
        "chaos": settings.chaos,
    }


def _environment_name(config: pytest.Config, options: Options) -> str:
    """Return what reports call the environment."""
    if config.hook.pytest_awsbench_env_factory.get_hookimpls():
        return "own factory"
    return options.env_url or BUILTIN


def _system_prompt(options: Options) -> str:
    """Return the system prompt that all rows of the data set share, or ours."""
    if options.dataset == BUILTIN:
        return SYSTEM
    prompts = {_system(sample.prompt) for sample in _dataset(options).samples}
    found = prompts.pop() if len(prompts) == 1 else ""
    return found or SYSTEM


def _system(prompt: Sequence[Any]) -> str:
    """Return the system message of a prompt."""
    return next((m.content for m in prompt if m.role == "system"), "")


def _held_out(options: Options) -> frozenset[str]:
    """Return the tasks that the data set names."""
    return frozenset(sample.task_id for sample in _dataset(options).samples)


def _dataset(options: Options) -> Suite:
    """Load the data set."""
    return load_dataset(
        options.dataset,
        split=options.settings.split,
        max_per_combo=None,
        root=options.root,
    )
