"""Model regression testing with pytest.

Public names resolve on first use, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from pytest_awsbench.envs.protocol import Environment, Observation
    from pytest_awsbench.episodes import Episode, Play, Turn
    from pytest_awsbench.errors import AwsbenchError
    from pytest_awsbench.gates import Gate, Verdict
    from pytest_awsbench.models.spec import Model, ModelSpec
    from pytest_awsbench.records import (
        Completion,
        Decoding,
        Message,
        Result,
        Run,
        Sample,
        Score,
    )
    from pytest_awsbench.suites.suite import Suite

_HOMES = {
    "AwsbenchError": "errors",
    "Completion": "records",
    "Decoding": "records",
    "Environment": "envs.protocol",
    "Episode": "episodes",
    "Gate": "gates",
    "Message": "records",
    "Model": "models.spec",
    "ModelSpec": "models.spec",
    "Observation": "envs.protocol",
    "Play": "episodes",
    "Result": "records",
    "Run": "records",
    "Sample": "records",
    "Score": "records",
    "Suite": "suites.suite",
    "Turn": "episodes",
    "Verdict": "gates",
}

__all__ = [
    "AwsbenchError",
    "Completion",
    "Decoding",
    "Environment",
    "Episode",
    "Gate",
    "Message",
    "Model",
    "ModelSpec",
    "Observation",
    "Play",
    "Result",
    "Run",
    "Sample",
    "Score",
    "Suite",
    "Turn",
    "Verdict",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any public name
    """Import a public name on first use (PEP 562)."""
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
