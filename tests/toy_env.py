"""An environment that has nothing to do with AWS, and models that follow a script."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pytest_awsbench.envs.protocol import Observation
from pytest_awsbench.errors import InfraError
from pytest_awsbench.models.spec import Model
from pytest_awsbench.records import Completion, Decoding, ModelCard, Prompt, Sample


class Words:
    """Achieved when the words of a task were said in order."""

    opened = 0
    closed = 0

    def __init__(self) -> None:
        type(self).opened += 1

    def reset(
        self,
        task: Mapping[str, Any] | None = None,
        *,
        seed: int | None = None,
        episode_id: str | None = None,
    ) -> Observation:
        """Begin with nothing said."""
        del seed, episode_id
        assert task is not None
        self.wanted = task["description"].split()
        self.said = 0
        return Observation(output="ready")

    def step(self, command: str) -> Observation:
        """Hear one word: ``aws say WORD``."""
        right = command == f"aws say {self.wanted[self.said]}"
        self.said += right
        done = self.said == len(self.wanted)
        return Observation(
            success=right,
            output="heard" if right else "",
            error="" if right else "what?",
            reward=1.0 if done else 0.1,
            done=done,
            achieved=done,
            progress=self.said / len(self.wanted),
        )

    def state(self) -> Mapping[str, Any]:
        """Return how much was said."""
        return {"said": self.said}

    def close(self) -> None:
        """Count."""
        type(self).closed += 1


class Failing(Words):
    """Loses the connection on chosen steps, counted over all sessions."""

    steps = 0
    lose: Callable[[int, str], bool] = staticmethod(lambda number, command: False)
    _lock = threading.Lock()

    def step(self, command: str) -> Observation:
        """Hear a word, or fail."""
        with self._lock:
            type(self).steps += 1
            number = self.steps
        if type(self).lose(number, command):
            raise InfraError(f"ws://words: lost at step {number}")
        return super().step(command)


class Speaker:
    """Says the words of its task in order: it reads what is asked in the prompt."""

    def __init__(self, says: Callable[[str, int], str] | None = None) -> None:
        self.card = ModelCard(
            name="speaker", backend="toy", description="", digest="", template_digest=""
        )
        self.notes: list[str] = []
        self.batches: list[int] = []
        self.seeds: list[int] = []
        self._says = says or (lambda task, step: f"aws say {task.split()[step]}")

    def generate(
        self, prompts: Sequence[Prompt], decoding: Decoding
    ) -> list[Completion]:
        """Answer by the task and the step that a prompt shows."""
        self.batches.append(len(prompts))
        self.seeds.append(decoding.seed)
        return [Completion(text=self._answer(p[-1].content), tokens=3) for p in prompts]

    def close(self) -> None:
        """Do nothing."""

    def _answer(self, text: str) -> str:
        lines = text.splitlines()
        step = next(int(x[6:]) for x in lines if x.startswith("Step: "))
        return self._says(lines[0].removeprefix("TASK: "), step)


def generate(
    model: Model, prompts: Sequence[Prompt], decoding: Decoding
) -> list[Completion]:
    """Ask a model as it is."""
    return model.generate(prompts, decoding)


def tasks(*texts: str) -> list[tuple[Sample, dict[str, Any]]]:
    """Return tasks with their items."""
    return [
        (Sample.of(text, "", task_id=str(n)), {"task_id": n, "description": text})
        for n, text in enumerate(texts)
    ]
