"""Checks of a Cloud Map namespace of yours: asked before a deploy makes anything, and at any time later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshcert.errors import AccessDenied
from tools.aws_checks.verdicts import Check, Judgement, confirmed, contradicted, undecided

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
        vpcs: Those that they resolve in; None if these credentials may not ask, as another account's may not.
        owner: The account that shares it; empty if it is this one's.
        taken: The mesh's names that services of other accounts have in it, sorted.
        unowned: Those of services of which AWS does not say whose they are, sorted.
    """

    declared: str
    http_name: str
    name: str
    kind: str
    known_as: str
    vpc: str = ""
    vpcs: frozenset[str] | None = None
    owner: str = ""
    taken: tuple[str, ...] = ()
    unowned: tuple[str, ...] = ()


_SHARING = "aws ram create-resource-share, as docs/accounts.md has it"


def _namespaces(deployment: Deployment) -> Iterable[str]:
    return [deployment.mesh.about.namespace_id] if deployment.mesh.about.namespace_id else []


def _namespace(deployment: Deployment, namespace: str) -> NamespaceSeen:
    owner = deployment.mesh.namespace_owner
    is_shared = bool(owner) and owner != deployment.account_id
    try:
        found = deployment.account.read("servicediscovery:GetNamespace", Id=namespace)["Namespace"]
    except AccessDenied as error:
        if is_shared and "resource-based policy" in str(error):
            # "no resource-based policy allows": the caller's own policy does, and the owner's share does not.
            return NamespaceSeen(deployment.mesh.namespace, deployment.mesh.http_name, "", "", "", owner=owner)
        raise
    zone = found["Properties"].get("DnsProperties", {}).get("HostedZoneId", "")
    return NamespaceSeen(
        deployment.mesh.namespace,
        deployment.mesh.http_name,
        found["Name"],
        found["Type"],
        found["Properties"]["HttpProperties"]["HttpName"],
        deployment.mesh.network.existing.vpc if deployment.mesh.network.existing else "",
        _vpcs_of(deployment, zone) if zone and not is_shared else None,
        owner if is_shared else "",
        *(_taken(deployment, namespace) if is_shared else ()),
    )


def _taken(deployment: Deployment, namespace: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """
    The mesh's names that services of other accounts have in a namespace, then those of services of whoever it may be.

    None if these credentials may not ask.
    """
    mesh = deployment.mesh
    own = {
        mesh.cloud_map_name(name)
        for name, service in mesh.services.items()
        if not service.is_job and not (service.attached and service.attached.cloud_map_service)
    }
    only = [{"Name": "NAMESPACE_ID", "Values": [namespace], "Condition": "EQ"}]
    try:
        answer = deployment.account.read("servicediscovery:ListServices", Filters=only)
    except AccessDenied:
        return (), ()
    owners = [(each["Name"], each.get("CreatedByAccount")) for each in answer["Services"] if each["Name"] in own]
    taken = {name for name, owner in owners if owner not in {None, deployment.account_id}}
    return tuple(sorted(taken)), tuple(sorted({name for name, owner in owners if owner is None} - taken))


def _vpcs_of(deployment: Deployment, zone: str) -> frozenset[str] | None:
    """The VPCs in which the names of a private hosted zone resolve; None if these credentials may not ask."""
    try:
        answer = deployment.account.read("route53:GetHostedZone", Id=zone)
    except AccessDenied:
        return None
    return frozenset(each["VPCId"] for each in answer.get("VPCs", []))


def judge_namespace(seen: NamespaceSeen) -> Judgement:
    """Judge whether callers find services in the namespace by the names of the mesh file."""
    if not seen.kind:
        return contradicted(
            f"account {seen.owner} does not share it with this account", f"Have {seen.owner} share it: {_SHARING}"
        )
    text = f"{seen.kind} {seen.name}, HTTP name {seen.known_as}" + f", of account {seen.owner}" * bool(seen.owner)
    remedy = _names_remedy(seen)
    if remedy:
        return contradicted(text, remedy)
    if seen.taken:
        remedy = f"Rename them in the mesh file, or have {seen.owner} or their owner delete those services"
        return contradicted(f"{text}; other accounts have services {', '.join(seen.taken)} in it", remedy)
    if seen.unowned:
        return undecided(
            f"{text}; AWS does not say who made services {', '.join(seen.unowned)} in it",
            "Unless this mesh made them, rename them in the mesh file: callers would meet others' tasks",
        )
    if seen.vpcs is not None and seen.vpc and seen.vpc not in seen.vpcs:
        where = ", ".join(sorted(seen.vpcs)) or "no VPC"
        remedy = f"Name a namespace of {seen.vpc}, or have its hosted zone's owner associate it with that VPC"
        return contradicted(f"{text}; its names resolve in {where}", remedy)
    return confirmed(text)


def _names_remedy(seen: NamespaceSeen) -> str:
    """What to do about a namespace of another kind or name than the mesh file's; empty if it is that one."""
    if seen.kind != "DNS_PRIVATE":
        return "Name a private DNS namespace: tasks that start while Cloud Map is out ask DNS"
    if seen.name != seen.declared:
        return f"Write namespace: {seen.name} below mesh, or its cell, or name the namespace {seen.declared}"
    if seen.known_as != seen.http_name:
        return f"Write http_name: {seen.known_as} below mesh, or its cell: callers ask for {seen.http_name}"
    return ""


CHECKS: tuple[Check[Any], ...] = (
    Check(
        "network-namespace",
        "The Cloud Map namespace of yours is private DNS, and has the names of the file",
        _namespaces,
        _namespace,
        judge_namespace,
        f"Name a namespace of this account and region, or one that its owner shares with it: {_SHARING}",
    ),
)
