"""The tasks of the demo: what is asked, and the commands that do it.

Values stand in a task's text exactly as in its commands, after a space and without
quotes, so that a small model can copy them.
"""

from dataclasses import dataclass
from string import Template
from typing import Literal


Tier = Literal["warmup", "beginner", "intermediate", "advanced", "expert"]
TIERS: tuple[Tier, ...] = (
    "warmup",
    "beginner",
    "intermediate",
    "advanced",
    "expert",
)
TRUST = '{"Version":"2012-10-17","Statement":[]}'


@dataclass(frozen=True, slots=True)
class TaskTemplate:
    """A task with gaps: ``$a``, ``$b``, ``$c`` are names, ``$n`` is a number."""

    id: int
    tier: Tier
    text: str
    commands: tuple[str, ...]
    """The canonical solution, in order; each runs on a fresh account after the last."""
    verify: str
    """A command that only reads, and shows that the task is done."""

    def filled(self, values: dict[str, str]) -> "TaskTemplate":
        """Return the task with its gaps filled."""
        return TaskTemplate(
            self.id,
            self.tier,
            Template(self.text).substitute(values),
            tuple(Template(command).substitute(values) for command in self.commands),
            Template(self.verify).substitute(values),
        )


_WARMUP = (
    (
        "List the SQS queues whose names start with $a.",
        "aws sqs list-queues --queue-name-prefix $a",
    ),
    (
        "List the DynamoDB tables that come after $a.",
        "aws dynamodb list-tables --exclusive-start-table-name $a",
    ),
    (
        "List the log groups whose names start with $a.",
        "aws logs describe-log-groups --log-group-name-prefix $a",
    ),
    (
        "List the Kinesis streams that come after $a.",
        "aws kinesis list-streams --exclusive-start-stream-name $a",
    ),
    (
        "List the EventBridge rules whose names start with $a.",
        "aws events list-rules --name-prefix $a",
    ),
    (
        "List the CloudWatch alarms whose names start with $a.",
        "aws cloudwatch describe-alarms --alarm-name-prefix $a",
    ),
    (
        "List the S3 buckets whose names start with $a.",
        "aws s3api list-buckets --prefix $a",
    ),
    (
        "List the EC2 key pairs that are called $a.",
        "aws ec2 describe-key-pairs --filters Name=key-name,Values=$a",
    ),
    (
        "List the security groups that are called $a.",
        "aws ec2 describe-security-groups --filters Name=group-name,Values=$a",
    ),
    (
        "List the instances of team $a.",
        "aws ec2 describe-instances --filters Name=tag:team,Values=$a",
    ),
    (
        "List the secrets whose names contain $a.",
        "aws secretsmanager list-secrets --filters Key=name,Values=$a",
    ),
    (
        "List the parameters that are called $a.",
        "aws ssm describe-parameters --filters Key=Name,Values=$a",
    ),
)

_BEGINNER = (
    (
        "Create an S3 bucket called $a.",
        "aws s3api create-bucket --bucket $a",
        "aws s3api head-bucket --bucket $a",
    ),
    (
        "Create an SQS queue called $a.",
        "aws sqs create-queue --queue-name $a",
        "aws sqs get-queue-url --queue-name $a",
    ),
    (
        "Create an SNS topic called $a.",
        "aws sns create-topic --name $a",
        "aws sns list-topics",
    ),
    (
        "Create an IAM user called $a.",
        "aws iam create-user --user-name $a",
        "aws iam get-user --user-name $a",
    ),
    (
        "Create an IAM group called $a.",
        "aws iam create-group --group-name $a",
        "aws iam get-group --group-name $a",
    ),
    (
        "Create an IAM role called $a with an empty trust policy.",
        f"aws iam create-role --role-name $a --assume-role-policy-document '{TRUST}'",
        "aws iam get-role --role-name $a",
    ),
    (
        "Create a log group called $a.",
        "aws logs create-log-group --log-group-name $a",
        "aws logs describe-log-groups --log-group-name-prefix $a",
    ),
    (
        "Create an ECR repository called $a.",
        "aws ecr create-repository --repository-name $a",
        "aws ecr describe-repositories --repository-names $a",
    ),
    (
        "Create an ECS cluster called $a.",
        "aws ecs create-cluster --cluster-name $a",
        "aws ecs describe-clusters --clusters $a",
    ),
    (
        "Create a Kinesis stream called $a with $n shards.",
        "aws kinesis create-stream --stream-name $a --shard-count $n",
        "aws kinesis describe-stream --stream-name $a",
    ),
    (
        "Store the value $b in the parameter $a.",
        "aws ssm put-parameter --name $a --value $b --type String",
        "aws ssm get-parameter --name $a",
    ),
    (
        "Create a secret called $a with the value $b.",
        "aws secretsmanager create-secret --name $a --secret-string $b",
        "aws secretsmanager describe-secret --secret-id $a",
    ),
    (
        "Create an EventBridge bus called $a.",
        "aws events create-event-bus --name $a",
        "aws events describe-event-bus --name $a",
    ),
    (
        "Create an EventBridge rule called $a that runs every $n minutes.",
        "aws events put-rule --name $a --schedule-expression 'rate($n minutes)'",
        "aws events describe-rule --name $a",
    ),
    (
        "Create a Glue database called $a.",
        "aws glue create-database --database-input Name=$a",
        "aws glue get-database --name $a",
    ),
    (
        "Create an EC2 key pair called $a.",
        "aws ec2 create-key-pair --key-name $a",
        "aws ec2 describe-key-pairs --key-names $a",
    ),
)

