"""Who calls whom: what a proxy's backends and gateway routes come to, down to the virtual nodes that answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from meshcert.mesh.proxies import DeclaredBackend, VirtualGateway

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshcert.mesh.proxies import ClientTls, VirtualNode
    from meshcert.mesh.routing.gateway_routes import GatewayRoute, GatewayTarget
    from meshcert.mesh.routing.routers import RouterRoute, VirtualRouter, WeightedTarget
    from meshcert.mesh.routing.virtual_services import VirtualService

    Services = Mapping[str, VirtualService]
    Routers = Mapping[str, VirtualRouter]


class Call(NamedTuple):
    """
    A virtual node that a proxy calls.

    Args:
        caller: Place of the calling proxy.
        proxy: The calling proxy.
        place: Place of the backend, or of the gateway route that stands for it.
        backend: How it is called.
        node: Name of the virtual node; it may not exist.
    """

    caller: str
    proxy: VirtualGateway | VirtualNode
    place: str
    backend: DeclaredBackend
    node: str

    @property
    def declared_tls(self) -> ClientTls | None:
        """What the file says of the call's TLS; None says nothing (:meth:`meshcert.mesh.mesh.Mesh.tls_of`)."""
        return self.proxy.client_tls(self.backend)

    @property
    def policy_place(self) -> str:
        """Place of what the file says, or could say, of the call's TLS."""
        is_own = self.backend.client_policy or not self.declared_tls
        return f"{self.place if is_own else f'{self.caller}.backend_defaults'}.client_policy.tls"


def backends_of(place: str, proxy: VirtualGateway | VirtualNode) -> Iterator[tuple[str, DeclaredBackend]]:
    """The backends of a proxy with their places: those that it lists, then those that only its gateway routes name."""
    for index, backend in enumerate(proxy.backends):
        yield f"{place}.backends[{index}]", backend
    if isinstance(proxy, VirtualGateway):
        listed = {backend.virtual_service for backend in proxy.backends}
        for index, route in enumerate(proxy.gateway_routes):
            target = target_of(route)
            if target and target.virtual_service not in listed:
                listed.add(target.virtual_service)
                yield f"{place}.gateway_routes[{index}]", DeclaredBackend(virtual_service=target.virtual_service)


def nodes_behind(backend: DeclaredBackend, services: Services, routers: Routers) -> tuple[str, ...]:
    """The virtual nodes that may answer a backend's requests, each once; they may not exist."""
    if backend.virtual_node:
        return (backend.virtual_node,)
    service = services.get(backend.virtual_service)
    if service is None:
        return ()
    if service.provider.virtual_node:
        return (service.provider.virtual_node,)
    router = routers.get(service.provider.virtual_router)
    routes = router.routes if router else ()
    return tuple(dict.fromkeys(target.virtual_node for route in routes for target in targets_of(route)))


def targets_of(route: RouterRoute) -> tuple[WeightedTarget, ...]:
    """The targets of a router's route; empty if it says nothing."""
    kind = route.http_route or route.http2_route or route.grpc_route or route.tcp_route
    return kind.action.weighted_targets if kind else ()


def target_of(route: GatewayRoute) -> GatewayTarget | None:
    """The target of a gateway route; None if it says nothing."""
    kind = route.http_route or route.http2_route or route.grpc_route
    return kind.action.target if kind else None
