"""Checks of a Cloud Map namespace of yours: asked before a deploy makes anything, and at any time later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshcert.errors import AccessDenied
from tools.aws_checks.network import existing_network
from tools.aws_checks.verdicts import Check, Judgement, confirmed, contradicted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tools.aws_checks.deployment import Deployment


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
        vpc: The VPC that its names should resolve in.
        vpcs: Those that they resolve in; None if these credentials may not ask.
    """

    declared: str
    http_name: str
    name: str
    kind: str
    known_as: str
    vpc: str = ""
    vpcs: frozenset[str] | None = None


def _namespaces(deployment: Deployment) -> Iterable[str]:
    return [deployment.mesh.about.namespace_id] if deployment.mesh.about.namespace_id else []


def _namespace(deployment: Deployment, namespace: str) -> NamespaceSeen:
    found = deployment.account.read("servicediscovery:GetNamespace", Id=namespace)["Namespace"]
    zone = found["Properties"].get("DnsProperties", {}).get("HostedZoneId", "")
    return NamespaceSeen(
        deployment.mesh.namespace,
        deployment.mesh.http_name,
        found["Name"],
        found["Type"],
        found["Properties"]["HttpProperties"]["HttpName"],
        existing_network(deployment).vpc,
        _vpcs_of(deployment, zone) if zone else None,
    )


def _vpcs_of(deployment: Deployment, zone: str) -> frozenset[str] | None:
    """The VPCs in which the names of a private hosted zone resolve; None if these credentials may not ask."""
    try:
        answer = deployment.account.read("route53:GetHostedZone", Id=zone)
    except AccessDenied:
        return None
    return frozenset(each["VPCId"] for each in answer.get("VPCs", []))


def judge_namespace(seen: NamespaceSeen) -> Judgement:
    """Judge whether callers find services in the namespace by the names of the mesh file."""
    text = f"{seen.kind} {seen.name}, HTTP name {seen.known_as}"
    if seen.kind != "DNS_PRIVATE":
        return contradicted(text, "Name a private DNS namespace: tasks that start while Cloud Map is out ask DNS")
    if seen.name != seen.declared:
        return contradicted(text, f"Write namespace: {seen.name} below mesh, or name the namespace {seen.declared}")
    if seen.known_as != seen.http_name:
        return contradicted(
            text, f"Write http_name: {seen.known_as} below mesh, or its cell: callers ask for {seen.http_name}"
        )
    if seen.vpcs is not None and seen.vpc not in seen.vpcs:
        where = ", ".join(sorted(seen.vpcs)) or "no VPC"
        remedy = f"Name a namespace of {seen.vpc}, or have its hosted zone's owner associate it with that VPC"
        return contradicted(f"{text}; its names resolve in {where}", remedy)
    return confirmed(text)


CHECKS: tuple[Check[Any], ...] = (
    Check(
        "network-namespace",
        "The Cloud Map namespace of yours is private DNS, and has the names of the file",
        _namespaces,
        _namespace,
        judge_namespace,
        "Name a namespace of this account and region: mesh.namespace_id",
    ),
)
