"""Checks of the ways in which applications reach their backends: listeners on loopback."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.contract.container import ADMIN_PORT, READINESS_PORT, WAYS_IN_PORT
from meshcert.mesh.ways_out import needs_egress_listener, ways_out

if TYPE_CHECKING:
    from meshcert.mesh.findings import Findings
    from meshcert.mesh.mesh import Mesh

_OURS = {ADMIN_PORT: "Envoy's admin interface", READINESS_PORT: "the readiness check", WAYS_IN_PORT: "the same"}


def check_ways_out(mesh: Mesh, findings: Findings) -> None:
    """Report loopback listeners that share a port, also with what else a task has; and hosts that mean two backends."""
    for name, node in mesh.virtual_nodes.items():
        place = f"virtual_nodes.{name}"
        taken = {port: (owner, "") for port, owner in _OURS.items()}
        for index, listener in enumerate(node.listeners):
            taken[listener.port_mapping.port] = (f"listeners[{index}]", f"{place}.listeners[{index}].port_mapping.port")
        for service_name, service in mesh.services.items():
            if service.virtual_node == name and service.application:
                ground = f"services.{service_name}.application.port"
                taken[service.application.port] = ("the application", ground)
        if needs_egress_listener(mesh, name):
            _take(f"{place}.egress_listener.port", node.egress_listener.port, "egress_listener", taken, findings)
        hosts: dict[str, str] = {}
        for where, _, way in ways_out(mesh, name):
            if way.local_port:
                _take(f"{where}.local_port", way.local_port, way.backend, taken, findings)
            for host in way.hosts:
                # Case means nothing in a host (RFC 9110, 4.2.3).
                if hosts.setdefault(host.lower(), way.backend) != way.backend:
                    findings.add(
                        where,
                        f"the host {host} stands for {hosts[host.lower()]} already",
                        "Call one of them by its full name only: rename it, or remove it",
                        given=(f"{place}.backends",),
                    )


def _take(place: str, port: int, owner: str, taken: dict[int, tuple[str, str]], findings: Findings) -> None:
    if port in taken:
        other, ground = taken[port]
        findings.add(
            place,
            f"port {port} is taken in the same task by {other}",
            "Choose another port",
            given=(ground,) if ground else (),
        )
    taken.setdefault(port, (owner, place))
