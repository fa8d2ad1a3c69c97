"""What the fixtures return."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from pytest_awsbench.engine import wait
from pytest_awsbench.envs.protocol import Environment, Observation
from pytest_awsbench.envs.schema import Task
from pytest_awsbench.envs.source import EnvSource
from pytest_awsbench.gateitems import GateItem, skip_partial
from pytest_awsbench.options import Options
from pytest_awsbench.records import Completion, ModelCard, Run
from pytest_awsbench.session import BenchSession, blamed, session_of
from pytest_awsbench.staging import source_of
from pytest_awsbench.stores import open_folder
from pytest_awsbench.userprompts import HOW, UserPrompts, as_prompt, prompt_of


@dataclass(frozen=True, slots=True)
class ModelHandle:
    """A loaded model, for tests."""

    bench: BenchSession
    card: ModelCard

    @property
    def name(self) -> str:
        """As configured."""
        return self.card.name

    @property
    def digest(self) -> str:
        """Of the weights, base and adapter."""
        return self.card.digest

    @property
    def tokenizer(self) -> Any:
        """The tokenizer; only models of backend transformers have one."""
        return self._attribute("tokenizer")

    @property
    def module(self) -> Any:
        """The torch module; only models of backend transformers have one.

        Use it through `run`, which does not disturb a batch in progress.
        """
        return self._attribute("module")

    def generate(self, prompt: str | Sequence[Any]) -> Completion:
        """Ask the model now: a text, or messages with role and content."""
        decoding = self.bench.options.decoding(self.bench.prepared[self.name].spec)
        prompts, engine = [as_prompt(prompt)], self.bench.engine
        answer = wait(engine.submit(self.name, prompts, decoding))[0]
        if decoding.retry_truncated is None or answer.stop != "length":
            return answer
        again = wait(engine.submit(self.name, prompts, decoding.again))[0]
        return replace(again, first=answer)

    def run(self, task: Any) -> Any:
        """Call ``task(model)`` on the thread that owns the model."""
        return wait(self.bench.engine.post(self.name, task))

    def _attribute(self, name: str) -> Any:
        """Return what only some backends have."""
        model = self.bench.engine.models()[self.name]
        try:
            return getattr(model, name)
        except AttributeError:
            raise TypeError(
                f"model {self.name!r} has no {name}: it is of backend"
                f" {self.card.backend}; only transformers models have one"
            ) from None


def model_handle(request: pytest.FixtureRequest) -> ModelHandle:
    """Return the model that a test was parametrized with."""
    bench = session_of(request.config)
    if bench is None:
        raise pytest.UsageError(
            "awsbench_model: no model; give --awsbench-model=NAME"
            ' (built in: sft), or set run = ["NAME"] under [tool.awsbench]'
        )
    return ModelHandle(bench, bench.prepared[request.param].card)


def completion_of(item: pytest.Item, model: ModelHandle) -> Completion:
    """Return the answer to the prompt that a test declares."""
    if prompt_of(item) is None:
        raise pytest.UsageError(HOW)
    bench = model.bench
    request = UserPrompts(bench).request_of(item)
    assert request is not None  # noqa: S101 - prompt_of said so
    answer = request[0].take(request[1], bench.engine)
    assert isinstance(answer, Completion)  # noqa: S101 - tests ask for one answer
    return answer


def results_of(item: pytest.Item, suite: str) -> Run:
    """Return the finished run of the gate's model on a suite."""
    if not isinstance(item, GateItem):
        raise pytest.UsageError(
            "awsbench_results is for gates, which run last: return this function from"
            " pytest_awsbench_gates in the root conftest.py"
        )
    account = item.bench.accounts.get((item.model, suite))
    if account is None:
        known = ", ".join(item.bench.suites)
        raise pytest.UsageError(f"awsbench_results({suite!r}): known suites: {known}")
    skip_partial(item.bench, account)
    if account.lost:
        pytest.fail(f"{len(account.lost)} answers were lost to infrastructure")
    return item.bench.run_of(account)


@dataclass(frozen=True, slots=True)
class EnvHandle:
    """A session with the environment of the run, for tests."""

    session: Environment
    tasks: Mapping[int, Task]
    """Built-in tasks by id, where there are any."""

    def reset(self, task: int | Mapping[str, Any] | Task, seed: int = 0) -> Observation:
        """Begin an episode: with a built-in task's id, or a task of your own."""
        if isinstance(task, int):
            if task not in self.tasks:
                raise ValueError(
                    f"no built-in task {task}; there are {len(self.tasks)}"
                )
            task = self.tasks[task]
        if isinstance(task, Task):
            task = task.model_dump(mode="json")
        return self.session.reset(task, seed=seed)

    def step(self, command: str) -> Observation:
        """Run one command."""
        return self.session.step(command)

    def state(self) -> Mapping[str, Any]:
        """Return what the environment keeps of the episode."""
        return self.session.state()


_source_key = pytest.StashKey[EnvSource]()


@contextmanager
def env_handle(config: pytest.Config) -> Iterator[EnvHandle]:
    """Open a session; the environment is that of the run, or one for tests alone."""
    bench = session_of(config)
    source = bench.source if bench is not None else None
    with _blamed(config):
        if source is None:
            source = config.stash.get(_source_key, None) or _started(config)
        source.preflight()
    session = source.connect()
    try:
        yield EnvHandle(session, _tasks(source))
    finally:
        session.close()


def _started(config: pytest.Config) -> EnvSource:
    """Return an environment for the tests of this process, stopped at its end."""
    options = Options.from_config(config)
    open_folder(options.out)
    source = source_of(config, options, of_process=True)
    config.stash[_source_key] = source
    config.add_cleanup(source.close)
    return source


@contextmanager
def _blamed(config: pytest.Config) -> Iterator[None]:
    """Turn our errors into pytest's; a worker that left would take its items along."""
    if hasattr(config, "workerinput"):
        yield
        return
    with blamed():
        yield


def _tasks(source: EnvSource) -> Mapping[int, Task]:
    """Return the built-in tasks; a factory's environment knows nothing of them."""
    if source.factory is not None:
        return {}
    from pytest_awsbench.envs.catalog import builtin_tasks

    return {task.task_id: task for task in builtin_tasks()}
