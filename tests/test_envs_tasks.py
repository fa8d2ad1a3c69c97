"""The tasks of live environments: how files are read, and the built-in ones."""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_awsbench import demo
from pytest_awsbench.demo.tasks import dumps, dumps_solutions, make
from pytest_awsbench.demo.templates import TEMPLATES
from pytest_awsbench.envs.catalog import (
    BUILTIN,
    FILES,
    SOLUTIONS,
    builtin_tasks,
    cluster_of,
    load_tasks,
    solutions,
)
from pytest_awsbench.envs.schema import Step, Task
from pytest_awsbench.errors import ConfigError, DataError
from pytest_awsbench.scoring.commands import parse_command


LIST = "{task_id: 7, description: List., success_criteria: {command_contains: sqs}}"


def file_of(folder: Path, text: str, name: str = "warmup") -> Path:
    """Write a task file."""
    path = folder / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def tasks_of(name: str) -> tuple[Task, ...]:
    """Return the built-in tasks of one file."""
    return load_tasks(BUILTIN / f"{name}.yaml")


def commands_of(task: Task) -> Iterator[str]:
    """Yield every command that a task has, its solution's included."""
    yield from (setup.command for setup in task.setup_commands)
    yield from (drift.command for drift in task.possible_drifts)
    yield from (check.command for check in task.success_criteria.state_checks)
    yield from solutions()[task.task_id]


def does(command: str, step: Step) -> bool:
    """Tell whether a command is the step's operation on the step's resource."""
    named = re.search(rf"(?<!\w){re.escape(step.resource or '')}(?!\w)", command)
    return command.split()[2] == step.operation and named is not None


def services_of(task: Task) -> set[str]:
    """Return the services that a task's solution uses."""
    used = {command.split()[1] for command in solutions()[task.task_id]}
    return {"s3" if service == "s3api" else service for service in used}


def test_tier_is_the_name_of_the_file(tmp_path: Path) -> None:
    """A file that is called as a tier holds tasks of that tier."""
    [task] = load_tasks(file_of(tmp_path, f"- {LIST}", "advanced"))

    assert task.difficulty == "advanced"


def test_tier_can_stand_in_the_entry(tmp_path: Path) -> None:
    """A file of any other name has tasks of any tier."""
    entry = LIST.replace("{task_id", "{difficulty: expert, task_id")

    [task] = load_tasks(file_of(tmp_path, f"- {entry}", "mine"))

    assert task.difficulty == "expert"


def test_folder_is_read_in_order(tmp_path: Path) -> None:
    """Files of a folder are read from warmup to drift; others are left alone."""
    file_of(tmp_path, f"- {LIST}", "drift")
    file_of(tmp_path, f"- {LIST.replace('7', '8')}", "warmup")
    file_of(tmp_path, "anything", "solutions")

    found = load_tasks(tmp_path)

    assert [(t.task_id, t.difficulty) for t in found] == [(8, "warmup"), (7, "expert")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            f"- {LIST}\n- {LIST}",
            r"entry 2 \(task 7\): task_id: 7 is also that of .*y 1",
        ),
        ("- {task_id: 7}", r"entry 1 \(task 7\): description: Field required"),
        ("- {description: x}", "entry 1: task_id: Field required"),
        (
            "- {task_id: 7, description: x, hint: y}",
            r"entry 1 \(task 7\): hint: unknown key",
        ),
        (
            "- {task_id: 7, description: x, setup_commands: [{command: 1}]}",
            r"setup_commands.0.command: Input should be a valid string",
        ),
        (
            "- {task_id: 7, description: x, success_criteria: {services: [s4]}}",
            r"success_criteria.services.0: Input should be 's3'",
        ),
        (
            "- task_id: 7\n  description: x\n  description: y",
            "line 1: description: this key stands there 2 times; keep one",
        ),
        (
            "- {task_id: 7, description: x, difficulty: expert}",
            "difficulty: 'expert' stands in a file of warmup tasks",
        ),
        ("- list", "entry 1: not a task but 'list'"),
        ("task_id: 7", "not a list of tasks but {'task_id': 7}"),
        ("[]", "no task in it"),
        ("", "not a list of tasks but None"),
        ("- {", "not YAML: .*line 2"),
        ("- 2020-13-45", "not YAML: month must be in"),
        (f"- {'[' * 5000}", "not YAML"),
    ],
)
def test_slip_is_named(tmp_path: Path, text: str, words: str) -> None:
    """An error names the file, the entry and the key."""
    path = file_of(tmp_path, text)

    with pytest.raises(DataError, match=words) as caught:
        load_tasks(path)

    assert "warmup.yaml" in str(caught.value)


