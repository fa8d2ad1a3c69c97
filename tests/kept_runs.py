"""Runs that tests read again: where they are, and what the schema says of them."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pytest_awsbench.reports.schema import json_schema


def newest(project: pytest.Pytester) -> Path:
    """Return the folder of the last run."""
    return max(project.path.glob(".awsbench/*/run.json")).parent


def document(project: pytest.Pytester) -> dict[str, Any]:
    """Return the last run as it stands in its file, after the schema allowed it."""
    data: dict[str, Any] = json.loads((newest(project) / "run.json").read_text())
    strict_validator().validate(data)
    return data


def strict_validator() -> jsonschema.Draft202012Validator:
    """Return the published schema, with every key that it does not name refused."""
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    _close(schema)
    return jsonschema.Draft202012Validator(schema)


def _close(node: object) -> None:
    """Refuse further keys wherever keys are named."""
    if isinstance(node, dict):
        if "properties" in node:
            node["additionalProperties"] = False
        for value in node.values():
            _close(value)
    elif isinstance(node, list):
        for value in node:
            _close(value)
