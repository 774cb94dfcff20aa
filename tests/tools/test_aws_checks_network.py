"""A VPC of yours is asked about before a deploy makes anything in it."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any

import pytest

from tests.meshcert.mesh.mesh_slips import changed
from tests.tools.judgements import NO, OPEN, YES, assert_judged
from tools import first_deploy, verify_aws
from tools.aws_checks.cluster import ClusterSeen, judge_cluster
from tools.aws_checks.endpoint_groups import shut_endpoints
from tools.aws_checks.namespace import NamespaceSeen, judge_namespace
from tools.aws_checks.network import (
    NEEDED,
    NO_PRIVATE_DNS,
    SubnetSeen,
    VpcSeen,
    by_endpoints,
    judge_subnet,
    judge_vpc,
    way_elsewhere,
    way_out,
)

if TYPE_CHECKING:
    from pathlib import Path

    from local.running_aws import LocalAws
    from tools.aws_checks.verdicts import Verdict

RANGE, SUBNETS = "172.16.0.0/16", "172.16.1.0/24"
RESOLVING = {"enableDnsSupport": True, "enableDnsHostnames": True}
VPC = VpcSeen(frozenset({RANGE}), frozenset({RANGE}), RESOLVING)
SUBNET = SubnetSeen(
    "vpc-1",
    "us-west-1a",
    public_addresses=False,
    subnet={"VpcId": "vpc-1", "AvailabilityZone": "us-west-1a", "AvailableIpAddressCount": 200, "CidrBlock": SUBNETS},
    way_out="nat-1",
    endpoints=frozenset(),
)


@pytest.mark.parametrize(
    ("seen", "verdict", "words"),
    [
        (VPC, YES, (RANGE,)),
        (
            replace(VPC, dns={**RESOLVING, "enableDnsHostnames": False}),
            NO,
            ("Switch enableDnsHostnames on",),
        ),
        (replace(VPC, ranges=frozenset({RANGE, "10.1.0.0/16"})), NO, (f"Write cidrs: [10.1.0.0/16, {RANGE}]",)),
        (
            replace(VPC, declared=frozenset({"172.16.0.0/12", "10.0.0.0/8"})),
            OPEN,
            ("the file has 10.0.0.0/8, 172.16.0.0/12", f"Write cidrs: [{RANGE}]", "load_balancer.clients"),
        ),
        (replace(VPC, declared=frozenset({"10.0.0.0/8"})), NO, (f"Write cidrs: [{RANGE}]",)),
    ],
    ids=["as it should be", "names do not resolve", "a range more", "clients elsewhere", "another range"],
)
def test_a_vpc_resolves_names_and_has_the_ranges_of_the_file(
    seen: VpcSeen, verdict: Verdict, words: tuple[str, ...]
) -> None:
    """Cloud Map's private namespace needs both attributes; load balancers admit the file's ranges."""
    assert_judged(judge_vpc(seen), verdict, *words)


NAMED = NamespaceSeen("a.local", "a.local", "a.local", "DNS_PRIVATE", "a.local", "vpc-1", frozenset({"vpc-1", "vpc-2"}))


@pytest.mark.parametrize(
    ("seen", "verdict", "words"),
    [
        (NAMED, YES, ("a.local",)),
        (replace(NAMED, kind="HTTP"), NO, ("private DNS namespace",)),
        (replace(NAMED, name="b.local"), NO, ("Write namespace: b.local",)),
        (replace(NAMED, known_as="a.local-1"), NO, ("Write http_name: a.local-1",)),
        (replace(NAMED, vpcs=frozenset({"vpc-2"})), NO, ("resolve in vpc-2", "a namespace of vpc-1")),
        (replace(NAMED, vpcs=None), YES, ("a.local",)),
        (replace(NAMED, vpcs=None, owner="1"), YES, ("a.local", "of account 1")),
        (replace(NAMED, kind="", owner="1"), NO, ("account 1 does not share it", "Have 1 share it: aws ram create")),
        (replace(NAMED, owner="1", taken=("b", "c")), NO, ("services b, c in it", "Rename them")),
        (replace(NAMED, owner="1", unowned=("b",)), OPEN, ("does not say who made services b", "rename them")),
    ],
    ids=[
        "as it should be",
        "no DNS",
        "another name",
        "another HTTP name",
        "another VPC",
        "VPCs not known",
        "shared",
        "not shared",
        "names that are taken",
        "names of whoever it may be",
    ],
)
def test_a_namespace_has_the_names_that_callers_ask_for(
    seen: NamespaceSeen, verdict: Verdict, words: tuple[str, ...]
) -> None:
    """AWS adds a suffix to the HTTP name where a namespace of this name was first."""
    assert_judged(judge_namespace(seen), verdict, *words)


def subnet(**changes: Any) -> SubnetSeen:
    """The good subnet with other facts in AWS's description."""
    return replace(SUBNET, subnet={**SUBNET.subnet, **changes})


