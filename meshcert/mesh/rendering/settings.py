"""Turn the mesh file into the settings of one proxy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshcert import naming, proxy
from meshcert.mesh.host_policies import ResponseType
from meshcert.mesh.part import EgressFilter
from meshcert.mesh.proxies import NodeListener, VirtualGateway
from meshcert.mesh.rendering.routes import backend_routes, gateway_routes
from meshcert.mesh.ways_out import needs_egress_listener, ways_out
from meshcert.timeouts import Timeouts
from meshcert.tls_sources import FederatedTrust

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshcert.mesh import proxies
    from meshcert.mesh.calls import Call
    from meshcert.mesh.mesh import Mesh
    from meshcert.mesh.services import DeclaredService
    from meshcert.mesh.ways_out import DeclaredWayOut
    from meshcert.tls_sources import TlsTrust

_PLAIN = proxy.ListenerTls(mode=proxy.TlsMode.DISABLED)


@dataclass(frozen=True)
class SecretIds:
    """
    The ids of a mesh's secrets: names or ARNs, as Secrets Manager takes them. They are never parsed.

    Args:
        identities: Secrets with material, by identity.
        trust_bundles: Secrets with roots, by hierarchy.
        foreign_bundles: Secrets with roots of foreign trust domains, by trust domain.
    """

    identities: Mapping[str, str]
    trust_bundles: Mapping[str, str]
    foreign_bundles: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def named_by_convention(cls, mesh: Mesh) -> SecretIds:
        """The names that :mod:`meshcert.naming` gives them."""
        return cls(
            identities={name: naming.identity_secret(mesh.name, name) for name in mesh.identities},
            trust_bundles={name: naming.trust_bundle_secret(mesh.name, name) for name in mesh.hierarchies},
            foreign_bundles={name: naming.foreign_bundle_secret(mesh.name, name) for name in mesh.trust_domains},
        )


def services_by_identity(mesh: Mesh) -> dict[str, list[str]]:
    """
    The services whose proxies hold each identity, in the mesh file's order; an identity that none holds is not there.

    Args:
        mesh: A mesh that :func:`~meshcert.mesh.load_mesh` has checked.
    """
    services: dict[str, list[str]] = {}
    for service in mesh.services:
        for identity in proxy_settings(mesh, service).identities:
            services.setdefault(identity, []).append(service)
    return services


def proxy_settings(mesh: Mesh, service: str, secrets: SecretIds | None = None) -> proxy.ProxySettings:
    """
    The settings of a service's Envoy, with only the secrets that it needs.

    Args:
        mesh: A mesh that :func:`~meshcert.mesh.load_mesh` has checked.
        secrets: Ids of the secrets; None for those of the naming convention.

    Raises:
        KeyError: If there is no such service, or ``secrets`` lacks one that its proxy needs.
    """
    declared = mesh.services[service]
    secrets = secrets or SecretIds.named_by_convention(mesh)
    name = declared.virtual_gateway or declared.virtual_node
    part = mesh.virtual_gateways[name] if declared.virtual_gateway else mesh.virtual_nodes[name]
    listeners = tuple(_listener(mesh, listener) for listener in part.listeners)
    backends = tuple({call.node: _backend(mesh, call) for call in mesh.calls_of(declared.proxy_place, part)}.values())
    routes = _gateway_routes(mesh, part) if isinstance(part, VirtualGateway) else ()
    sides: list[proxy.ListenerTls | proxy.BackendTls] = [listener.tls for listener in listeners]
    sides += [backend.tls for backend in backends if backend.tls]
    trust_domain = _trust_domain(mesh) if declared.workload_api else ()
    return proxy.ProxySettings(
        mesh=mesh.name,
        name=name,
        service=service,
        listeners=listeners,
        identities={
            identity: proxy.SecretReference(secrets.identities[identity], mesh.identities[identity].names)
            for identity in _each_once(side.identity for side in sides)
        },
        trust_bundles={
            hierarchy: proxy.SecretReference(
                secrets.trust_bundles[hierarchy],
                also_trust=mesh.hierarchies[hierarchy].also_trust,
                revocation=mesh.hierarchies[hierarchy].revocation_policy,
            )
            for hierarchy in _each_once((*(side.hierarchy for side in sides), *trust_domain))
        },
        backends=backends,
        routes=routes,
        **_application(declared),
        **(_connection_pool(mesh, name) if declared.virtual_node else {}),
        **(_ways_out(mesh, name) if declared.virtual_node else {}),
        request_log=part.logging.requests,
        metrics_port=mesh.metrics.port if mesh.metrics else 0,
        rotation=declared.rotation,
        delivery=declared.delivery,
        poll_interval_s=mesh.poll_interval_s(service),
        max_connection_duration_s=declared.max_connection_duration_s,
        cut_tcp_sessions=declared.cut_tcp_sessions,
        acknowledgements=naming.acknowledgements_table(mesh.name),
        sds_socket_path=declared.proxy.sds_socket_path,
        trust_domain_bundles=trust_domain,
        foreign_bundles={
            foreign: proxy.SecretReference(secrets.foreign_bundles[foreign])
            for foreign in _each_once(each for side in sides for each in _foreign(side.trust))
        },
        cloud_map_namespace=mesh.http_name if any(map(_is_registered_here, backends)) else "",
        cloud_map_owner=mesh.namespace_owner if any(map(_is_registered_here, backends)) else "",
    )


def _is_registered_here(backend: proxy.Backend) -> bool:
    return bool(backend.cloud_map_service) and backend.remote_namespace is None


def _foreign(trust: TlsTrust) -> tuple[str, ...]:
    return trust.foreign if isinstance(trust, FederatedTrust) else ()


def _trust_domain(mesh: Mesh) -> tuple[str, ...]:
    """The hierarchies that sign SPIFFE IDs: one bundle has all roots of the trust domain, whoever calls whom."""
    return tuple(_each_once(each.hierarchy for each in mesh.everyone if each.spiffe_id))


def _application(service: DeclaredService) -> dict[str, Any]:
    application = service.application
    if application is None:
        return {}
    return {
        "application_port": application.port,
        "application_keep_alive_s": application.keep_alive_s,
        "awaits_application": True,
    }


def _connection_pool(mesh: Mesh, node: str) -> dict[str, Any]:
    pools = [listener.connection_pool for listener in mesh.virtual_nodes[node].listeners if listener.connection_pool]
    return {"connection_pool": pools[0].limits} if pools else {}


def _listener(mesh: Mesh, listener: proxies.GatewayListener | proxies.NodeListener) -> proxy.Listener:
    tls = _PLAIN
    if listener.tls:
        validation = listener.tls.validation
        tls = proxy.ListenerTls(
            mode=listener.tls.mode,
            certificate=listener.tls.certificate.source if listener.tls.certificate else "",
            trust=_trust(mesh, validation.trust) if validation else "",
            subject_alternative_names=validation.names if validation else (),
        )
    return proxy.Listener(
        port=listener.port_mapping.port,
        protocol=listener.port_mapping.protocol.value,
        tls=tls,
        timeouts=listener.timeout.by_protocol,
        allow=tuple(rule.rule for rule in listener.allow) if isinstance(listener, NodeListener) else (),
    )


def _trust(mesh: Mesh, trust: proxies.Trust) -> TlsTrust:
    source = trust.source
    if isinstance(source, FederatedTrust) and source.hierarchy:
        return source._replace(trust_domain=mesh.about.trust_domain)
    return source


def _gateway_routes(mesh: Mesh, gateway: VirtualGateway) -> tuple[proxy.Route, ...]:
    return (*(_route(mesh, gateway, route) for route in gateway.routes), *gateway_routes(mesh, gateway))


def _route(mesh: Mesh, gateway: VirtualGateway, route: proxies.DeclaredRoute) -> proxy.Route:
    """A route with the limits of the most specific place that says something: route, backend, the node's listener."""
    listener = mesh.virtual_nodes[route.virtual_node].listeners[0]
    backend = next(each for each in gateway.backends if each.virtual_node == route.virtual_node)
    timeouts = Timeouts()
    for declared in (route.timeout, backend.timeout, listener.timeout):
        timeouts = timeouts.otherwise(declared.by_protocol.of(listener.port_mapping.protocol.value))
    return proxy.Route(prefix=route.match.prefix, backend=route.virtual_node, timeouts=timeouts)


