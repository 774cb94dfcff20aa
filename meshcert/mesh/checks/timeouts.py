"""Checks of timeouts: each must be able to hold for something."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcert.mesh.findings import Findings
    from meshcert.mesh.mesh import Mesh
    from meshcert.mesh.routing.limits import DeclaredTimeouts


def check_timeouts(mesh: Mesh, findings: Findings) -> None:
    """Report timeouts for a protocol that no node spoken to there has."""
    for place, timeout, nodes in _declared(mesh):
        known = [node for node in nodes if node in mesh.virtual_nodes]
        if len(known) < len(nodes):
            continue  # told already
        protocols = {mesh.virtual_nodes[node].listeners[0].port_mapping.protocol.value for node in known}
        for protocol, limits in timeout:
            if limits is not None and protocol not in protocols:
                findings.add(
                    f"{place}.timeout.{protocol}",
                    f"nothing here speaks {protocol}, so it would limit nothing",
                    f"Write it under {' or '.join(sorted(protocols))}: what counts is the virtual node's protocol",
                    given=[f"virtual_nodes.{node}.listeners[0].port_mapping.protocol" for node in known],
                )


def _declared(mesh: Mesh) -> Iterator[tuple[str, DeclaredTimeouts, list[str]]]:
    """Every place that may have timeouts, what it says, and the virtual nodes whose requests it is about."""
    for name, gateway in mesh.virtual_gateways.items():
        place = f"virtual_gateways.{name}"
        nodes = [call.node for call in mesh.calls_of(place, gateway)]
        for index, listener in enumerate(gateway.listeners):
            yield f"{place}.listeners[{index}]", listener.timeout, nodes
        for index, route in enumerate(gateway.routes):
            yield f"{place}.routes[{index}]", route.timeout, [route.virtual_node]
    for place, proxy in mesh.callers:
        for index, backend in enumerate(proxy.backends):
            yield f"{place}.backends[{index}]", backend.timeout, list(mesh.nodes_behind(backend))
    for name, node in mesh.virtual_nodes.items():
        for index, own in enumerate(node.listeners):
            yield f"virtual_nodes.{name}.listeners[{index}]", own.timeout, [name]
