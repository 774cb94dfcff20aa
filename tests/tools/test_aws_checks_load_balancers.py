"""A target group of yours is asked about before tasks are to be registered in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from meshcert.mesh.load_balancers import BalancerType
from tests.tools.judgements import NO, YES, assert_judged
from tools.aws_checks.load_balancers import TargetGroupSeen, judge_target_group

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
