"""
The fields of each kind of resource.

When the mesh file learns a field, its line moves from :func:`lost` to :func:`kept`, and ``converting/`` writes it.
"""

from __future__ import annotations

from meshcert.appmesh.fields.field import AppMeshField, ValueKind, changed, kept, lost
from meshcert.appmesh.fields.routes import gateway_routes, routes
from meshcert.appmesh.fields.tls import client_policy, listener_tls
from meshcert.appmesh.resources import ResourceKind

_TEXT, _WHOLE, _DURATION = ValueKind.TEXT, ValueKind.WHOLE, ValueKind.DURATION
_ADDRESSES = "addresses are IPv4"
_POOL = "a gateway has no limits of its own: Envoy's hold"
_NODE, _GATEWAY, _ROUTER = "virtual_nodes.NAME", "virtual_gateways.NAME", "virtual_routers.NAME"


def _node() -> tuple[AppMeshField, ...]:
    port, discovery = "listeners[].portMapping.port", "mesh.namespace, services.NAME"
    found = "a service is found at SERVICE.NAMESPACE, through Cloud Map's API"
    return (
        changed(
            port,
            _WHOLE,
            f"services.NAME.application.port, {_NODE}.listeners.port_mapping.port",
            "the application keeps it; Envoy, which intercepts nothing, listens beside it at another",
        ),
        kept("listeners[].portMapping.protocol", _TEXT, f"{_NODE}.listeners.port_mapping.protocol"),
        *listener_tls(f"{_NODE}.listeners"),
        *(
            kept(
                f"listeners[].timeout.{protocol}.perRequest",
                _DURATION,
                f"{_NODE}.listeners.timeout.{protocol}.per_request",
            )
            for protocol in ("http", "http2", "grpc")
        ),
        *(
            kept(f"listeners[].timeout.{protocol}.idle", _DURATION, f"{_NODE}.listeners.timeout.{protocol}.idle")
            for protocol in ("http", "http2", "grpc", "tcp")
        ),
        *(
            kept(f"listeners[].healthCheck.{key}", kind, f"{_NODE}.listeners.health_check.{written}")
            for key, kind, written in (
                ("protocol", _TEXT, "protocol"),
                ("path", _TEXT, "path"),
                ("intervalMillis", _WHOLE, "interval_millis"),
                ("timeoutMillis", _WHOLE, "timeout_millis"),
                ("healthyThreshold", _WHOLE, "healthy_threshold"),
                ("unhealthyThreshold", _WHOLE, "unhealthy_threshold"),
            )
        ),
        changed(
            "listeners[].healthCheck.port",
            _WHOLE,
            "",
            "it is the listener's own port, as App Mesh demanded: left out",
        ),
        *(
            kept(f"listeners[].connectionPool.{path}", _WHOLE, f"{_NODE}.listeners.connection_pool.{written}")
            for path, written in (
                ("http.maxConnections", "http.max_connections"),
                ("http.maxPendingRequests", "http.max_pending_requests"),
                ("http2.maxRequests", "http2.max_requests"),
                ("grpc.maxRequests", "grpc.max_requests"),
                ("tcp.maxConnections", "tcp.max_connections"),
            )
        ),
        *(
            kept(f"listeners[].outlierDetection.{key}", kind, f"{_NODE}.listeners.outlier_detection.{written}")
            for key, kind, written in (
                ("maxServerErrors", _WHOLE, "max_server_errors"),
                ("interval", _DURATION, "interval"),
                ("baseEjectionDuration", _DURATION, "base_ejection_duration"),
                ("maxEjectionPercent", _WHOLE, "max_ejection_percent"),
            )
        ),
        changed("serviceDiscovery.dns.hostname", _TEXT, discovery, found),
        changed(
            "serviceDiscovery.dns.responseType",
            _TEXT,
            discovery,
            f"{found}: every task of it is known. A host that is not run here keeps it",
        ),
        lost("serviceDiscovery.dns.ipPreference", _ADDRESSES),
        changed("serviceDiscovery.awsCloudMap.namespaceName", _TEXT, discovery, found),
        changed("serviceDiscovery.awsCloudMap.serviceName", _TEXT, discovery, found),
        changed(
            "serviceDiscovery.awsCloudMap.attributes[].key",
            _TEXT,
            discovery,
            "each virtual node has a Cloud Map service of its own, so attributes have nothing to divide",
        ),
        changed(
            "serviceDiscovery.awsCloudMap.attributes[].value",
            _TEXT,
            discovery,
            "each virtual node has a Cloud Map service of its own, so attributes have nothing to divide",
        ),
        lost("serviceDiscovery.awsCloudMap.ipPreference", _ADDRESSES),
        kept("backends[].virtualService.virtualServiceName", _TEXT, f"{_NODE}.backends.virtual_service"),
        *client_policy("backends[].virtualService.clientPolicy", f"{_NODE}.backends.client_policy"),
        *client_policy("backendDefaults.clientPolicy", f"{_NODE}.backend_defaults.client_policy"),
        *_logging(_NODE),
    )


def _gateway() -> tuple[AppMeshField, ...]:
    return (
        kept("listeners[].portMapping.port", _WHOLE, f"{_GATEWAY}.listeners.port_mapping.port"),
        kept("listeners[].portMapping.protocol", _TEXT, f"{_GATEWAY}.listeners.port_mapping.protocol"),
        *listener_tls(f"{_GATEWAY}.listeners"),
        lost("listeners[].healthCheck", "a load balancer's own check finds out whether a gateway's task answers"),
        lost("listeners[].connectionPool", _POOL),
        *client_policy("backendDefaults.clientPolicy", f"{_GATEWAY}.backend_defaults.client_policy"),
        *_logging(_GATEWAY),
    )


def _logging(proxy: str) -> tuple[AppMeshField, ...]:
    file, becomes = "logging.accessLog.file", f"{proxy}.logging.access_log.file"
    return (
        changed(
            f"{file}.path",
            _TEXT,
            f"{becomes}.path",
            "/dev/stdout, whatever it was: the service's log group takes it. Without a format each line is JSON",
        ),
        kept(f"{file}.format.text", _TEXT, f"{becomes}.format.text"),
        kept(f"{file}.format.json[].key", _TEXT, f"{becomes}.format.json.key"),
        kept(f"{file}.format.json[].value", _TEXT, f"{becomes}.format.json.value"),
    )


FIELDS: dict[ResourceKind, tuple[AppMeshField, ...]] = {
    ResourceKind.MESH: (
        kept("egressFilter.type", _TEXT, "mesh.egress_filter"),
        lost("serviceDiscovery.ipPreference", _ADDRESSES),
    ),
    ResourceKind.VIRTUAL_NODE: _node(),
    ResourceKind.VIRTUAL_SERVICE: (
        kept("provider.virtualNode.virtualNodeName", _TEXT, "virtual_services.NAME.provider.virtual_node"),
        kept("provider.virtualRouter.virtualRouterName", _TEXT, "virtual_services.NAME.provider.virtual_router"),
    ),
    ResourceKind.VIRTUAL_ROUTER: (
        kept("listeners[].portMapping.port", _WHOLE, f"{_ROUTER}.listeners.port_mapping.port"),
        kept("listeners[].portMapping.protocol", _TEXT, f"{_ROUTER}.listeners.port_mapping.protocol"),
    ),
    ResourceKind.ROUTE: routes(),
    ResourceKind.VIRTUAL_GATEWAY: _gateway(),
    ResourceKind.GATEWAY_ROUTE: gateway_routes(),
}
"""Every field of the App Mesh API (version 2019-01-25), by the kind of resource."""
