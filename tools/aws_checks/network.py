"""Checks of a VPC of yours: asked before a deploy makes anything, and at any time later."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshcert.mesh.cells.placing import assumes_roles
from tools.aws_checks.verdicts import Check, Judgement, confirmed, contradicted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshcert.mesh import Mesh
    from meshcert.mesh.network import ExistingNetwork
    from tools.aws_checks.deployment import Deployment

ANYWHERE = "0.0.0.0/0"
NEEDED = ("secretsmanager", "logs", "ecr.api", "ecr.dkr", "data-servicediscovery", "s3", "dynamodb")
"""The endpoints without which tasks cannot start where no route leads out, by the ends of their services' names."""
PARAMETERS = "ssm"
"""The endpoint besides, if an application has parameters of Systems Manager in its environment."""
ROLES = "sts"
"""The endpoint besides, if tasks find backends by the role of another cell."""
FEWEST_ADDRESSES = 8
"""Free addresses that a subnet of tasks should have: a deployment doubles a service's tasks for a while."""


@dataclass(frozen=True)
class VpcSeen:
    """
    A VPC of the mesh file.

    Args:
        declared: Its address ranges as the mesh file has them.
        ranges: As AWS has them.
        dns: The attributes enableDnsSupport and enableDnsHostnames.
    """

    declared: frozenset[str]
    ranges: frozenset[str]
    dns: Mapping[str, bool]


@dataclass(frozen=True)
class SubnetSeen:
    """
    A subnet of tasks of the mesh file.

    Args:
        vpc: Id of the VPC it should be in.
        zone: The zone it should be in.
        public_addresses: Whether tasks get public addresses there.
        subnet: AWS's description.
        way_out: Id of what its route to anywhere leads to; empty if it has none.
        endpoints: The endpoints that the subnet reaches, by the ends of their services' names.
        unreached: Those of the VPC that it does not reach, and why.
        needed: The endpoints that tasks need where no route leads out.
    """

    vpc: str
    zone: str
    public_addresses: bool
    subnet: Mapping[str, Any]
    way_out: str
    endpoints: frozenset[str]
    unreached: Mapping[str, str] = field(default_factory=dict)
    needed: tuple[str, ...] = NEEDED


def _vpcs(deployment: Deployment) -> Iterable[str]:
    existing = deployment.mesh.network.existing
    return [existing.vpc] if existing else []


def existing_network(deployment: Deployment) -> ExistingNetwork:
    """
    The VPC of the mesh file.

    Raises:
        LookupError: If it names none.
    """
    if deployment.mesh.network.existing is None:
        raise LookupError("network.existing")
    return deployment.mesh.network.existing


def _vpc(deployment: Deployment, vpc: str) -> VpcSeen:
    read = deployment.account.read
    (found,) = read("ec2:DescribeVpcs", VpcIds=[vpc])["Vpcs"]
    dns = {
        name: bool(read("ec2:DescribeVpcAttribute", VpcId=vpc, Attribute=name)[name[0].upper() + name[1:]]["Value"])
        for name in ("enableDnsSupport", "enableDnsHostnames")
    }
    ranges = {
        each["CidrBlock"]
        for each in found.get("CidrBlockAssociationSet", [])
        if each.get("CidrBlockState", {}).get("State", "associated") == "associated"
    }
    return VpcSeen(frozenset(existing_network(deployment).cidrs), frozenset(ranges), dns)


def _subnets(deployment: Deployment) -> Iterable[str]:
    existing = deployment.mesh.network.existing
    return existing.subnets.values() if existing else []


def _subnet(deployment: Deployment, subnet: str) -> SubnetSeen:
    read, existing = deployment.account.read, existing_network(deployment)
    (found,) = read("ec2:DescribeSubnets", SubnetIds=[subnet])["Subnets"]
    (zone,) = (zone for zone, each in existing.subnets.items() if each == subnet)
    table = route_table(deployment, subnet)
    endpoints = read("ec2:DescribeVpcEndpoints", Filters=_in_the_vpc(existing))["VpcEndpoints"]
    reached = {_service(each): unreached(each, table["RouteTableId"]) for each in endpoints}
    return SubnetSeen(
        existing.vpc,
        zone,
        existing.public_addresses,
        found,
        way_out(table),
        frozenset(name for name, why in reached.items() if not why),
        {name: why for name, why in reached.items() if why},
        _needed(deployment.mesh),
    )


def _needed(mesh: Mesh) -> tuple[str, ...]:
    besides = {PARAMETERS: mesh.fetches_parameters, ROLES: assumes_roles(mesh)}
    return (*NEEDED, *(name for name, is_needed in besides.items() if is_needed))


