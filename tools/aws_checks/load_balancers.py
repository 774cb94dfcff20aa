"""Checks of target groups of yours, and of subnets for load balancers: asked before a deploy, and at any time later."""

from __future__ import annotations

from ipaddress import IPv4Network, collapse_addresses
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from meshcert.mesh.load_balancers import BalancerScheme, BalancerType
from tools.aws_checks.network import ANYWHERE, existing_network, next_hop, route_table, way_out
from tools.aws_checks.verdicts import Check, Judgement, confirmed, contradicted, undecided

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshcert.mesh.load_balancers import LoadBalancer
    from tools.aws_checks.deployment import Deployment

_TYPES = {
    "HTTP": BalancerType.APPLICATION,
    "HTTPS": BalancerType.APPLICATION,
    "TCP": BalancerType.NETWORK,
    "TCP_UDP": BalancerType.NETWORK,
}
"""Whose targets speak which protocol (elasticloadbalancing:CreateTargetGroup)."""


_FEWEST_ADDRESSES = 8
"""Free addresses in a subnet of a load balancer (Elastic Load Balancing guide)."""
_NOT_FROM_OUTSIDE = ("nat-", "tgw-")
"""Where a default route may lead that no connection from the internet comes in by."""
_FROM_OUTSIDE = ("igw-", "vpce-", "eni-")
"""Where a route to some network leads if its hosts come in over the internet, maybe through a firewall."""


class TargetGroupSeen(NamedTuple):
    """
    A target group of yours.

    Args:
        vpc: The VPC of the mesh file.
        type: Of the load balancer, as the mesh file says.
        group: AWS's description.
    """

    vpc: str
    type: BalancerType
    group: Mapping[str, Any]


class BalancerSubnetSeen(NamedTuple):
    """
    A subnet of load balancers of the mesh file.

    Args:
        vpc: Id of the VPC it should be in.
        zone: The zone it should be in.
        is_on_the_internet: Whether an internet-facing load balancer is to stand there.
        subnet: AWS's description.
        way_out: Id of what its route to anywhere leads to; empty if it has none.
        ways: Ids of what its routes to some networks lead to, by CIDR block or prefix list.
        clients: The address ranges of whom internet-facing ones admit; None if the file does not say them all.
    """

    vpc: str
    zone: str
    is_on_the_internet: bool
    subnet: Mapping[str, Any]
    way_out: str
    ways: Mapping[str, str] = MappingProxyType({})
    clients: tuple[str, ...] | None = None


def _groups(deployment: Deployment) -> Iterable[str]:
    balancers = (service.load_balancer for service in deployment.mesh.services.values())
    return [arn for balancer in balancers if balancer for arn in balancer.target_groups.values()]


def _group(deployment: Deployment, arn: str) -> TargetGroupSeen:
    (found,) = deployment.account.read("elasticloadbalancing:DescribeTargetGroups", TargetGroupArns=[arn])[
        "TargetGroups"
    ]
    existing = deployment.mesh.network.existing
    balancers = (service.load_balancer for service in deployment.mesh.services.values())
    (kind,) = {each.type for each in balancers if each and arn in each.target_groups.values()}
    return TargetGroupSeen(existing.vpc if existing else "", kind, found)


def judge_target_group(seen: TargetGroupSeen) -> Judgement:
    """Judge whether ECS can register tasks there, and whether TLS reaches Envoy as the file says."""
    kind, vpc, protocol = (seen.group.get(name, "") for name in ("TargetType", "VpcId", "Protocol"))
    text = f"{kind} targets in {vpc}, {protocol}"
    if kind != "ip":
        return contradicted(text, "Name a target group of type ip: tasks have addresses of their own")
    if vpc != seen.vpc:
        return contradicted(text, f"Name a target group in {seen.vpc}, where the tasks are")
    if protocol == "TLS":
        return contradicted(text, "The load balancer ends TLS and makes its own: name a target group of protocol TCP")
    if (found := _TYPES.get(protocol)) is not seen.type:
        remedy = f"Write type: {found}" if found else "Name a target group of protocol TCP, HTTP or HTTPS"
        return contradicted(f"{text}; the file says {seen.type}", remedy)
    return confirmed(text)


def _made_balancers(deployment: Deployment) -> list[LoadBalancer]:
    """The load balancers that a deploy makes."""
    balancers = (service.load_balancer for service in deployment.mesh.services.values())
    return [balancer for balancer in balancers if balancer and not balancer.target_groups]


