"""Security groups of the interface endpoints in a VPC of yours: whom they let in."""

from __future__ import annotations

from ipaddress import IPv4Network, collapse_addresses
from typing import TYPE_CHECKING, Any

from meshcert.aws.ecs.ways_past import takes_port

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

HTTPS = 443


def service_of(endpoint: Mapping[str, Any]) -> str:
    """The end of the name of an endpoint's service, behind the region; empty if it leads to a resource instead."""
    return str(endpoint.get("ServiceName", "")).partition("amazonaws.")[2].partition(".")[2]


def groups_of(endpoints: Iterable[Mapping[str, Any]]) -> list[str]:
    """The ids of all their security groups, in order."""
    return sorted({group["GroupId"] for endpoint in endpoints for group in endpoint.get("Groups", ())})


def shut_endpoints(
    endpoints: Iterable[Mapping[str, Any]], groups: Iterable[Mapping[str, Any]], cidr: str, *, are_groups_known: bool
) -> dict[str, str]:
    """
    The services of AWS whose names lead to an endpoint that does not let a subnet in.

    With private DNS that is so whatever else leads out: inside the VPC, the name has no other address.

    Args:
        groups: The endpoints' security groups, as ec2:DescribeSecurityGroups has them.
        cidr: The subnet's addresses.
        are_groups_known: Whether a rule may name the groups of tasks, which a first deploy is yet to make.

    Returns:
        The ids of the groups, by the ends of the services' names.
    """
    by_id = {str(group["GroupId"]): group for group in groups}
    shut, reached = {}, set()
    for endpoint in endpoints:
        if endpoint["VpcEndpointType"] == "Gateway":
            reached.add(service_of(endpoint))
        elif endpoint["VpcEndpointType"] == "Interface" and endpoint.get("PrivateDnsEnabled", True):
            own = groups_of([endpoint])
            known = [by_id[group] for group in own if group in by_id]
            if len(known) < len(own) or _admit(known, cidr, by_group=are_groups_known):
                reached.add(service_of(endpoint))
            elif own:
                shut[service_of(endpoint)] = ", ".join(own)
    return {service: own for service, own in shut.items() if service not in reached}


def _admit(groups: Iterable[Mapping[str, Any]], cidr: str, *, by_group: bool) -> bool:
    """Whether groups together let addresses come over HTTPS; what a prefix list holds is not asked and counts."""
    rules = [rule for group in groups for rule in group.get("IpPermissions", ()) if takes_port(rule, HTTPS)]
    if any(rule.get("PrefixListIds") or (by_group and rule.get("UserIdGroupPairs")) for rule in rules):
        return True
    ranges = (IPv4Network(each["CidrIp"], strict=False) for rule in rules for each in rule.get("IpRanges", ()))
    return any(IPv4Network(cidr).subnet_of(each) for each in collapse_addresses(ranges))
