"""Whether one may call a host outside the mesh, which nobody's security group or listener in the mesh file guards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from meshcert.mesh.applications.declared import HTTPS
from meshcert.mesh.edges.edges import PartyKind, edges_of
from meshcert.mesh.edges.permission import Change
from meshcert.mesh.rendering.settings import proxy_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcert.mesh.edges.edges import Edge
    from meshcert.mesh.mesh import Mesh


class HostPermission(NamedTuple):
    """
    Whether a service may call a host outside the mesh.

    Args:
        caller: The service.
        node: The virtual node that stands for the host.
        host: Its DNS name and port.
        allowed: Whether the caller's Envoy sends it requests.
        reason: Why, or why not, in a sentence.
        group: Where the caller's security group lets it connect to, in a sentence.
        edge: The call as the mesh file declares it; None if it does not.
        changes: What to change so that it may call.
    """

    caller: str
    node: str
    host: str
    allowed: bool
    reason: str
    group: str
    edge: Edge | None
    changes: tuple[Change, ...] = ()


def hosts_of(mesh: Mesh, name: str) -> tuple[str, ...]:
    """The virtual nodes outside the mesh that a name stands for: theirs or their host's, with or without ``:PORT``."""
    text, _, port = name.partition(":")
    return tuple(
        node
        for node, declared in mesh.virtual_nodes.items()
        if mesh.is_outside(node)
        and text in (node, mesh.host(node))
        and port in ("", str(declared.listeners[0].port_mapping.port))
    )


def host_permission(mesh: Mesh, caller: str, node: str) -> HostPermission:
    """
    Whether a service may call a host outside the mesh.

    Args:
        mesh: A mesh without faults.
        caller: Name of the service.
        node: One of :func:`hosts_of`.

    Raises:
        KeyError: If there is no such service.
    """
    service = mesh.services[caller]
    section, name = (
        ("virtual_gateways", service.virtual_gateway)
        if service.virtual_gateway
        else ("virtual_nodes", service.virtual_node)
    )
    place, port = f"{section}.{name}", mesh.virtual_nodes[node].listeners[0].port_mapping.port
    outside = (edge for edge in edges_of(mesh) if edge.callee.kind is PartyKind.HOST and edge.callee.name == node)
    edge = next((each for each in outside if each.caller.name == caller), None)
    answer = HostPermission(
        caller, node, f"{mesh.host(node)}:{port}", True, "it is declared", _group(mesh, caller), edge
    )
    changes: tuple[Change, ...]
    if service.desired_count == 0:
        changes = (Change(f"services.{caller}.desired_count", 1),)
        return answer._replace(allowed=False, reason=f"{caller} has no tasks", changes=changes)
    if edge is None:
        changes = (Change(f"{place}.backends", _entry(mesh, node)), *_route(mesh, caller, node))
        return answer._replace(allowed=False, reason=f"{node} is not among {place}.backends", changes=changes)
    if service.virtual_gateway and not _is_routed(mesh, caller, node):
        reason = f"{node} is a backend, but no route of {caller} leads to it"
        return answer._replace(allowed=False, reason=reason, changes=tuple(_route(mesh, caller, node)))
    return answer


def _group(mesh: Mesh, caller: str) -> str:
    application = mesh.services[caller].application
    rules = application.egress if application else None
    if rules is None:
        return f"{caller} may connect to any host"
    ports = sorted({port for rule in rules if rule.protocol == "tcp" for port in rule.ports} - {HTTPS})
    told = f", and at {', '.join(map(str, ports))} to those of its egress" if ports else ""
    return f"{caller} may connect to any host at port {HTTPS}{told}"


def _entry(mesh: Mesh, node: str) -> dict[str, Any]:
    """A backend: over TLS by the public CAs at the port of HTTPS, where the file says nothing else."""
    mapping = mesh.virtual_nodes[node].listeners[0].port_mapping
    if mapping.port != HTTPS or not mesh.says_nothing_of(node):
        return {"virtual_node": node}
    return {
        "virtual_node": node,
        "client_policy": {"tls": {"validation": {"trust": {"public_roots": True}}}},
    }


def _is_routed(mesh: Mesh, caller: str, node: str) -> bool:
    return any(share.backend == node for route in proxy_settings(mesh, caller).routes for share in route.shares)


def _route(mesh: Mesh, caller: str, node: str) -> Iterator[Change]:
    gateway = mesh.services[caller].virtual_gateway
    if gateway:
        yield Change(f"virtual_gateways.{gateway}.routes", {"match": {"prefix": f"/{node}"}, "virtual_node": node})
