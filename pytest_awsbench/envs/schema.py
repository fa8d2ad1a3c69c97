"""What a task is: the reference schema, as servers and task files have it."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


TIERS = ("warmup", "beginner", "intermediate", "advanced", "expert")
Tier = Literal["warmup", "beginner", "intermediate", "advanced", "expert"]
Service = Literal[
    "s3",
    "ec2",
    "dynamodb",
    "lambda",
    "sqs",
    "sns",
    "iam",
    "apigateway",
    "secretsmanager",
    "ecs",
    "rds",
    "elasticache",
    "athena",
    "glue",
    "firehose",
    "emr",
    "apigatewayv2",
    "route53",
    "elbv2",
    "ebs",
    "efs",
    "cognito-idp",
    "ssm",
    "events",
    "cloudwatch",
    "cloudformation",
]


class _Strict(BaseModel):
    """Refuses keys that it does not know: a slip in a task must show."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SetupCommand(_Strict):
    """A command that the environment runs by itself."""

    command: str
    description: str | None = None
    ignore_failure: bool = False


def _setup(value: object) -> object:
    """Read a command that is given as bare text."""
    return {"command": value} if isinstance(value, str) else value


Setup = Annotated[SetupCommand, BeforeValidator(_setup)]


class Step(_Strict):
    """An operation that the agent must have used with success."""

    operation: str
    resource: str | None = None


class ResourceExists(_Strict):
    """A resource that must be there."""

    service: Service
    name: str


class StateCheck(_Strict):
    """A command, and what its output must hold; without either it must succeed."""

    command: str
    output_contains: str | None = None
    json_path: str | None = None
    expected: int | float | str | bool | None = None


class SuccessCriteria(_Strict):
    """What makes a task achieved; which fields are set decides how it is graded."""

    command_contains: str | None = None
    operation: str | None = None
    resource_exists: ResourceExists | None = None
    steps: tuple[Step, ...] = ()
    services: tuple[Service, ...] = ()
    state_checks: tuple[StateCheck, ...] = ()


class Task(_Strict):
    """A task as a client injects it on reset."""

    task_id: Annotated[int, Field(ge=0)]
    difficulty: Tier = "warmup"
    description: str
    desired_state_spec: str | None = None
    success_criteria: SuccessCriteria = SuccessCriteria()
    setup_commands: tuple[Setup, ...] = ()
    possible_drifts: tuple[Setup, ...] = ()
