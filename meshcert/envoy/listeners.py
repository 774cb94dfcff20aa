"""The listeners on which a proxy accepts connections, and the handling of their requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.envoy.access_log import refused_backends, refused_clients, refused_ids, refused_requests
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
from meshcert.envoy.http.allow_rules import allow_filters, refusal_answer
from meshcert.envoy.http.paths import judged_paths
from meshcert.envoy.http.request_log import request_log
from meshcert.envoy.http.retries import RETRY_PAUSES
from meshcert.envoy.http.route_configurations import filter_chain_name, ingress_routes, listener_name, routed
from meshcert.envoy.http.routes import CONNECTIONS_TRIED
from meshcert.envoy.http.spoken import spoken
from meshcert.envoy.http.timeouts import session_timeout
from meshcert.envoy.secrets import secret_source
from meshcert.envoy.tls import downstream_socket, sole_uri
from meshcert.proxy import TlsMode
from meshcert.tls_sources import FederatedTrust

if TYPE_CHECKING:
    from meshcert.proxy import Listener, ProxySettings

HANDSHAKE_TIMEOUT_S = 10.0
"""Longest time for a TLS handshake, seconds. Envoy has no limit of its own: a silent client would stay connected."""
TCP_EARLY_BYTES = 16_384
"""Bytes that a client may send before its upstream connection is established: one TLS record."""
SILENT_CLIENT_S = 0.5
"""
How long a PERMISSIVE ``tcp`` listener waits for a client's first bytes, seconds; a silent one is then served in plain
text.

A client of SMTP, MySQL or FTP waits for the server's greeting, and Envoy for its first bytes, which tell TLS from plain
text. Over TLS a client always speaks first.
"""


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
    plain: Json = {"filters": [_network_filter(listener, settings, addresses, tls=False)]}
    if listener.tls.mode is TlsMode.DISABLED:
        return result | {"filter_chains": [plain]}

    encrypted: Json = {
        "filters": [_network_filter(listener, settings, addresses, tls=True)],
        "transport_socket": downstream_socket(listener.tls, listener.protocol, secret_source(settings, addresses)),
        "transport_socket_connect_timeout": duration(HANDSHAKE_TIMEOUT_S),
    }
    if isinstance(listener.tls.trust, FederatedTrust):
        result["access_log"].append(refused_ids(name, settings))
        encrypted["filters"].insert(0, sole_uri(listener.tls.subject_alternative_names, name))
    if listener.tls.mode is TlsMode.STRICT:
        return result | {"filter_chains": [encrypted]}
    return result | {
        "listener_filters": [extension("envoy.filters.listener.tls_inspector", TLS_INSPECTOR)],
        **(_serves_silent_clients() if listener.protocol == "tcp" else {}),
        "filter_chains": [
            {"filter_chain_match": {"transport_protocol": "tls"}, **encrypted},
            {"filter_chain_match": {"transport_protocol": "raw_buffer"}, **plain},
        ],
    }


def _serves_silent_clients() -> Json:
    """Fields of ``Listener``; without them Envoy ends the connection of a client that says nothing for 15 seconds."""
    return {"listener_filters_timeout": duration(SILENT_CLIENT_S), "continue_on_listener_filters_timeout": True}


def _network_filter(listener: Listener, settings: ProxySettings, addresses: Addresses, *, tls: bool) -> Json:
    stat_prefix = filter_chain_name(listener.port, tls=tls)
    if listener.protocol == "tcp":
        return _tcp_proxy(stat_prefix, listener, settings, tls=tls)
    fields: Json = {
        "stat_prefix": stat_prefix,
        **spoken(listener.protocol, settings.name),
        **drained_connections(settings.max_connection_duration_s),
        **judged_paths(settings.routes, settings, allows=bool(listener.allow)),
        **_access_log(listener, settings),
        **refusal_answer(listener.allow, settings),
        "use_remote_address": settings.is_gateway,
        **_routes(stat_prefix, listener, settings, addresses),
        "http_filters": [
            *allow_filters(listener.allow),
            extension("envoy.filters.http.router", ROUTER, **_told_backends("upstream_log", settings)),
        ],
    }
    if tls and listener.tls.trust:
        # The application learns who called. A value that the client sends in this header is dropped.
        fields["forward_client_cert_details"] = "SANITIZE_SET"
        # Envoy quotes no DNS name there, and a foreign CA may sign any text as one: ";URI=" and an ID of ours.
        told = {"dns": True} if not isinstance(listener.tls.trust, FederatedTrust) else {}
        fields["set_current_client_cert_details"] = {"subject": True, "uri": True, **told}
    return extension("envoy.filters.network.http_connection_manager", HTTP_CONNECTION_MANAGER, **fields)


def _access_log(listener: Listener, settings: ProxySettings) -> Json:
    name = listener_name(listener.port)
    fields = request_log(name, settings)
    if listener.allow:
        fields["access_log"] = [refused_requests(name, settings), *fields.get("access_log", ())]
    return fields


def _routes(stat_prefix: str, listener: Listener, settings: ProxySettings, addresses: Addresses) -> Json:
    if not settings.is_gateway:
        return {"route_config": ingress_routes(stat_prefix, listener, settings)}
    # Both filter chains of a PERMISSIVE listener share what is delivered.
    return routed(listener_name(listener.port), settings, addresses, ingress_routes(stat_prefix, listener, settings))


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
    return {field: [refused_backends(settings)]} if settings.is_gateway else {}
