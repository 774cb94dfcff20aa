"""Routes of routers and gateways as settings of a proxy: in the order in which Envoy asks them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert import proxy
from meshcert.mesh.calls import target_of, targets_of
from meshcert.mesh.proxies import DeclaredBackend
from meshcert.mesh.routing.composition import composed
from meshcert.mesh.routing.conditions import conditions_of
from meshcert.mesh.routing.gateway_routes import DefaultRewrite, GatewayHttpAction
from meshcert.mesh.routing.limits import RequestTimeouts
from meshcert.mesh.routing.order import RankedRoute, in_order
from meshcert.mesh.routing.retries import GrpcRetryPolicy
from meshcert.routes import Retries, Rewriting, Target
from meshcert.timeouts import DEFAULT_TIMEOUTS, Timeouts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meshcert.mesh.mesh import Mesh
    from meshcert.mesh.proxies import VirtualGateway
    from meshcert.mesh.routing.gateway_routes import GatewayRoute
    from meshcert.mesh.routing.limits import SessionTimeouts
    from meshcert.mesh.routing.retries import HttpRetryPolicy
    from meshcert.mesh.routing.routers import RouterRoute, VirtualRouter

DEFAULT_VALUE = "/"
"""What takes the place of a prefix that a gateway route matches, unless it says something else (App Mesh)."""


def ranked_routes(place: str, routes: Iterable[RouterRoute | GatewayRoute]) -> tuple[RankedRoute, ...]:
    """Routes with what their order depends on. ``place``: of their list in the mesh file."""
    return tuple(
        RankedRoute(f"{place}[{index}]", route.name, route.priority, conditions_of(route))
        for index, route in enumerate(routes)
    )


def front_of(route: GatewayRoute) -> proxy.Route:
    """What a gateway route takes, and what becomes of it, App Mesh's defaults applied; without a target."""
    matched = conditions_of(route)
    kind = route.http_route or route.http2_route or route.grpc_route
    if kind is None:
        return matched
    rewrite = kind.action.rewrite
    keeps_host = rewrite.hostname and rewrite.hostname.default_target_hostname is DefaultRewrite.DISABLED
    change = Rewriting(host="" if keeps_host else kind.action.target.virtual_service)
    if isinstance(kind.action, GatewayHttpAction):
        change = change._replace(**_path_change(kind.action, matched.prefix if _says_prefix(route) else ""))
    return matched._replace(rewriting=change)


def backend_routes(mesh: Mesh, backend: DeclaredBackend, port: int = 0) -> tuple[proxy.Route, ...]:
    """
    The routes to a backend: one to its virtual node, or those of its router.

    Args:
        mesh: A mesh without faults.
        port: Port of a router's listener: only its routes, and they do not ask for the port.
    """
    service = mesh.virtual_services.get(backend.virtual_service)
    if service is None or service.provider.virtual_node:
        node = service.provider.virtual_node if service else backend.virtual_node
        return (proxy.Route("/", node, _limits(mesh, (node,), Timeouts(), backend)),)
    router = mesh.virtual_routers[service.provider.virtual_router]
    return tuple(_router_routes(mesh, backend, router, port))


def gateway_routes(mesh: Mesh, gateway: VirtualGateway) -> tuple[proxy.Route, ...]:
    """
    A gateway's routes to the nodes behind its virtual services.

    Where a gateway route's router takes a request by none of its routes, the answer is 404: no other gateway route is
    asked.

    Args:
        mesh: A mesh without faults.

    Raises:
        NotComposable: If Envoy has no route for a gateway route and a route behind it.
    """
    routes: list[proxy.Route] = []
    declared = {f"[{index}]": route for index, route in enumerate(gateway.gateway_routes)}
    for ranked in in_order(ranked_routes("", gateway.gateway_routes)):
        front = _at_listener(front_of(declared[ranked.place]), gateway)
        behind = _routes_behind(mesh, gateway, declared[ranked.place])
        found = [route for each in behind if (route := composed(front, each))]
        routes += found
        if not any(route.prefix == front.prefix and route.conditions == front.conditions for route in found):
            routes.append(front._replace(rewriting=Rewriting()))
    return tuple(routes)


def _at_listener(front: proxy.Route, gateway: VirtualGateway) -> proxy.Route:
    """With its listener's port, always: such a route is never short, so it stays where the order has put it."""
    port = front.conditions.port or gateway.listeners[0].port_mapping.port
    return front._replace(conditions=front.conditions._replace(port=port))


