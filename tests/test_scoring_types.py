"""The packaged table of option types: where it is from, and what it says."""

import zipfile
from importlib import resources

import botocore
import pytest

from pytest_awsbench.scoring import generate_types
from pytest_awsbench.scoring.option_types import (
    BOOLEAN,
    FILE,
    PROVENANCE,
    TEXT,
    provenance,
    service_types,
)


def kind(service: str, operation: str, option: str) -> str:
    """Return the type of an option in a word."""
    types = service_types(service)
    assert types is not None
    number = types.operations[operation].get(option, TEXT)
    match types.shape(number):
        case [_]:
            return "list"
        case {"": _}:
            return "map"
        case dict():
            return "structure"
        case _:
            return {TEXT: "text", BOOLEAN: "flag"}[number]


@pytest.mark.parametrize(
    ("service", "operation", "option", "expected"),
    [
        ("dynamodb", "put-item", "item", "map"),
        ("dynamodb", "put-item", "table-name", "text"),
        ("secretsmanager", "create-secret", "secret-string", "text"),
        ("secretsmanager", "create-secret", "tags", "list"),
        ("ec2", "run-instances", "block-device-mappings", "list"),
        ("ec2", "run-instances", "security-group-ids", "list"),
        ("ec2", "run-instances", "dry-run", "flag"),
        ("ec2", "run-instances", "user-data", "text"),
        ("iam", "create-policy", "policy-document", "text"),
        ("lambda", "create-function", "environment", "structure"),
        ("s3api", "put-bucket-tagging", "tagging", "structure"),
        ("deploy", "create-deployment", "revision", "structure"),
        ("configservice", "put-config-rule", "config-rule", "structure"),
        ("stepfunctions", "create-state-machine", "definition", "text"),
        ("logs", "create-log-group", "tags", "map"),
        ("events", "put-targets", "targets", "list"),
        ("s3", "cp", "recursive", "flag"),
        ("s3", "cp", "acl", "text"),
    ],
)
def test_types(service: str, operation: str, option: str, expected: str) -> None:
    """Options have the type that the AWS CLI documents for them."""
    assert kind(service, operation, option) == expected


@pytest.mark.parametrize(
    ("service", "operation"),
    [("emr", "describe-cluster"), ("emr", "list-clusters"), ("emr", "add-tags")],
)
def test_custom_commands_are_left_out(service: str, operation: str) -> None:
    """An operation whose options the CLI reads in its own way has no types."""
    types = service_types(service)

    assert types is not None
    assert operation not in types.operations


@pytest.mark.parametrize("name", ["", "nonesuch", PROVENANCE, "../s3", "codedeploy"])
def test_unknown_service(name: str) -> None:
    """What is no service of the CLI has no types."""
    assert service_types(name) is None


def test_provenance() -> None:
    """The table names the botocore that it was generated from."""
    major, minor, *_ = provenance()["botocore"].split(".")

    assert (int(major), int(minor)) >= (1, 43)


def test_small() -> None:
    """The table is at most 1 MB, and one service is a small part of it."""
    path = resources.files("pytest_awsbench.scoring").joinpath(FILE)

    assert len(path.read_bytes()) <= 1_000_000


def test_no_clock() -> None:
    """No entry of the table holds the time of its making."""
    path = resources.files("pytest_awsbench.scoring").joinpath(FILE)

    with path.open("rb") as stream, zipfile.ZipFile(stream) as table:
        dates = {info.date_time for info in table.infolist()}

    assert dates == {(1980, 1, 1, 0, 0, 0)}


def test_generator() -> None:
    """The generator writes what the table holds, byte for byte the same each time."""
    table = generate_types.table(["sqs"])
    packed = service_types("sqs")

    assert packed is not None
    assert generate_types.pack(table) == generate_types.pack(table)
    assert table[PROVENANCE] == {"botocore": botocore.__version__}
    if provenance()["botocore"] == botocore.__version__:
        expected = {"operations": packed.operations, "shapes": packed.shapes}
        assert table["sqs.json"] == expected


def test_generator_renames() -> None:
    """Services and options stand in the table under the CLI's names."""
    table = generate_types.table(["codedeploy"])

    options = table["deploy.json"]["operations"]["create-deployment-group"]

    assert "ec2-tag-filters" in options
    assert "ec-2-tag-filters" not in options
