"""Checks of a VPC of yours: asked before a deploy makes anything, and at any time later."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any

from meshcert.mesh.cells.placing import assumes_roles
from tools.aws_checks.endpoint_groups import groups_of, service_of, shut_endpoints
from tools.aws_checks.verdicts import Check, Judgement, confirmed, contradicted, undecided

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
NO_PRIVATE_DNS = "without private DNS, and tasks call AWS's own names"
"""Why an endpoint is not reached, unless a private hosted zone or a Route 53 profile has those names."""
_KINDS = (
    "NatGatewayId",
    "GatewayId",
    "TransitGatewayId",
    "NetworkInterfaceId",
    "VpcPeeringConnectionId",
    "CoreNetworkArn",
)
"""Where a route may lead (ec2:DescribeRouteTables); a firewall's or a load balancer's endpoint is a GatewayId, too."""
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
        endpoints: The services of AWS that the subnet reaches by an endpoint, by the ends of their names.
        unreached: Those to which no endpoint of the VPC's leads from it, and why.
        needed: The endpoints that tasks need where no route leads out.
        elsewhere: Id of what another route leads to, over which endpoints of another VPC may be reached; or empty.
        shut: Those whose names lead to an endpoint that lets nobody of the subnet in, with its security groups.
    """

    vpc: str
    zone: str
    public_addresses: bool
    subnet: Mapping[str, Any]
    way_out: str
    endpoints: frozenset[str]
    unreached: Mapping[str, str] = field(default_factory=dict)
    needed: tuple[str, ...] = NEEDED
    elsewhere: str = ""
    shut: Mapping[str, str] = field(default_factory=dict)


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
    reached, missed = by_endpoints(endpoints, table["RouteTableId"])
    groups = groups_of(endpoints)
    rules = read("ec2:DescribeSecurityGroups", GroupIds=groups)["SecurityGroups"] if groups else ()
    return SubnetSeen(
        existing.vpc,
        zone,
        existing.public_addresses,
        found,
        way_out(table),
        reached,
        missed,
        _needed(deployment.mesh),
        way_elsewhere(table),
        shut_endpoints(endpoints, rules, found["CidrBlock"], are_groups_known=not deployment.is_planned),
    )


def _needed(mesh: Mesh) -> tuple[str, ...]:
    besides = {PARAMETERS: mesh.fetches_parameters, ROLES: assumes_roles(mesh)}
    return (*NEEDED, *(name for name, is_needed in besides.items() if is_needed))


def _in_the_vpc(existing: ExistingNetwork) -> list[dict[str, Any]]:
    return [{"Name": "vpc-id", "Values": [existing.vpc]}]


def by_endpoints(endpoints: Iterable[Mapping[str, Any]], route_table: str) -> tuple[frozenset[str], dict[str, str]]:
    """
    Which services of AWS a subnet with that route table reaches, since any endpoint of its VPC leads there.

    Returns:
        The ends of their names; and why, of those to which there are endpoints, and none leads.
    """
    whys: dict[str, list[str]] = {}
    for endpoint in endpoints:
        whys.setdefault(service_of(endpoint), []).append(_unreached(endpoint, route_table))
    reached = frozenset(service for service, why in whys.items() if "" in why)
    missed = {service: why for service, why in whys.items() if service not in reached}
    return reached, {service: NO_PRIVATE_DNS if NO_PRIVATE_DNS in why else why[0] for service, why in missed.items()}


def _unreached(endpoint: Mapping[str, Any], route_table: str) -> str:
    """Why a subnet with that route table does not reach an endpoint of its VPC; empty if it does, or soon will."""
    if endpoint["State"].lower() not in {"available", "pending"}:
        return str(endpoint["State"])
    if endpoint["VpcEndpointType"] == "Gateway":
        return "" if route_table in endpoint["RouteTableIds"] else "not in the subnet's route table"
    return "" if endpoint.get("PrivateDnsEnabled", True) else NO_PRIVATE_DNS


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
            return next_hop(route)
    return ""


def way_elsewhere(table: Mapping[str, Any]) -> str:
    """Where a route table leads what is neither for the VPC itself nor for a service with a gateway endpoint."""
    for route in table["Routes"]:
        to, is_ipv4 = next_hop(route), "DestinationIpv6CidrBlock" not in route
        is_endpoint = "DestinationPrefixListId" in route and to.startswith("vpce-")
        if is_ipv4 and to not in {"", "local"} and not is_endpoint and route.get("State") != "blackhole":
            return to
    return ""


def next_hop(route: Mapping[str, Any]) -> str:
    """Where a route leads, by id."""
    return next((str(route[kind]) for kind in _KINDS if route.get(kind)), "")


def judge_vpc(seen: VpcSeen) -> Judgement:
    """Judge whether names resolve in the VPC, and the mesh file knows its addresses."""
    off = sorted(name for name, is_on in seen.dns.items() if not is_on)
    text = f"{', '.join(sorted(seen.ranges))}; " + (f"{', '.join(off)} off" if off else "names resolve")
    if off:
        return contradicted(text, f"Switch {' and '.join(off)} on: Cloud Map's names resolve nowhere without")
    remedy = f"Write cidrs: [{', '.join(sorted(seen.ranges))}] below network.existing"
    declared = [IPv4Network(each) for each in seen.declared]
    if not all(any(IPv4Network(each).subnet_of(wider) for wider in declared) for each in seen.ranges):
        return contradicted(text, remedy)
    if more := sorted(seen.declared - seen.ranges):
        # Whether others were to be admitted, only their owner knows.
        clients = "clients elsewhere stand in services.NAME.load_balancer.clients"
        return undecided(f"{text}; the file has {', '.join(more)}", f"{remedy}; {clients}")
    return confirmed(text)


def _wrong_place(seen: SubnetSeen) -> str:
    """What to do about a subnet in which no task could start, whatever endpoints there are; empty if one could."""
    if (seen.subnet["VpcId"], seen.subnet["AvailabilityZone"]) != (seen.vpc, seen.zone):
        return f"Name a subnet of {seen.vpc} in {seen.zone}"
    if seen.way_out.startswith("igw-") and not seen.public_addresses:
        return (
            "It is a public subnet, and tasks get no public address: write public_addresses: true, or name a subnet "
            "with a NAT gateway"
        )
    if shut := [f"{name} ({seen.shut[name]})" for name in seen.needed if name in seen.shut]:
        return (
            f"No task could start: admit {seen.subnet['CidrBlock']} over HTTPS (443) in the security groups of the "
            f"endpoints for {', '.join(shut)}, to which AWS's names lead in this VPC"
        )
    return ""


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
    if remedy := _wrong_place(seen):
        return contradicted(text, remedy)
    is_shut = not seen.way_out and bool(missing)
    perhaps_named = {name for name, why in seen.unreached.items() if why == NO_PRIVATE_DNS}
    if is_shut and not seen.elsewhere and set(seen.needed) - seen.endpoints - perhaps_named:
        return contradicted(text, f"No task could start: give it a NAT gateway, or endpoints for {', '.join(missing)}")
    if free < FEWEST_ADDRESSES:
        return contradicted(text, f"Name a subnet with {FEWEST_ADDRESSES} free addresses or more")
    if is_shut:
        over = f" over {seen.elsewhere}" if seen.elsewhere else ""
        return undecided(
            text,
            f"See that a private hosted zone or a Route 53 profile leads tasks to endpoints{over} for "
            f"{', '.join(missing)}: no task could start without",
        )
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
