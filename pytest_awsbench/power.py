"""``awsbench power``: what the gates of a configuration can see, without any model.

A plugin of pytest, so that configuration and conftest files mean what they mean in a
run: ``pytest -p pytest_awsbench.power``.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, replace

import pytest

from pytest_awsbench.cells import aligned, points
from pytest_awsbench.errors import AwsbenchError, InfraError
from pytest_awsbench.flags import ROOT
from pytest_awsbench.foresight import Foresight, foresee
from pytest_awsbench.gateplan import GatePlan, plan_gates
from pytest_awsbench.gates import Gate
from pytest_awsbench.opening import load_suites
from pytest_awsbench.options import EXIT_INFRA, Options
from pytest_awsbench.stats.power import DROPS
from pytest_awsbench.stores import find_baseline
from pytest_awsbench.suites.suite import Suite


HEADS = (
    "gate",
    "items",
    "tasks",
    "deff",
    "discordance",
    "finds 80%",
    "finds 95%",
    *(f"items for {100 * drop:.0f}pp" for drop in DROPS),
    "certifies",
)
LEGEND = (
    "finds 80%: smallest true drop that turns the gate red with 80 % chance;"
    " certifies: smallest margin that an unchanged model passes with 80 % chance.\n"
    "discordance: share of answers that change when nothing else does; a * says that"
    " 20 % is assumed: store a baseline with --awsbench-repeats=3 to measure it"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the flag that ``awsbench power --json`` stands for."""
    parser.addoption("--awsbench-power-json", action="store_true", help="plain values")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int:
    """Answer instead of running tests, once conftest files are loaded."""
    lines = power_json if config.getoption("awsbench_power_json") else power_lines
    try:
        for text in lines(config):
            print(text)  # noqa: T201 - what the command is for
    except InfraError as error:
        print(f"awsbench: {error}")  # noqa: T201
        return EXIT_INFRA
    except AwsbenchError as error:
        raise pytest.UsageError(f"awsbench: {error}") from error
    return 0


def power_lines(config: pytest.Config) -> Iterator[str]:
    """Yield the table of all gates of a configuration, and what must be said."""
    found, plan = _gates(config)
    yield from aligned([HEADS, *([name, *_cells(x)] for name, x in found.items())])
    for name, seen in found.items():
        yield from (f"  {name}: {note}" for note in seen.notes)
    shared = len(plan.spenders)
    alpha = _options(config).settings.alpha
    yield f"alpha {alpha:g} of the session is shared by {shared} gates"
    yield LEGEND


def power_json(config: pytest.Config) -> Iterator[str]:
    """Yield what all gates of a configuration can see, as plain values."""
    found, _ = _gates(config)
    gates = [
        {
            "node_id": name,
            "power": None if seen.power is None else asdict(seen.power),
            "notes": list(seen.notes),
        }
        for name, seen in found.items()
    ]
    yield json.dumps({"gates": gates}, indent=2)


def _gates(config: pytest.Config) -> tuple[dict[str, Foresight], GatePlan]:
    """Return what every gate can see, by its node id, and the plan of all."""
    options = _options(config)
    suites = load_suites(config, options)
    plan = plan_gates(config, options, suites)
    return {
        f"{ROOT}::{model}::{suite}::{planned.name}": _foreseen(
            options, model, suites[suite], planned.gate
        )
        for (model, suite), gates in plan.gates.items()
        for planned in gates
        if isinstance(planned.gate, Gate)
    }, plan


def _options(config: pytest.Config) -> Options:
    """Return the options, with all models and suites where none are named."""
    options = Options.from_config(config)
    if not options.models:
        known = list(options.known) if options.settings.models else ["sft"]
        config.option.awsbench_model = known
        options = Options.from_config(config)
    if not config.option.markexpr:
        named = dict.fromkeys(gate.suite for gate in options.settings.gates)
        config.option.markexpr = " or ".join(named or ("dataset",))
    return options


def _foreseen(options: Options, model: str, suite: Suite, gate: Gate) -> Foresight:
    """Return what a gate can see, as its model's baseline tells."""
    spec = options.known[model]
    baseline, _ = find_baseline(options.baselines, model, spec, suite)
    found = foresee(gate, suite.samples, baseline)
    if baseline is not None or gate.published is not None:
        return found
    note = "no baseline yet: deff is taken as 1; tasks may make it larger"
    return replace(found, notes=(*found.notes, note))


def _cells(found: Foresight) -> list[str]:
    """Return the cells of one gate."""
    power = found.power
    if power is None:
        return ["-"] * (len(HEADS) - 1)
    star = "" if power.measured or found.gate.published else "*"
    return [
        str(power.n),
        str(power.clusters),
        f"{power.deff:.1f}",
        f"{100 * power.discordance:.0f}%{star}",
        _drop(power.drop_80),
        _drop(power.drop_95),
        *(f"{power.items[drop]:,}" for drop in DROPS),
        points(power.margin, ""),
    ]


def _drop(value: float | None) -> str:
    """Return a drop that is found, if any is."""
    return "none" if value is None else points(value, "")
