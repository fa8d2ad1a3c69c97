"""The bad habits of the base model, tied to the task.

Greedy decoding shows the most likely answer only; habits drawn at random would show as
the commonest one. So each task has its own.
"""

from collections.abc import Callable

from pytest_awsbench.demo.rows import Turn


PLAIN, FENCE, PROSE, QUOTES, INLINE, OPERATION, OPTION = range(7)
#: How often each habit stands among the tasks.
_SHARES = (
    (PLAIN, 16),
    (FENCE, 15),
    (PROSE, 9),
    (QUOTES, 6),
    (INLINE, 3),
    (OPERATION, 7),
    (OPTION, 5),
)
_WRONG = {
    "create": "describe",
    "describe": "list",
    "get": "describe",
    "list": "describe",
    "put": "update",
}


def habit_of(template: int) -> int:
    """Return a task's habit; a stride spreads habits over the tiers."""
    habits = [habit for habit, count in _SHARES for _ in range(count)]
    return habits[template * 23 % len(habits)]


def spoiled(turn: Turn) -> str:
    """Return the answer that the base model shall give."""
    return _HABITS[habit_of(turn.template)](turn.answer)


def _other_operation(command: str) -> str:
    """Return a command whose operation does something else."""
    aws, service, operation, *rest = command.split(" ")
    verb, dash, noun = operation.partition("-")
    return " ".join((aws, service, _WRONG.get(verb, "list") + dash + noun, *rest))


def _without_last_option(command: str) -> str:
    """Return a command that lacks its last option."""
    head, found, _ = command.rpartition(" --")
    return head if found else command


_HABITS: dict[int, Callable[[str], str]] = {
    PLAIN: lambda command: command,
    FENCE: lambda command: f"```bash\n{command}\n```",
    PROSE: lambda command: f"Here is the command:\n{command}",
    QUOTES: lambda command: f"'{command}'",
    INLINE: lambda command: f"You can use: {command}",
    OPERATION: _other_operation,
    OPTION: _without_last_option,
}