@pytest.mark.parametrize(
    ("seen", "verdict", "words"),
    [
        (SUBNET, YES, ("nat-1",)),
        (replace(SUBNET, way_out="tgw-1"), YES, ("tgw-1",)),
        (replace(SUBNET, shut={"logs": "sg-1"}), NO, ("admit 172.16.1.0/24 over HTTPS (443)", "logs (sg-1)")),
        (replace(SUBNET, shut={"kms": "sg-1"}), YES, ("nat-1",)),
        (replace(SUBNET, way_out="igw-1", public_addresses=True), YES, ("igw-1",)),
        (replace(SUBNET, way_out="", endpoints=frozenset(NEEDED)), YES, ("endpoints",)),
        (replace(SUBNET, way_out="igw-1"), NO, ("public_addresses: true",)),
        (replace(SUBNET, way_out="", endpoints=frozenset(NEEDED) - {"ecr.dkr"}), NO, ("endpoints for ecr.dkr",)),
        (
            replace(SUBNET, way_out="", endpoints=frozenset(NEEDED) - {"s3"}, unreached={"s3": "not in its table"}),
            NO,
            ("endpoints for s3 (not in its table)",),
        ),
        (
            replace(SUBNET, way_out="", endpoints=frozenset(NEEDED), needed=(*NEEDED, "ssm")),
            NO,
            ("endpoints for ssm",),
        ),
        (
            replace(SUBNET, way_out="", endpoints=frozenset(NEEDED[1:]), unreached={NEEDED[0]: NO_PRIVATE_DNS}),
            OPEN,
            ("a private hosted zone", f"endpoints for {NEEDED[0]}"),
        ),
        (
            replace(SUBNET, way_out="", endpoints=frozenset(NEEDED[2:]), unreached={NEEDED[0]: NO_PRIVATE_DNS}),
            NO,
            (f"{NEEDED[0]} (without private DNS", NEEDED[1]),
        ),
        (replace(SUBNET, way_out="", elsewhere="tgw-1"), OPEN, ("a Route 53 profile", "over tgw-1")),
        (subnet(VpcId="vpc-2"), NO, ("vpc-2", "a subnet of vpc-1")),
        (subnet(AvailabilityZone="us-west-1c"), NO, ("in us-west-1a",)),
        (subnet(AvailableIpAddressCount=3), NO, ("3 free addresses",)),
    ],
    ids=[
        "NAT gateway",
        "transit gateway",
        "an endpoint shuts it out",
        "another endpoint shuts it out",
        "public, with addresses",
        "endpoints",
        "public, without addresses",
        "an endpoint is missing",
        "an endpoint is out of reach",
        "no endpoint for parameters",
        "an endpoint under other names",
        "an endpoint under other names, and one missing",
        "endpoints of another VPC",
        "another VPC",
        "another zone",
        "full",
    ],
)
def test_tasks_can_start_in_a_subnet(seen: SubnetSeen, verdict: Verdict, words: tuple[str, ...]) -> None:
    """Else ECS would start task after task that reaches nothing, half an hour into a deploy."""
    assert_judged(judge_subnet(seen), verdict, *words)