def _routes_behind(mesh: Mesh, gateway: VirtualGateway, route: GatewayRoute) -> tuple[proxy.Route, ...]:
    target = target_of(route)
    if target is None:
        return ()
    listed = [backend for backend in gateway.backends if backend.virtual_service == target.virtual_service]
    backend = listed[0] if listed else DeclaredBackend(virtual_service=target.virtual_service)
    return backend_routes(mesh, backend, target.port or _first_port(mesh, target.virtual_service))


def _first_port(mesh: Mesh, service: str) -> int:
    router = mesh.virtual_routers.get(mesh.virtual_services[service].provider.virtual_router)
    return router.listeners[0].port_mapping.port if router else 0


def _router_routes(mesh: Mesh, backend: DeclaredBackend, router: VirtualRouter, port: int) -> Iterator[proxy.Route]:
    declared = {f"[{index}]": route for index, route in enumerate(router.routes)}
    asks_for_port = not port and len(router.listeners) > 1
    for ranked in in_order(ranked_routes("", router.routes)):
        route, conditions = declared[ranked.place], ranked.route.conditions
        if port and conditions.port not in (0, port):
            continue
        weights: dict[str, int] = {}
        for target in targets_of(route):
            weights[target.virtual_node] = weights.get(target.virtual_node, 0) + target.weight
        shares = tuple(Target(node, weight) for node, weight in weights.items() if weight)
        yield ranked.route._replace(
            conditions=conditions if asks_for_port else conditions._replace(port=0),
            backend=shares[0].backend if len(shares) == 1 else "",
            targets=shares if len(shares) > 1 else (),
            timeouts=_limits(mesh, [share.backend for share in shares], _own_limits(route), backend),
            retries=_retries(route),
        )


def _limits(mesh: Mesh, nodes: Iterable[str], own: Timeouts, backend: DeclaredBackend) -> Timeouts:
    """
    The limits of the most specific place that says something: route, backend, the nodes' listeners.

    Where several nodes share the requests, none is cut earlier than its own listener would: the longest holds.
    """
    listeners = [mesh.virtual_nodes[node].listeners[0] for node in nodes]
    protocol = listeners[0].port_mapping.protocol.value
    said = [listener.timeout.by_protocol.of(protocol) for listener in listeners]
    longest = said[0] if len(said) == 1 else _longest([each.otherwise(DEFAULT_TIMEOUTS[protocol]) for each in said])
    return own.otherwise(backend.timeout.by_protocol.of(protocol)).otherwise(longest)


def _longest(limits: list[Timeouts]) -> Timeouts:
    return Timeouts(*(0.0 if 0 in each else max(limit or 0.0 for limit in each) for each in zip(*limits, strict=True)))


def _own_limits(route: RouterRoute) -> Timeouts:
    kind = route.http_route or route.http2_route or route.grpc_route or route.tcp_route
    if kind is None:
        return Timeouts()
    said: RequestTimeouts | SessionTimeouts = kind.timeout
    if isinstance(said, RequestTimeouts):
        return Timeouts(said.per_request, said.idle, said.stream)
    return Timeouts(idle_s=said.idle)


def _retries(route: RouterRoute) -> Retries | None:
    kind = route.http_route or route.http2_route or route.grpc_route
    policy: HttpRetryPolicy | None = kind.retry_policy if kind else None
    if policy is None:
        return None
    grpc = policy.grpc_retry_events if isinstance(policy, GrpcRetryPolicy) else ()
    events = (*policy.http_retry_events, *policy.tcp_retry_events, *grpc)
    return Retries(policy.max_retries, policy.per_retry_timeout, tuple(dict.fromkeys(event.value for event in events)))


def _says_prefix(route: GatewayRoute) -> bool:
    kind = route.http_route or route.http2_route
    return bool(kind and kind.match.prefix)


def _path_change(action: GatewayHttpAction, prefix: str) -> dict[str, str]:
    rewrite = action.rewrite
    if rewrite.path:
        return {"path": rewrite.path.exact}
    said = rewrite.prefix
    if not prefix or (said and said.default_prefix is DefaultRewrite.DISABLED):
        return {}
    value = (said.value if said else None) or DEFAULT_VALUE
    return {} if prefix == value else {"prefix": prefix, "value": value}
