"""Which gates a session has, what each may spend, and what they compare with."""

import json
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pytest_awsbench.config import GateTable, PublishedTable
from pytest_awsbench.errors import ConfigError
from pytest_awsbench.gates import Gate, GateFailedError, Published
from pytest_awsbench.options import Options
from pytest_awsbench.scoring.episodes import CONDITIONAL
from pytest_awsbench.suites.suite import Suite


Key = tuple[str, str]
"""Model and suite."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A gate's name, and what is judged: a rule, or a function of the user's."""

    name: str
    gate: Gate | Callable[..., Any]


@dataclass(frozen=True, slots=True)
class GatePlan:
    """All gates of a session: the same in every process and for any selection."""

    gates: Mapping[Key, tuple[Planned, ...]]
    spenders: frozenset[tuple[Key, str]] = frozenset()
    """Gates that share the session's alpha: model and suite, and name."""


def plan_gates(
    config: pytest.Config, options: Options, suites: Mapping[str, Suite]
) -> GatePlan:
    """Return the gates of every model and suite, each with its alpha.

    Gates that name an alpha of their own keep it. Guards take the session's whole one:
    a claim needs all of them at once, so nothing has to be shared out.

    Raises:
        ConfigError: naming the gate, and what there is.

    """
    check_gates(config, options, suites)
    found = {
        (spec.name, name): _of_one(config, options, spec.name, suite)
        for spec in options.models
        for name, suite in suites.items()
    }
    alpha = options.settings.alpha
    spenders = frozenset(
        (key, entry.name)
        for key, gates in found.items()
        for entry in gates
        if _spends(entry.gate)
    )
    each = alpha / max(len(spenders), 1)
    return GatePlan(
        {
            key: tuple(_with_alpha(entry, each, alpha) for entry in gates)
            for key, gates in found.items()
        },
        spenders,
    )


def check_gates(
    config: pytest.Config, options: Options, suites: Mapping[str, Suite]
) -> None:
    """Refuse gates that name what does not exist, before anything is loaded.

    Raises:
        ConfigError: naming the gate, and what there is.

    """
    own_metrics = bool(config.hook.pytest_awsbench_score.get_hookimpls())
    for number, table in enumerate(options.settings.gates):
        where = f"[tool.awsbench] gates.{number}"
        if table.suite not in {*suites, "dataset", "env"}:
            known = ", ".join(suites)
            raise ConfigError(f"{where}.suite = {table.suite!r}: known: {known}")
        _check_named(where, table, table.suite, options)
        if table.suite in suites:
            _check_fit(where, table, suites[table.suite], own_metrics=own_metrics)


def _check_named(
    where: str, table: GateTable | Gate, suite: str, options: Options
) -> None:
    """Refuse a metric that is shown alone, and a model that nobody knows."""
    if suite == "env" and table.metric in CONDITIONAL:
        raise ConfigError(
            f"{where}.metric = {table.metric!r} is shown, but cannot be gated:"
            f" {CONDITIONAL[table.metric]}"
        )
    if table.against is not None and table.against not in options.known:
        known = ", ".join(options.known)
        raise ConfigError(f"{where}.against = {table.against!r}: known: {known}")


def _check_fit(
    where: str, table: GateTable | Gate, suite: Suite, *, own_metrics: bool
) -> None:
    """Refuse what does not fit the suite's metrics and tiers."""
    if table.metric not in suite.scorers and not own_metrics:
        known = ", ".join(suite.scorers)
        raise ConfigError(f"{where}.metric = {table.metric!r}: known: {known}")
    _check_tiers(where, table, suite)
    if table.metric in suite.numbers:
        _check_number(where, table)
    elif table.metric in suite.scorers:
        _check_share(where, table)


def _check_tiers(where: str, table: GateTable | Gate, suite: Suite) -> None:
    """Refuse tiers that the data do not have."""
    tiers = dict.fromkeys(sample.tier for sample in suite.samples)
    by_tier = isinstance(table.weight, dict | tuple)
    weighted = dict(table.weight) if isinstance(table.weight, dict | tuple) else {}
    for key, given in (("tier", table.tiers), ("weight", weighted)):
        absent = [tier for tier in given if tier not in tiers]
        if absent:
            known = ", ".join(map(repr, tiers))
            raise ConfigError(f"{where}.{key} = {absent[0]!r}: known: {known}")
    lacking = [tier for tier in table.tiers or tiers if tier not in weighted]
    if by_tier and lacking:
        raise ConfigError(
            f"{where}.weight has no share for {', '.join(map(repr, lacking))};"
            " give each tier one above 0"
        )


def _check_number(where: str, table: GateTable | Gate) -> None:
    """Refuse what only shares have."""
    for key in ("weight", "baseline", "published"):
        if getattr(table, key, None) is not None:
            raise ConfigError(
                f"{where}.{key}: {table.metric} is no share; {key} is for shares"
            )


def _check_share(where: str, table: GateTable | Gate) -> None:
    """Refuse points where a fraction is meant."""
    for key in ("max_drop", "min_gain", "margin", "min", "max"):
        value = getattr(table, key)
        if value is not None and value > 1:
            raise ConfigError(
                f"{where}.{key} = {value:g}: {table.metric} is a share in [0, 1];"
                f" write {value:g} points as {value / 100:g}"
            )


