"""
Addresses in another account: by a role there, by a shared namespace, by a zone that a VPC is associated with.

Sources: Cloud Map API reference, "DiscoverInstances" (``OwnerAccount``), and developer guide, "Shared AWS Cloud Map
namespaces"; Route 53 developer guide, "Associating an Amazon VPC and a private hosted zone that you created with
different AWS accounts".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.local.aws.refusals import ClientError
from tests.local.aws.shared_authorities import OTHER, OWNER, organize, share

if TYPE_CHECKING:
    from local.running_aws import LocalAws

PERMISSION = "arn:aws:ram::aws:permission/AWSRAMPermissionCloudMapECSFullPermission"
ADDRESS = "10.0.0.7"


def namespace(aws: LocalAws) -> dict[str, Any]:
    """A private namespace of the local AWS's own account, with one instance behind ``redis``."""
    client = aws.client("servicediscovery")
    vpc = aws.client("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    client.create_private_dns_namespace(Name="backend.local", Vpc=vpc)
    made: dict[str, Any] = client.list_namespaces()["Namespaces"][-1]
    records = {"DnsRecords": [{"Type": "A", "TTL": 5}]}
    service = client.create_service(Name="redis", NamespaceId=made["Id"], DnsConfig=records)["Service"]["Id"]
    client.register_instance(ServiceId=service, InstanceId="i", Attributes={"AWS_INSTANCE_IPV4": ADDRESS})
    return made


def discovered(aws: LocalAws, **more: Any) -> list[str]:
    """What the other account gets."""
    call = {"NamespaceName": "backend.local", "ServiceName": "redis", **more}
    answer = aws.client("servicediscovery", account=OTHER).discover_instances(**call)
    return [each["Attributes"]["AWS_INSTANCE_IPV4"] for each in answer["Instances"]]


def test_a_shared_namespace_is_asked_with_its_owner(fresh_aws: LocalAws) -> None:
    """Not without the share, not without the owner's account, and inside an organization only."""
    made = namespace(fresh_aws)
    with pytest.raises(ClientError, match="NamespaceNotFound"):
        discovered(fresh_aws, OwnerAccount=OWNER)
    outside = {"resourceArns": [made["Arn"]], "principals": ["777788889999"], "permissionArns": [PERMISSION]}
    with pytest.raises(ClientError, match="inside an organization only"):
        fresh_aws.client("ram").create_resource_share(name="redis", **outside)

    share(fresh_aws, [made["Arn"]], PERMISSION)

    assert discovered(fresh_aws, OwnerAccount=OWNER) == [ADDRESS]
    with pytest.raises(ClientError, match="NamespaceNotFound"):
        discovered(fresh_aws)


def test_a_private_zone_is_resolved_where_a_vpc_is_associated(fresh_aws: LocalAws) -> None:
    """The zone's owner authorizes the VPC, the VPC's owner associates it; a share alone resolves no name."""
    made = namespace(fresh_aws)
    organize(fresh_aws)
    share(fresh_aws, [made["Arn"]], PERMISSION)
    zone = made["Properties"]["DnsProperties"]["HostedZoneId"]
    vpc = fresh_aws.client("ec2", account=OTHER).create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    call = {"HostedZoneId": zone, "VPC": {"VPCRegion": fresh_aws.region, "VPCId": vpc}}
    theirs = fresh_aws.client("route53", account=OTHER)

    assert fresh_aws.resolve("redis.backend.local") == ADDRESS
    with pytest.raises(LookupError):
        fresh_aws.resolve("redis.backend.local", OTHER)
    with pytest.raises(ClientError, match="NotAuthorized"):
        theirs.associate_vpc_with_hosted_zone(**call)
    fresh_aws.client("route53").create_vpc_association_authorization(**call)
    theirs.associate_vpc_with_hosted_zone(**call)

    assert fresh_aws.resolve("redis.backend.local", OTHER) == ADDRESS
    with pytest.raises(LookupError):
        fresh_aws.resolve("redis.backend.local", "777788889999")