_INTERMEDIATE = (
    (
        "Create a bucket called $a, then turn on its versioning.",
        (
            "aws s3api create-bucket --bucket $a",
            "aws s3api put-bucket-versioning --bucket $a --versioning-configuration Status=Enabled",
        ),
        "aws s3api get-bucket-versioning --bucket $a",
    ),
    (
        "Create a bucket called $a, then tag it with team $b.",
        (
            "aws s3api create-bucket --bucket $a",
            "aws s3api put-bucket-tagging --bucket $a --tagging TagSet=[{Key=team,Value=$b}]",
        ),
        "aws s3api get-bucket-tagging --bucket $a",
    ),
    (
        "Create an IAM user called $a and a group called $b.",
        ("aws iam create-user --user-name $a", "aws iam create-group --group-name $b"),
        "aws iam get-group --group-name $b",
    ),
    (
        "Create a log group called $a, then keep its events for $d days.",
        (
            "aws logs create-log-group --log-group-name $a",
            "aws logs put-retention-policy --log-group-name $a --retention-in-days $d",
        ),
        "aws logs describe-log-groups --log-group-name-prefix $a",
    ),
    (
        "Create a log group called $a with a log stream called $b.",
        (
            "aws logs create-log-group --log-group-name $a",
            "aws logs create-log-stream --log-group-name $a --log-stream-name $b",
        ),
        "aws logs describe-log-streams --log-group-name $a",
    ),
    (
        "Create a queue called $a and a topic called $b.",
        ("aws sqs create-queue --queue-name $a", "aws sns create-topic --name $b"),
        "aws sqs get-queue-url --queue-name $a",
    ),
    (
        "Create a table called $a with the key $b, then describe it.",
        (
            "aws dynamodb create-table --table-name $a --attribute-definitions AttributeName=$b,AttributeType=S --key-schema AttributeName=$b,KeyType=HASH --billing-mode PAY_PER_REQUEST",
            "aws dynamodb describe-table --table-name $a",
        ),
        "aws dynamodb scan --table-name $a",
    ),
    (
        "Store the value $b in the parameter $a, then tag it with team $c.",
        (
            "aws ssm put-parameter --name $a --value $b --type String",
            "aws ssm add-tags-to-resource --resource-type Parameter --resource-id $a --tags Key=team,Value=$c",
        ),
        "aws ssm list-tags-for-resource --resource-type Parameter --resource-id $a",
    ),
    (
        "Create a secret called $a with the value $b, then describe it with $c.",
        (
            "aws secretsmanager create-secret --name $a --secret-string $b",
            "aws secretsmanager update-secret --secret-id $a --description $c",
        ),
        "aws secretsmanager describe-secret --secret-id $a",
    ),
    (
        "Create an IAM user called $a, then tag it with team $b.",
        (
            "aws iam create-user --user-name $a",
            "aws iam tag-user --user-name $a --tags Key=team,Value=$b",
        ),
        "aws iam list-user-tags --user-name $a",
    ),
    (
        "Create an ECR repository called $a, then make its tags immutable.",
        (
            "aws ecr create-repository --repository-name $a",
            "aws ecr put-image-tag-mutability --repository-name $a --image-tag-mutability IMMUTABLE",
        ),
        "aws ecr describe-repositories --repository-names $a",
    ),
    (
        "Create a stream called $a with $n shards, then tag it with team $b.",
        (
            "aws kinesis create-stream --stream-name $a --shard-count $n",
            "aws kinesis add-tags-to-stream --stream-name $a --tags team=$b",
        ),
        "aws kinesis list-tags-for-stream --stream-name $a",
    ),
    (
        "Create a bus called $a and on it a rule called $b that runs every $n minutes.",
        (
            "aws events create-event-bus --name $a",
            "aws events put-rule --event-bus-name $a --name $b --schedule-expression 'rate($n minutes)'",
        ),
        "aws events list-rules --event-bus-name $a",
    ),
    (
        "Create a Glue database called $a, then the Athena workgroup $b.",
        (
            "aws glue create-database --database-input Name=$a",
            "aws athena create-work-group --name $b",
        ),
        "aws athena get-work-group --work-group $b",
    ),
    (
        "Create a security group called $a described as $b.",
        (
            "aws ec2 create-security-group --group-name $a --description $b",
            "aws ec2 describe-security-groups --group-names $a",
        ),
        "aws ec2 describe-security-groups --filters Name=description,Values=$b",
    ),
)