def _balancer_zones(deployment: Deployment) -> Mapping[str, str]:
    """The subnets of load balancers, by zone."""
    existing = existing_network(deployment)
    return existing.load_balancer_subnets or existing.subnets


def _balancer_subnets(deployment: Deployment) -> Iterable[str]:
    if not deployment.mesh.network.existing or not _made_balancers(deployment):
        return []
    return _balancer_zones(deployment).values()


def _balancer_subnet(deployment: Deployment, subnet: str) -> BalancerSubnetSeen:
    (found,) = deployment.account.read("ec2:DescribeSubnets", SubnetIds=[subnet])["Subnets"]
    (zone,) = (zone for zone, each in _balancer_zones(deployment).items() if each == subnet)
    facing = [each for each in _made_balancers(deployment) if each.scheme is BalancerScheme.INTERNET_FACING]
    ranges = [clients.cidr for balancer in facing for clients in balancer.clients]
    table = route_table(deployment, subnet)
    return BalancerSubnetSeen(
        existing_network(deployment).vpc,
        zone,
        bool(facing),
        found,
        way_out(table),
        ways_to_some(table),
        tuple(ranges) if ranges and all(ranges) else None,
    )


def judge_balancer_subnet(seen: BalancerSubnetSeen) -> Judgement:
    """Judge whether the load balancers that a deploy makes can stand in a subnet, and be reached as the file says."""
    vpc, zone, free = (seen.subnet[name] for name in ("VpcId", "AvailabilityZone", "AvailableIpAddressCount"))
    text = f"{vpc}, {zone}, {free} free addresses, {seen.way_out or 'no way out'}"
    ways = {to: way for to, way in seen.ways.items() if way.startswith(_FROM_OUTSIDE)}
    is_for_some = seen.is_on_the_internet and (not seen.way_out or seen.way_out.startswith(_NOT_FROM_OUTSIDE))
    if is_for_some and ways:
        text += f" but for {', '.join(f'{to} by {way}' for to, way in ways.items())}"
    if (vpc, zone) != (seen.vpc, seen.zone):
        return contradicted(text, f"Name a subnet of {seen.vpc} in {seen.zone}")
    if is_for_some and not ways:
        return contradicted(
            text,
            "The load balancer is internet-facing, and nobody outside would reach it there: name subnets with a route "
            "to an internet gateway as load_balancer_subnets, or write scheme: internal",
        )
    if free < _FEWEST_ADDRESSES:
        return contradicted(text, f"Name a subnet with {_FEWEST_ADDRESSES} free addresses or more")
    if is_for_some and not _reach_all(ways, seen.clients):
        return undecided(
            text,
            "The load balancer is internet-facing, and only clients in those networks get its answers: see that all "
            "of them are there",
        )
    if seen.is_on_the_internet and not is_for_some and not seen.way_out.startswith("igw-"):
        return undecided(
            text,
            f"The load balancer is internet-facing: see that {seen.way_out} leads to an internet gateway, as a "
            "firewall's endpoint does, and that clients come in by it",
        )
    return confirmed(text)


def _reach_all(ways: Mapping[str, str], clients: tuple[str, ...] | None) -> bool:
    """Whether routes to an internet gateway lead to every client that the file admits."""
    to_gateway = [IPv4Network(to) for to, way in ways.items() if way.startswith("igw-") and "/" in to]
    reached = [*collapse_addresses(to_gateway)]
    return clients is not None and all(any(IPv4Network(each).subnet_of(wider) for wider in reached) for each in clients)


def ways_to_some(table: Mapping[str, Any]) -> dict[str, str]:
    """Where a route table leads what is for one network or prefix list, by CIDR block or id; IPv4, the VPC's aside."""
    ways = {}
    for route in table["Routes"]:
        to = route.get("DestinationCidrBlock") or route.get("DestinationPrefixListId") or ANYWHERE
        if to != ANYWHERE and next_hop(route) != "local" and route.get("State") != "blackhole":
            ways[str(to)] = next_hop(route)
    return ways


CHECKS: tuple[Check[Any], ...] = (
    Check(
        "target-group",
        "ECS can register tasks in the target groups of yours",
        _groups,
        _group,
        judge_target_group,
        "Name a target group of this account and region",
    ),
    Check(
        "network-balancer-subnet",
        "Load balancers can stand in the subnets of yours, and who should reach them does",
        _balancer_subnets,
        _balancer_subnet,
        judge_balancer_subnet,
        "Name a subnet of this account and region: network.existing.load_balancer_subnets",
    ),
)
