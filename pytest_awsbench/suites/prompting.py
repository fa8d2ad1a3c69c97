"""Prompt adapters: how an episode is put to a model, and read from its answer."""

import importlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pytest_awsbench.envs.protocol import Observation
from pytest_awsbench.episodes import Turn
from pytest_awsbench.errors import ConfigError
from pytest_awsbench.records import Message, Prompt
from pytest_awsbench.scoring.answers import extract_command


SHOWN = 2_000
"""Characters of an output that the `sft` form shows."""
PAIRS = 4
"""Turns that the `notebook` form shows."""
NOTEBOOK_SHOWN = 400
NOTEBOOK_SYSTEM = (
    "You are an expert AWS SRE agent. Emit ONE AWS CLI command per turn, starting with"
    " aws, and nothing else."
)


class PromptAdapter(Protocol):
    """Owns the form of the prompt, and how a command is taken from an answer."""

    def prompt(
        self, task: str, first: Observation, turns: Sequence[Turn], dropped: int = 0
    ) -> Prompt:
        """Return what the model is asked next.

        Args:
            task: the description.
            first: what the environment showed after the reset.
            turns: those so far, oldest first, without those that were dropped.
            dropped: how many older turns there were.

        """
        ...

    def command(self, answer: str) -> tuple[str, bool]:
        """Return what is sent to the environment, and whether the answer held it."""
        ...


@dataclass(frozen=True, slots=True)
class SftAdapter:
    """The prompt form of the data set: one user message, history as a list."""

    system: str

    def prompt(
        self, task: str, first: Observation, turns: Sequence[Turn], dropped: int = 0
    ) -> Prompt:
        """Return the system message and the state of the episode."""
        last = turns[-1] if turns else None
        listed = [f"{n}. {t.command}" for n, t in enumerate(turns, start=dropped + 1)]
        text = "\n".join((
            f"TASK: {task.strip()}",
            "",
            f"Step: {dropped + len(turns)}",
            f"Last command output: {_cut(last.output if last else first.output)!r}",
            f"Last error: {_cut(last.error if last else first.error)!r}",
            f"Last reward: {last.reward if last else first.reward:.2f}",
            "",
            "Previous steps:",
            *(listed or ["None"]),
            "",
            "Send your next AWS CLI command.",
        ))
        return Message("system", self.system), Message("user", text)

    def command(self, answer: str) -> tuple[str, bool]:
        """Return the first ``aws`` line; without one, what the model said first.

        Then the environment's own rejection is what the model sees next.
        """
        found = extract_command(answer)
        if found is not None:
            return found, True
        lines = (line.strip() for line in answer.splitlines())
        return next(filter(None, lines), ""), False


@dataclass(frozen=True, slots=True)
class NotebookAdapter:
    """A chat of commands and outputs: short system prompt, the last four pairs."""

    system: str = NOTEBOOK_SYSTEM

    def prompt(
        self, task: str, first: Observation, turns: Sequence[Turn], dropped: int = 0
    ) -> Prompt:
        """Return the task and the last commands, each with its output."""
        del first, dropped
        messages = [Message("system", self.system), Message("user", f"TASK: {task}")]
        for turn in turns[-PAIRS:]:
            shown = turn.output[:NOTEBOOK_SHOWN]
            messages += [
                Message("assistant", turn.command),
                Message("user", f"OUTPUT:\n{shown}"),
            ]
        return tuple(messages)

    def command(self, answer: str) -> tuple[str, bool]:
        """Return the first line that starts with ``aws``; else ask for help."""
        bare = re.sub(r"<think>.*?(</think>|\Z)", "", answer, flags=re.DOTALL)
        for line in bare.strip().splitlines():
            candidate = line.strip().strip("`").strip()
            if candidate.startswith("aws "):
                return candidate, True
        return "aws help", False


def adapter_named(name: str, system: str) -> PromptAdapter:
    """Return an adapter: ``sft``, ``notebook``, or ``package.module:name``.

    Args:
        name: as configured.
        system: the system prompt of the data set.

    Raises:
        ConfigError: if there is no such adapter.

    """
    if name == "sft":
        return SftAdapter(system)
    if name == "notebook":
        return NotebookAdapter()
    module, _, attribute = name.partition(":")
    try:
        found: PromptAdapter = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"prompt = {name!r}: no such prompt adapter ({error}); use sft, notebook,"
            " or package.module:name of your own"
        ) from error
    return found() if isinstance(found, type) else found


def _cut(text: str) -> str:
    """Return a text of bounded length, marked where it was cut."""
    if len(text) <= SHOWN:
        return text
    return f"{text[:SHOWN]} … ({len(text):,} characters)"
