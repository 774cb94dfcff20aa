"""What CloudFormation cannot change in place, and names that are taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.local.aws.patches.test_cloudformation_types import resource
from tests.local.aws.refusals import ClientError, code_of
from tests.local.aws.stacks import delete, deploy, reasons_of

if TYPE_CHECKING:
    from local.running_aws import LocalAws

VPC = resource("AWS::EC2::VPC", CidrBlock="10.0.0.0/16")
NAMESPACE = resource("AWS::ServiceDiscovery::PrivateDnsNamespace", Name="mtls.svc.cluster.local", Vpc={"Ref": "Vpc"})
RECORDS = {"DnsRecords": [{"Type": "A", "TTL": 5}], "RoutingPolicy": "MULTIVALUE"}
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ecs.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}

# Types with a name that a template may give, and nothing else that they need.
NAMED: dict[str, dict[str, Any]] = {
    "AWS::CloudWatch::Alarm": {
        "AlarmName": "taken",
        "ComparisonOperator": "GreaterThanThreshold",
        "EvaluationPeriods": 1,
        "MetricName": "Errors",
        "Namespace": "Meshcert",
        "Period": 60,
        "Statistic": "Sum",
        "Threshold": 1,
    },
    "AWS::CloudWatch::Dashboard": {"DashboardName": "taken", "DashboardBody": '{"widgets": []}'},
    "AWS::DynamoDB::Table": {
        "TableName": "taken",
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "name", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "name", "KeyType": "HASH"}],
    },
    "AWS::ECS::Cluster": {"ClusterName": "taken"},
    "AWS::IAM::Role": {"RoleName": "taken", "AssumeRolePolicyDocument": TRUST},
    "AWS::Logs::LogGroup": {"LogGroupName": "taken"},
    "AWS::S3::Bucket": {"BucketName": "taken-bucket"},
    "AWS::SNS::Topic": {"TopicName": "taken"},
    "AWS::SQS::Queue": {"QueueName": "taken"},
    "AWS::SecretsManager::Secret": {"Name": "taken", "SecretString": "{}"},
}


def cloud_map(**properties: Any) -> dict[str, Any]:
    """A namespace with one service."""
    service = {"Name": "teller", "NamespaceId": {"Ref": "Namespace"}, "DnsConfig": RECORDS, **properties}
    return {
        "Vpc": VPC,
        "Namespace": NAMESPACE,
        "Teller": resource("AWS::ServiceDiscovery::Service", **service),
    }


@pytest.mark.parametrize("kind", NAMED)
def test_a_name_that_somebody_uses_is_refused(fresh_aws: LocalAws, kind: str) -> None:
    """The stack that asks for it rolls back, and what was there stays."""
    assert deploy(fresh_aws, "first", {"It": resource(kind, **NAMED[kind])}) == "CREATE_COMPLETE"

    status = deploy(fresh_aws, "second", {"It": resource(kind, **NAMED[kind])})

    # S3's names are looked at before anything is made, all others when their turn comes.
    assert status == "ROLLBACK_COMPLETE"
    assert "already exists" in reasons_of(fresh_aws, "second") or kind == "AWS::S3::Bucket"
    assert deploy(fresh_aws, "first", {"It": resource(kind, **NAMED[kind]), "More": VPC}) == "UPDATE_COMPLETE"


@pytest.mark.parametrize("kind", NAMED)
def test_a_name_is_free_again_when_its_stack_has_gone(fresh_aws: LocalAws, kind: str) -> None:
    """What the stack deletes can be made anew."""
    for name in ("first", "second"):
        assert deploy(fresh_aws, name, {"It": resource(kind, **NAMED[kind])}) == "CREATE_COMPLETE"
        assert delete(fresh_aws, name) == "DELETE_COMPLETE"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"HealthCheckCustomConfig": {"FailureThreshold": 1}}, {}),
        ({}, {"HealthCheckCustomConfig": {"FailureThreshold": 1}}),
        ({"HealthCheckCustomConfig": {"FailureThreshold": 1}}, {"HealthCheckCustomConfig": {"FailureThreshold": 2}}),
    ],
    ids=["dropped", "added", "changed"],
)
def test_custom_health_of_a_cloud_map_service_cannot_be_changed(
    fresh_aws: LocalAws, before: dict[str, Any], after: dict[str, Any]
) -> None:
    """It would be a new service before the old one goes, under a name that the old one has: the update rolls back."""
    assert deploy(fresh_aws, "map", cloud_map(**before)) == "CREATE_COMPLETE"
    discovery = fresh_aws.client("servicediscovery")
    [old] = discovery.list_services()["Services"]

    status = deploy(fresh_aws, "map", cloud_map(**after))

    assert status == "UPDATE_ROLLBACK_COMPLETE"
    assert "already exists" in reasons_of(fresh_aws, "map")
    assert discovery.list_services()["Services"] == [old]


def test_a_cloud_map_service_changes_what_it_can_and_moves_under_another_name(fresh_aws: LocalAws) -> None:
    """A TTL changes in place; another name makes another service, and the old one goes."""
    assert deploy(fresh_aws, "map", cloud_map()) == "CREATE_COMPLETE"
    discovery = fresh_aws.client("servicediscovery")
    [old] = discovery.list_services()["Services"]
    shorter = {**RECORDS, "DnsRecords": [{"Type": "A", "TTL": 1}]}

    assert deploy(fresh_aws, "map", cloud_map(DnsConfig=shorter)) == "UPDATE_COMPLETE"
    [changed] = discovery.list_services()["Services"]
    assert deploy(fresh_aws, "map", cloud_map(Name="other")) == "UPDATE_COMPLETE"
    [moved] = discovery.list_services()["Services"]

    assert changed["Id"] == old["Id"] != moved["Id"]
    assert moved["Name"] == "other"


def test_cloud_map_refuses_a_second_service_of_the_same_name(fresh_aws: LocalAws) -> None:
    """The API says ServiceAlreadyExists; the same name in another namespace is nobody's concern."""
    deploy(fresh_aws, "map", cloud_map())
    discovery = fresh_aws.client("servicediscovery")
    [there] = discovery.list_services()["Services"]
    namespace = discovery.get_service(Id=there["Id"])["Service"]["NamespaceId"]

    with pytest.raises(ClientError) as refused:
        discovery.create_service(Name="teller", NamespaceId=namespace, DnsConfig=RECORDS)

    assert code_of(refused) == "ServiceAlreadyExists"


def test_a_table_with_a_fixed_name_cannot_get_another_key(fresh_aws: LocalAws) -> None:
    """CloudFormation asks for another name before it tries."""
    kind = "AWS::DynamoDB::Table"
    deploy(fresh_aws, "table", {"It": resource(kind, **NAMED[kind])})
    other = {
        **NAMED[kind],
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    }

    status = deploy(fresh_aws, "table", {"It": resource(kind, **other)})

    assert status == "UPDATE_ROLLBACK_COMPLETE"
    assert "custom-named resource requires replacing" in reasons_of(fresh_aws, "table")
