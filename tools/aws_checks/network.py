"""Checks of a VPC and a namespace of yours: asked before a deploy makes anything, and at any time later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshcert.mesh.cells.placing import assumes_roles
from tools.aws_checks.verdicts import Check, Judgement, confirmed, contradicted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshcert.mesh.network import ExistingNetwork
    from tools.aws_checks.deployment import Deployment

ANYWHERE = "0.0.0.0/0"
NEEDED = ("secretsmanager", "logs", "ecr.api", "ecr.dkr", "data-servicediscovery", "s3", "dynamodb")
"""The endpoints without which tasks cannot start where no route leads out, by the ends of their services' names."""
ROLES = "sts"
"""The one besides, without which they find no backend of a cell that is asked with a role."""
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
        endpoints: The VPC's endpoints, by the ends of their services' names.
        assumes_roles: Whether tasks find backends by the role of another cell.
    """

    vpc: str
    zone: str
    public_addresses: bool
    subnet: Mapping[str, Any]
    way_out: str
    endpoints: frozenset[str]
    assumes_roles: bool = False


@dataclass(frozen=True)
class NamespaceSeen:
    """
    The Cloud Map namespace of the mesh file.

    Args:
        declared: Its name as the mesh file has it.
        http_name: Its HTTP name, likewise.
        name: Its name as AWS has it.
        kind: ``DNS_PRIVATE``, ``DNS_PUBLIC`` or ``HTTP``.
        known_as: Its HTTP name as AWS has it.
    """

    declared: str
    http_name: str
    name: str
    kind: str
    known_as: str


def _vpcs(deployment: Deployment) -> Iterable[str]:
    existing = deployment.mesh.network.existing
    return [existing.vpc] if existing else []


def _yours(deployment: Deployment) -> ExistingNetwork:
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
    return VpcSeen(frozenset(_yours(deployment).cidrs), frozenset(ranges), dns)


def _subnets(deployment: Deployment) -> Iterable[str]:
    existing = deployment.mesh.network.existing
    return existing.subnets.values() if existing else []


def _subnet(deployment: Deployment, subnet: str) -> SubnetSeen:
    read, existing = deployment.account.read, _yours(deployment)
    (found,) = read("ec2:DescribeSubnets", SubnetIds=[subnet])["Subnets"]
    (zone,) = (zone for zone, each in existing.subnets.items() if each == subnet)
    in_the_vpc = [{"Name": "vpc-id", "Values": [existing.vpc]}]
    tables = read("ec2:DescribeRouteTables", Filters=in_the_vpc)["RouteTables"]
    endpoints = read("ec2:DescribeVpcEndpoints", Filters=in_the_vpc)["VpcEndpoints"]
    return SubnetSeen(
        existing.vpc,
        zone,
        existing.public_addresses,
        found,
        _way_out(subnet, tables),
        frozenset(each["ServiceName"].split(".", 3)[3] for each in endpoints if each["State"] == "available"),
        assumes_roles(deployment.mesh),
    )


def _way_out(subnet: str, tables: Sequence[Mapping[str, Any]]) -> str:
    """Where a subnet's own route table, or the VPC's main one, leads what is for anywhere."""

    def has(table: Mapping[str, Any], **association: Any) -> bool:
        return any(association.items() <= each.items() for each in table["Associations"])

    own = [table for table in tables if has(table, SubnetId=subnet)]
    table = (own or [table for table in tables if has(table, Main=True)])[0]
    for route in table["Routes"]:
        if route.get("DestinationCidrBlock") == ANYWHERE and route.get("State") != "blackhole":
            kinds = ("NatGatewayId", "GatewayId", "TransitGatewayId", "NetworkInterfaceId", "VpcPeeringConnectionId")
            return next((str(route[kind]) for kind in kinds if route.get(kind)), "")
    return ""


def _namespaces(deployment: Deployment) -> Iterable[str]:
    return [deployment.mesh.about.namespace_id] if deployment.mesh.about.namespace_id else []


def _namespace(deployment: Deployment, namespace: str) -> NamespaceSeen:
    found = deployment.account.read("servicediscovery:GetNamespace", Id=namespace)["Namespace"]
    return NamespaceSeen(
        deployment.mesh.namespace,
        deployment.mesh.http_name,
        found["Name"],
        found["Type"],
        found["Properties"]["HttpProperties"]["HttpName"],
    )


def judge_vpc(seen: VpcSeen) -> Judgement:
    """Judge whether names resolve in the VPC, and the mesh file knows its addresses."""
    off = sorted(name for name, is_on in seen.dns.items() if not is_on)
    text = f"{', '.join(sorted(seen.ranges))}; " + (f"{', '.join(off)} off" if off else "names resolve")
    if off:
        return contradicted(text, f"Switch {' and '.join(off)} on: Cloud Map's names resolve nowhere without")
    if seen.ranges != seen.declared:
        return contradicted(text, f"Write cidrs: [{', '.join(sorted(seen.ranges))}] below network.existing")
    return confirmed(text)


def judge_namespace(seen: NamespaceSeen) -> Judgement:
    """Judge whether callers find services in the namespace by the names of the mesh file."""
    text = f"{seen.kind} {seen.name}, HTTP name {seen.known_as}"
    if seen.kind != "DNS_PRIVATE":
        return contradicted(text, "Name a private DNS namespace: tasks that start while Cloud Map is out ask DNS")
    if seen.name != seen.declared:
        return contradicted(text, f"Write namespace: {seen.name} below mesh, or name the namespace {seen.declared}")
    if seen.known_as != seen.http_name:
        return contradicted(text, f"Write http_name: {seen.known_as} below mesh: callers ask for {seen.http_name}")
    return confirmed(text)


def judge_subnet(seen: SubnetSeen) -> Judgement:
    """Judge whether tasks can start in a subnet: it is the one that is meant, and AWS's APIs are in reach."""
    vpc, zone, free = (seen.subnet[name] for name in ("VpcId", "AvailabilityZone", "AvailableIpAddressCount"))
    needed = (*NEEDED, ROLES) if seen.assumes_roles else NEEDED
    missing = [name for name in needed if name not in seen.endpoints]
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
    ),
    Check(
        "network-subnet",
        "Tasks can start in the subnets of yours: AWS's APIs are in reach",
        _subnets,
        _subnet,
        judge_subnet,
    ),
    Check(
        "network-namespace",
        "The Cloud Map namespace of yours is private DNS, and has the names of the file",
        _namespaces,
        _namespace,
        judge_namespace,
    ),
)
