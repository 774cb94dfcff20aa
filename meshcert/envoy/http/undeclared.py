"""
Requests to hosts that are no backends, where the mesh file lets them pass (``mesh.egress_filter: ALLOW_ALL``).

Envoy finds the host that a request names by DNS and passes it on in plain text (its dynamic forward proxy), through a
cluster of its own, whose counters say how often. What it finds is judged once more: an address that leads back into
the task is refused, or a request to the egress listener's own would go in circles, and so is a link-local one, which
the task metadata and its credentials have (169.254.170.2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.envoy.access_log import denied_by_rbac
from meshcert.envoy.api import (
    DYNAMIC_CLUSTER,
    DYNAMIC_FILTER,
    RBAC,
    UPSTREAM_ADDRESS,
    Json,
    duration,
    extension,
)
from meshcert.envoy.clusters import limits, spoken_as_asked
from meshcert.envoy.dns_resolver import dns_resolver

if TYPE_CHECKING:
    from meshcert.envoy.addresses import Addresses

UNDECLARED_CLUSTER = "meshcert/undeclared"
"""Name of the cluster, and in its counters; no backend can have a name with a slash."""
ROUTE_METADATA = {"filter_metadata": {"meshcert": {"undeclared": True}}}
"""Of the route to it (``route.v3.Route.metadata``): other requests' hosts have been found otherwise."""
CONNECT_WITHIN_S = 5.0
"""Longest time for a connection, seconds; it may cross the internet."""
IDLE_S = 1.0
"""
How long an idle connection is kept, seconds.

Nobody knows how long such a host keeps one; of widespread servers gunicorn has the shortest time, 2 seconds.
"""
MOST_HOSTS = 1024
"""Hosts whose addresses are remembered at once (``DnsCacheConfig.max_hosts``); further ones are answered with 503."""
_REFUSED_RANGES = (("0.0.0.0", 8), ("169.254.0.0", 16), ("::", 0))  # noqa: S104 -- an address to refuse
"""This host (RFC 6890, 2.2.2), link-local addresses, and IPv6, which the mesh has none of."""
_POLICY = "into-the-task"
_SENTENCE = (
    "this address is not passed on: it is of the task itself or its metadata, which an application asks without a "
    "proxy (NO_PROXY)"
)


def undeclared_cluster(addresses: Addresses) -> Json:
    """The cluster (``dynamic_forward_proxy.v3.ClusterConfig``): each host that is named becomes one of its hosts."""
    return {
        **limits(UNDECLARED_CLUSTER),
        "connect_timeout": duration(CONNECT_WITHIN_S),
        "lb_policy": "CLUSTER_PROVIDED",
        "cluster_type": extension(
            "envoy.clusters.dynamic_forward_proxy", DYNAMIC_CLUSTER, dns_cache_config=_dns_cache(addresses)
        ),
        **spoken_as_asked(IDLE_S),
    }


def undeclared_filters(addresses: Addresses) -> list[Json]:
    """The HTTP filters before the router: one finds the host, the other refuses what it must not be."""
    return [
        extension(
            "envoy.filters.http.dynamic_forward_proxy",
            DYNAMIC_FILTER,
            dns_cache_config=_dns_cache(addresses),
            save_upstream_address=True,
        ),
        extension(
            "envoy.filters.http.rbac",
            RBAC,
            rules={
                "action": "DENY",
                "policies": {_POLICY: {"permissions": [_guard(addresses)], "principals": [{"any": True}]}},
            },
        ),
    ]


def answers_of_guard() -> Json:
    """The field ``local_reply_config`` of ``HttpConnectionManager``: a refusal says what is refused."""
    return {
        "local_reply_config": {
            "mappers": [
                {
                    "filter": denied_by_rbac(),
                    "body": {"inline_string": f"{_SENTENCE}\n"},
                }
            ]
        }
    }


def _guard(addresses: Addresses) -> Json:
    """``rbac.v3.Permission``: the request's host is an undeclared one, and its address is in a refused range."""
    is_undeclared = {
        "sourced_metadata": {
            "metadata_matcher": {
                "filter": "meshcert",
                "path": [{"key": "undeclared"}],
                "value": {"bool_match": True},
            },
            "metadata_source": "ROUTE",
        }
    }
    ranges = [
        {
            "matcher": extension(
                "envoy.rbac.matchers.upstream_ip_port",
                UPSTREAM_ADDRESS,
                upstream_ip={"address_prefix": first, "prefix_len": length},
            )
        }
        for first, length in (addresses.own_range, *_REFUSED_RANGES)
    ]
    return {"and_rules": {"rules": [is_undeclared, {"or_rules": {"rules": ranges}}]}}


def _dns_cache(addresses: Addresses) -> Json:
    """``common.dynamic_forward_proxy.v3.DnsCacheConfig``; filter and cluster share it, so it is the same in both."""
    return {
        "name": UNDECLARED_CLUSTER,
        "dns_lookup_family": "V4_ONLY",
        "max_hosts": MOST_HOSTS,
        **dns_resolver(addresses),
    }
