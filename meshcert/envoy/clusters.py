"""The clusters that a proxy sends requests to: its application, or the backends that Cloud Map knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.envoy.addresses import Addresses, socket_address
from meshcert.envoy.api import DNS_CLUSTER, HTTP_PROTOCOL_OPTIONS, Json, duration, extension
from meshcert.envoy.connection_cap import left_connections
from meshcert.envoy.endpoints import endpoint_source
from meshcert.envoy.host_health import host_health
from meshcert.envoy.secrets import SDS_CLUSTER, secret_source
from meshcert.envoy.tls import upstream_socket

if TYPE_CHECKING:
    from meshcert.host_policies import ConnectionPool
    from meshcert.proxy import Backend, ProxySettings

APPLICATION_CLUSTER = "application"
"""Name of a virtual node's cluster for the application in the same task."""

CONNECT_TIMEOUT_S = 2.0
DNS_REFRESH_S = 1.0
"""
Interval at which a backend's addresses are queried, seconds.

Short, because it adds to Cloud Map's TTL in the time a stopping task must go on accepting. The VPC's resolver takes
1,024 queries a second from each network interface.
"""
BACKEND_IDLE_S = 60.0
"""An idle connection to a backend is closed after this, long before the backend's own Envoy would (one hour): a
request never meets a connection that is just being closed."""
APPLICATION_IDLE_SHARE = 0.5
"""The same for the application: a share of the time for which it keeps an idle connection (gunicorn 2 s, Node 5)."""
NO_LIMIT = 100_000
"""More than a proxy can have at once: ``MAX_DOWNSTREAM_CONNECTIONS`` limits it earlier."""
MIN_RETRY_CONCURRENCY = 1_000
"""Number of requests that may be retried at once, however few are active."""


def application_cluster(settings: ProxySettings, addresses: Addresses) -> Json:
    """
    The cluster of a virtual node's own application: plain text on the loopback address.

    It speaks HTTP/2 if a listener is ``http2`` or ``grpc``, otherwise HTTP/1.1.
    """
    protocols = {listener.protocol for listener in settings.listeners}
    protocol = "http2" if protocols & {"http2", "grpc"} else "http"
    cluster = _cluster(APPLICATION_CLUSTER, addresses.loopback, settings.application_port) | {"type": "STATIC"}
    cluster["circuit_breakers"] = {"thresholds": [_circuit_breaker() | _pool(settings.connection_pool)]}
    if protocols != {"tcp"}:
        idle_s = APPLICATION_IDLE_SHARE * settings.application_keep_alive_s
        cluster |= _http_protocol_options(protocol, idle_s, settings.max_connection_duration_s)
    return cluster


def backend_cluster(backend: Backend, settings: ProxySettings, addresses: Addresses) -> Json:
    """The cluster of one backend: its hosts are the tasks that Cloud Map's API names, or the addresses of its host."""
    cluster: Json = {
        **(_found_by_api(backend, settings, addresses) if backend.cloud_map_service else _found_by_dns(backend)),
        "ignore_health_on_host_removal": True,
    }
    if backend.tls is not None:
        cluster["transport_socket"] = upstream_socket(backend, backend.tls, secret_source(settings, addresses))
    if backend.protocol != "tcp":
        cluster |= _http_protocol_options(backend.protocol, BACKEND_IDLE_S, settings.max_connection_duration_s)
    return cluster


def _found_by_api(backend: Backend, settings: ProxySettings, addresses: Addresses) -> Json:
    """The part of an EDS cluster."""
    source = endpoint_source(backend.name, settings, addresses)
    return {
        **limits(backend.name),
        "type": "EDS",
        "eds_cluster_config": {"eds_config": source},
        **host_health(backend),
    }


def _found_by_dns(backend: Backend) -> Json:
    """
    The part of a DNS cluster (``clusters.dns.v3.DnsCluster``).

    Of one host each new connection takes the first address of the last answer, and connections to addresses that DNS
    names no more live on (Envoy's LOGICAL_DNS): load balancers and CDNs answer differently each time.
    """
    is_judged = backend.outlier_detection or backend.health_check
    return _cluster(backend.name, backend.host, backend.port) | {
        **(host_health(backend) if is_judged else {}),
        "cluster_type": extension(
            "envoy.clusters.dns",
            DNS_CLUSTER,
            dns_lookup_family="V4_ONLY",
            dns_refresh_rate=duration(DNS_REFRESH_S),
            **({"all_addresses_in_single_endpoint": True} if backend.one_host else {}),
            dns_failure_refresh_rate={"base_interval": "0.2s", "max_interval": duration(DNS_REFRESH_S)},
        ),
    }


def sds_cluster(socket_path: str, name: str = SDS_CLUSTER) -> Json:
    """A cluster that serves secrets, and ours endpoints too: HTTP/2 on a Unix socket of the task."""
    endpoint = {"endpoint": {"address": {"pipe": {"path": socket_path}}}}
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": duration(CONNECT_TIMEOUT_S),
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": HTTP_PROTOCOL_OPTIONS,
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        },
    }


def _cluster(name: str, host: str, port: int) -> Json:
    endpoint = {"endpoint": {"address": socket_address(host, port)}}
    assignment = {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]}
    return {**limits(name), "load_assignment": assignment}


def limits(name: str) -> Json:
    """Fields of every cluster: its name, and circuit breakers that never open."""
    return {
        "name": name,
        "connect_timeout": duration(CONNECT_TIMEOUT_S),
        "circuit_breakers": {"thresholds": [_circuit_breaker()]},
    }


def _circuit_breaker() -> Json:
    """
    ``cluster.v3.CircuitBreakers.Thresholds`` that never open: a sidecar must not limit its service.

    Envoy's defaults are 1,024 connections and requests, and 3 retries at once. With 3, if four callers meet a stopped
    backend at the same moment, one gets 503 although other backends would have answered.
    """
    return {
        "max_connections": NO_LIMIT,
        "max_pending_requests": NO_LIMIT,
        "max_requests": NO_LIMIT,
        "retry_budget": {"budget_percent": {"value": 100}, "min_retry_concurrency": MIN_RETRY_CONCURRENCY},
    }


def _pool(pool: ConnectionPool) -> Json:
    """The declared limits; they protect the application, so what is over them gets 503 at once."""
    return {name: limit for name, limit in pool._asdict().items() if limit}


def spoken_as_asked(idle_s: float) -> Json:
    """``Cluster.typed_extension_protocol_options`` for hosts that speak what their clients do."""
    return {
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": HTTP_PROTOCOL_OPTIONS,
                "common_http_protocol_options": {"idle_timeout": duration(idle_s)},
                # Envoy takes no dynamic cluster without; in plain text they do nothing.
                "upstream_http_protocol_options": {"auto_sni": True, "auto_san_validation": True},
                "use_downstream_protocol_config": {"http_protocol_options": {}, "http2_protocol_options": {}},
            }
        }
    }


def _http_protocol_options(protocol: str, idle_s: float, max_connection_duration_s: float) -> Json:
    """``Cluster.typed_extension_protocol_options``; only new connections see a new certificate, hence the limit."""
    version: Json = {"http_protocol_options": {}} if protocol == "http" else {"http2_protocol_options": {}}
    return {
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": HTTP_PROTOCOL_OPTIONS,
                "common_http_protocol_options": {
                    "idle_timeout": duration(idle_s),
                    **left_connections(max_connection_duration_s),
                },
                "explicit_http_config": version,
            }
        }
    }
