"""openenv's server, imported without the web page that this one does not have.

openenv imports gradio for it: two thirds of the time that its import takes.
"""

import importlib
import sys
from contextlib import suppress
from unittest.mock import MagicMock


PAGE = "gradio"
SERVER = "openenv.core.env_server.http_server"


def import_server() -> None:
    """Import openenv's server; with gradio after all, should it need more of it."""
    if PAGE in sys.modules or SERVER in sys.modules:
        return
    sys.modules[PAGE] = MagicMock(name=PAGE)
    try:
        with suppress(ImportError, AttributeError, TypeError):
            importlib.import_module(SERVER)
    finally:
        del sys.modules[PAGE]


import_server()

# Only now: the names come from what was imported above.
from openenv.core.env_server.http_server import create_fastapi_app  # noqa: E402
from openenv.core.env_server.interfaces import Environment  # noqa: E402
from openenv.core.env_server.types import (  # noqa: E402
    Action,
    EnvironmentMetadata,
    Observation,
)


__all__ = [
    "Action",
    "Environment",
    "EnvironmentMetadata",
    "Observation",
    "create_fastapi_app",
]
