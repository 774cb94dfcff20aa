"""
A Cloud Map namespace of another account: what is made in it, by whom, and who is refused.

Source: Cloud Map developer guide, "Shared AWS Cloud Map namespaces".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from entrypoint.aws.cloud_map import CloudMapReader
from entrypoint.aws.endpoint import cloud_map_endpoint
from entrypoint.aws.signature import Credentials
from entrypoint.aws.signed_connection import Session, SignedConnection
from meshcert.errors import AwsRefused
from tests.local.aws.refusals import ClientError
from tests.local.aws.roles import new_role
from tests.local.aws.shared_authorities import OTHER, OWNER, InAccount, organize, share
from tests.local.aws.stacks import delete, deploy

if TYPE_CHECKING:
    from local.running_aws import LocalAws

PERMISSION = "arn:aws:ram::aws:permission/AWSRAMPermissionCloudMapECSFullPermission"
NAME = "shop.local"
RECORDS = {"DnsRecords": [{"Type": "A", "TTL": 5}]}
NEITHER = "777788889999"


def namespace(aws: LocalAws) -> str:
    """The ARN of a private namespace of the local AWS's own account."""
    vpc = aws.client("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    aws.client("servicediscovery").create_private_dns_namespace(Name=NAME, Vpc=vpc)
    return str(aws.client("servicediscovery").list_namespaces()["Namespaces"][-1]["Arn"])


def made(client: Any, arn: str, name: str = "orders", **more: Any) -> dict[str, Any]:
    """A service in a namespace, with an instance."""
    service: dict[str, Any] = client.create_service(Name=name, NamespaceId=arn, DnsConfig=RECORDS, **more)["Service"]
    client.register_instance(ServiceId=service["Arn"], InstanceId="i", Attributes={"AWS_INSTANCE_IPV4": "10.1.0.7"})
    return service


def found(aws: LocalAws, account: str, **more: Any) -> list[str]:
    """The addresses that an account gets of ``orders``."""
    call = {"NamespaceName": NAME, "ServiceName": "orders", **more}
    answer = aws.client("servicediscovery", account=account).discover_instances(**call)
    return [each["Attributes"]["AWS_INSTANCE_IPV4"] for each in answer["Instances"]]


def test_another_account_uses_a_namespace_as_far_as_its_owner_shares_it(fresh_aws: LocalAws) -> None:
    """By ARNs; the owner has what it makes, which says who made it. Without the share it is refused, in AWS's words."""
    arn = namespace(fresh_aws)
    theirs = fresh_aws.client("servicediscovery", account=OTHER)
    with pytest.raises(ClientError, match="no resource-based policy allows the servicediscovery:CreateService action"):
        made(theirs, arn)
    with pytest.raises(ClientError, match="AccessDenied"):
        theirs.get_namespace(Id=arn)

    share(fresh_aws, [arn], PERMISSION)
    service = made(theirs, arn)

    assert (service["ResourceOwner"], service["CreatedByAccount"]) == (OWNER, OTHER)
    assert service["Arn"].split(":")[4] == OWNER
    assert theirs.get_namespace(Id=arn)["Namespace"]["Name"] == NAME
    only = [{"Name": "NAMESPACE_ID", "Values": [arn], "Condition": "EQ"}]
    assert [each["Name"] for each in theirs.list_services(Filters=only)["Services"]] == ["orders"]
    assert found(fresh_aws, OTHER, OwnerAccount=OWNER) == found(fresh_aws, OWNER) == ["10.1.0.7"]
    with pytest.raises(ClientError, match="NamespaceNotFound"):
        found(fresh_aws, OTHER)
    with pytest.raises(ClientError, match="ServiceAlreadyExists"):
        made(fresh_aws.client("servicediscovery"), arn)
    with pytest.raises(ClientError, match="Tagging isn't supported"):
        made(theirs, arn, "stock", Tags=[{"Key": "a", "Value": "b"}])
    nobody = fresh_aws.client("servicediscovery", account=NEITHER)
    with pytest.raises(ClientError, match="AccessDenied"):
        nobody.register_instance(ServiceId=service["Arn"], InstanceId="j", Attributes={"AWS_INSTANCE_IPV4": "10.2.0.1"})
    with pytest.raises(ClientError, match="AccessDenied"):
        nobody.delete_service(Id=service["Arn"])

    theirs.deregister_instance(ServiceId=service["Arn"], InstanceId="i")
    assert found(fresh_aws, OTHER, OwnerAccount=OWNER) == []
    theirs.delete_service(Id=service["Arn"])
    with pytest.raises(ClientError, match="ServiceNotFound"):
        found(fresh_aws, OTHER, OwnerAccount=OWNER)


def _stack(aws: LocalAws, arn: str, name: str, **more: Any) -> str:
    dns = {**RECORDS, "NamespaceId": arn}
    properties = {"Name": "orders", "NamespaceId": arn, "DnsConfig": dns, **more}
    return deploy(
        InAccount(aws), name, {"Orders": {"Type": "AWS::ServiceDiscovery::Service", "Properties": properties}}
    )


def test_cloudformation_makes_and_deletes_services_in_it(fresh_aws: LocalAws) -> None:
    """Not without the share, not with tags, and once of a name."""
    arn = namespace(fresh_aws)
    organize(fresh_aws)
    assert _stack(fresh_aws, arn, "unshared") == "ROLLBACK_COMPLETE"

    share(fresh_aws, [arn], PERMISSION)
    assert _stack(fresh_aws, arn, "tagged", Tags=[{"Key": "a", "Value": "b"}]) == "ROLLBACK_COMPLETE"
    assert _stack(fresh_aws, arn, "shop") == "CREATE_COMPLETE"

    assert found(fresh_aws, OTHER, OwnerAccount=OWNER) == []
    assert _stack(fresh_aws, arn, "again") == "ROLLBACK_COMPLETE"
    assert delete(InAccount(fresh_aws), "shop") == "DELETE_COMPLETE"
    with pytest.raises(ClientError, match="ServiceNotFound"):
        found(fresh_aws, OTHER, OwnerAccount=OWNER)


class _Keys:
    def __init__(self, aws: LocalAws, role: str) -> None:
        keys = aws.control("POST", "/_local/iam/session", {"role": role})
        self._own = Credentials(keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"], keys["AWS_SESSION_TOKEN"])

    def current(self, timeout_s: float) -> Credentials:
        """The credentials of the task."""
        assert timeout_s > 0
        return self._own

    def refused(self) -> None:
        """There are no others."""


def test_a_container_finds_tasks_in_it_with_no_role_to_assume(fresh_aws: LocalAws) -> None:
    """By the entrypoint's own reader, with the rights that a task's role has; it names the owner."""
    arn = namespace(fresh_aws)
    share(fresh_aws, [arn], PERMISSION)
    made(fresh_aws.client("servicediscovery"), arn)
    made(fresh_aws.client("servicediscovery"), arn, "stock")
    condition = {"servicediscovery:NamespaceName": NAME, "servicediscovery:ServiceName": ["orders"]}
    actions = ["servicediscovery:DiscoverInstances", "servicediscovery:DiscoverInstancesRevision"]
    right = {"Effect": "Allow", "Action": actions, "Resource": "*", "Condition": {"StringEquals": condition}}
    session: Any = Session(_Keys(fresh_aws, new_role(InAccount(fresh_aws), "caller", [right])))  # type: ignore[arg-type]
    endpoint = cloud_map_endpoint(fresh_aws.region, {"AWS_ENDPOINT_URL": fresh_aws.endpoint})

    def reader(owner: str) -> CloudMapReader:
        connection = SignedConnection(endpoint, fresh_aws.region, "servicediscovery", session)
        return CloudMapReader(connection, NAME, owner)

    shared = reader(OWNER)
    assert [[task.address for task in shared.tasks("orders")] for _ in range(2)] == [["10.1.0.7"]] * 2
    with pytest.raises(AwsRefused, match="AccessDenied"):
        shared.tasks("stock")
    with pytest.raises(AwsRefused, match="NamespaceNotFound"):
        reader("").tasks("orders")
