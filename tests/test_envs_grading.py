"""Grading and rewards: the reference's numbers, and what is mended in ours."""

from typing import Any

import pytest
from fake_universe import FakeUniverse

from pytest_awsbench.envs.schema import SuccessCriteria, Task
from pytest_awsbench.envs.server.commands import Executed
from pytest_awsbench.envs.server.episode import HINT, Episode, EpisodeError, Rules
from pytest_awsbench.envs.server.grading import Grade, Grader, Grading, at_path
from pytest_awsbench.envs.server.universe import Ran


FAILED = Ran(255, "", "An error occurred (BucketAlreadyExists): it already exists")
PIPELINE = {
    "steps": [
        {"operation": "create-bucket", "resource": "data-pipeline"},
        {"operation": "put-object", "resource": "data-pipeline"},
    ]
}
CREATE = "aws s3api create-bucket --bucket data-pipeline"
PUT = "aws s3api put-object --bucket data-pipeline --key k"
BOTH = pytest.mark.parametrize("mode", ["sound", "reference"])


def task(criteria: dict[str, Any], **more: Any) -> Task:
    """Return a task."""
    return Task.model_validate({
        "task_id": 1,
        "description": "d",
        "success_criteria": criteria,
        **more,
    })


def episode(
    criteria: dict[str, Any],
    universe: FakeUniverse | None = None,
    mode: Grading = "sound",
    **more: Any,
) -> Episode:
    """Return an episode that has begun."""
    found = Episode(universe or FakeUniverse(), Rules(grading=mode))
    found.reset(task(criteria, **more), seed=1)
    return found


def grade(
    criteria: dict[str, Any],
    *commands: str,
    mode: Grading = "sound",
    universe: FakeUniverse | None = None,
) -> Grade:
    """Grade commands that succeeded."""
    world = universe or FakeUniverse()
    grader = Grader(SuccessCriteria.model_validate(criteria), mode)
    history: list[Executed] = []
    found = Grade(0.0, achieved=False)
    for command in commands:
        history.append(Executed(command, world.run(command)))
        found = grader.grade(history, world)
    return found


@BOTH
def test_levels_of_the_reference(mode: Grading) -> None:
    """Create .5, again (fails) .2, list .42, delete .32: the recorded rewards."""
    universe = FakeUniverse()
    played = episode(PIPELINE, universe, mode)
    rewards = [played.step(CREATE)["reward"]]
    universe.outputs[CREATE] = FAILED

    rewards += [
        played.step(command)["reward"]
        for command in (
            CREATE,
            "aws s3api list-buckets",
            "aws s3api delete-bucket --bucket data-pipeline",
        )
    ]

    assert rewards == pytest.approx([0.5, 0.2, 0.42, 0.32])


@BOTH
def test_two_hints_cost(mode: Grading) -> None:
    """A task that is achieved after two hints earns .7225."""
    played = episode(PIPELINE, mode=mode)
    hints = [played.step(HINT) for _ in range(2)]
    played.step(CREATE)

    last = played.step(PUT)

    assert [h["observation"]["hints_used"] for h in hints] == [1, 2]
    assert [h["reward"] for h in hints] == [0.0, 0.0]
    assert last["reward"] == pytest.approx(0.7225)
    assert last["done"]


def test_hints_say_more_each_time() -> None:
    """Services, operations in order, the form of the commands; then that again."""
    played = episode({"services": ["s3"], **PIPELINE})

    texts = [played.step(HINT)["observation"]["hint_text"] for _ in range(4)]

    assert texts[0] == "You'll need these AWS services: s3"
    assert texts[1] == "Use these operations in order: create-bucket, put-object"
    assert texts[2].startswith("Command structure: aws ... create-bucket")
    assert texts[3] == texts[2]


def test_services_are_known_by_the_operations() -> None:
    """A task that names no services has those of its operations in its first hint."""
    played = episode({
        "steps": [
            {"operation": "create-bucket"},
            {"operation": "put-bucket-policy"},
            {"operation": "create-log-group"},
        ]
    })

    text = played.step(HINT)["observation"]["hint_text"]

    assert text == "You'll need these AWS services: s3api, logs"


def test_progress_is_never_masked() -> None:
    """What is intercepted shows the progress so far, unlike in the reference."""
    played = episode(PIPELINE)
    played.step(CREATE)

    seen = [
        played.step(command)["observation"]["partial_progress"]
        for command in ("ls -la", HINT, "aws s3 help", "aws s3 ls")
    ]

    assert seen == [0.5] * 4


