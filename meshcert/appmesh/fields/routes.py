"""The fields of routes and gateway routes."""

from __future__ import annotations

from meshcert.appmesh.fields.field import AppMeshField, ValueKind, kept

_TEXT, _WHOLE, _FLAG, _DURATION = ValueKind.TEXT, ValueKind.WHOLE, ValueKind.FLAG, ValueKind.DURATION
_ROUTES = "virtual_routers.NAME.routes"
_GATEWAY_ROUTES = "virtual_gateways.NAME.gateway_routes"
_KINDS = {"httpRoute": "http_route", "http2Route": "http2_route", "grpcRoute": "grpc_route", "tcpRoute": "tcp_route"}


def routes() -> tuple[AppMeshField, ...]:
    """Those of a virtual router's routes."""
    found = [kept("priority", _WHOLE, f"{_ROUTES}.priority")]
    for path, key in _KINDS.items():
        becomes = f"{_ROUTES}.{key}"
        found += _match(path, becomes)
        targets = f"{becomes}.action.weighted_targets"
        found += [
            kept(f"{path}.action.weightedTargets[].virtualNode", _TEXT, f"{targets}.virtual_node"),
            kept(f"{path}.action.weightedTargets[].weight", _WHOLE, f"{targets}.weight"),
            kept(f"{path}.action.weightedTargets[].port", _WHOLE, f"{targets}.port"),
            kept(f"{path}.timeout.idle", _DURATION, f"{becomes}.timeout.idle"),
        ]
        if path != "tcpRoute":
            found.append(kept(f"{path}.timeout.perRequest", _DURATION, f"{becomes}.timeout.per_request"))
            found += _retries(path, becomes)
    return tuple(found)


def gateway_routes() -> tuple[AppMeshField, ...]:
    """Those of a virtual gateway's routes."""
    found = [kept("priority", _WHOLE, f"{_GATEWAY_ROUTES}.priority")]
    for path, key in _KINDS.items():
        if path == "tcpRoute":
            continue
        becomes = f"{_GATEWAY_ROUTES}.{key}"
        found += _match(path, becomes)
        found += [
            kept(f"{path}.match.hostname.{one}", _TEXT, f"{becomes}.match.hostname.{one}")
            for one in ("exact", "suffix")
        ]
        rewrite, action = f"{path}.action.rewrite", f"{becomes}.action"
        found += [
            kept(
                f"{path}.action.target.virtualService.virtualServiceName",
                _TEXT,
                f"{action}.target.virtual_service",
            ),
            kept(f"{path}.action.target.port", _WHOLE, f"{action}.target.port"),
            kept(
                f"{rewrite}.hostname.defaultTargetHostname",
                _TEXT,
                f"{action}.rewrite.hostname.default_target_hostname",
            ),
        ]
        if path != "grpcRoute":
            found += [
                kept(f"{rewrite}.prefix.defaultPrefix", _TEXT, f"{action}.rewrite.prefix.default_prefix"),
                kept(f"{rewrite}.prefix.value", _TEXT, f"{action}.rewrite.prefix.value"),
                kept(f"{rewrite}.path.exact", _TEXT, f"{action}.rewrite.path.exact"),
            ]
    return tuple(found)


def _match(path: str, becomes: str) -> list[AppMeshField]:
    match, into = f"{path}.match", f"{becomes}.match"
    port = kept(f"{match}.port", _WHOLE, f"{into}.port")
    if path == "tcpRoute":
        return [port]
    if path == "grpcRoute":
        return [
            kept(f"{match}.serviceName", _TEXT, f"{into}.service_name"),
            kept(f"{match}.methodName", _TEXT, f"{into}.method_name"),
            *_values(f"{match}.metadata[]", f"{into}.metadata"),
            port,
        ]
    return [
        kept(f"{match}.prefix", _TEXT, f"{into}.prefix"),
        kept(f"{match}.path.exact", _TEXT, f"{into}.path.exact"),
        kept(f"{match}.path.regex", _TEXT, f"{into}.path.regex"),
        *_values(f"{match}.headers[]", f"{into}.headers"),
        kept(f"{match}.queryParameters[].name", _TEXT, f"{into}.query_parameters.name"),
        kept(f"{match}.queryParameters[].match.exact", _TEXT, f"{into}.query_parameters.match.exact"),
        kept(f"{match}.method", _TEXT, f"{into}.method"),
        kept(f"{match}.scheme", _TEXT, f"{into}.scheme"),
        port,
    ]


def _values(path: str, becomes: str) -> list[AppMeshField]:
    return [
        kept(f"{path}.name", _TEXT, f"{becomes}.name"),
        kept(f"{path}.invert", _FLAG, f"{becomes}.invert"),
        *(
            kept(f"{path}.match.{one}", _TEXT, f"{becomes}.match.{one}")
            for one in ("exact", "prefix", "suffix", "regex")
        ),
        *(kept(f"{path}.match.range.{one}", _WHOLE, f"{becomes}.match.range.{one}") for one in ("start", "end")),
    ]


def _retries(path: str, becomes: str) -> list[AppMeshField]:
    policy, into = f"{path}.retryPolicy", f"{becomes}.retry_policy"
    events = ["httpRetryEvents", "tcpRetryEvents", *(["grpcRetryEvents"] if path == "grpcRoute" else [])]
    return [
        kept(f"{policy}.maxRetries", _WHOLE, f"{into}.max_retries"),
        kept(f"{policy}.perRetryTimeout", _DURATION, f"{into}.per_retry_timeout"),
        *(
            kept(f"{policy}.{each}[]", _TEXT, f"{into}.{each.replace('RetryEvents', '_retry_events')}")
            for each in events
        ),
    ]
