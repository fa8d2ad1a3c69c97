"""How far a task is done: progress and achievement, by what its criteria hold.

Which field is set decides: state checks, else steps, else a resource, else a command.
``reference`` grades as the reference environment does, defects included; ``sound``
(the default) mends those that can be mended without doubt: names are whole names,
equivalent commands count, and an achieved task has progress 1.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pytest_awsbench.envs.schema import StateCheck, Step, SuccessCriteria
from pytest_awsbench.envs.server.commands import Executed, family, succeeded
from pytest_awsbench.envs.server.universe import Universe
from pytest_awsbench.envs.server.verifiers import exists


Grading = Literal["sound", "reference"]
STEPS, CHECKS = 0.7, 0.3
"""What steps and state checks count of the progress where a task has both."""


@dataclass(frozen=True, slots=True)
class Grade:
    """How far a task is done."""

    progress: float
    achieved: bool


class Grader:
    """Grades one task."""

    def __init__(self, criteria: SuccessCriteria, mode: Grading = "sound") -> None:
        self._criteria = criteria
        self._sound = mode == "sound"
        self._checked: list[bool] | None = None

    def grade(self, history: Sequence[Executed], universe: Universe) -> Grade:
        """Grade what was done so far; the last command is the latest.

        Args:
            history: every command that was run, oldest first; at least one.
            universe: the account, for what must be there in the end.

        """
        criteria = self._criteria
        if criteria.state_checks:
            found = self._state(history, universe)
        elif criteria.steps:
            found = self._steps(history)
        elif criteria.resource_exists is not None:
            found = self._resource(history, universe)
        else:
            found = self._command(history[-1])
        if found.achieved and self._sound:
            return Grade(1.0, achieved=True)
        return found

    def forget(self) -> None:
        """Check again whatever the next command is: the account has changed."""
        self._checked = None

    def _state(self, history: Sequence[Executed], universe: Universe) -> Grade:
        """Grade by the end state; the services must have been used with success."""
        if self._checked is None or not history[-1].only_reads:
            # What only reads, or failed, cannot have changed what is checked.
            self._checked = [
                _holds(check, universe) for check in self._criteria.state_checks
            ]
        checks = self._checked
        share = sum(checks) / len(checks)
        tried = not self._sound or bool(succeeded(history))
        done = all(checks) and tried and self._services_used(history)
        steps = self._criteria.steps
        if steps:
            progress = STEPS * self._prefix(steps, history) + CHECKS * share
        else:
            progress = share if self._sound and self._acted(history) else CHECKS * share
        return Grade(min(1.0, progress), achieved=done)

    def _steps(self, history: Sequence[Executed]) -> Grade:
        """Grade by which operations were used with success, in the order listed."""
        share = self._prefix(self._criteria.steps, history)
        return Grade(share, achieved=share == 1 and self._services_used(history))

    def _resource(self, history: Sequence[Executed], universe: Universe) -> Grade:
        """Grade by whether a resource is there; half for the right command."""
        wanted = self._criteria.resource_exists
        assert wanted is not None  # noqa: S101 - dispatched on it
        if exists(wanted.service, wanted.name, universe, whole=self._sound):
            return Grade(1.0, achieved=True)
        named = not self._sound or history[-1].names(wanted.name)
        found = named and self._matches(history[-1])
        return Grade(0.5 if found else 0.0, achieved=False)

    def _command(self, latest: Executed) -> Grade:
        """Grade by the latest command."""
        done = self._matches(latest)
        return Grade(float(done), achieved=done)

    def _matches(self, executed: Executed) -> bool:
        """Whether a command is the one that is asked for, and succeeded."""
        contains = self._criteria.command_contains or ""
        operation = self._criteria.operation or ""
        if not executed.ok or not (contains or operation):
            return False
        if self._sound and executed.pretends:
            return False
        text = executed.command.lower()
        if not self._sound:
            return contains.lower() in text and operation.lower() in text
        named = not contains or bool(
            re.search(rf"(?<![\w-]){re.escape(contains.lower())}(?![\w-])", text)
        )
        service = family(contains) == family(executed.service)
        return (named or service) and (
            not operation or operation in executed.operations
        )

    def _prefix(self, steps: Sequence[Step], history: Sequence[Executed]) -> float:
        """Return the share of steps up to the first that is not done."""
        done = succeeded(history)
        count = 0
        for step in steps:
            if not any(self._does(executed, step) for executed in done):
                break
            count += 1
        return count / len(steps)

    def _does(self, executed: Executed, step: Step) -> bool:
        """Whether a command does a step."""
        if self._sound:
            return (
                not executed.pretends
                and step.operation in executed.operations
                and (step.resource is None or executed.names(step.resource))
            )
        words = executed.command.split()
        if len(words) < 3 or words[2] != step.operation:  # noqa: PLR2004 - aws, service
            return False
        return step.resource is None or bool(
            re.search(rf"\b{re.escape(step.resource)}\b", executed.command)
        )

    def _services_used(self, history: Sequence[Executed]) -> bool:
        """Whether every service was used with success."""
        done = succeeded(history)
        if self._sound:
            families = {family(e.service) for e in done if not e.pretends}
            return families >= {family(s) for s in self._criteria.services}
        used = [[*e.command.split(), ""][1] for e in done]
        return all(
            any(service in name for name in used) for service in self._criteria.services
        )

    def _acted(self, history: Sequence[Executed]) -> bool:
        """Whether anything was done that is more than reading."""
        return any(not e.only_reads for e in succeeded(history))


def _holds(check: StateCheck, universe: Universe) -> bool:
    """Whether a check of the end state holds."""
    ran = universe.run(check.command)
    if not ran.ok:
        return False
    if check.output_contains is not None and check.output_contains not in ran.output:
        return False
    if check.json_path is None:
        return True
    try:
        value = at_path(json.loads(ran.output), check.json_path)
    except (ValueError, LookupError, TypeError):
        return False
    if isinstance(value, bool) and isinstance(check.expected, bool):
        return value is check.expected
    return str(value) == str(check.expected)


def at_path(document: Any, path: str) -> Any:  # noqa: ANN401 - JSON
    """Return what stands at a path such as ``$.Table.Items[0].Name``.

    >>> at_path({"a": [{"b": 1}]}, "$.a[0].b")
    1

    Raises:
        LookupError: if nothing stands there.

    """
    for name, index in re.findall(r"([\w-]+)|\[(\d+)\]", path.removeprefix("$")):
        document = document[int(index)] if index else document[name]
    return document
