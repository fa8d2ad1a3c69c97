"""Command-line flags, and whether a run asks for us at all.

Read at every start of pytest in every project that has the plugin installed, so
nothing here may be slow: no pydantic, no data, no model.
"""

import re
from pathlib import Path
from typing import Any

import pytest


ROOT = "awsbench"
"""First part of our node ids."""
MARKERS = {
    "dataset": "one-shot answers on held-out prompts (pytest-awsbench)",
    "env": "live multi-step episodes (pytest-awsbench)",
    "gate": "thresholds and non-regression, judged last (pytest-awsbench)",
}
PROMPT_MARKER = (
    "awsbench_prompt(text): ask the model this before the test runs, in a batch with"
    " the others; fixture awsbench_completion has the answer"
)


def add_options(parser: pytest.Parser) -> None:
    """Add the flags; everything else is configuration."""
    group = parser.getgroup("awsbench", "model regression testing (awsbench)")
    group.addoption(
        "--awsbench-model",
        action="append",
        metavar="MODEL",
        help=(
            "model to judge: a configured name (without configuration: base, sft),"
            " a folder, Hub id or .gguf file, PATH+ADAPTER, openai:URL#MODEL (#*: all"
            " that the server offers), or replay:ANSWERS.jsonl;"
            " NAME=MODEL names it; may be given several times"
        ),
    )
    group.addoption(
        "--awsbench-dataset",
        metavar="DATA",
        help='held-out prompts: "builtin", a .jsonl or .parquet file, or a Hub id',
    )
    group.addoption(
        "--awsbench-max-per-combo",
        type=int,
        metavar="K",
        help="take the first K prompts per (tier, source): a declared subset",
    )
    group.addoption(
        "--awsbench-env-url",
        metavar="URL",
        help=(
            "environment of suite env: an OpenEnv server (also ENV_BASE_URL);"
            " default: the embedded one, started for the run"
        ),
    )
    group.addoption(
        "--awsbench-tasks",
        metavar="TASKS",
        help=(
            "tasks of suite env: builtin, a task file or folder, ids (0,6,11),"
            ' tier:expert, "3 per tier", or val'
        ),
    )
    group.addoption(
        "--awsbench-repeats",
        type=int,
        metavar="K",
        help=(
            "measure each item K times: trials of a task, or sampled answers to a"
            " prompt (default: 1)"
        ),
    )
    group.addoption(
        "--awsbench-add-run",
        action="store_true",
        help=(
            "with --snapshot-update: add this run to the stored baseline of the same"
            " weights, data and settings, instead of replacing it"
        ),
    )
    group.addoption(
        "--awsbench-selected-from",
        type=int,
        metavar="M",
        help=(
            "with --snapshot-update: the model was chosen among M checkpoints; the"
            " run that chose it is not stored"
        ),
    )
    group.addoption(
        "--awsbench-resume",
        action="store_true",
        help="keep the answers of a stopped run; generate only what is missing",
    )
    group.addoption(
        "--awsbench-out",
        metavar="DIR",
        help="where runs and journals are written (default: .awsbench)",
    )


def table_of(config: pytest.Config) -> tuple[dict[str, Any], Path | None]:
    """Return the raw configuration table and the file it stands in.

    Raises:
        pytest.UsageError: if a file is not TOML, or if two files configure us.

    """
    found = [(t, p) for p in _candidates(config) if (t := _read(p)) is not None]
    if len(found) > 1:
        names = " and ".join(str(path) for _, path in found)
        raise pytest.UsageError(f"awsbench is configured twice, in {names}; keep one")
    return found[0] if found else ({}, None)


def marker_lines(config: pytest.Config) -> list[str]:
    """Return the markers to register: those of suites only where we are in use.

    A repository that has markers of these names for other things keeps them.
    """
    if not (config.getoption("awsbench_model") or table_of(config)[0]):
        return [PROMPT_MARKER]
    return [PROMPT_MARKER, *(f"{name}: {text}" for name, text in MARKERS.items())]


def requested(config: pytest.Config) -> bool:
    """Whether this run wants suites: a model is named, or ``-m`` in a configured repo.

    An unconfigured repository with markers of its own sees nothing of us.
    """
    if config.getoption("awsbench_model"):
        return True
    markers = config.getoption("markexpr", "")
    if not markers:
        return False
    table, _ = table_of(config)
    names = {*MARKERS, *table.get("suites", ())}
    return bool(table.get("run")) and not names.isdisjoint(
        re.findall(r"[\w-]+", markers)
    )


def suites_wanted(config: pytest.Config) -> bool:
    """Whether to collect suites: not when the command line names only other tests."""
    if hasattr(config, "workerinput"):
        # A worker gets its arguments spelled out; the main process knows better.
        return bool(config.workerinput.get("awsbench_wanted"))
    from_args = config.args_source == pytest.Config.ArgsSource.ARGS
    return not from_args or any(is_ours(arg) for arg in config.args)


def selects(config: pytest.Config, suite: str) -> bool:
    """Whether ``-m`` leaves anything of a suite; None of it need be loaded else."""
    from _pytest.mark.expression import Expression

    markers = config.getoption("markexpr", "")
    if not markers:
        return True
    expression = Expression.compile(markers)
    return any(
        expression.evaluate(_Named(names)) for names in ({suite}, {suite, "gate"})
    )


class _Named(frozenset[str]):
    """Markers of an item, as an expression asks for them."""

    def __call__(self, name: str, /, **_: object) -> bool:
        """Whether an item has a marker."""
        return name in self


def env_wanted(config: pytest.Config) -> bool:
    """Whether the suite ``env`` is collected: it starts a server, so only if named.

    Named by ``-m``, by a node id, by one of its flags, or by ``env`` in the
    configuration.
    """
    if config.getoption("markexpr", ""):
        named = "env" in re.findall(r"[\w-]+", config.getoption("markexpr"))
        return named and selects(config, "env")
    flags = ("awsbench_env_url", "awsbench_tasks")
    return (
        any(config.getoption(flag) is not None for flag in flags)
        or any(is_ours(arg) and "::env" in arg for arg in config.args)
        or "env" in table_of(config)[0]
    )


def is_ours(arg: str) -> bool:
    """Whether an argument is a node id of ours."""
    return arg == ROOT or arg.startswith(f"{ROOT}::")


def _candidates(config: pytest.Config) -> list[Path]:
    """Files that may configure us, without repeats."""
    files = [config.rootpath / "awsbench.toml", config.rootpath / "pyproject.toml"]
    if config.inipath is not None and config.inipath.suffix == ".toml":
        files.append(config.inipath)
    return [path for path in dict.fromkeys(files) if path.is_file()]


def _read(path: Path) -> dict[str, Any] | None:
    """Read our table from a TOML file; None if the file does not speak of us."""
    import tomllib

    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise pytest.UsageError(f"{path}: not TOML: {error}") from error
    except OSError as error:
        raise pytest.UsageError(f"{path}: cannot be read: {error}") from error
    table: dict[str, Any] | None = data.get("tool", {}).get("awsbench")
    if path.name == "awsbench.toml" and table is None:
        return data
    return table
