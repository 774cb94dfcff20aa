"""
Where each listener's requests go (``route.v3.RouteConfiguration``), and how Envoy learns it.

The routes of a route table come by Envoy's Route Discovery Service (RDS), so that they change without a new listener;
all others stand inside their listener.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

from meshcert.envoy.api import ROUTE_CONFIGURATION, Json
from meshcert.envoy.clusters import APPLICATION_CLUSTER
from meshcert.envoy.http.hosts import EVERY_HOST, virtual_hosts
from meshcert.envoy.http.retries import retry_policy
from meshcert.envoy.http.routes import APPLICATION_TRIES, TASKS_TRIED, envoy_routes, in_order_asked
from meshcert.envoy.http.timeouts import route_timeouts
from meshcert.envoy.http.undeclared import ROUTE_METADATA, UNDECLARED_CLUSTER
from meshcert.envoy.secrets import resource_source
from meshcert.proxy import Route
from meshcert.timeouts import ProtocolTimeouts, Timeouts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcert.envoy.addresses import Addresses
    from meshcert.proxy import Listener, ProxySettings, WayOut

EGRESS_LISTENER = "egress"
"""Name of the egress listener, and of its counters (``http.egress.*``)."""
FORBIDDEN = 403
CLIENT_CERT_SPELLINGS = tuple(
    f"x{first}forwarded{second}client{third}cert" for first, second, third in product("-_", repeat=3)
)[1:]
"""
Other spellings of ``x-forwarded-client-cert``, which no client may send.

