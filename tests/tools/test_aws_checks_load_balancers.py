"""A target group of yours is asked about before tasks are to be registered in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from meshcert.mesh.load_balancers import BalancerType
from tests.tools.judgements import NO, OPEN, YES, assert_judged
from tools.aws_checks.load_balancers import (
    BalancerSubnetSeen,
    TargetGroupSeen,
    judge_balancer_subnet,
    judge_target_group,
    ways_to_some,
)

if TYPE_CHECKING:
    from tools.aws_checks.verdicts import Verdict

GROUP = {"TargetType": "ip", "VpcId": "vpc-1", "Protocol": "TCP"}


@pytest.mark.parametrize(
    ("kind", "group", "verdict", "words"),
    [
        (BalancerType.NETWORK, {}, YES, "ip targets in vpc-1, TCP"),
        (BalancerType.APPLICATION, {"Protocol": "HTTPS"}, YES, "HTTPS"),
        (BalancerType.NETWORK, {"Protocol": "HTTPS"}, NO, "Write type: application"),
        (BalancerType.APPLICATION, {}, NO, "Write type: network"),
        (BalancerType.NETWORK, {"Protocol": "TLS"}, NO, "ends TLS and makes its own"),
        (BalancerType.NETWORK, {"Protocol": "UDP"}, NO, "protocol TCP, HTTP or HTTPS"),
        (BalancerType.NETWORK, {"TargetType": "instance"}, NO, "type ip"),
        (BalancerType.NETWORK, {"VpcId": "vpc-2"}, NO, "in vpc-1, where the tasks are"),
    ],
    ids=["TCP", "HTTPS", "an ALB's", "an NLB's", "TLS", "UDP", "of instances", "in another VPC"],
)
def test_tasks_can_be_registered_in_a_target_group(
    kind: BalancerType, group: dict[str, Any], verdict: Verdict, words: str
) -> None:
    """And what the file says of client certificates holds."""
    assert_judged(judge_target_group(TargetGroupSeen("vpc-1", kind, GROUP | group)), verdict, words)


SUBNET = {"VpcId": "vpc-1", "AvailabilityZone": "us-west-1a", "AvailableIpAddressCount": 200}
PUBLIC = BalancerSubnetSeen("vpc-1", "us-west-1a", is_on_the_internet=True, subnet=SUBNET, way_out="igw-1")

SOME = PUBLIC._replace(way_out="", ways={"203.0.113.0/24": "igw-1"})
HALVES = {"0.0.0.0/1": "igw-1", "128.0.0.0/1": "igw-1"}


@pytest.mark.parametrize(
    ("seen", "verdict", "words"),
    [
        (PUBLIC, YES, "igw-1"),
        (PUBLIC._replace(is_on_the_internet=False, way_out=""), YES, "no way out"),
        (PUBLIC._replace(way_out="nat-1"), NO, "route to an internet gateway as load_balancer_subnets"),
        (PUBLIC._replace(way_out="tgw-1"), NO, "or write scheme: internal"),
        (PUBLIC._replace(way_out=""), NO, "nobody outside would reach it"),
        (SOME, OPEN, "no way out but for 203.0.113.0/24 by igw-1"),
        (SOME._replace(way_out="nat-1"), OPEN, "nat-1 but for 203.0.113.0/24 by igw-1"),
        (SOME._replace(clients=("203.0.113.8/29",)), YES, "203.0.113.0/24 by igw-1"),
        (SOME._replace(clients=("203.0.113.8/29", "198.51.100.0/24")), OPEN, "see that all of them are there"),
        (SOME._replace(ways=HALVES, clients=("0.0.0.0/0",)), YES, "128.0.0.0/1 by igw-1"),
        (SOME._replace(ways={"203.0.113.0/24": "vpce-1"}, clients=("203.0.113.8/29",)), OPEN, "by vpce-1"),
        (SOME._replace(ways={"pl-1": "igw-1"}, clients=("203.0.113.8/29",)), OPEN, "pl-1 by igw-1"),
        (SOME._replace(ways={"10.0.0.0/8": "tgw-1"}), NO, "nobody outside would reach it"),
        (SOME._replace(subnet=SUBNET | {"AvailableIpAddressCount": 7}), NO, "8 free addresses"),
        (PUBLIC._replace(way_out="vpce-1"), OPEN, "see that vpce-1 leads to an internet gateway"),
        (PUBLIC._replace(way_out="eni-1"), OPEN, "eni-1"),
        (PUBLIC._replace(way_out="arn:aws:networkmanager::111122223333:core-network/core-network-1"), OPEN, "arn:"),
        (PUBLIC._replace(way_out="vpce-1", subnet=SUBNET | {"AvailableIpAddressCount": 7}), NO, "8 free addresses"),
        (PUBLIC._replace(subnet=SUBNET | {"VpcId": "vpc-2"}), NO, "a subnet of vpc-1"),
        (PUBLIC._replace(subnet=SUBNET | {"AvailableIpAddressCount": 7}), NO, "8 free addresses"),
    ],
    ids=[
        "public",
        "internal",
        "behind NAT",
        "behind a transit gateway",
        "no way out",
        "a way to some",
        "a way to some, and NAT",
        "a way to all clients of the file",
        "a way to some clients of the file",
        "a way to both halves of the internet",
        "some behind a firewall",
        "a prefix list",
        "a way to networks inside",
        "a way to some, and full",
        "behind a firewall",
        "behind an appliance",
        "Cloud WAN",
        "behind a firewall, and full",
        "another VPC",
        "full",
    ],
)
def test_a_load_balancer_stands_where_its_clients_reach_it(
    seen: BalancerSubnetSeen, verdict: Verdict, words: str
) -> None:
    """An internet-facing one in a private subnet is made without a word, and answers nobody."""
    assert_judged(judge_balancer_subnet(seen), verdict, words)


def test_routes_to_some_networks_are_seen() -> None:
    """The VPC's own addresses, lost next hops, IPv6 and what is for anywhere are none."""
    routes = [
        {"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local"},
        {"DestinationCidrBlock": "203.0.113.0/24", "GatewayId": "igw-1"},
        {"DestinationPrefixListId": "pl-1", "GatewayId": "igw-1"},
        {"DestinationCidrBlock": "198.51.100.0/24", "GatewayId": "igw-1", "State": "blackhole"},
        {"DestinationIpv6CidrBlock": "2001:db8::/32", "GatewayId": "igw-1"},
        {"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": "nat-1"},
    ]

    assert ways_to_some({"Routes": routes}) == {"203.0.113.0/24": "igw-1", "pl-1": "igw-1"}
