"""Commands that only read, and show whether a resource is there."""

import json
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from pytest_awsbench.envs.schema import Service
from pytest_awsbench.envs.server.universe import Universe


READS: Mapping[Service, tuple[str, ...]] = MappingProxyType({
    "s3": ("s3api list-buckets",),
    "ec2": (
        "ec2 describe-instances",
        "ec2 describe-vpcs",
        "ec2 describe-subnets",
        "ec2 describe-security-groups",
        "ec2 describe-key-pairs",
    ),
    "dynamodb": ("dynamodb list-tables",),
    "lambda": ("lambda list-functions",),
    "sqs": ("sqs list-queues",),
    "sns": ("sns list-topics",),
    "iam": (
        "iam list-roles",
        "iam list-users",
        "iam list-groups",
        "iam list-policies --scope Local",
    ),
    "apigateway": ("apigateway get-rest-apis",),
    "secretsmanager": ("secretsmanager list-secrets",),
    "ecs": ("ecs list-clusters",),
    "rds": ("rds describe-db-instances",),
    "elasticache": ("elasticache describe-cache-clusters",),
    "athena": ("athena list-work-groups",),
    "glue": ("glue get-databases", "glue get-jobs", "glue get-crawlers"),
    "firehose": ("firehose list-delivery-streams",),
    "emr": ("emr list-clusters",),
    "apigatewayv2": ("apigatewayv2 get-apis",),
    "route53": ("route53 list-hosted-zones",),
    "elbv2": ("elbv2 describe-load-balancers", "elbv2 describe-target-groups"),
    "ebs": ("ec2 describe-volumes",),
    "efs": ("efs describe-file-systems",),
    "cognito-idp": ("cognito-idp list-user-pools --max-results 60",),
    "ssm": ("ssm describe-parameters",),
    "events": ("events list-rules",),
    "cloudwatch": ("cloudwatch describe-alarms",),
    "cloudformation": ("cloudformation describe-stacks",),
})
_PARTS = re.compile(r"[/:]")


def exists(service: Service, name: str, universe: Universe, *, whole: bool) -> bool:
    """Whether a resource is there.

    Args:
        service: whose.
        name: of the resource.
        universe: the account.
        whole: whether the name must be a whole one, or the end of an ARN or URL; else
            any text with the name in it will do.

    """
    for read in READS[service]:
        ran = universe.run(f"aws {read}")
        if not ran.ok or not ran.output.strip():
            continue
        if not whole and name in ran.output:
            return True
        if name in set(_names(json.loads(ran.output))):
            return True
    return False


def _names(document: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    """Yield every text of a document, and the last part of ARNs and URLs."""
    if isinstance(document, Mapping):
        for value in document.values():
            yield from _names(value)
    elif isinstance(document, list):
        for value in document:
            yield from _names(value)
    elif isinstance(document, str):
        yield document.rstrip(".")
        yield _PARTS.split(document.rstrip("/"))[-1]
