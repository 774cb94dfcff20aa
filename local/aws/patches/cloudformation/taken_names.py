"""
Names given in a template that are already taken.

MiniStack 1.5.33 overwrites a secret, table, function, role, alarm or other resource of the same name that somebody else
made, or that an earlier stack has retained.

AWS fails the resource: "Resource of type '...' with identifier '...' already exists." (CloudFormation user guide,
"Troubleshooting").

It can go when a stack with a secret whose name is taken rolls back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ministack.core import responses
from ministack.services import (
    cloudwatch,
    cloudwatch_logs,
    dynamodb,
    ecs,
    iam,
    kms,
    lambda_svc,
    s3,
    scheduler,
    secretsmanager,
    sns,
    sqs,
    ssm,
)
from ministack.services.cloudformation import provisioners

from local.aws import hooks

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.aws.resource_type import Created, Properties


def install() -> None:
    """Look for the name before MiniStack creates the resource."""
    handlers = hooks.require(provisioners, "_RESOURCE_HANDLERS")
    for name, prop, service, store, key in _NAMED:
        known = hooks.require(service, store)
        handlers[name]["create"] = _refuse_taken(handlers[name]["create"], name, prop, _is_in(known, key))


def _is_in(store: Any, key: Callable[[str], str]) -> Callable[[str], bool]:
    def taken(name: str) -> bool:
        found = store.get(key(name))
        # ECS keeps the record of a cluster that was deleted.
        return found is not None and not (isinstance(found, dict) and found.get("status") == "INACTIVE")

    return taken


def _refuse_taken(
    inner: Callable[[str, Properties, str], Created],
    type_name: str,
    prop: str,
    taken: Callable[[str], bool],
) -> Callable[[str, Properties, str], Created]:
    def create(logical_id: str, properties: Properties, stack: str) -> Created:
        name = properties.get(prop)
        if name and taken(name):
            raise ValueError(f"Resource of type '{type_name}' with identifier '{name}' already exists.")
        return inner(logical_id, properties, stack)

    return create


def _arn(service: str, name: str) -> str:
    return f"arn:aws:{service}:{responses.get_region()}:{responses.get_account_id()}:{name}"


# Type, the property with its name, and where MiniStack keeps what there is. The key is the name itself, or what the
# last item makes of it.
_NAMED: tuple[tuple[str, str, Any, str, Callable[[str], str]], ...] = (
    ("AWS::CloudWatch::Alarm", "AlarmName", cloudwatch, "_alarms", str),
    ("AWS::CloudWatch::Dashboard", "DashboardName", cloudwatch, "_dashboards", str),
    ("AWS::DynamoDB::Table", "TableName", dynamodb, "_tables", str),
    ("AWS::ECS::Cluster", "ClusterName", ecs, "_clusters", str),
    ("AWS::IAM::Role", "RoleName", iam, "_roles", str),
    ("AWS::KMS::Alias", "AliasName", kms, "_aliases", lambda name: _arn("kms", name)),
    ("AWS::Lambda::Function", "FunctionName", lambda_svc, "_functions", str),
    ("AWS::Logs::LogGroup", "LogGroupName", cloudwatch_logs, "_log_groups", str),
    ("AWS::S3::Bucket", "BucketName", s3, "_buckets", str),
    ("AWS::SNS::Topic", "TopicName", sns, "_topics", lambda name: _arn("sns", name)),
    ("AWS::SQS::Queue", "QueueName", sqs, "_queue_name_to_url", str),
    ("AWS::SSM::Parameter", "Name", ssm, "_parameters", str),
    ("AWS::Scheduler::Schedule", "Name", scheduler, "_schedules", lambda name: f"default/{name}"),
    ("AWS::SecretsManager::Secret", "Name", secretsmanager, "_secrets", str),
)
