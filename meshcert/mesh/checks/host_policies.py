"""Checks of connection pools and health checks: each is about what the listener speaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.mesh.routing.ports import NodeProtocol

if TYPE_CHECKING:
    from meshcert.mesh.findings import Findings
    from meshcert.mesh.mesh import Mesh
    from meshcert.mesh.proxies import NodeListener


def check_host_policies(mesh: Mesh, findings: Findings) -> None:
    """Report pools and health checks of another protocol or port than the listener's, and pools that say nothing."""
    for name, node in mesh.virtual_nodes.items():
        for index, listener in enumerate(node.listeners):
            place = f"virtual_nodes.{name}.listeners[{index}]"
            _check_pool(place, listener, findings)
            _check_health_check(place, listener, findings)


def _check_pool(place: str, listener: NodeListener, findings: Findings) -> None:
    if listener.connection_pool is None:
        return
    protocol, where = listener.port_mapping.protocol.value, f"{place}.connection_pool"
    given = [name for name, limits in listener.connection_pool if limits]
    for other in given:
        if other != protocol:
            findings.add(
                f"{where}.{other}",
                f"the listener speaks {protocol}, so it would limit nothing",
                f"Write it under {protocol}",
                given=(f"{place}.port_mapping.protocol",),
            )
    if not given:
        findings.add(where, "it limits nothing", f"Write {protocol}: {{...}}", given=(f"{where}.{protocol}",))


def _check_health_check(place: str, listener: NodeListener, findings: Findings) -> None:
    check, mapping, where = listener.health_check, listener.port_mapping, f"{place}.health_check"
    if check is None:
        return
    if check.protocol is not mapping.protocol:
        findings.add(
            f"{where}.protocol",
            f"the listener speaks {mapping.protocol.value}",
            f"Write {mapping.protocol.value}",
            given=(f"{place}.port_mapping.protocol",),
        )
    elif check.path and check.protocol in {NodeProtocol.GRPC, NodeProtocol.TCP}:
        findings.add(f"{where}.path", f"{check.protocol.value} has no paths to ask for", "Remove it")
    if check.path and not check.path.startswith("/"):
        findings.add(f"{where}.path", f"{check.path!r} is not a path", f"Begin with /: /{check.path}")
    if check.port and check.port != mapping.port:
        findings.add(
            f"{where}.port",
            f"callers reach port {mapping.port} of a task, and no other",
            f"Write {mapping.port}, or leave it out",
            given=(f"{place}.port_mapping.port",),
        )
