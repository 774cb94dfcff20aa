"""Checks of virtual services, virtual routers and their routes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.mesh.calls import targets_of
from meshcert.mesh.checks.routing.matches import check_grpc_match, check_http_match
from meshcert.mesh.checks.routing.route_lists import Entrance, check_hidden, check_names, one_kind
from meshcert.mesh.naming import host_problem
from meshcert.mesh.routing.matches import HttpMatch
from meshcert.mesh.routing.ports import NodeProtocol

if TYPE_CHECKING:
    from meshcert.mesh.findings import Findings
    from meshcert.mesh.mesh import Mesh
    from meshcert.mesh.routing.routers import RouterRoute, VirtualRouter

_MOST_WEIGHT = 100
_KINDS = ("http_route", "http2_route", "grpc_route", "tcp_route")


def check_virtual_services(mesh: Mesh, findings: Findings) -> None:
    """Report virtual services that no request can name, or for which nobody answers."""
    for name, service in mesh.virtual_services.items():
        if fault := host_problem(name, mesh.namespace):
            findings.add(f"virtual_services.{name}", *fault)
        place = f"virtual_services.{name}.provider"
        node, router = service.provider.virtual_node, service.provider.virtual_router
        if bool(node) == bool(router):
            findings.add(
                place,
                f"it names {'both' if node else 'neither'} of virtual_node and virtual_router",
                "Name exactly one: who answers",
                given=(f"{place}.virtual_node", f"{place}.virtual_router"),
            )
        elif node:
            findings.require_known(mesh, f"{place}.virtual_node", "virtual_nodes", node)
        else:
            findings.require_known(mesh, f"{place}.virtual_router", "virtual_routers", router)


def check_routers(mesh: Mesh, findings: Findings) -> None:
    """Report routes of routers that no request can take, or that lead nowhere."""
    for name, router in mesh.virtual_routers.items():
        place = f"virtual_routers.{name}"
        _check_listeners(place, router, findings)
        check_names(f"{place}.routes", router.routes, findings)
        entrance = Entrance.of("router", place, router.listeners)
        for index, route in enumerate(router.routes):
            where = f"{place}.routes[{index}]"
            if kind := one_kind(where, route, _KINDS, findings):
                _check_route(mesh, entrance, f"{where}.{kind}", route, findings)
        check_hidden(f"{place}.routes", router.routes, findings)


def check_local_ports(mesh: Mesh, findings: Findings) -> None:
    """Report ports on loopback that would lead to several listeners of a router."""
    for name, node in mesh.virtual_nodes.items():
        for index, backend in enumerate(node.backends):
            service = mesh.virtual_services.get(backend.virtual_service)
            router = mesh.virtual_routers.get(service.provider.virtual_router) if service else None
            if backend.local_port and router and len(router.listeners) > 1:
                findings.add(
                    f"virtual_nodes.{name}.backends[{index}].local_port",
                    f"{backend.virtual_service} has several listeners, which only the port in a host tells apart",
                    "Call it at the egress listener, or make a virtual service for each of its ports",
                    given=(f"virtual_nodes.{name}.backends[{index}].virtual_service",),
                    within=(f"virtual_routers.{service.provider.virtual_router}.listeners" if service else "",),
                )


def _check_listeners(place: str, router: VirtualRouter, findings: Findings) -> None:
    seen: set[int] = set()
    for index, listener in enumerate(router.listeners):
        where = f"{place}.listeners[{index}].port_mapping"
        if listener.port_mapping.port in seen:
            findings.add(f"{where}.port", "another listener of the router has this port", "Choose another port")
        seen.add(listener.port_mapping.port)
        if listener.port_mapping.protocol is NodeProtocol.TCP and len(router.listeners) > 1:
            findings.add(
                f"{where}.protocol",
                "a router for tcp has one listener: an application connects to one port of its own task",
                "Make a router and a virtual service of it",
                given=(f"{place}.listeners",),
            )


def _check_route(mesh: Mesh, entrance: Entrance, where: str, route: RouterRoute, findings: Findings) -> None:
    kind = route.http_route or route.http2_route or route.grpc_route
    match = kind.match if kind else route.tcp_route.match if route.tcp_route else None
    if isinstance(match, HttpMatch):
        check_http_match(f"{where}.match", match, findings)
    elif route.grpc_route:
        check_grpc_match(f"{where}.match", route.grpc_route.match, findings)
    port = match.port if match else None
    entrance.check_port(f"{where}.match.port", port, findings)
    protocol = entrance.check_kind(where, port, findings)
    _check_targets(mesh, where, protocol, route, findings)
    policy = kind.retry_policy if kind else None
    if policy and not (policy.http_retry_events or policy.tcp_retry_events or getattr(policy, "grpc_retry_events", ())):
        events = [f"{where}.retry_policy.{name}_retry_events" for name in ("http", "tcp", "grpc")]
        findings.add(
            f"{where}.retry_policy",
            "it names no event, so nothing would be sent again",
            "Add http_retry_events, for example [gateway-error], or remove it",
            given=events,
        )


def _check_targets(mesh: Mesh, where: str, protocol: str, route: RouterRoute, findings: Findings) -> None:
    place = f"{where}.action.weighted_targets"
    targets = targets_of(route)
    weights = [f"{place}[{index}].weight" for index in range(len(targets))]
    total = sum(target.weight for target in targets)
    if total > _MOST_WEIGHT:
        findings.add(
            place,
            f"the weights add up to {total}, and {_MOST_WEIGHT} is the most",
            "Write shares of a hundred",
            given=weights,
        )
    if not total:
        findings.add(
            place,
            "all weights are 0, so nobody would answer",
            "Give one of them a weight, for example 100",
            given=weights,
        )
    for index, target in enumerate(targets):
        name = f"{place}[{index}].virtual_node"
        if not findings.require_known(mesh, name, "virtual_nodes", target.virtual_node):
            continue
        listeners = mesh.virtual_nodes[target.virtual_node].listeners
        entrance = Entrance.of("node", f"virtual_nodes.{target.virtual_node}", listeners)
        if protocol not in entrance.ports.values():
            spoken = " or ".join(entrance.ports.values())
            findings.add(
                name,
                f"{target.virtual_node} speaks {spoken}, and this is a route for {protocol}",
                f"Give its listener the protocol {protocol}, or lead to a node that speaks {protocol}",
                within=(entrance.place,),
            )
        entrance.check_port(f"{place}[{index}].port", target.port, findings)
