"""Flags and configuration, read once into one typed value."""

import os
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import pytest

from pytest_awsbench.config import Settings, read_settings
from pytest_awsbench.errors import AwsbenchError, ConfigError, InfraError
from pytest_awsbench.flags import table_of
from pytest_awsbench.models.spec import ModelSpec
from pytest_awsbench.naming import inline_specs
from pytest_awsbench.records import Decoding
from pytest_awsbench.screening import Found, expanded, find, listing


BUILTIN = "builtin"
EXIT_INFRA = 75
"""EX_TEMPFAIL: infrastructure failed; try again, with ``--awsbench-resume``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Everything that a run was asked to do."""

    root: Path
    """What relative paths of the configuration are relative to."""
    settings: Settings
    models: tuple[ModelSpec, ...]
    """The models of this run, in the order given; those of patterns listed."""
    found: Found
    """What patterns stand for, which every process must see alike."""
    known: Mapping[str, ModelSpec]
    """All models that have a name, those of this run included."""
    dataset: str
    max_per_combo: int | None
    env_url: str | None
    """Of the environment; None for the embedded one."""
    tasks: str
    repeats: int
    """Times that each item is measured."""
    add_run: bool
    """Accept what is measured as a further run of the stored baseline."""
    selected_from: int
    """Checkpoints of which the model was chosen."""
    resume: bool
    out: Path
    baselines: Path
    update: bool
    """Accept what is measured as the baseline."""
    collect_only: bool
    annotate: bool
    """Whether GitHub Actions reads the output."""
    step_summary: Path | None
    """Where GitHub Actions takes markdown from."""

    @classmethod
    def from_config(cls, config: pytest.Config) -> Self:
        """Read our options; the command line wins over the file.

        Raises:
            pytest.UsageError: naming the flag, or the file and the key.

        """
        table, path = table_of(config)
        try:
            settings = read_settings(table, path)
            known = settings.specs(config.rootpath)
            asked = config.getoption("awsbench_model") or settings.run
            given = inline_specs(asked, known, config.invocation_params.dir)
            found = _found(config, given)
            models = expanded(given, found)
            return cls(
                root=config.rootpath,
                settings=settings,
                models=models,
                found=found,
                known={**known, **{spec.name: spec for spec in models}},
                dataset=_dataset(config, settings),
                max_per_combo=_positive(config, "awsbench_max_per_combo"),
                env_url=_env_url(config, settings),
                tasks=_tasks(config, settings),
                repeats=_positive(config, "awsbench_repeats") or settings.repeats,
                add_run=_adding(config),
                selected_from=_positive(config, "awsbench_selected_from")
                or settings.selected_from,
                resume=config.getoption("awsbench_resume"),
                out=_folder(config, "awsbench_out", ".awsbench"),
                baselines=config.rootpath / settings.baselines,
                update=config.getoption("update_snapshots", default=False),
                collect_only=config.getoption("collectonly"),
                annotate=os.environ.get("GITHUB_ACTIONS") == "true",
                step_summary=_variable_path("GITHUB_STEP_SUMMARY"),
            )
        except AwsbenchError as error:
            if isinstance(error, InfraError):
                pytest.exit(f"awsbench: {error}", returncode=EXIT_INFRA)
            raise pytest.UsageError(f"awsbench: {error}") from error

    def decoding(self, spec: ModelSpec) -> Decoding:
        """How answers of this model are sampled."""
        return self.settings.decoding(spec.configured or spec.name)

    def names_of(self, model: str) -> set[str]:
        """Return what gates may call a model: by its pattern's name, too."""
        spec = self.known[model]
        return {model, spec.configured} if spec.screened else {model}

    def without(self, skipped: Collection[str]) -> Self:
        """Return a run without some models that patterns found.

        Raises:
            ConfigError: if none is left.

        """
        models = tuple(spec for spec in self.models if spec.name not in skipped)
        if not models:
            raise ConfigError(
                f"no model to judge: of {', '.join(self.found)} only models were found"
                f" that cannot chat ({', '.join(skipped)})"
            )
        found = {
            pattern: [match for match in matches if match[0] not in skipped]
            for pattern, matches in self.found.items()
        }
        return replace(self, models=models, found=found)


def say(text: str) -> None:
    """Show one line at once: the run waits before it has anything else to show."""
    sys.stderr.write(f"awsbench: {text}\n")
    sys.stderr.flush()


def _found(config: pytest.Config, specs: tuple[ModelSpec, ...]) -> Found:
    """Return what patterns stand for: asked for once, by the main process."""
    given = getattr(config, "workerinput", {}).get("awsbench_found")
    return find(specs, listing(say)) if given is None else given


def _dataset(config: pytest.Config, settings: Settings) -> str:
    """Return the data set asked for; a path on the command line is relative to it."""
    flag = config.getoption("awsbench_dataset")
    if flag is None:
        return settings.dataset
    local = config.invocation_params.dir / flag
    return str(local) if local.exists() else flag


def _env_url(config: pytest.Config, settings: Settings) -> str | None:
    """Return the URL of the environment: of the flag, the file, or the variable."""
    given = config.getoption("awsbench_env_url") or settings.env
    if given is None:
        given = os.environ.get("ENV_BASE_URL") or BUILTIN
    return None if given == BUILTIN else given


def _tasks(config: pytest.Config, settings: Settings) -> str:
    """Return the tasks asked for; a path on the command line is relative to it."""
    flag = config.getoption("awsbench_tasks")
    if flag is None:
        return settings.tasks
    place, mark, rest = flag.partition("#")
    local = config.invocation_params.dir / place
    return f"{local}{mark}{rest}" if place and local.exists() else flag


def _variable_path(name: str) -> Path | None:
    """Return the path that an environment variable holds, if any."""
    given = os.environ.get(name)
    return Path(given) if given else None


def _positive(config: pytest.Config, name: str) -> int | None:
    """Return the value of a flag that counts from 1."""
    value: int | None = config.getoption(name)
    if value is not None and value < 1:
        flag = "--" + name.replace("_", "-")
        raise ConfigError(f"{flag}={value}: give a number of at least 1")
    return value


def _adding(config: pytest.Config) -> bool:
    """Return whether a run is added; alone the flag would do nothing.

    Raises:
        ConfigError: without the flag that accepts a baseline.

    """
    adding: bool = config.getoption("awsbench_add_run")
    if adding and not config.getoption("update_snapshots", default=False):
        raise ConfigError(
            "--awsbench-add-run adds a run to a baseline: give --snapshot-update, too"
        )
    return adding


def _folder(config: pytest.Config, name: str, default: str) -> Path:
    """Return a folder that a flag names, relative to where pytest was started."""
    flag = config.getoption(name)
    return config.invocation_params.dir / flag if flag else config.rootpath / default