def _ways_out(mesh: Mesh, node: str) -> dict[str, Any]:
    if not mesh.virtual_nodes[node].backends:
        return {}
    ways = tuple(_way_out(mesh, backend, way) for _, backend, way in ways_out(mesh, node))
    listens = needs_egress_listener(mesh, node)
    return {
        "ways_out": ways,
        "egress_port": mesh.virtual_nodes[node].egress_listener.port if listens else 0,
        "egress_allow_all": mesh.about.egress_filter is EgressFilter.ALLOW_ALL,
    }


def _way_out(mesh: Mesh, backend: proxies.DeclaredBackend, way: DeclaredWayOut) -> proxy.WayOut:
    return proxy.WayOut(
        backend=way.backend,
        hosts=way.hosts,
        protocol=way.port.protocol.value,
        routes=backend_routes(mesh, backend),
        local_port=way.local_port,
    )


def _backend(mesh: Mesh, call: Call) -> proxy.Backend:
    listener, found = mesh.virtual_nodes[call.node].listeners[0], mesh.virtual_nodes[call.node].service_discovery
    port, client = listener.port_mapping, mesh.tls_of(call)
    cloud_map_service, remote_namespace = mesh.registration(call.node)
    tls = None
    if client:
        tls = proxy.BackendTls(
            trust=_trust(mesh, client.validation.trust),
            certificate=client.certificate.source if client.certificate else "",
            subject_alternative_names=client.validation.names,
        )
    return proxy.Backend(
        name=call.node,
        host=mesh.host(call.node),
        port=port.port,
        protocol=port.protocol.value,
        tls=tls,
        cloud_map_service=cloud_map_service,
        outlier_detection=listener.outlier_detection.rule if listener.outlier_detection else None,
        health_check=listener.health_check.rule if listener.health_check else None,
        one_host=bool(found and found.dns.response_type is ResponseType.LOADBALANCER),
        remote_namespace=remote_namespace,
    )


def _each_once(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(name for name in names if name))
