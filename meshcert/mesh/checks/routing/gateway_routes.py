"""Checks of gateway routes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.mesh.calls import target_of
from meshcert.mesh.checks.routing.matches import check_grpc_match, check_http_match
from meshcert.mesh.checks.routing.route_lists import Entrance, check_hidden, check_names, one_kind
from meshcert.mesh.rendering.routes import front_of, ranked_routes
from meshcert.mesh.routing.composition import NotComposable, composed
from meshcert.mesh.routing.gateway_routes import GatewayHttpAction
from meshcert.mesh.routing.matches import HttpMatch
from meshcert.mesh.routing.ports import NodeProtocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meshcert.mesh.findings import Findings
    from meshcert.mesh.mesh import Mesh
    from meshcert.mesh.routing.gateway_routes import GatewayRoute, Rewrite
    from meshcert.mesh.routing.routers import RouterRoute

_KINDS = ("http_route", "http2_route", "grpc_route")


def check_gateway_routes(mesh: Mesh, findings: Findings) -> None:
    """Report gateway routes that no request can take, or that lead nowhere."""
    for name, gateway in mesh.virtual_gateways.items():
        place = f"virtual_gateways.{name}"
        if gateway.routes and gateway.gateway_routes:
            findings.add(
                f"{place}.routes",
                "short routes and gateway_routes have no order among each other",
                "Write all of them as gateway_routes",
                given=(f"{place}.gateway_routes",),
            )
        check_names(f"{place}.gateway_routes", gateway.gateway_routes, findings)
        entrance = Entrance.of("gateway", place, gateway.listeners)
        for index, route in enumerate(gateway.gateway_routes):
            where = f"{place}.gateway_routes[{index}]"
            if kind := one_kind(where, route, _KINDS, findings):
                _check_route(mesh, entrance, f"{where}.{kind}", route, findings)
        check_hidden(f"{place}.gateway_routes", gateway.gateway_routes, findings)


def _check_route(mesh: Mesh, entrance: Entrance, where: str, route: GatewayRoute, findings: Findings) -> None:
    kind = route.http_route or route.http2_route or route.grpc_route
    if kind is None:
        return
    if isinstance(kind.match, HttpMatch):
        check_http_match(f"{where}.match", kind.match, findings)
    else:
        check_grpc_match(f"{where}.match", kind.match, findings)
    entrance.check_port(f"{where}.match.port", kind.match.port, findings)
    entrance.check_kind(where, kind.match.port, findings)
    if isinstance(kind.action, GatewayHttpAction) and isinstance(kind.match, HttpMatch):
        _check_rewrite(f"{where}.action.rewrite", kind.action.rewrite, kind.match, findings)
    _check_target(mesh, where, route, findings)


def _check_rewrite(place: str, rewrite: Rewrite, match: HttpMatch, findings: Findings) -> None:
    if rewrite.prefix:
        if not match.prefix:
            findings.add(
                f"{place}.prefix",
                "the route matches no prefix that could be rewritten",
                "Write path: {exact: ...}, or match a prefix",
                given=[f"{place.removesuffix('.action.rewrite')}.match.{name}" for name in ("prefix", "path")],
            )
        if rewrite.prefix.default_prefix and rewrite.prefix.value:
            findings.add(
                f"{place}.prefix",
                "it has both of default_prefix and value",
                "Keep one of them",
                given=(f"{place}.prefix.default_prefix", f"{place}.prefix.value"),
            )
        value = rewrite.prefix.value
        if value and not (value.startswith("/") and value.endswith("/")):
            plain = f"/{value.strip('/')}/"
            findings.add(f"{place}.prefix.value", f"{value!r} does not begin and end with /", f"Write {plain}")
    if rewrite.path:
        if match.prefix:
            findings.add(
                f"{place}.path",
                "the route matches a prefix, and this would replace the whole path",
                "Write prefix: {value: ...}, or match a path",
                given=[f"{place.removesuffix('.action.rewrite')}.match.{name}" for name in ("prefix", "path")],
            )
        if not rewrite.path.exact.startswith("/"):
            findings.add(
                f"{place}.path.exact", f"{rewrite.path.exact!r} is not a path", f"Begin with /: /{rewrite.path.exact}"
            )


def _check_target(mesh: Mesh, where: str, route: GatewayRoute, findings: Findings) -> None:
    target = target_of(route)
    name = f"{where}.action.target.virtual_service"
    if target is None or not findings.require_known(mesh, name, "virtual_services", target.virtual_service):
        return
    provider = mesh.virtual_services[target.virtual_service].provider
    node, router = mesh.virtual_nodes.get(provider.virtual_node), mesh.virtual_routers.get(provider.virtual_router)
    if router:
        entrance = Entrance.of("virtual service", f"virtual_routers.{provider.virtual_router}", router.listeners)
    elif node:
        entrance = Entrance.of("virtual service", f"virtual_nodes.{provider.virtual_node}", node.listeners)
    else:
        return
    entrance.check_port(f"{where}.action.target.port", target.port, findings)
    if NodeProtocol.TCP.value in entrance.ports.values():
        findings.add(
            name,
            f"{target.virtual_service} speaks tcp, and a gateway routes requests",
            "Lead to a virtual service that speaks http, http2 or grpc",
            within=(entrance.place,),
        )
    place = f"virtual_routers.{provider.virtual_router}.routes"
    for index, problem, remedy in _not_composable(route, router.routes if router else ()):
        findings.add(where, problem, remedy, within=(where, f"{place}[{index}]"))


def _not_composable(front: GatewayRoute, routes: Iterable[RouterRoute]) -> Iterator[tuple[int, str, str]]:
    """Why Envoy has no route that does the same as two, with the number of the second."""
    for index, ranked in enumerate(ranked_routes("", routes)):
        try:
            composed(front_of(front), ranked.route)
        except NotComposable as error:
            yield index, f"with route {ranked.name} behind it: {error.why}", error.remedy
