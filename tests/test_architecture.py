"""The layering holds: a module imports only what stands below it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import pytest_awsbench


PACKAGE = Path(pytest_awsbench.__file__).parent

#: From the top down. A module may import those of lower lines, and of its own line
#: only those to its right.
LAYERS = """
    cli
    power
    plugin
    starting
    distribute summary progress reporting junit
    recording running
    writing remarks
    fixtures
    handles
    userprompts collection
    gateitems snapshots
    confirming
    session
    opening
    staging sizing
    stopping
    gateplan
    options flags hookspecs
    ranking tables curvelines reproducing
    measuring earlier runfile flips figures
    hardware truncation
    hygiene
    ledger stores
    screening naming config
    repeating
    foresight
    baselines judging comparing pairing verdicts gates cells
    answering journal engine chunks
    throughput
    suites.builtin suites.dataset suites.env suites.selecting
    suites.playing
    suites.seating suites.prompting suites.suite suites.leakage
    showing
    reports.visible
    scoring.answers scoring.episodes
    envs.source envs.embedded envs.catalog envs.yamlfiles
    envs.preflight envs.client envs.sockets envs.reaching envs.outages envs.frames
    envs.urls envs.schema envs.protocol envs.server.universe
    models.capacity models.loading models.transformers models.replay models.weights
    models.listing models.probing models.engines models.absent models.served
    models.fitting models.requesting models.startup models.refusals
    models.replicas models.replies models.overflows models.spec models.endpoints
    hub
    scoring.reasoning
    records episodes errors garbage
"""

#: Folders whose modules may import each other freely.
FOLDERS = ("demo", "scoring", "stats", "models", "suites", "envs", "reports")
SHELL = {
    "power",
    "plugin",
    "starting",
    "distribute",
    "summary",
    "progress",
    "recording",
    "reporting",
    "junit",
    "writing",
    "remarks",
    "running",
    "handles",
    "fixtures",
    "userprompts",
    "collection",
    "gateitems",
    "snapshots",
    "session",
    "gateplan",
    "opening",
    "sizing",
    "staging",
    "options",
    "flags",
    "hookspecs",
}
TORCH = {"torch", "transformers", "peft", "bitsandbytes", "accelerate"}


def modules() -> dict[str, ast.Module]:
    """Parse every module of the package, by its name below the package."""
    return {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts): ast.parse(
            path.read_text(encoding="utf-8")
        )
        for path in PACKAGE.rglob("*.py")
    }


def imports(tree: ast.Module) -> Iterator[str]:
    """Yield the absolute names that a module imports, lazily or not."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module.startswith("pytest_awsbench"):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ours(tree: ast.Module, known: set[str]) -> set[str]:
    """Return the modules of the package that a module imports."""
    names = (name.removeprefix("pytest_awsbench.") for name in imports(tree))
    return {name for name in names if name in known}


def order() -> dict[str, int]:
    """Return the place of every layered module, from the top down."""
    return {name: place for place, name in enumerate(LAYERS.split())}


def test_every_module_has_its_place() -> None:
    """No module outside the folders is missing from the order, and none is gone."""
    flat = {
        name
        for name in modules()
        if name.split(".")[0] not in FOLDERS and not name.endswith("__init__")
    }

    listed = {name for name in order() if name.split(".")[0] not in FOLDERS}

    assert flat == listed


def test_imports_point_down() -> None:
    """A module imports only what stands below it, lazy imports included."""
    places = order()
    parsed = modules()

    upward = {
        (name, target)
        for name, tree in parsed.items()
        if name in places
        for target in ours(tree, set(parsed))
        if target in places and places[target] < places[name]
    }

    assert upward == set()


def test_no_cycles() -> None:
    """No module can be reached from itself."""
    parsed = modules()
    graph = {name: ours(tree, set(parsed)) - {name} for name, tree in parsed.items()}

    def reaches(start: str) -> set[str]:
        seen: set[str] = set()
        todo = set(graph[start])
        while todo:
            seen |= todo
            todo = {n for name in todo for n in graph[name]} - seen
        return seen

    assert {name for name in graph if name in reaches(name)} == set()


@pytest.mark.parametrize("library", ["pytest", "_pytest", "xdist", "syrupy"])
def test_library_knows_no_pytest(library: str) -> None:
    """Everything outside the shell is usable without pytest."""
    users = {
        name
        for name, tree in modules().items()
        if any(target.split(".")[0] == library for target in imports(tree))
    }

    assert users <= SHELL


def test_torch_in_one_place() -> None:
    """torch and its family are imported by the backend and the demo's training."""
    users = {
        name
        for name, tree in modules().items()
        if any(target.split(".")[0] in TORCH for target in imports(tree))
    }

    assert {name.split(".")[0] for name in users} <= {"models", "demo"}


def test_server_stands_alone() -> None:
    """The environment's processes import nothing of the package but environments."""
    foreign = {
        (name, target)
        for name, tree in modules().items()
        if name.startswith("envs.server")
        for target in ours(tree, set(modules()))
        if not target.startswith("envs.")
    }

    assert foreign <= {("envs.server.__main__", "errors")}