_ADVANCED = (
    (
        "Create a user called $a and a group called $b, then add the user to the group.",
        (
            "aws iam create-user --user-name $a",
            "aws iam create-group --group-name $b",
            "aws iam add-user-to-group --user-name $a --group-name $b",
        ),
        "aws iam list-groups-for-user --user-name $a",
    ),
    (
        "Create a role called $a, attach ReadOnlyAccess, and tag it with team $b.",
        (
            f"aws iam create-role --role-name $a --assume-role-policy-document '{TRUST}'",
            "aws iam attach-role-policy --role-name $a --policy-arn arn:aws:iam::aws:policy/ReadOnlyAccess",
            "aws iam tag-role --role-name $a --tags Key=team,Value=$b",
        ),
        "aws iam list-attached-role-policies --role-name $a",
    ),
    (
        "Create a bucket called $a, turn on its versioning, then tag it with team $b.",
        (
            "aws s3api create-bucket --bucket $a",
            "aws s3api put-bucket-versioning --bucket $a --versioning-configuration Status=Enabled",
            "aws s3api put-bucket-tagging --bucket $a --tagging TagSet=[{Key=team,Value=$b}]",
        ),
        "aws s3api get-bucket-versioning --bucket $a",
    ),
    (
        "Create a log group called $a with the stream $b, then keep its events for $d days.",
        (
            "aws logs create-log-group --log-group-name $a",
            "aws logs create-log-stream --log-group-name $a --log-stream-name $b",
            "aws logs put-retention-policy --log-group-name $a --retention-in-days $d",
        ),
        "aws logs describe-log-streams --log-group-name $a",
    ),
    (
        "Create a table called $a with the key $b, then put the item $c into it.",
        (
            "aws dynamodb create-table --table-name $a --attribute-definitions AttributeName=$b,AttributeType=S --key-schema AttributeName=$b,KeyType=HASH --billing-mode PAY_PER_REQUEST",
            "aws dynamodb put-item --table-name $a --item $b={S=$c}",
        ),
        "aws dynamodb scan --table-name $a",
    ),
    (
        "Create a queue called $a, a topic called $b, and a bucket called $c.",
        (
            "aws sqs create-queue --queue-name $a",
            "aws sns create-topic --name $b",
            "aws s3api create-bucket --bucket $c",
        ),
        "aws s3api head-bucket --bucket $c",
    ),
    (
        "Create the ECS cluster $a and the ECR repository $b, then the log group $c.",
        (
            "aws ecs create-cluster --cluster-name $a",
            "aws ecr create-repository --repository-name $b",
            "aws logs create-log-group --log-group-name $c",
        ),
        "aws ecs describe-clusters --clusters $a",
    ),
    (
        "Create a topic called $a, then a queue called $b with a delay of $n seconds.",
        (
            "aws sns create-topic --name $a",
            "aws sqs create-queue --queue-name $b --attributes DelaySeconds=$n",
        ),
        "aws sqs get-queue-url --queue-name $b",
    ),
    (
        "Create the Glue database $a, describe it as $b, and create the workgroup $c.",
        (
            "aws glue create-database --database-input Name=$a",
            "aws glue update-database --name $a --database-input Name=$a,Description=$b",
            "aws athena create-work-group --name $c",
        ),
        "aws glue get-database --name $a",
    ),
    (
        "Create the alarm $a on the metric $b of namespace $c above $n.",
        (
            "aws cloudwatch put-metric-alarm --alarm-name $a --metric-name $b --namespace $c --statistic Average --period 60 --evaluation-periods 1 --threshold $n --comparison-operator GreaterThanThreshold",
            "aws cloudwatch disable-alarm-actions --alarm-names $a",
        ),
        "aws cloudwatch describe-alarms --alarm-names $a",
    ),
)

