"""What earns no credit though it succeeded, and what does at second look."""

from typing import Any

import pytest
from fake_universe import FakeUniverse

from pytest_awsbench.envs.schema import SuccessCriteria, Task
from pytest_awsbench.envs.server.commands import Executed
from pytest_awsbench.envs.server.episode import Episode, EpisodeError, Rules
from pytest_awsbench.envs.server.grading import Grader
from pytest_awsbench.envs.server.rewards import rollbacks
from pytest_awsbench.envs.server.universe import Ran


PIPELINE = {
    "steps": [
        {"operation": "create-bucket", "resource": "data-pipeline"},
        {"operation": "put-object", "resource": "data-pipeline"},
    ]
}
LISTING = {"command_contains": "s3", "operation": "ls"}
CREATE = "aws s3api create-bucket --bucket data-pipeline"
PAGE = "\ncreate-bucket\n^^^^^^^^^^^^^\n\n\nDescription\n***********\n"
SECRET = "arn:aws:secretsmanager:us-east-1:000000000000:secret:db-pass-AbCdEf"


def progress(criteria: dict[str, Any], *commands: tuple[str, str]) -> float:
    """Return the progress after commands that succeeded with these outputs."""
    grader = Grader(SuccessCriteria.model_validate(criteria))
    history = [Executed(command, Ran(0, output, "")) for command, output in commands]
    return grader.grade(history, FakeUniverse()).progress


@pytest.mark.parametrize(
    ("command", "output"),
    [
        (f"{CREATE} help", PAGE),
        (f"{CREATE} --generate-cli-skeleton output", "{}"),
        (f"{CREATE} --generate-cli-skeleton=output", "{}"),
    ],
)
def test_pretending(command: str, output: str) -> None:
    """Help and dry runs succeed, and change nothing."""
    assert progress(PIPELINE, (command, output)) == 0


@pytest.mark.parametrize(
    ("command", "output", "expected"),
    [
        ("aws s3 cp a s3://data-pipeline/a", "upload: ./a to s3://data-pipeline/a", 1),
        ("aws s3 cp - s3://data-pipeline/a", "", 1),
        ("aws s3 cp s3://data-pipeline/a -", "text", 0.5),
        (
            "aws s3 cp s3://data-pipeline/a .",
            "download: s3://data-pipeline/a to a",
            0.5,
        ),
        ("aws s3 sync . s3://data-pipeline", "", 0.5),
        (
            "aws s3 cp a s3://data-pipeline/a --dryrun",
            "(dryrun) upload: a to s3://d",
            0.5,
        ),
    ],
)
def test_transfers(command: str, output: str, expected: float) -> None:
    """An upload puts an object; a download, and one of nothing, does not."""
    assert progress(PIPELINE, (CREATE, "{}"), (command, output)) == expected


def test_other_name_of_a_listing() -> None:
    """Buckets are listed by either command."""
    assert progress(LISTING, ("aws s3api list-buckets", "{}")) == 1


def test_named_by_arn() -> None:
    """A secret is named by its ARN, too."""
    criteria = {"steps": [{"operation": "put-secret-value", "resource": "db-pass"}]}
    command = f"aws secretsmanager put-secret-value --secret-id {SECRET}"

    assert progress(criteria, (command, "{}")) == 1


@pytest.mark.parametrize(
    ("services", "command", "expected"),
    [
        (["ebs"], "aws ec2 create-volume --size 1", True),
        (["apigateway"], "aws apigatewayv2 create-volume", False),
    ],
)
def test_services(services: list[str], command: str, expected: bool) -> None:  # noqa: FBT001
    """A service is itself, whatever another one's name begins with."""
    criteria = {"services": services, "steps": [{"operation": "create-volume"}]}
    grader = Grader(SuccessCriteria.model_validate(criteria))

    found = grader.grade([Executed(command, Ran(0, "{}", ""))], FakeUniverse())

    assert found.achieved == expected


def test_half_credit_needs_the_name() -> None:
    """A right command for another resource earns nothing."""
    criteria = {
        "command_contains": "s3api",
        "operation": "create-bucket",
        "resource_exists": {"service": "s3", "name": "my-test-bucket"},
    }

    assert progress(criteria, ("aws s3api create-bucket --bucket wrong", "{}")) == 0


@pytest.mark.parametrize("region", ["--region us-east-1", "--region=us-east-1"])
def test_rollback_of_the_same_thing(region: str) -> None:
    """A shared region, or service, makes no rollback; another spelling does."""
    kept = Executed(f"aws {region} s3api create-bucket --bucket a", Ran(0, "", ""))
    made = Executed("aws s3 mb s3://b", Ran(0, "", ""))
    gone = Executed(f"aws s3api delete-bucket --bucket b {region}", Ran(0, "", ""))

    assert rollbacks([kept, gone]) == 0
    assert rollbacks([kept, made, gone]) == 1


def test_failed_reset_ends_the_episode() -> None:
    """After a reset that failed, the old task is not played on in a wiped account."""
    broken = "aws s3api head-bucket --bucket nobody"
    played = Episode(FakeUniverse({broken: Ran(255, "", "404")}), Rules())
    played.reset(Task(task_id=1, description="d"))
    with pytest.raises(EpisodeError, match="set-up command failed"):
        played.reset(
            Task.model_validate({
                "task_id": 2,
                "description": "d",
                "setup_commands": [broken],
            })
        )

    with pytest.raises(EpisodeError, match=r"Call reset\(\) before step\(\)"):
        played.step("aws s3 ls")


def test_idle_state() -> None:
    """Before the first reset the state has all its keys."""
    played = Episode(FakeUniverse(), Rules())
    idle = played.state()

    played.reset(Task(task_id=1, description="d"))

    assert set(idle) == set(played.state())
    assert set(idle["tracker"]) == set(played.state()["tracker"])
