"""The ways in which an application reaches the backends of its virtual node."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from meshcert.mesh.calls import backends_of
from meshcert.mesh.part import EgressFilter
from meshcert.mesh.routing.ports import NodePort, NodeProtocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcert.mesh.mesh import Mesh
    from meshcert.mesh.proxies import DeclaredBackend, NodeBackend, VirtualNode


class DeclaredWayOut(NamedTuple):
    """
    How an application reaches one backend.

    Args:
        backend: Name of the virtual node or virtual service.
        hosts: The hosts that requests to it may name: the whole name, and the short ones; empty for ``tcp``.
        port: Port and protocol at which the application calls it.
        local_port: TCP port on loopback that leads to it alone; 0 for none.
    """

    backend: str
    hosts: tuple[str, ...]
    port: NodePort
    local_port: int


def ways_out(mesh: Mesh, node: str) -> Iterator[tuple[str, DeclaredBackend, DeclaredWayOut]]:
    """Each backend of a virtual node whose callees are known: its place, the backend, and the way to it."""
    declared = mesh.virtual_nodes[node]
    for place, backend in backends_of(f"virtual_nodes.{node}", declared):
        port = port_of(mesh, backend)
        if port is None:
            continue
        is_tcp = port.protocol is NodeProtocol.TCP
        local_port = _local_port(declared, backend) or (port.port if is_tcp else 0)
        name = backend.virtual_service or backend.virtual_node
        if not name:
            continue
        yield place, backend, DeclaredWayOut(name, () if is_tcp else hosts_of(mesh, backend), port, local_port)


def needs_egress_listener(mesh: Mesh, node: str) -> bool:
    """Whether a virtual node has a listener for requests by host: for any HTTP backend, or for hosts of no backend."""
    has_hosts = any(way.hosts for _, _, way in ways_out(mesh, node))
    return has_hosts or (mesh.about.egress_filter is EgressFilter.ALLOW_ALL and bool(mesh.virtual_nodes[node].backends))


def port_of(mesh: Mesh, backend: DeclaredBackend) -> NodePort | None:
    """Port and protocol at which an application calls a backend: its router's, or its node's; None if unknown."""
    service = mesh.virtual_services.get(backend.virtual_service)
    if service and service.provider.virtual_router:
        router = mesh.virtual_routers.get(service.provider.virtual_router)
        return router.listeners[0].port_mapping if router else None
    node = mesh.virtual_nodes.get(next(iter(mesh.nodes_behind(backend)), ""))
    return node.listeners[0].port_mapping if node else None


def hosts_of(mesh: Mesh, backend: DeclaredBackend) -> tuple[str, ...]:
    """The hosts that stand for a backend: the full name, then the short one; of a virtual node, its own name too."""
    if backend.virtual_service:
        short = backend.virtual_service.removesuffix(f".{mesh.namespace}")
        return tuple(dict.fromkeys((backend.virtual_service, short)))
    host = mesh.host(backend.virtual_node)
    return tuple(dict.fromkeys((host, host.removesuffix(f".{mesh.namespace}"), backend.virtual_node)))


def _local_port(node: VirtualNode, backend: DeclaredBackend) -> int:
    listed: tuple[NodeBackend, ...] = node.backends
    return next((each.local_port or 0 for each in listed if each is backend), 0)
