"""Checks of target groups of yours: asked before a deploy makes anything, and at any time later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from meshcert.mesh.load_balancers import BalancerType
from tools.aws_checks.verdicts import Check, Judgement, confirmed, contradicted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tools.aws_checks.deployment import Deployment

_TYPES = {
    "HTTP": BalancerType.APPLICATION,
    "HTTPS": BalancerType.APPLICATION,
    "TCP": BalancerType.NETWORK,
    "TCP_UDP": BalancerType.NETWORK,
}
"""Whose targets speak which protocol (elasticloadbalancing:CreateTargetGroup)."""


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


CHECKS: tuple[Check[Any], ...] = (
    Check("target-group", "ECS can register tasks in the target groups of yours", _groups, _group, judge_target_group),
)
