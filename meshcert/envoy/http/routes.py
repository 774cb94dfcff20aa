"""Routes in Envoy's fields: where a request goes, how long it may take, and when it is offered to another task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.envoy.api import PREVIOUS_HOSTS, Json, extension
from meshcert.envoy.http.spoken import upgrades_of_route
from meshcert.envoy.http.timeouts import route_timeouts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
RETRY_PAUSES = {"base_interval": "0.025s", "max_interval": "0.05s"}
"""``core.v3.BackoffStrategy``: all tasks in half a second, and time for Envoy to leave out those that failed before."""
APPLICATION_TRIES = 4
"""Times that a request is offered to the application in the same task: there is no other."""


def envoy_routes(
    routes: Sequence[Route], protocols: Mapping[str, str], less_specific: ProtocolTimeouts, tries: int
) -> list[Json]:
    """
    Routes as a ``route.v3.Route`` list, longest prefix first: Envoy takes the first route that matches.

    Args:
        protocols: The protocol of each cluster, by its name.
        less_specific: Limits that hold where a route says none.
        tries: How often a request that surely was not processed is sent at most.
    """
    return [
        {
            "match": {"prefix": route.prefix},
            "route": {
                "cluster": route.backend,
                **route_timeouts(
                    protocols[route.backend],
                    route.timeouts.otherwise(less_specific.of(protocols[route.backend])),
                ),
                **upgrades_of_route(protocols[route.backend]),
                "retry_policy": _retry_policy(tries),
            },
        }
        for route in sorted(routes, key=lambda route: len(route.prefix), reverse=True)
    ]


def _retry_policy(tries: int) -> Json:
    """
    ``route.v3.RetryPolicy`` for requests that certainly were not processed, whatever their method.

    These are requests whose connection was never made, whose stream the peer refused unread (HTTP/2 REFUSED_STREAM,
    also after GOAWAY), or whose connection broke before they were sent. A stopping or rotating backend causes all
    three.

    Args:
        tries: How often such a request is sent at most.
    """
    return {
        "retry_on": "connect-failure,refused-stream,reset-before-request",
        "num_retries": tries - 1,
        "retry_host_predicate": [extension("envoy.retry_host_predicates.previous_hosts", PREVIOUS_HOSTS)],
        "host_selection_retry_max_attempts": tries - 1,
        "retry_back_off": RETRY_PAUSES,
    }
