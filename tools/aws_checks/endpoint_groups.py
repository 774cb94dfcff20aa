"""Security groups of the interface endpoints in a VPC of yours: whom they let in."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any

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
            if any(group not in by_id or _admits(by_id[group], cidr, by_group=are_groups_known) for group in own):
                reached.add(service_of(endpoint))
            elif own:
                shut[service_of(endpoint)] = ", ".join(own)
    return {service: own for service, own in shut.items() if service not in reached}


def _admits(group: Mapping[str, Any], cidr: str, *, by_group: bool) -> bool:
    """Whether a group lets addresses come over HTTPS; what a prefix list holds, nobody asks, and it counts as them."""
    for rule in group.get("IpPermissions", ()):
        is_https = rule["IpProtocol"] == "-1" or (
            rule["IpProtocol"] == "tcp" and rule.get("FromPort", 0) <= HTTPS <= rule.get("ToPort", 0)
        )
        ranges = (IPv4Network(each["CidrIp"], strict=False) for each in rule.get("IpRanges", ()))
        is_theirs = any(IPv4Network(cidr).subnet_of(each) for each in ranges)
        named = rule.get("PrefixListIds") or (by_group and rule.get("UserIdGroupPairs"))
        if is_https and (is_theirs or named):
            return True
    return False
