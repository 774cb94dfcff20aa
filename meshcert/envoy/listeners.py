"""The listeners on which a proxy accepts connections, and the handling of their requests."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

from meshcert.envoy.access_log import refused_backends, refused_clients
from meshcert.envoy.addresses import Addresses, socket_address
from meshcert.envoy.api import (
    HTTP_CONNECTION_MANAGER,
    ROUTER,
    TCP_PROXY,
    TLS_INSPECTOR,
    Json,
    duration,
    extension,
)
from meshcert.envoy.clusters import APPLICATION_CLUSTER
from meshcert.envoy.connection_cap import cut_connections, drained_connections
from meshcert.envoy.http.hosts import virtual_hosts
from meshcert.envoy.http.paths import judged_paths
from meshcert.envoy.http.retries import RETRY_PAUSES
from meshcert.envoy.http.routes import APPLICATION_TRIES, CONNECTIONS_TRIED, TASKS_TRIED
from meshcert.envoy.http.spoken import spoken
from meshcert.envoy.http.timeouts import session_timeout
from meshcert.envoy.secrets import secret_source
from meshcert.envoy.tls import downstream_socket
from meshcert.proxy import Route, TlsMode

if TYPE_CHECKING:
    from meshcert.proxy import Listener, ProxySettings

HANDSHAKE_TIMEOUT_S = 10.0
"""Longest time for a TLS handshake, seconds. Envoy has no limit of its own: a silent client would stay connected."""
TCP_EARLY_BYTES = 16_384
"""Bytes that a client may send before its upstream connection is established: one TLS record."""
CLIENT_CERT_SPELLINGS = tuple(
    f"x{first}forwarded{second}client{third}cert" for first, second, third in product("-_", repeat=3)
)[1:]
"""
Other spellings of ``x-forwarded-client-cert``, which no client may send.

Envoy knows only its own and lets these pass. CGI's and WSGI's variables make one name of all of them (RFC 3875,
4.1.18), so an application would take the client's word for the proxy's.
"""


def listener_name(port: int) -> str:
    """Name and ``stat_prefix`` of the listener on a port; its counters are ``listener.ingress_<port>.ssl.*``."""
    return f"ingress_{port}"


def ingress_listener(listener: Listener, settings: ProxySettings, addresses: Addresses) -> Json:
    """One listener (``listener.v3.Listener``) with a filter chain for TLS, for plain text, or for both."""
    name = listener_name(listener.port)
    result: Json = {
        "name": name,
        "stat_prefix": name,
        "traffic_direction": "INBOUND",
        "address": socket_address(addresses.listen, listener.port),
        "access_log": [refused_clients(name, settings)],
    }
    plain: Json = {"filters": [_network_filter(listener, settings, tls=False)]}
    if listener.tls.mode is TlsMode.DISABLED:
        return result | {"filter_chains": [plain]}

    encrypted: Json = {
        "filters": [_network_filter(listener, settings, tls=True)],
        "transport_socket": downstream_socket(listener.tls, listener.protocol, secret_source(settings, addresses)),
        "transport_socket_connect_timeout": duration(HANDSHAKE_TIMEOUT_S),
    }
    if listener.tls.mode is TlsMode.STRICT:
        return result | {"filter_chains": [encrypted]}
    return result | {
        "listener_filters": [extension("envoy.filters.listener.tls_inspector", TLS_INSPECTOR)],
        "filter_chains": [
            {"filter_chain_match": {"transport_protocol": "tls"}, **encrypted},
            {"filter_chain_match": {"transport_protocol": "raw_buffer"}, **plain},
        ],
    }


def _network_filter(listener: Listener, settings: ProxySettings, *, tls: bool) -> Json:
    stat_prefix = f"{listener_name(listener.port)}_{'tls' if tls else 'plain'}"
    if listener.protocol == "tcp":
        return _tcp_proxy(stat_prefix, listener, settings, tls=tls)
    fields: Json = {
        "stat_prefix": stat_prefix,
        **spoken(listener.protocol, settings.name),
        **drained_connections(settings.max_connection_duration_s),
        **judged_paths(settings.routes),
        "use_remote_address": bool(settings.routes),
        "route_config": {
            "name": stat_prefix,
            # Envoy passes this header of its own on when a client sends it, and sets it where a route rewrites a path.
            # What a client sends is made up.
            "request_headers_to_remove": ["x-envoy-original-path", *CLIENT_CERT_SPELLINGS],
            "ignore_port_in_host_matching": True,
            "virtual_hosts": _virtual_hosts(listener, settings),
        },
        "http_filters": [extension("envoy.filters.http.router", ROUTER, **_told_backends("upstream_log", settings))],
    }
    if tls and listener.tls.trust:
        # The application learns who called. A value that the client sends in this header is dropped.
        fields["forward_client_cert_details"] = "SANITIZE_SET"
        fields["set_current_client_cert_details"] = {"subject": True, "uri": True, "dns": True}
    return extension("envoy.filters.network.http_connection_manager", HTTP_CONNECTION_MANAGER, **fields)


def _tcp_proxy(stat_prefix: str, listener: Listener, settings: ProxySettings, *, tls: bool) -> Json:
    """
    ``tcp_proxy.v3.TcpProxy``. Behind TLS, it connects upstream only after the handshake.

    Otherwise a client without a certificate could make the application accept a connection and send its greeting. A
    session keeps its certificates on both sides, even old or revoked ones, until it ends, unless the settings cut it at
    the connection cap.
    """
    cluster = settings.routes[0].backend if settings.routes else APPLICATION_CLUSTER
    fields: Json = {
        "stat_prefix": stat_prefix,
        "cluster": cluster,
        **session_timeout(listener.timeouts.tcp),
        **_told_backends("access_log", settings),
    }
    if cluster != APPLICATION_CLUSTER:
        fields |= {"max_connect_attempts": CONNECTIONS_TRIED, "backoff_options": RETRY_PAUSES}
    certified = tls or any(backend.name == cluster and backend.tls for backend in settings.backends)
    if settings.cut_tcp_sessions and certified:
        fields |= cut_connections(settings.max_connection_duration_s)
    if tls:
        fields["upstream_connect_mode"] = "ON_DOWNSTREAM_TLS_HANDSHAKE"
        fields["max_early_data_bytes"] = TCP_EARLY_BYTES
    return extension("envoy.filters.network.tcp_proxy", TCP_PROXY, **fields)


def _told_backends(field: str, settings: ProxySettings) -> Json:
    """The field with the log of refused backends; empty for a virtual node, which calls only its application."""
    return {field: [refused_backends(settings)]} if settings.routes else {}


def _virtual_hosts(listener: Listener, settings: ProxySettings) -> list[Json]:
    """The virtual hosts of a listener: a gateway's own routes, or the one way to a node's application."""
    protocols = {backend.name: backend.protocol for backend in settings.backends}
    protocols[APPLICATION_CLUSTER] = protocols.get(APPLICATION_CLUSTER, listener.protocol)
    routes = [
        route._replace(conditions=route.conditions._replace(port=0))
        for route in settings.routes or (Route("/", APPLICATION_CLUSTER),)
        if route.conditions.port in (0, listener.port)
    ]
    tries = TASKS_TRIED if settings.routes else APPLICATION_TRIES
    return virtual_hosts(routes, protocols, listener.timeouts, tries)
