"""Three levels of help: services, operations, the form of the commands."""

from collections.abc import Iterator

from pytest_awsbench.envs.schema import SuccessCriteria


LEVELS = 3
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
        services += [*dict.fromkeys(_of_checks(criteria))]
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


def _of_checks(criteria: SuccessCriteria) -> Iterator[str]:
    """Yield the services that the checks of the end state ask."""
    for check in criteria.state_checks:
        words = check.command.split()
        if len(words) > 1:
            yield words[1]
