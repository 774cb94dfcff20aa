"""Checks of an ECS cluster of yours: asked before a deploy makes anything, and at any time later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tools.aws_checks.verdicts import Check, Judgement, confirmed, contradicted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tools.aws_checks.deployment import Deployment


@dataclass(frozen=True)
class ClusterSeen:
    """
    A cluster of the mesh file.

    Args:
        declared: Its name or ARN as the mesh file has it.
        arn: Its ARN; empty if this account and region have none of this name.
        status: As ECS has it.
    """

    declared: str
    arn: str
    status: str


def _clusters(deployment: Deployment) -> Iterable[str]:
    return [deployment.mesh.cluster.existing] if deployment.mesh.cluster.existing else []


def _cluster(deployment: Deployment, declared: str) -> ClusterSeen:
    found = deployment.account.read("ecs:DescribeClusters", clusters=[deployment.mesh.cluster_name])["clusters"]
    arn, status = (found[0]["clusterArn"], found[0]["status"]) if found else ("", "MISSING")
    return ClusterSeen(declared, arn, status)


def judge_cluster(seen: ClusterSeen) -> Judgement:
    """Judge whether services can be made in the cluster."""
    text = f"{seen.arn or seen.declared}: {seen.status}"
    if seen.status != "ACTIVE":
        return contradicted(text, "Name a cluster of this account and region that is ACTIVE: cluster.existing")
    if seen.declared.startswith("arn:") and seen.declared != seen.arn:
        return contradicted(text, f"{seen.declared} is of another account or region: a mesh is of one")
    return confirmed(text)


CHECKS: tuple[Check[Any], ...] = (
    Check("cluster-yours", "The ECS cluster of yours is here, and takes services", _clusters, _cluster, judge_cluster),
)