@pytest.mark.parametrize(
    ("command", "sound", "reference"),
    [
        ("aws s3 mb s3://data-pipeline", 0.5, 0.0),
        ("aws --region us-east-1 s3api create-bucket --bucket data-pipeline", 0.5, 0.0),
        ("aws s3api create-bucket --bucket=data-pipeline", 0.5, 0.5),
        ("aws s3api create-bucket --bucket data-pipeline-2", 0.0, 0.5),
        ("aws s3api create-bucket --bucket other", 0.0, 0.0),
    ],
)
def test_equivalent_commands(command: str, sound: float, reference: float) -> None:
    """The same deed counts however it is written; another name does not."""
    assert grade(PIPELINE, command).progress == sound
    assert grade(PIPELINE, command, mode="reference").progress == reference


def test_order_of_steps() -> None:
    """Progress is the share of steps up to the first that is missing."""
    assert grade(PIPELINE, PUT).progress == 0.0
    assert grade(PIPELINE, PUT, CREATE).achieved


def test_services_must_be_used() -> None:
    """All steps are not enough where a service was never used."""
    criteria = {**PIPELINE, "services": ["s3", "sqs"]}

    assert not grade(criteria, CREATE, PUT).achieved
    assert grade(criteria, CREATE, PUT, "aws sqs list-queues").achieved


LISTING = {"command_contains": "elasticache", "operation": "describe-cache-clusters"}


@pytest.mark.parametrize(
    ("command", "achieved"),
    [
        ("aws elasticache describe-cache-clusters", True),
        ("aws elasticache describe-cache-clusters --max-records 20", True),
        ("aws elasticache describe-cache-subnet-groups", False),
        ("aws sts get-caller-identity", False),
    ],
)
def test_command(command: str, achieved: bool) -> None:  # noqa: FBT001 - of parametrize
    """A listing is achieved by the command that lists."""
    assert grade(LISTING, command) == Grade(float(achieved), achieved=achieved)


def test_failed_command_achieves_nothing() -> None:
    """A right command that fails is no achievement."""
    command = "aws elasticache describe-cache-clusters"

    assert not grade(
        LISTING, command, universe=FakeUniverse({command: FAILED})
    ).achieved


TOPIC = {
    "command_contains": "sns",
    "operation": "create-topic",
    "resource_exists": {"service": "sns", "name": "alerts"},
}


def topics(arn: str) -> FakeUniverse:
    """Return an account with a topic."""
    return FakeUniverse({
        "aws sns list-topics": f'{{"Topics": [{{"TopicArn": "{arn}"}}]}}'
    })


def test_whole_names() -> None:
    """A topic that is called alerts-2 is not the topic alerts."""
    ours = topics("arn:aws:sns:us-east-1:000000000000:alerts")
    longer = topics("arn:aws:sns:us-east-1:000000000000:alerts-2")
    command = "aws sns create-topic --name alerts"

    assert grade(TOPIC, command, universe=ours).achieved
    assert grade(TOPIC, command, universe=longer) == Grade(0.5, achieved=False)
    assert grade(TOPIC, command, universe=longer, mode="reference").achieved


VERSIONING = "aws s3api get-bucket-versioning --bucket b"
CHECKED: dict[str, Any] = {
    "services": ["s3"],
    "state_checks": [
        {"command": VERSIONING, "json_path": "$.Status", "expected": "Enabled"}
    ],
}
ENABLE = "aws s3api put-bucket-versioning --bucket b --versioning-configuration X"


def test_end_state_decides() -> None:
    """A task is achieved when its checks hold, whichever commands were used."""
    universe = FakeUniverse({VERSIONING: '{"Status": "Suspended"}'})
    universe.on_run = lambda command: (
        universe.outputs.update({VERSIONING: '{"Status": "Enabled"}'})
        if command == ENABLE
        else None
    )
    played = episode(CHECKED, universe)

    assert not played.step("aws s3 ls")["done"]
    last = played.step(ENABLE)

    assert last["done"]
    assert last["observation"]["partial_progress"] == 1.0


