"""The beginning of a run: options, session, and the plugin objects of its role."""

import pytest

from pytest_awsbench.collection import Collection
from pytest_awsbench.flags import MARKERS, table_of
from pytest_awsbench.garbage import collector_paused
from pytest_awsbench.junit import JunitProperties
from pytest_awsbench.options import Options
from pytest_awsbench.progress import Progress
from pytest_awsbench.recording import GateMemory, Recorder
from pytest_awsbench.reporting import Reporter
from pytest_awsbench.running import Runner
from pytest_awsbench.session import BenchSession, session_key, session_of
from pytest_awsbench.summary import Summary


KNOWN_WARNINGS = (
    "ignore::DeprecationWarning:torch.jit._script",
    "ignore:.is_gradient_checkpointing. is deprecated:FutureWarning",
)


def start(config: pytest.Config) -> BenchSession:
    """Open a session with suites, and register what its process needs."""
    _silence(config)
    with collector_paused():
        bench = BenchSession.open(config, Options.from_config(config))
    config.stash[session_key] = bench
    for name in bench.suites.keys() - MARKERS.keys():
        text = f"{name}: suite of this project (pytest-awsbench)"
        config.addinivalue_line("markers", text)
    plugins = config.pluginmanager
    plugins.register(Collection(bench), "awsbench-collection")
    plugins.register(Runner(bench), "awsbench-runner")
    if bench.role != "worker":
        _register_main(bench, config)
    return bench


def _silence(config: pytest.Config) -> None:
    """Keep what libraries say to their own developers out of the user's output."""
    for line in KNOWN_WARNINGS:
        config.addinivalue_line("filterwarnings", line)


def _register_main(bench: BenchSession, config: pytest.Config) -> None:
    """Register what only the main process does."""
    plugins = config.pluginmanager
    recorder = Recorder(bench)
    plugins.register(recorder, "awsbench-recorder")
    plugins.register(GateMemory(config, bench.gates), "awsbench-gate-memory")
    plugins.register(Summary(bench, recorder), "awsbench-summary")
    plugins.register(JunitProperties(recorder), "awsbench-junit")
    plugins.register(Reporter(bench, recorder), "awsbench-reporter")
    # Without a terminal there is no such option.
    if config.getoption("verbose", -1) >= 0:
        progress = Progress(bench)
        bench.engine.watch = progress
        plugins.register(progress, "awsbench-progress")
    if bench.role == "controller":
        from pytest_awsbench.distribute import Distribution

        plugins.register(Distribution(bench, recorder), "awsbench-distribution")


def start_for_tests(config: pytest.Config) -> BenchSession | None:
    """Open a session without suites, for tests that use a model; None without one."""
    bench = session_of(config)
    if bench is None and _has_model(config):
        _silence(config)
        bench = BenchSession.open(config, Options.from_config(config), suites=False)
        config.stash[session_key] = bench
        config.pluginmanager.register(Runner(bench), "awsbench-runner")
    return bench


def _has_model(config: pytest.Config) -> bool:
    """Whether a model is named on the command line or in ``run``."""
    return bool(config.getoption("awsbench_model") or table_of(config)[0].get("run"))
