"""The conditions of routes, from App Mesh's fields to those of a proxy's settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert import proxy
from meshcert.mesh.routing.matches import GatewayHttpMatch, GrpcMatch, HttpMatch
from meshcert.routes import Conditions, HeaderCondition, MatchKind, QueryCondition

if TYPE_CHECKING:
    from meshcert.mesh.routing.gateway_routes import GatewayRoute
    from meshcert.mesh.routing.matches import GatewayGrpcMatch, HeaderMatch, HostnameMatch
    from meshcert.mesh.routing.routers import RouterRoute


def conditions_of(route: RouterRoute | GatewayRoute) -> proxy.Route:
    """A route of a proxy's settings with the conditions of a router's or gateway's route, and no target."""
    kind = route.http_route or route.http2_route
    if kind:
        return _http(kind.match)
    if route.grpc_route:
        return _grpc(route.grpc_route.match)
    port = getattr(getattr(route, "tcp_route", None), "match", None)
    return proxy.Route("/", "", conditions=Conditions(port=(port.port or 0) if port else 0))


def _http(match: HttpMatch) -> proxy.Route:
    path, regex = (match.path.exact or "", match.path.regex or "") if match.path else ("", "")
    # A gateway's route may name a host alone.
    prefix = "" if path or regex else match.prefix or "/"
    host, suffix = _hostname(match.hostname if isinstance(match, GatewayHttpMatch) else None)
    conditions = Conditions(
        path=path,
        regex=regex,
        host=host,
        host_suffix=suffix,
        method=match.method.value if match.method else "",
        scheme=match.scheme.value if match.scheme else "",
        headers=tuple(map(_header, match.headers)),
        query_parameters=tuple(
            QueryCondition(each.name, each.match.exact if each.match else "") for each in match.query_parameters
        ),
        port=match.port or 0,
    )
    return proxy.Route(prefix, "", conditions=conditions)


def _grpc(match: GrpcMatch | GatewayGrpcMatch) -> proxy.Route:
    """A call's path is ``/SERVICE/METHOD`` (gRPC over HTTP/2, Requests)."""
    path = f"/{match.service_name}/{match.method_name}" if match.service_name and match.method_name else ""
    prefix = f"/{match.service_name}/" if match.service_name else "/"
    host, suffix = _hostname(getattr(match, "hostname", None))
    conditions = Conditions(
        path=path,
        host=host,
        host_suffix=suffix,
        headers=tuple(map(_header, match.metadata)),
        grpc=True,
        port=match.port or 0,
    )
    return proxy.Route("" if path else prefix, "", conditions=conditions)


def _hostname(match: HostnameMatch | None) -> tuple[str, str]:
    return ((match.exact or "").lower(), (match.suffix or "").lower()) if match else ("", "")


def _header(header: HeaderMatch) -> HeaderCondition:
    name, match = header.name.lower(), header.match
    if match is None:
        return HeaderCondition(name, invert=header.invert)
    if match.range:
        return HeaderCondition(
            name, MatchKind.RANGE, start=match.range.start, end=match.range.end, invert=header.invert
        )
    for kind in (MatchKind.EXACT, MatchKind.PREFIX, MatchKind.SUFFIX, MatchKind.REGEX):
        if value := getattr(match, kind.value):
            return HeaderCondition(name, kind, value, invert=header.invert)
    return HeaderCondition(name, invert=header.invert)
