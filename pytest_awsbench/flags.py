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
            " a folder, Hub id or .gguf file, PATH+ADAPTER, or replay:ANSWERS.jsonl;"
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
