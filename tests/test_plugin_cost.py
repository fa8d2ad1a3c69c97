"""Installed and unused, the plugin costs nothing that anyone could notice."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


COUNT = """
import json, sys
import pytest
code = pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[1:]])
print("MODULES", json.dumps(sorted(sys.modules)))
"""
HEAVY = {"numpy", "pydantic", "torch", "transformers", "datasets", "httpx", "yaml"}


def modules(folder: Path, *arguments: str) -> set[str]:
    """Return what a run of pytest imported."""
    command = [sys.executable, "-c", COUNT, *arguments]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=True
    )
    line = next(x for x in done.stdout.splitlines() if x.startswith("MODULES "))
    return set(json.loads(line.removeprefix("MODULES ")))


def test_unused_it_imports_little(pytester: pytest.Pytester) -> None:
    """At most 8 more modules than without the plugin, none of them heavy."""
    pytester.makepyfile("def test_own(): pass")

    with_us = modules(pytester.path)
    without = modules(pytester.path, "-p", "no:awsbench")

    more = with_us - without
    assert len(more) <= 8, sorted(more)
    assert not {name.split(".")[0] for name in more} & HEAVY


def test_unused_it_writes_nothing(pytester: pytest.Pytester) -> None:
    """No file appears."""
    pytester.makepyfile("def test_own(): pass")
    before = {path.name for path in pytester.path.iterdir()}

    modules(pytester.path)

    after = {path.name for path in pytester.path.iterdir()}
    assert after - before <= {"__pycache__"}


def test_entry_point_is_installed() -> None:
    """Pytest finds the plugin by its entry point, not by this checkout."""
    from importlib.metadata import entry_points

    [found] = [e for e in entry_points(group="pytest11") if e.name == "awsbench"]

    assert found.value == "pytest_awsbench.plugin"


def test_help_tells_the_flags(pytester: pytest.Pytester) -> None:
    """--help shows five flags, all under our prefix."""
    result = pytester.runpytest("--help")

    for flag in ("model", "dataset", "max-per-combo", "resume", "out"):
        result.stdout.fnmatch_lines([f"*--awsbench-{flag}*"])