def test_alias_is_no_repeated_key(tmp_path: Path) -> None:
    """What YAML lets stand in two places may."""
    text = "- &a {task_id: 7, description: x}\n- {<<: *a, task_id: 8}"

    found = load_tasks(file_of(tmp_path, text))

    assert [(t.task_id, t.description) for t in found] == [(7, "x"), (8, "x")]


def test_tier_is_nowhere(tmp_path: Path) -> None:
    """A file of any name needs a tier in each entry."""
    with pytest.raises(DataError, match=r"difficulty: missing; add one of warmup"):
        load_tasks(file_of(tmp_path, f"- {LIST}", "mine"))


def test_same_number_in_two_files(tmp_path: Path) -> None:
    """A folder numbers its tasks once."""
    file_of(tmp_path, f"- {LIST}", "warmup")
    file_of(tmp_path, f"- {LIST}", "expert")

    with pytest.raises(DataError, match=r"expert.yaml.*is also that of .*warmup.yaml"):
        load_tasks(tmp_path)


def test_no_such_path(tmp_path: Path) -> None:
    """What is not there is said, and what could be."""
    with pytest.raises(DataError, match=r"no such file or folder; give a YAML file"):
        load_tasks(tmp_path / "gone")


def test_folder_without_tasks(tmp_path: Path) -> None:
    """A folder without files of tasks is refused."""
    with pytest.raises(DataError, match=r"none of warmup.yaml, .*drift.yaml"):
        load_tasks(tmp_path)


def test_file_of_no_text(tmp_path: Path) -> None:
    """A file that is no text cannot be read."""
    path = tmp_path / "warmup.yaml"
    path.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(DataError, match="cannot be read"):
        load_tasks(path)


def test_library_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without PyYAML we say what to install."""
    monkeypatch.setitem(sys.modules, "yaml", None)

    with pytest.raises(ConfigError, match=r'pip install "pytest-awsbench\[env\]"'):
        load_tasks(file_of(tmp_path, f"- {LIST}"))


def test_files_are_what_the_generator_makes() -> None:
    """The committed files are the generator's, byte for byte."""
    made = make()

    for tier, found in made.items():
        text = dumps(m.task for m in found)
        assert (BUILTIN / f"{tier}.yaml").read_text(encoding="utf-8") == text
    everything = [m for found in made.values() for m in found]
    assert SOLUTIONS.read_text(encoding="utf-8") == dumps_solutions(everything)


def test_tasks_are_many() -> None:
    """At least 120 tasks: 25 of each lower tier, experts and drifts besides."""
    counts = {name: len(tasks_of(name)) for name in FILES}

    assert all(counts[tier] == 25 for tier in list(FILES)[:4])
    assert counts["expert"] >= 14
    assert counts["drift"] >= 6
    assert len(builtin_tasks()) == sum(counts.values()) >= 120
    assert len({task.description for task in builtin_tasks()}) == sum(counts.values())


def test_tasks_are_of_many_templates() -> None:
    """At least 80 clusters; variants of a template share theirs."""
    clusters = Counter(cluster_of(task) for task in builtin_tasks())

    assert len(clusters) >= 80
    assert clusters["template-0"] == 3
    assert max(clusters.values()) == 3


def test_own_task_is_a_cluster() -> None:
    """A user's task that has a built-in number is no variant of that template."""
    own = Task(task_id=0, description="Another one.")

    assert cluster_of(own) == "task-0"


