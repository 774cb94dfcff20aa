"""
Route configurations as an xDS type: Envoy's Route Discovery Service.

Field numbers are those of ``envoy/config/route/v3/{route,route_components}.proto``,
``envoy/type/matcher/v3/{regex,string}.proto``, ``envoy/type/v3/range.proto`` and ``envoy/config/core/v3/base.proto``;
tests compare with the generated messages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from entrypoint.grpc.wire import field
from entrypoint.xds.encoding import encoded
from entrypoint.xds.resources import ResourceType
from meshcert.envoy.api import ROUTE_CONFIGURATION

if TYPE_CHECKING:
    from entrypoint.xds.encoding import Fields
    from meshcert.envoy.api import Json

_NANOSECONDS = 1_000_000_000


def _duration(text: Any) -> bytes:
    """``google.protobuf.Duration`` from its JSON form, for example ``0.2s``."""
    seconds, nanoseconds = divmod(round(float(text.removesuffix("s")) * _NANOSECONDS), _NANOSECONDS)
    return field(1, seconds) + field(2, nanoseconds)


def _wrapped(value: Any) -> bytes:
    """``google.protobuf.UInt32Value`` or ``BoolValue``."""
    return field(1, value)


def _range(value: Any) -> bytes:
    """``type.v3.Int64Range``; a negative number is written as its two's complement of 64 bits."""
    return field(1, value["start"] % 2**64) + field(2, value["end"] % 2**64)


def _without_fields(config: Any) -> bytes:
    """``google.protobuf.Any`` of a message that has nothing set."""
    (url,) = config.values()
    return field(1, url)


_REGEX: Fields = {"regex": (2, {})}
_STRING: Fields = {"exact": (1, {}), "prefix": (2, {}), "suffix": (3, {}), "safe_regex": (5, _REGEX)}
_HEADER: Fields = {
    "name": (1, {}),
    "range_match": (6, _range),
    "present_match": (7, {}),
    "invert_match": (8, {}),
    "string_match": (13, _STRING),
}
_MATCH: Fields = {
    "prefix": (1, {}),
    "path": (2, {}),
    "headers": (6, _HEADER),
    "query_parameters": (7, {"name": (1, {}), "string_match": (5, _STRING), "present_match": (6, {})}),
    "grpc": (8, {}),
    "safe_regex": (10, _REGEX),
    "connect_matcher": (12, {}),
}
_RETRIES: Fields = {
    "retry_on": (1, {}),
    "num_retries": (2, _wrapped),
    "per_try_timeout": (3, _duration),
    "retry_host_predicate": (5, {"name": (1, {}), "typed_config": (3, _without_fields)}),
    "host_selection_retry_max_attempts": (6, {}),
    "retriable_status_codes": (7, {}),
    "retry_back_off": (8, {"base_interval": (1, _duration), "max_interval": (2, _duration)}),
}
_ACTION: Fields = {
    "cluster": (1, {}),
    "weighted_clusters": (3, {"clusters": (1, {"name": (1, {}), "weight": (2, _wrapped)})}),
    "host_rewrite_literal": (6, {}),
    "timeout": (8, _duration),
    "retry_policy": (9, _RETRIES),
    "idle_timeout": (24, _duration),
    "upgrade_configs": (25, {"upgrade_type": (1, {}), "enabled": (2, _wrapped)}),
    "regex_rewrite": (32, {"pattern": (1, _REGEX), "substitution": (2, {})}),
    "max_stream_duration": (36, {"max_stream_duration": (1, _duration)}),
}
_ROUTE: Fields = {
    "match": (1, _MATCH),
    "route": (2, _ACTION),
    "direct_response": (7, {"status": (1, {}), "body": (2, {"inline_string": (3, {})})}),
}
_CONFIGURATION: Fields = {
    "virtual_hosts": (2, {"name": (1, {}), "domains": (2, {}), "routes": (3, _ROUTE)}),
    "validate_clusters": (7, _wrapped),
    "request_headers_to_remove": (8, {}),
    "ignore_port_in_host_matching": (14, {}),
}


def route_configuration_body(resource: Json) -> bytes:
    """
    Encode a route configuration (``route.v3.RouteConfiguration``) without its name.

    Args:
        resource: From :func:`meshcert.envoy.route_configurations`.

    Raises:
        KeyError: If it has an unknown field: leaving one out could send requests elsewhere.
    """
    return encoded({key: value for key, value in resource.items() if key not in {"@type", "name"}}, _CONFIGURATION)


ROUTES = ResourceType(ROUTE_CONFIGURATION, "envoy.service.route.v3.RouteDiscoveryService", "Routes")