Envoy knows only its own and lets these pass. CGI's and WSGI's variables make one name of all of them (RFC 3875,
4.1.18), so an application would take the client's word for the proxy's.
"""


def _refusal(sentence: str) -> Json:
    return {"direct_response": {"status": FORBIDDEN, "body": {"inline_string": f"{sentence}\n"}}}


_NO_TUNNELS: Json = {"match": {"connect_matcher": {}}, "direct_response": {"status": FORBIDDEN}}
"""Envoy leaves the body of such an answer out."""


def listener_name(port: int) -> str:
    """Name and ``stat_prefix`` of the listener on a port; its counters are ``listener.ingress_<port>.ssl.*``."""
    return f"ingress_{port}"


def filter_chain_name(port: int, *, tls: bool) -> str:
    """Name of the listener's filter chain for TLS, or for plain text, in Envoy's counters (``stat_prefix``)."""
    return f"{listener_name(port)}_{'tls' if tls else 'plain'}"


def local_listener_name(port: int) -> str:
    """Name and ``stat_prefix`` of the listener on a ``local_port``."""
    return f"local_{port}"


def routed(name: str, settings: ProxySettings, addresses: Addresses, configuration: Json) -> Json:
    """
    The field of ``HttpConnectionManager`` that says where requests go: ``rds`` or ``route_config``.

    Args:
        name: Of the route configuration if it is delivered.
        configuration: What stands in the listener if it is not.
    """
    if not settings.route_table:
        return {"route_config": configuration}
    # Envoy waits for the first ones without limit.
    source = resource_source(name, settings, addresses.routes_directory, "0s")
    return {"rds": {"route_config_name": name, "config_source": source}}


def route_names(settings: ProxySettings) -> tuple[str, ...]:
    """The names of the route configurations that are delivered; none without a route table."""
    return tuple(name for name, _ in _delivered(settings)) if settings.route_table else ()


def route_configurations(settings: ProxySettings) -> dict[str, Json]:
    """
    The route configurations that are delivered, by their names.

    ``validate_clusters`` has Envoy refuse a route to a cluster that it does not have; otherwise it would answer 503.

    Args:
        settings: With the route table's routes in their places.
    """
    return {
        name: {"@type": ROUTE_CONFIGURATION, **configuration, "name": name, "validate_clusters": True}
        for name, configuration in _delivered(settings)
    }


def ingress_routes(name: str, listener: Listener, settings: ProxySettings) -> Json:
    """Those of a listener for clients: a gateway's own routes, or the one way to a node's application."""
    protocols = {backend.name: backend.protocol for backend in settings.backends}
    protocols[APPLICATION_CLUSTER] = protocols.get(APPLICATION_CLUSTER, listener.protocol)
    own = settings.routes if settings.is_gateway else (Route("/", APPLICATION_CLUSTER),)
    routes = [
        route._replace(conditions=route.conditions._replace(port=0))
        for route in in_order_asked(own)
        if route.conditions.port in (0, listener.port)
    ]
    tries = TASKS_TRIED if settings.is_gateway else APPLICATION_TRIES
    return {
        "name": name,
        # Envoy passes this header of its own on when a client sends it, and sets it where a route rewrites a path.
        # What a client sends is made up.
        "request_headers_to_remove": ["x-envoy-original-path", *CLIENT_CERT_SPELLINGS],
        "ignore_port_in_host_matching": True,
        "virtual_hosts": virtual_hosts(routes, protocols, listener.timeouts, tries),
    }


def egress_routes(settings: ProxySettings) -> Json:
    """Those of the egress listener: by the host that a request names, whatever port it names."""
    hosts = [_virtual_host(way, list(way.hosts), settings) for way in settings.ways_out if way.hosts]
    others = [_others_passed_on(settings)] if settings.egress_allow_all else [_others_refused(settings)]
    if settings.egress_allow_all and (elsewhere := _hosts_of_other_ways(settings)):
        others.append(
            _refusing(
                "elsewhere",
                elsewhere,
                f"this host belongs to a backend of virtual node {settings.name} that has another way: call it at its "
                f"local_port, or by the name under virtual_nodes.{settings.name}.backends in the mesh file",
            )
        )
    return _outbound(EGRESS_LISTENER, [*hosts, *others])


def _others_refused(settings: ProxySettings) -> Json:
    return _refusing(
        "refused",
        [EVERY_HOST],
        f"this host is no backend of virtual node {settings.name}: "
        f"declare it under virtual_nodes.{settings.name}.backends in the mesh file",
    )


def _others_passed_on(settings: ProxySettings) -> Json:
    """The virtual host for what is no backend. Whoever writes ``https`` is not to be passed on in plain text."""
    over_tls = {"prefix": "/", "headers": [{"name": ":scheme", "string_match": {"exact": "https"}}]}
    passed_on = {
        "cluster": UNDECLARED_CLUSTER,
        **route_timeouts("http", Timeouts()),
        "retry_policy": retry_policy(APPLICATION_TRIES, None),
    }
    return {
        "name": "undeclared",
        "domains": [EVERY_HOST],
        "routes": [
            _NO_TUNNELS,
            {
                "match": over_tls,
                **_refusal(
                    f"this host is no backend of virtual node {settings.name}, and would be sent in plain text what is "
                    "to go over TLS: call it without the proxy, or declare it in the mesh file"
                ),
            },
            {"match": {"prefix": "/"}, "metadata": ROUTE_METADATA, "route": passed_on},
        ],
    }


def _hosts_of_other_ways(settings: ProxySettings) -> list[str]:
    """
    Names of backends that lead nowhere at the egress listener: of ``tcp`` ones, and of nodes behind a router.

    What is declared is never passed on in plain text as if it were not.
    """
    led = {host.lower() for way in settings.ways_out for host in way.hosts}
    declared = [name for backend in settings.backends for name in (backend.host, backend.name)]
    declared += [way.backend for way in settings.ways_out]
    return [host for host in dict.fromkeys(map(str.lower, declared)) if host not in led]


def _refusing(name: str, domains: list[str], sentence: str) -> Json:
    return {
        "name": name,
        "domains": domains,
        "routes": [_NO_TUNNELS, {"match": {"prefix": "/"}, **_refusal(sentence)}],
    }


def local_routes(way: WayOut, settings: ProxySettings) -> Json:
    """Those of a listener on a ``local_port``: everything to one backend."""
    return _outbound(local_listener_name(way.local_port), [_virtual_host(way, ["*"], settings)])


def _delivered(settings: ProxySettings) -> Iterator[tuple[str, Json]]:
    for listener in settings.listeners if settings.is_gateway else ():
        if listener.protocol != "tcp":
            name = listener_name(listener.port)
            yield name, ingress_routes(name, listener, settings)
    if settings.egress_port:
        yield EGRESS_LISTENER, egress_routes(settings)
    for way in settings.ways_out:
        if way.local_port and way.is_http:
            yield local_listener_name(way.local_port), local_routes(way, settings)


def _outbound(name: str, hosts: list[Json]) -> Json:
    return {"name": name, "ignore_port_in_host_matching": True, "virtual_hosts": hosts}


def _virtual_host(way: WayOut, domains: list[str], settings: ProxySettings) -> Json:
    protocols = {backend.name: backend.protocol for backend in settings.backends}
    return {
        "name": way.backend,
        "domains": domains,
        "routes": [_NO_TUNNELS, *envoy_routes(way.routes, protocols, ProtocolTimeouts(), TASKS_TRIED)],
    }
