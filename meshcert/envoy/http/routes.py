"""Routes in Envoy's fields: where a request goes, how long it may take, and when it is offered to another task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.envoy.http.matching import route_match
from meshcert.envoy.http.retries import retry_policy
from meshcert.envoy.http.rewriting import rewriting
from meshcert.envoy.http.spoken import upgrades_of_route
from meshcert.envoy.http.timeouts import route_timeouts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshcert.envoy.api import Json
    from meshcert.proxy import Route
    from meshcert.timeouts import ProtocolTimeouts

TASKS_TRIED = 12
"""
Tasks of a backend that a request is offered at most, while none of them accepts its connection.

Cloud Map names a task from the moment it runs, long before it opens its ways in. With four tries, a deployment of four
tasks or more made requests fail: one after the other met tasks that were still starting.
"""
CONNECTIONS_TRIED = 2 * TASKS_TRIED
"""
Attempts of a TCP connection at most.

It may meet a task twice, where a request leaves out those that it has met: with as many attempts as tasks, three of
four runs among eleven tasks that were starting lost a connection; with twice as many, none of twenty did.
"""
APPLICATION_TRIES = 4
"""Times that a request is offered to the application in the same task: there is no other."""
NO_ROUTE = 404
"""What App Mesh answered where no route matches."""


def envoy_routes(
    routes: Sequence[Route], protocols: Mapping[str, str], less_specific: ProtocolTimeouts, tries: int
) -> list[Json]:
    """
    Routes as a ``route.v3.Route`` list: Envoy takes the first route that matches.

    Args:
        routes: In the order in which they are asked.
        protocols: The protocol of each cluster, by its name.
        less_specific: Limits that hold where a route says none.
        tries: How often a request that surely was not processed is sent at most.
    """
    return [{"match": route_match(route), **_action(route, protocols, less_specific, tries)} for route in routes]


def in_order_asked(routes: Sequence[Route]) -> list[Route]:
    """Routes of a proxy's settings as they are to be asked: as they stand, but of short ones the longest first."""
    if all(route.is_short for route in routes):
        return sorted(routes, key=lambda route: len(route.prefix), reverse=True)
    return list(routes)


def destination(route: Route) -> Json:
    """The fields for one cluster, or for several and their weights; of ``RouteAction`` and of ``TcpProxy``."""
    if len(route.shares) == 1:
        return {"cluster": route.shares[0].backend}
    clusters = [{"name": target.backend, "weight": target.weight} for target in route.shares]
    return {"weighted_clusters": {"clusters": clusters}}


def _action(route: Route, protocols: Mapping[str, str], less_specific: ProtocolTimeouts, tries: int) -> Json:
    """The field ``route`` (``route.v3.RouteAction``); without a backend, 404."""
    if not route.shares:
        return {"direct_response": {"status": NO_ROUTE}}
    # Its targets all speak one protocol: the router's.
    protocol = protocols[route.shares[0].backend]
    return {
        "route": {
            **destination(route),
            **rewriting(route.rewriting),
            **route_timeouts(protocol, route.timeouts.otherwise(less_specific.of(protocol))),
            **upgrades_of_route(protocol),
            "retry_policy": retry_policy(tries, route.retries),
        }
    }