_EXPERT = (
    (
        "Set up the user $a in the group $b: create both, join them, then tag the user with team $c.",
        (
            "aws iam create-user --user-name $a",
            "aws iam create-group --group-name $b",
            "aws iam add-user-to-group --user-name $a --group-name $b",
            "aws iam tag-user --user-name $a --tags Key=team,Value=$c",
        ),
        "aws iam get-group --group-name $b",
    ),
    (
        "Set up the bucket $a: create it, turn on versioning, block public access, then tag it with team $b.",
        (
            "aws s3api create-bucket --bucket $a",
            "aws s3api put-bucket-versioning --bucket $a --versioning-configuration Status=Enabled",
            "aws s3api put-public-access-block --bucket $a --public-access-block-configuration BlockPublicAcls=true",
            "aws s3api put-bucket-tagging --bucket $a --tagging TagSet=[{Key=team,Value=$b}]",
        ),
        "aws s3api get-public-access-block --bucket $a",
    ),
    (
        "Set up logging: the group $a, the streams $b and $c, kept for $d days.",
        (
            "aws logs create-log-group --log-group-name $a",
            "aws logs create-log-stream --log-group-name $a --log-stream-name $b",
            "aws logs create-log-stream --log-group-name $a --log-stream-name $c",
            "aws logs put-retention-policy --log-group-name $a --retention-in-days $d",
        ),
        "aws logs describe-log-streams --log-group-name $a",
    ),
    (
        "Set up the service $a: a queue, a topic, a bucket and a log group of that name.",
        (
            "aws sqs create-queue --queue-name $a",
            "aws sns create-topic --name $a",
            "aws s3api create-bucket --bucket $a",
            "aws logs create-log-group --log-group-name $a",
        ),
        "aws sqs get-queue-url --queue-name $a",
    ),
    (
        "Set up the app $a: role, cluster, repository, log group and secret $b of that name.",
        (
            f"aws iam create-role --role-name $a --assume-role-policy-document '{TRUST}'",
            "aws ecs create-cluster --cluster-name $a",
            "aws ecr create-repository --repository-name $a",
            "aws logs create-log-group --log-group-name $a",
            "aws secretsmanager create-secret --name $a --secret-string $b",
        ),
        "aws ecs describe-clusters --clusters $a",
    ),
    (
        "Set up the events of $a: a bus, on it the rule $b every $n minutes, a queue and a topic called $a.",
        (
            "aws events create-event-bus --name $a",
            "aws events put-rule --event-bus-name $a --name $b --schedule-expression 'rate($n minutes)'",
            "aws sqs create-queue --queue-name $a",
            "aws sns create-topic --name $a",
        ),
        "aws events list-rules --event-bus-name $a",
    ),
    (
        "Set up the table $a with the key $b: create it, put the items $b and $c into it, then scan it.",
        (
            "aws dynamodb create-table --table-name $a --attribute-definitions AttributeName=$b,AttributeType=S --key-schema AttributeName=$b,KeyType=HASH --billing-mode PAY_PER_REQUEST",
            "aws dynamodb put-item --table-name $a --item $b={S=$b}",
            "aws dynamodb put-item --table-name $a --item $b={S=$c}",
            "aws dynamodb scan --table-name $a",
        ),
        "aws dynamodb describe-table --table-name $a",
    ),
    (
        "Set up the platform $a: a bucket, a queue, a topic, a stream with $n shards, a log group and a repository of that name.",
        (
            "aws s3api create-bucket --bucket $a",
            "aws sqs create-queue --queue-name $a",
            "aws sns create-topic --name $a",
            "aws kinesis create-stream --stream-name $a --shard-count $n",
            "aws logs create-log-group --log-group-name $a",
            "aws ecr create-repository --repository-name $a",
        ),
        "aws kinesis describe-stream --stream-name $a",
    ),
)


def _single(
    text: str, command: str, verify: str = ""
) -> tuple[str, tuple[str, ...], str]:
    """Return a task of one command; what reads shows by itself that it is done."""
    return text, (command,), verify or command


def _all() -> tuple[TaskTemplate, ...]:
    """Number the tasks."""
    groups = (
        [_single(*task) for task in _WARMUP],
        [_single(*task) for task in _BEGINNER],
        _INTERMEDIATE,
        _ADVANCED,
        _EXPERT,
    )
    pairs = [
        (tier, task)
        for tier, tasks in zip(TIERS, groups, strict=True)
        for task in tasks
    ]
    return tuple(
        TaskTemplate(number, tier, *task) for number, (tier, task) in enumerate(pairs)
    )


TEMPLATES = _all()