def test_services_are_many() -> None:
    """At least 20 services over all."""
    services = {service for task in builtin_tasks() for service in services_of(task)}

    assert len(services) >= 20


def test_no_text_of_the_demo() -> None:
    """No task stands in what the demo's models were trained on, or are judged by."""
    rows = "".join(path.read_text(encoding="utf-8") for path in demo.DATASETS.values())

    for task in builtin_tasks():
        assert f"TASK: {task.description}\\n" not in rows


def test_lower_tiers_read_as_the_demo() -> None:
    """Lower tiers have the words of their template in the demo."""
    for task in (t for name in list(FILES)[:3] for t in tasks_of(name)):
        words = re.split(r"\$\w", TEMPLATES[task.task_id // 10].text)

        pattern = r"[a-z0-9-]+".join(map(re.escape, words))

        assert re.fullmatch(pattern, task.description)


def test_solutions_are_for_all() -> None:
    """Every task has a solution, and nothing else has."""
    assert set(solutions()) == {task.task_id for task in builtin_tasks()}


def test_commands_exist() -> None:
    """Every command can be read, and its operation is one of AWS's own."""
    from botocore import xform_name
    from botocore.loaders import Loader

    loader = Loader()
    known: dict[str, set[str]] = {}
    for text in (text for task in builtin_tasks() for text in commands_of(task)):
        command = parse_command(text)
        assert command is not None, text
        name = "s3" if command.service == "s3api" else command.service
        if name not in known:
            model = loader.load_service_model(name, "service-2")
            known[name] = {xform_name(n, "-") for n in model["operations"]}
        assert command.operation in known[name], text


@pytest.mark.parametrize("name", FILES)
def test_solution_has_every_step(name: str) -> None:
    """Each step is a command of the solution; each service is used."""
    for task in tasks_of(name):
        criteria = task.success_criteria
        commands = solutions()[task.task_id]

        for step in criteria.steps:
            assert any(does(command, step) for command in commands), task.task_id
        used = {command.split()[1] for command in commands}
        for service in criteria.services:
            assert any(service in found for found in used), task.task_id


def test_nothing_but_the_command_achieves_warmup() -> None:
    """A warmup task is one command, told by its operation and its value."""
    for task in tasks_of("warmup"):
        [command] = solutions()[task.task_id]
        criteria = task.success_criteria

        assert criteria.command_contains in command.split("=")[-1].split()
        assert criteria.operation == command.split()[2]


def test_beginner_looks_for_what_was_made() -> None:
    """A beginner task is one command, and what it makes is looked for."""
    for task in tasks_of("beginner"):
        [command] = solutions()[task.task_id]
        exists = task.success_criteria.resource_exists

        assert bool(exists) != bool(task.success_criteria.state_checks)
        assert exists is None or exists.name in command


def test_intermediate_and_advanced_have_steps() -> None:
    """Two or three steps, then four to seven; none of them but is asked for."""
    for name, fewest, most in (("intermediate", 2, 3), ("advanced", 4, 7)):
        for task in tasks_of(name):
            criteria = task.success_criteria
            assert fewest <= len(criteria.steps) <= most
            assert len(criteria.steps) == len(solutions()[task.task_id])
            assert not criteria.state_checks
            assert bool(criteria.services) == (name == "advanced")


def test_experts_find_a_world() -> None:
    """Expert tasks have a setup, two to six state checks, and services."""
    for task in (*tasks_of("expert"), *tasks_of("drift")):
        assert task.setup_commands
        assert 2 <= len(task.success_criteria.state_checks) <= 6
        assert task.success_criteria.services


def test_drifts_have_a_desired_state() -> None:
    """A drift task says what is desired, and can drift in several ways."""
    for task in tasks_of("drift"):
        assert task.desired_state_spec
        assert task.desired_state_spec in task.description
        assert len(task.possible_drifts) >= 2
        assert not task.success_criteria.steps
