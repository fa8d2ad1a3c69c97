"""Three levels of help: services, operations, the form of the commands."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from pytest_awsbench.envs.schema import SuccessCriteria


LEVELS = 3
OF: Mapping[str, str] = MappingProxyType({
    "bucket": "s3api",
    "object": "s3api",
    "queue": "sqs",
    "message": "sqs",
    "topic": "sns",
    "subscribe": "sns",
    "publish": "sns",
    "table": "dynamodb",
    "item": "dynamodb",
    "function": "lambda",
    "role": "iam",
    "user": "iam",
    "group": "iam",
    "bucket-policy": "s3api",
    "policy": "iam",
    "profile": "iam",
    "secret": "secretsmanager",
    "parameter": "ssm",
    "rule": "events",
    "targets": "events",
    "log-group": "logs",
    "retention-policy": "logs",
    "log-stream": "logs",
    "stream": "kinesis",
    "cluster": "ecs",
    "repository": "ecr",
    "key": "kms",
    "alias": "kms",
    "vpc": "ec2",
    "subnet": "ec2",
    "volume": "ec2",
    "security-group": "ec2",
    "key-pair": "ec2",
    "alarm": "cloudwatch",
    "database": "glue",
    "work-group": "athena",
    "stack": "cloudformation",
})
"""What an operation is about, by the end of its name → the service."""
_FALLBACK = (
    "Read the task again: which AWS service does it name?",
    "Use describe, get or list operations to see what is there, then change it.",
    "Command structure: aws SERVICE OPERATION --option value",
)


def hint(criteria: SuccessCriteria, count: int) -> str:
    """Return the hint after so many were asked for; from the third on the same."""
    level = min(count, LEVELS)
    text = (_services, _operations, _structure)[level - 1](criteria)
    return text or _FALLBACK[level - 1]


def _services(criteria: SuccessCriteria) -> str:
    """Name the services."""
    services: list[str] = [*criteria.services]
    if criteria.resource_exists is not None:
        services.append(criteria.resource_exists.service)
    if not services and criteria.command_contains and criteria.operation:
        return f"You'll need these AWS services: {criteria.command_contains}"
    if not services:
        found = (*_of_steps(criteria), *_of_checks(criteria))
        services += [*dict.fromkeys(found)]
    return f"You'll need these AWS services: {', '.join(services)}" if services else ""


def _operations(criteria: SuccessCriteria) -> str:
    """Name the operations, in order."""
    names = [step.operation for step in criteria.steps]
    if not names and criteria.operation:
        names = [criteria.operation]
    return f"Use these operations in order: {', '.join(names)}" if names else ""


def _structure(criteria: SuccessCriteria) -> str:
    """Show the form of the commands."""
    parts = [
        f"aws ... {step.operation} ... {step.resource or ''}".strip()
        for step in criteria.steps
    ]
    if not parts and criteria.operation:
        contains = criteria.command_contains or "..."
        parts = [f"aws {contains} {criteria.operation} ..."]
    return f"Command structure: {' → '.join(parts)}" if parts else ""


def _of_steps(criteria: SuccessCriteria) -> Iterator[str]:
    """Yield the services of operations, as far as their names tell."""
    for step in criteria.steps:
        words = step.operation.split("-")
        ends = ("-".join(words[start:]) for start in range(len(words)))
        service = next((OF[end] for end in ends if end in OF), None)
        if service is not None:
            yield service


def _of_checks(criteria: SuccessCriteria) -> Iterator[str]:
    """Yield the services that the checks of the end state ask."""
    for check in criteria.state_checks:
        words = check.command.split()
        if len(words) > 1:
            yield words[1]
