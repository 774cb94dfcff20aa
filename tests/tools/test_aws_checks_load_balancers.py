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


@pytest.mark.parametrize(
    ("seen", "verdict", "words"),
    [
        (PUBLIC, YES, "igw-1"),
        (PUBLIC._replace(is_on_the_internet=False, way_out=""), YES, "no way out"),
        (PUBLIC._replace(way_out="nat-1"), NO, "route to an internet gateway as load_balancer_subnets"),
        (PUBLIC._replace(way_out="tgw-1"), NO, "or write scheme: internal"),
        (PUBLIC._replace(way_out=""), NO, "nobody outside would reach it"),
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
