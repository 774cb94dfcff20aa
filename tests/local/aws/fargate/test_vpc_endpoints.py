"""VPC endpoints are described as EC2 does it: by filters, with the groups that they have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.local.aws.refusals import ClientError, code_of

if TYPE_CHECKING:
    from local.running_aws import LocalAws


def test_endpoints_are_filtered_and_tell_their_groups_and_private_dns(aws: LocalAws) -> None:
    """An interface endpoint without a group has the VPC's default one."""
    ec2 = aws.client("ec2")
    ours, other = (ec2.create_vpc(CidrBlock="172.16.0.0/16")["Vpc"]["VpcId"] for _ in range(2))
    group = ec2.create_security_group(GroupName="endpoints", Description="-", VpcId=ours)["GroupId"]

    def made(vpc: str, service: str, kind: str, **more: Any) -> str:
        name = f"com.amazonaws.{aws.region}.{service}"
        answer = ec2.create_vpc_endpoint(VpcId=vpc, ServiceName=name, VpcEndpointType=kind, **more)
        return str(answer["VpcEndpoint"]["VpcEndpointId"])

    logs = made(ours, "logs", "Interface", SecurityGroupIds=[group], PrivateDnsEnabled=False)
    bucket, elsewhere = made(ours, "s3", "Gateway"), made(other, "logs", "Interface")

    def described(**filters: str) -> dict[str, Any]:
        asked = [{"Name": name.replace("_", "-"), "Values": [value]} for name, value in filters.items()]
        found = ec2.describe_vpc_endpoints(Filters=asked)["VpcEndpoints"]
        return {each["VpcEndpointId"]: each for each in found}

    assert set(described(vpc_id=ours)) == {logs, bucket}
    assert set(described(vpc_endpoint_type="Interface")) == {logs, elsewhere}
    assert set(described(vpc_id=ours, service_name="*.logs")) == {logs}
    own, default = described(vpc_id=ours)[logs], described(vpc_id=other)[elsewhere]
    assert ([each["GroupId"] for each in own["Groups"]], own["PrivateDnsEnabled"]) == ([group], False)
    assert (len(default["Groups"]), default["PrivateDnsEnabled"]) == (1, True)
    with pytest.raises(ClientError) as refused:
        described(vpc="x")
    assert code_of(refused) == "InvalidParameterValue"


@pytest.mark.parametrize(
    ("call", "field", "most"), [("describe_services", "services", 10), ("describe_tasks", "tasks", 100)]
)
def test_ecs_describes_so_many_at_once_and_no_more(aws: LocalAws, call: str, field: str, most: int) -> None:
    """What asks for more fails on AWS, with the first mesh that is larger."""
    ecs = aws.client("ecs")
    ecs.create_cluster(clusterName="many")
    named = [f"{number:032x}" for number in range(most + 1)]

    assert len(getattr(ecs, call)(cluster="many", **{field: named[:most]})["failures"]) == most
    with pytest.raises(ClientError) as refused:
        getattr(ecs, call)(cluster="many", **{field: named})
    assert code_of(refused) == "InvalidParameterException"