CLUSTER = "arn:aws:ecs:us-west-1:111122223333:cluster/shop"


@pytest.mark.parametrize(
    ("seen", "verdict", "words"),
    [
        (ClusterSeen("shop", CLUSTER, "ACTIVE"), YES, (CLUSTER,)),
        (ClusterSeen(CLUSTER, CLUSTER, "ACTIVE"), YES, (CLUSTER,)),
        (ClusterSeen("shop", "", "MISSING"), NO, ("shop: MISSING", "ACTIVE")),
        (ClusterSeen("shop", CLUSTER, "INACTIVE"), NO, ("INACTIVE",)),
        (ClusterSeen(CLUSTER.replace("west", "east"), CLUSTER, "ACTIVE"), NO, ("another account or region",)),
    ],
)
def test_a_cluster_is_here_and_takes_services(seen: ClusterSeen, verdict: Verdict, words: tuple[str, ...]) -> None:
    """A mesh is of one account and region, and so are its services."""
    assert_judged(judge_cluster(seen), verdict, *words)


def test_a_deploy_into_a_vpc_without_a_way_out_makes_nothing(
    aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a way out for its subnet, the same command deploys."""
    for name, value in aws.environment().items():
        monkeypatch.setenv(name, value)
    ec2 = aws.client("ec2")
    vpc = ec2.create_vpc(CidrBlock=RANGE)["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    made = ec2.create_subnet(VpcId=vpc, CidrBlock="172.16.1.0/24")["Subnet"]
    existing = {"vpc": vpc, "cidrs": [RANGE], "subnets": {made["AvailabilityZone"]: made["SubnetId"]}}
    file, deployed = tmp_path / "mesh.yaml", tmp_path / "deployed"
    file.write_bytes(changed(("network", {"existing": existing})))
    deploy = ["sh", "-c", 'touch "$1"', "sh", str(deployed), "-c", f"mesh={file}"]

    refused = first_deploy.main(deploy, tmp_path / "kept")
    said = capsys.readouterr().out

    assert (refused, deployed.exists()) == (1, False)
    assert "No task could start" in said
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    (table,) = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"]
    ec2.create_route(RouteTableId=table["RouteTableId"], DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    file.write_bytes(changed(("network", {"existing": {**existing, "public_addresses": True}})))
    assert verify_aws.main(["--before", "--mesh", str(file)]) == 0
    assert first_deploy.main(deploy, tmp_path / "kept") == 0
    assert deployed.exists()


S3 = {"ServiceName": "com.amazonaws.us-west-1.s3", "State": "available"}
GATEWAY = S3 | {"VpcEndpointType": "Gateway", "RouteTableIds": ["rtb-1"]}
INTERFACE = S3 | {"VpcEndpointType": "Interface", "PrivateDnsEnabled": True}
OF_ANOTHER_TABLE = GATEWAY | {"RouteTableIds": ["rtb-2"]}
UNDER_OTHER_NAMES = INTERFACE | {"PrivateDnsEnabled": False}
DELETED = GATEWAY | {"State": "deleted"}


@pytest.mark.parametrize(
    ("endpoints", "why"),
    [
        ([GATEWAY], ""),
        ([INTERFACE], ""),
        ([INTERFACE | {"State": "pending"}], ""),
        ([INTERFACE | {"ServiceName": "cn.com.amazonaws.cn-north-1.s3"}], ""),
        ([GATEWAY, UNDER_OTHER_NAMES], ""),
        ([GATEWAY, OF_ANOTHER_TABLE], ""),
        ([GATEWAY, DELETED], ""),
        ([DELETED, GATEWAY], ""),
        ([OF_ANOTHER_TABLE], "not in the subnet's route table"),
        ([INTERFACE | {"State": "failed"}], "failed"),
        ([DELETED], "deleted"),
        ([UNDER_OTHER_NAMES], NO_PRIVATE_DNS),
        ([OF_ANOTHER_TABLE, UNDER_OTHER_NAMES, DELETED], NO_PRIVATE_DNS),
    ],
)
def test_a_service_is_reached_if_any_endpoint_leads_there(endpoints: list[dict[str, Any]], why: str) -> None:
    """One of another route table, or under another name, takes nothing from a good one, in whatever order they come."""
    of_a_resource = {"State": "available", "VpcEndpointType": "Resource"}

    reached, missed = by_endpoints([*endpoints, of_a_resource], "rtb-1")

    assert ("s3" in reached, missed.get("s3", "")) == (not why, why)


ENDPOINT = INTERFACE | {"Groups": [{"GroupId": "sg-1"}, {"GroupId": "sg-2"}]}
HTTPS = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}


def admitting(rule: dict[str, Any]) -> list[dict[str, Any]]:
    """The endpoint's two groups, of which one has a rule."""
    return [{"GroupId": "sg-1", "IpPermissions": []}, {"GroupId": "sg-2", "IpPermissions": [rule]}]


@pytest.mark.parametrize(
    ("rule", "is_let_in"),
    [
        (HTTPS | {"IpRanges": [{"CidrIp": RANGE}]}, True),
        (HTTPS | {"IpRanges": [{"CidrIp": SUBNETS}]}, True),
        ({"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}, True),
        ({"IpProtocol": "tcp", "IpRanges": [{"CidrIp": RANGE}]}, True),
        (HTTPS | {"FromPort": -1, "ToPort": -1, "IpRanges": [{"CidrIp": RANGE}]}, True),
        (HTTPS | {"IpRanges": [{"CidrIp": str(half)} for half in IPv4Network(SUBNETS).subnets()]}, True),
        (HTTPS | {"FromPort": 0, "ToPort": 65535, "IpRanges": [{"CidrIp": RANGE}]}, True),
        (HTTPS | {"PrefixListIds": [{"PrefixListId": "pl-1"}]}, True),
        (HTTPS | {"IpRanges": [{"CidrIp": "172.16.2.0/24"}]}, False),
        (HTTPS | {"IpRanges": [{"CidrIp": "172.16.1.0/25"}]}, False),
        (HTTPS | {"ToPort": 442, "FromPort": 80, "IpRanges": [{"CidrIp": RANGE}]}, False),
        (HTTPS | {"IpProtocol": "udp", "IpRanges": [{"CidrIp": RANGE}]}, False),
        (HTTPS | {"UserIdGroupPairs": [{"GroupId": "sg-3"}]}, False),
    ],
    ids=[
        "the VPC",
        "the subnet",
        "everything",
        "no ports",
        "ports of -1",
        "by halves",
        "every port",
        "a prefix list",
        "another subnet",
        "half of it",
        "another port",
        "UDP",
        "a group that tasks do not have",
    ],
)
def test_an_endpoint_is_reached_if_one_of_its_groups_lets_the_subnet_in(rule: dict[str, Any], is_let_in: bool) -> None:  # noqa: FBT001
    """Its private DNS leads there and nowhere else; without it, or with a gateway, no group shuts anybody out."""

    def shut(*endpoints: dict[str, Any], planned: bool = True) -> dict[str, str]:
        return shut_endpoints(endpoints, admitting(rule), SUBNETS, are_groups_known=not planned)

    assert shut(ENDPOINT) == ({} if is_let_in else {"s3": "sg-1, sg-2"})
    assert shut(ENDPOINT | {"PrivateDnsEnabled": False}) == shut(ENDPOINT, GATEWAY) == {}
    # Once tasks have groups, a rule may name those.
    assert "UserIdGroupPairs" not in rule or shut(ENDPOINT, planned=False) == {}


def test_the_groups_of_an_endpoint_let_in_together() -> None:
    """AWS takes the rules of all of them as one list."""
    halves = [HTTPS | {"IpRanges": [{"CidrIp": str(half)}]} for half in IPv4Network(SUBNETS).subnets()]
    groups = [{"GroupId": f"sg-{number}", "IpPermissions": [half]} for number, half in enumerate(halves, 1)]

    assert shut_endpoints([ENDPOINT], groups, SUBNETS, are_groups_known=False) == {}
    assert shut_endpoints([ENDPOINT], admitting(halves[0]), SUBNETS, are_groups_known=False) != {}


LOCAL = {"DestinationCidrBlock": RANGE, "GatewayId": "local"}
TO_S3 = {"DestinationPrefixListId": "pl-1", "GatewayId": "vpce-1"}


@pytest.mark.parametrize(
    ("route", "out", "elsewhere"),
    [
        ({}, "", ""),
        ({"DestinationCidrBlock": "0.0.0.0/0", "CoreNetworkArn": "arn:core"}, "arn:core", "arn:core"),
        ({"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "vpce-2"}, "vpce-2", "vpce-2"),
        ({"DestinationCidrBlock": "10.0.0.0/8", "TransitGatewayId": "tgw-1"}, "", "tgw-1"),
        ({"DestinationPrefixListId": "pl-2", "TransitGatewayId": "tgw-1"}, "", "tgw-1"),
        ({"DestinationCidrBlock": "10.0.0.0/8", "TransitGatewayId": "tgw-1", "State": "blackhole"}, "", ""),
        ({"DestinationIpv6CidrBlock": "::/0", "GatewayId": "igw-1"}, "", ""),
    ],
    ids=["none", "Cloud WAN", "a firewall", "to other networks", "by a prefix list", "nowhere", "of IPv6"],
)
def test_a_route_table_has_ways(route: dict[str, str], out: str, elsewhere: str) -> None:
    """To anywhere, or to other networks at least; the VPC itself and gateway endpoints are neither."""
    table = {"Routes": [LOCAL, TO_S3, route]}

    assert (way_out(table), way_elsewhere(table)) == (out, elsewhere)


def test_what_is_named_and_does_not_exist_is_told_before_a_deploy(
    aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A VPC, its subnet, a namespace, a cluster and a CA; and one that another account has and does not share."""
    for name, value in aws.environment().items():
        monkeypatch.setenv(name, value)
    number = "01234567-89ab-cdef-0123-456789abcdef"
    cas = {
        f"color{which}": {
            "existing": {"arn": f"arn:aws:acm-pca:{aws.region}:{account}:certificate-authority/{number}", "root": "no"},
            "key_algorithm": key,
        }
        for which, account, key in (
            ("gateway", aws.account, "EC_prime256v1"),
            ("teller", "999988887777", "RSA_2048"),
        )
    }
    subnets = {f"{aws.region}a": "subnet-0123456789abcdef0"}
    network = {"existing": {"vpc": "vpc-0123456789abcdef0", "cidrs": [RANGE], "subnets": subnets}}
    file = tmp_path / "mesh.yaml"
    file.write_bytes(
        changed(
            ("network", network),
            ("mesh.namespace_id", "ns-0123456789abcdef"),
            ("cluster", {"existing": "nowhere"}),
            ("hierarchies", cas),
        )
    )

    assert verify_aws.main(["--before", "--json", "--mesh", str(file)]) == 1

    findings = {
        (each["check"], each["subject"]): each["remedy"]
        for each in json.loads(capsys.readouterr().out)["findings"]
        if each["verdict"] == "contradicted"
    }
    told = {check: remedy for (check, _), remedy in findings.items()}
    for check in ("network-vpc", "network-subnet", "network-balancer-subnet", "network-namespace", "cluster-yours"):
        assert told[check].startswith("Name a"), (check, told)
    assert findings["ca-existing", "colorgateway"].startswith("Name a CA that is there")
    assert findings["ca-existing", "colorteller"].startswith("Have 999988887777 share it by AWS RAM")
