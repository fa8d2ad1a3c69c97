"""Model regression testing with pytest.

Public names resolve on first use, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
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
    "Gate": "gates",
    "Message": "records",
    "Model": "models.spec",
    "ModelSpec": "models.spec",
    "Result": "records",
    "Run": "records",
    "Sample": "records",
    "Score": "records",
    "Suite": "suites.suite",
    "Verdict": "gates",
}

__all__ = [
    "AwsbenchError",
    "Completion",
    "Decoding",
    "Gate",
    "Message",
    "Model",
    "ModelSpec",
    "Result",
    "Run",
    "Sample",
    "Score",
    "Suite",
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