def _of_one(
    config: pytest.Config, options: Options, model: str, suite: Suite
) -> list[Planned]:
    """Return the gates of a model on a suite: configured ones, then those of hooks."""
    names = options.names_of(model)
    gates: list[Gate | Callable[..., Any]] = [
        _configured(options, model, suite, table)
        for table in options.settings.gates
        if table.suite == suite.name and any(map(table.applies_to, names))
    ]
    if not gates:
        default = GateTable(suite=suite.name, metric=suite.primary)
        gates.append(_configured(options, model, suite, default))
    settings = options.settings
    if settings.max_leak is not None and suite.name == "dataset":
        gates.append(_leakage_gate(suite, settings.max_leak))
    for more in config.hook.pytest_awsbench_gates(
        config=config, model=model, suite=suite.name
    ):
        several = [more] if isinstance(more, Gate) or callable(more) else more
        gates += [gate for gate in several if _is_for(gate, suite)]
    for gate in gates:
        if isinstance(gate, Gate):
            _check_gate(config, options, suite, gate)
    return list(_named(resolved(gate, suite) for gate in gates))


def _is_for(gate: Gate | Callable[..., Any], suite: Suite) -> bool:
    """Whether a hook's gate is for this suite; a function says it by being returned."""
    return not isinstance(gate, Gate) or gate.suite == suite.name


def _check_gate(
    config: pytest.Config, options: Options, suite: Suite, gate: Gate
) -> None:
    """Refuse a gate that names what does not exist: it would be green for ever."""
    where = f"gate {gate.name!r} on {suite.name}"
    _check_named(where, gate, suite.name, options)
    own_metrics = bool(config.hook.pytest_awsbench_score.get_hookimpls())
    _check_fit(where, gate, suite, own_metrics=own_metrics)


def _leakage_gate(suite: Suite, most: float) -> Callable[[], None]:
    """Return a gate on what of the held-out rows stands in the training rows."""

    def gate_leakage() -> None:
        found = suite.leakage
        assert found is not None, "no training rows are configured"  # noqa: S101
        worst = found.worst
        if worst.share > most:
            raise GateFailedError(
                f"leakage {worst} > max_leak {most:.1%}: {worst.count} of {worst.of}"
                f" held-out rows stand in the training rows, first:"
                f" {', '.join(worst.examples)}; take them out of one side"
            )

    return gate_leakage


def _configured(options: Options, model: str, suite: Suite, table: GateTable) -> Gate:
    """Return a configured gate as it is judged."""
    settings = options.settings
    weight = table.weight
    confirm = settings.confirm if table.confirm is None else table.confirm
    return Gate(
        suite=suite.name,
        metric=table.metric,
        tiers=table.tiers,
        min=table.min,
        max=table.max,
        max_drop=table.max_drop,
        min_gain=table.min_gain,
        margin=table.margin,
        alpha=table.alpha,
        # A model compared with itself says nothing; its own baseline does.
        against=table.against if table.against != model else None,
        published=_published(options, table),
        direction=table.direction,
        cluster=table.cluster,
        weight=tuple(weight.items()) if isinstance(weight, dict) else weight,
        guard=table.guard,
        inconclusive=table.inconclusive or settings.inconclusive,
        confirm=confirm,
    )


def resolved(
    gate: Gate | Callable[..., Any], suite: Suite
) -> Gate | Callable[..., Any]:
    """Return a gate that knows its metric as the suite does."""
    if not isinstance(gate, Gate):
        return gate
    known = gate.metric in suite.scorers
    return replace(
        gate,
        unit=gate.unit or (suite.unit(gate.metric) if known else None),
        direction=gate.direction or suite.direction(gate.metric),
    )


def _named(gates: Iterator[Gate | Callable[..., Any]]) -> Iterator[Planned]:
    """Yield gates under names of which no two are the same."""
    taken: dict[str, int] = {}
    for gate in gates:
        name = gate.name if isinstance(gate, Gate) else _function_name(gate)
        taken[name] = taken.get(name, 0) + 1
        if taken[name] > 1:
            name += f"-{taken[name]}"
            if isinstance(gate, Gate):
                gate = replace(gate, title=name)  # noqa: PLW2901 - the same gate
        yield Planned(name, gate)


def _function_name(function: Callable[..., Any]) -> str:
    """Return the item name of a function that is a gate."""
    return f"gate-{function.__name__.removeprefix('gate_')}"


def _spends(gate: Gate | Callable[..., Any]) -> bool:
    """Whether a gate takes part of the session's alpha."""
    return isinstance(gate, Gate) and gate.alpha is None and not gate.guard


def _with_alpha(entry: Planned, each: float, whole: float) -> Planned:
    """Return a gate with what it may spend."""
    gate = entry.gate
    if not isinstance(gate, Gate) or gate.alpha is not None:
        return entry
    return Planned(entry.name, replace(gate, alpha=whole if gate.guard else each))


def _published(options: Options, table: GateTable) -> Published | None:
    """Return the published number of a gate, from the file where one is named."""
    found = table.baseline
    if found is None:
        return None
    if isinstance(found, str):
        found = _from_file(options.root / found, table.metric)
    return Published(
        value=found.value, n=found.n, stderr=found.stderr, source=found.source
    )


def _from_file(path: Path, metric: str) -> PublishedTable:
    """Read a published number from a TOML or JSON table: metric → value, n.

    Raises:
        ConfigError: naming the file, and what it has.

    """
    try:
        text = path.read_text(encoding="utf-8")
        table = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: no table of published numbers: {error}") from error
    if not isinstance(table, dict) or metric not in table:
        known = ", ".join(table) if isinstance(table, dict) else "no table"
        raise ConfigError(f"{path}: no {metric!r}; it has {known}")
    try:
        return PublishedTable.model_validate(table[metric])
    except ValidationError as error:
        detail = error.errors()[0]
        where = ".".join(map(str, detail["loc"]))
        raise ConfigError(f"{path}: {metric}.{where}: {detail['msg']}") from error
