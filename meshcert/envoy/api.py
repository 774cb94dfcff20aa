"""The ``@type`` of every Envoy message used here, and the form of a typed extension."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
"""One JSON object of Envoy's API."""

_PREFIX = "type.googleapis.com/envoy.extensions."

LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"
SECRET = f"{_PREFIX}transport_sockets.tls.v3.Secret"
DOWNSTREAM_TLS = f"{_PREFIX}transport_sockets.tls.v3.DownstreamTlsContext"
UPSTREAM_TLS = f"{_PREFIX}transport_sockets.tls.v3.UpstreamTlsContext"
SPIFFE_VALIDATOR = f"{_PREFIX}transport_sockets.tls.v3.SPIFFECertValidatorConfig"
TLS_INSPECTOR = f"{_PREFIX}filters.listener.tls_inspector.v3.TlsInspector"
HTTP_CONNECTION_MANAGER = f"{_PREFIX}filters.network.http_connection_manager.v3.HttpConnectionManager"
TCP_PROXY = f"{_PREFIX}filters.network.tcp_proxy.v3.TcpProxy"
ROUTER = f"{_PREFIX}filters.http.router.v3.Router"
PREVIOUS_HOSTS = f"{_PREFIX}retry.host.previous_hosts.v3.PreviousHostsPredicate"
HTTP_PROTOCOL_OPTIONS = f"{_PREFIX}upstreams.http.v3.HttpProtocolOptions"
STDOUT_ACCESS_LOG = f"{_PREFIX}access_loggers.stream.v3.StdoutAccessLog"
CEL_FILTER = f"{_PREFIX}access_loggers.filters.cel.v3.ExpressionFilter"
DNS_CLUSTER = f"{_PREFIX}clusters.dns.v3.DnsCluster"
DYNAMIC_CLUSTER = f"{_PREFIX}clusters.dynamic_forward_proxy.v3.ClusterConfig"
DYNAMIC_FILTER = f"{_PREFIX}filters.http.dynamic_forward_proxy.v3.FilterConfig"
RBAC = f"{_PREFIX}filters.http.rbac.v3.RBAC"
MTLS_AUTHENTICATED = f"{_PREFIX}rbac.principals.mtls_authenticated.v3.Config"
NETWORK_RBAC = f"{_PREFIX}filters.network.rbac.v3.RBAC"
URI_SAN_INPUT = f"{_PREFIX}matching.common_inputs.ssl.v3.UriSanInput"
RBAC_ACTION = "type.googleapis.com/envoy.config.rbac.v3.Action"
UPSTREAM_ADDRESS = f"{_PREFIX}rbac.matchers.upstream_ip_port.v3.UpstreamIpPortMatcher"
CARES_RESOLVER = f"{_PREFIX}network.dns_resolver.cares.v3.CaresDnsResolverConfig"
DOWNSTREAM_CONNECTIONS = f"{_PREFIX}resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"

ROUTE_CONFIGURATION = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
CLUSTER_LOAD_ASSIGNMENT = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"


def extension(name: str, type_url: str, **fields: Any) -> Json:
    """``core.v3.TypedExtensionConfig``: a name and a ``typed_config`` of one type."""
    return {"name": name, "typed_config": {"@type": type_url, **fields}}


def duration(seconds: float) -> str:
    """``google.protobuf.Duration`` in its JSON form: decimal, nine places at most, for example ``0.2s``."""
    return f"{seconds:.9f}".rstrip("0").removesuffix(".") + "s"