def _in_the_vpc(existing: ExistingNetwork) -> list[dict[str, Any]]:
    return [{"Name": "vpc-id", "Values": [existing.vpc]}]


def _service(endpoint: Mapping[str, Any]) -> str:
    return str(endpoint["ServiceName"].split(".", 3)[3])


def unreached(endpoint: Mapping[str, Any], route_table: str) -> str:
    """Why a subnet with that route table does not reach an endpoint of its VPC; empty if it does."""
    if endpoint["State"] != "available":
        return str(endpoint["State"])
    if endpoint["VpcEndpointType"] == "Gateway":
        return "" if route_table in endpoint["RouteTableIds"] else "not in the subnet's route table"
    return "" if endpoint.get("PrivateDnsEnabled", True) else "without private DNS, and tasks call AWS's own names"


def route_table(deployment: Deployment, subnet: str) -> Mapping[str, Any]:
    """A subnet's own route table, or the VPC's main one."""
    tables = deployment.account.read("ec2:DescribeRouteTables", Filters=_in_the_vpc(existing_network(deployment)))[
        "RouteTables"
    ]

    def has(table: Mapping[str, Any], **association: Any) -> bool:
        return any(association.items() <= each.items() for each in table["Associations"])

    own = [table for table in tables if has(table, SubnetId=subnet)]
    found: Mapping[str, Any] = (own or [table for table in tables if has(table, Main=True)])[0]
    return found


def way_out(table: Mapping[str, Any]) -> str:
    """Where a route table leads what is for anywhere."""
    for route in table["Routes"]:
        if route.get("DestinationCidrBlock") == ANYWHERE and route.get("State") != "blackhole":
            kinds = ("NatGatewayId", "GatewayId", "TransitGatewayId", "NetworkInterfaceId", "VpcPeeringConnectionId")
            return next((str(route[kind]) for kind in kinds if route.get(kind)), "")
    return ""


def judge_vpc(seen: VpcSeen) -> Judgement:
    """Judge whether names resolve in the VPC, and the mesh file knows its addresses."""
    off = sorted(name for name, is_on in seen.dns.items() if not is_on)
    text = f"{', '.join(sorted(seen.ranges))}; " + (f"{', '.join(off)} off" if off else "names resolve")
    if off:
        return contradicted(text, f"Switch {' and '.join(off)} on: Cloud Map's names resolve nowhere without")
    if seen.ranges != seen.declared:
        return contradicted(text, f"Write cidrs: [{', '.join(sorted(seen.ranges))}] below network.existing")
    return confirmed(text)


def judge_subnet(seen: SubnetSeen) -> Judgement:
    """Judge whether tasks can start in a subnet: it is the one that is meant, and AWS's APIs are in reach."""
    vpc, zone, free = (seen.subnet[name] for name in ("VpcId", "AvailabilityZone", "AvailableIpAddressCount"))
    missing = [
        f"{name} ({seen.unreached[name]})" if name in seen.unreached else name
        for name in seen.needed
        if name not in seen.endpoints
    ]
    way = seen.way_out or ("endpoints" if not missing else "no way out")
    text = f"{vpc}, {zone}, {free} free addresses, {way}"
    if (vpc, zone) != (seen.vpc, seen.zone):
        return contradicted(text, f"Name a subnet of {seen.vpc} in {seen.zone}")
    if seen.way_out.startswith("igw-") and not seen.public_addresses:
        return contradicted(
            text,
            "It is a public subnet, and tasks get no public address: write public_addresses: true, or name a subnet "
            "with a NAT gateway",
        )
    if not seen.way_out and missing:
        return contradicted(text, f"No task could start: give it a NAT gateway, or endpoints for {', '.join(missing)}")
    if free < FEWEST_ADDRESSES:
        return contradicted(text, f"Name a subnet with {FEWEST_ADDRESSES} free addresses or more")
    return confirmed(text)


CHECKS: tuple[Check[Any], ...] = (
    Check(
        "network-vpc",
        "In the VPC of yours names resolve, and its addresses are those of the file",
        _vpcs,
        _vpc,
        judge_vpc,
        "Name a VPC of this account and region: network.existing.vpc",
    ),
    Check(
        "network-subnet",
        "Tasks can start in the subnets of yours: AWS's APIs are in reach",
        _subnets,
        _subnet,
        judge_subnet,
        "Name a subnet of this account and region: network.existing.subnets",
    ),
)
