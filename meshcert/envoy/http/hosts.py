"""Virtual hosts (``route.v3.VirtualHost``): which routes are asked, by the host that a request names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.envoy.http.routes import envoy_routes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshcert.envoy.api import Json
    from meshcert.proxy import Route
    from meshcert.timeouts import ProtocolTimeouts

EVERY_HOST = "*"


def virtual_hosts(
    routes: Sequence[Route], protocols: Mapping[str, str], less_specific: ProtocolTimeouts, tries: int
) -> list[Json]:
    """
    A virtual host for each host and each suffix that a route names, and one for all others.

    Envoy chooses the virtual host first: the exact one, else the longest suffix. So that a route of a smaller number
    still comes first, each has every route that takes its hosts, in the same order.

    Args:
        routes: In the order in which they are asked.
        protocols: The protocol of each cluster, by its name.
        less_specific: Limits that hold where a route says none.
        tries: How often a request that surely was not processed is sent at most.
    """
    domains: dict[str, None] = {EVERY_HOST: None}
    for route in routes:
        if route.conditions.host:
            domains[route.conditions.host.lower()] = None
        elif route.conditions.host_suffix:
            domains[f"*{route.conditions.host_suffix.lower()}"] = None
    return [
        {
            "name": "all" if domain == EVERY_HOST else domain,
            "domains": [domain],
            "routes": envoy_routes(
                [route for route in routes if _takes(route, domain)], protocols, less_specific, tries
            ),
        }
        for domain in domains
    ]


def _takes(route: Route, domain: str) -> bool:
    """Whether a route takes every host of a domain."""
    host, suffix = route.conditions.host.lower(), route.conditions.host_suffix.lower()
    if host:
        return host == domain
    if domain.startswith("*"):
        return domain.removeprefix("*").endswith(suffix)
    # As for Envoy, something must stand before a suffix.
    return domain.endswith(suffix) and (not suffix or domain != suffix)