def test_drift_progress() -> None:
    """Where only checks count, the reference stops at .3, though all is achieved."""
    universe = FakeUniverse({VERSIONING: '{"Status": "Enabled"}'})

    ours = grade(CHECKED, "aws s3 ls", universe=universe)
    theirs = grade(CHECKED, "aws s3 ls", universe=universe, mode="reference")

    assert ours == Grade(1.0, achieved=True)
    assert theirs.achieved
    assert theirs.progress == pytest.approx(0.3)


def test_reading_is_not_paid() -> None:
    """Of checks that hold from the beginning, reading earns no more than a share."""
    universe = FakeUniverse({VERSIONING: '{"Status": "Enabled"}'})
    criteria = {
        **CHECKED,
        "state_checks": [
            *CHECKED["state_checks"],
            {
                "command": "aws s3api get-bucket-policy --bucket b",
                "output_contains": "x",
            },
        ],
    }

    assert grade(criteria, "aws s3 ls", universe=universe).progress == pytest.approx(
        0.15
    )
    assert grade(criteria, ENABLE, universe=universe).progress == 0.5


def test_what_only_reads_is_not_checked_again() -> None:
    """Checks run again only after something may have changed."""
    universe = FakeUniverse({VERSIONING: "{}"})
    played = episode(CHECKED, universe)

    for command in (ENABLE, "aws s3 ls", "aws s3api list-buckets", ENABLE):
        played.step(command)

    assert universe.ran.count(VERSIONING) == 2


def test_failing_setup_is_said() -> None:
    """A task whose set-up fails is refused, unlike in the reference."""
    command = "aws s3api create-bucket --bucket x"
    played = Episode(FakeUniverse({command: FAILED}), Rules())
    broken = task({}, setup_commands=[command])

    with pytest.raises(EpisodeError, match=r"task 1: set-up command failed: aws s3api"):
        played.reset(broken)
    played.reset(
        task({}, setup_commands=[{"command": command, "ignore_failure": True}])
    )


def test_drift_is_drawn_with_the_seed() -> None:
    """The same seed draws the same drifts; two or three of the pool."""
    pool = [f"aws drift number-{n}" for n in range(6)]
    drawn = []
    for seed in (1, 1, 2, 3, 4):
        universe = FakeUniverse()
        Episode(universe, Rules()).reset(task({}, possible_drifts=pool), seed=seed)
        drawn.append(tuple(universe.ran))

    assert drawn[0] == drawn[1]
    assert len(set(drawn)) > 1
    assert {len(found) for found in drawn} <= {2, 3}


def test_chaos_is_off() -> None:
    """Nothing breaks by itself, unless the server was told so."""
    universe = FakeUniverse()
    calm = Episode(universe, Rules())
    calm.reset(task(PIPELINE, difficulty="expert"), seed=1)
    for _ in range(30):
        calm.step(CREATE)

    assert set(universe.ran) == {CREATE}
    assert not calm.state()["chaos_occurred"]


def test_chaos_strikes_what_was_made() -> None:
    """With chaos on, what the agent made may be gone; the same seed, the same turn."""
    turns = []
    for _ in range(2):
        universe = FakeUniverse()
        wild = Episode(universe, Rules(chaos=True))
        wild.reset(task(PIPELINE, difficulty="expert"), seed=5)
        for _ in range(30):
            wild.step(CREATE)
        turns.append(universe.ran.index("aws s3 rb s3://data-pipeline --force"))

    assert turns[0] == turns[1]


def test_step_before_reset() -> None:
    """There is no step without an episode."""
    with pytest.raises(EpisodeError, match=r"Call reset\(\) before step\(\)"):
        Episode(FakeUniverse(), Rules()).step("aws s3 ls")


@pytest.mark.parametrize("command", ["ls -la", "", "aws", "sudo aws s3 ls"])
def test_only_aws(command: str) -> None:
    """Whatever else is sent is no command here, and counts as a step."""
    played = episode(PIPELINE)

    seen = played.step(command)["observation"]

    assert not seen["command_success"]
    assert seen["error"] == "Only AWS CLI commands (starting with 'aws') are allowed."
    assert seen["step_count"] == 1


def test_path() -> None:
    """Checks look into JSON by a path."""
    document = {"Rules": [{"ID": "a"}, {"ID": "b", "On": True}]}

    assert at_path(document, "$.Rules[1].ID") == "b"
    with pytest.raises(LookupError):
        at_path(document, "$.Rules[2]")
