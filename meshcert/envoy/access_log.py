"""A JSON line for each TLS handshake that failed, in either role, and each refused request, with its cause."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.envoy.api import CEL_FILTER, STDOUT_ACCESS_LOG, Json, extension
from meshcert.envoy.causes import NOT_ALLOWED, REFUSED_BY_RBAC, cause_expression

if TYPE_CHECKING:
    from meshcert.proxy import ProxySettings

REFUSED_EVENT = "connection-refused"
"""``event`` of the line about a client."""
BACKEND_REFUSED_EVENT = "backend-refused"
"""``event`` of the line about a backend."""
REQUEST_REFUSED_EVENT = "request-refused"
"""``event`` of the line about a request that no allow rule admits."""
_REASON = "TLS_error:|"
"""How a reason begins that BoringSSL gave; its first error's number follows."""
_OF_THE_SYSTEM = f"{_REASON}{2 << 24}"[:-3]
"""How it begins if that error is an ``errno``: bits 24 to 31 are library 2 of BoringSSL's ``err.h``."""


def refused_clients(listener: str, settings: ProxySettings) -> Json:
    """
    A listener's access log (``config.accesslog.v3.AccessLog``) of failed TLS handshakes.

    Envoy counts many faults of a peer in one counter, ``ssl.fail_verify_error``; only the transport failure reason
    tells them apart.

    Args:
        listener: The listener's name, written into every line.
    """
    fields = _client(listener, "%DOWNSTREAM_TRANSPORT_FAILURE_REASON%")
    return _refusals("connection.transport_failure_reason", fields, settings)


def refused_ids(listener: str, settings: ProxySettings) -> Json:
    """A listener's access log of clients that :func:`meshcert.envoy.tls.sole_uri` has refused after the handshake."""
    reason = "connection.termination_details"
    line = _refusals(reason, _client(listener, "%CONNECTION_TERMINATION_DETAILS%"), settings)
    return line | {"filter": _only_if(f"{reason}.startsWith('{REFUSED_BY_RBAC}')")}


def _client(listener: str, reason: str) -> Json:
    return {
        "event": REFUSED_EVENT,
        "listener": listener,
        "reason": reason,
        "client": "%DOWNSTREAM_REMOTE_ADDRESS%",
        "peer_subject": "%DOWNSTREAM_PEER_SUBJECT%",
        "peer_issuer": "%DOWNSTREAM_PEER_ISSUER%",
        "peer_names": "%DOWNSTREAM_PEER_DNS_SAN%",
        "peer_uris": "%DOWNSTREAM_PEER_URI_SAN%",
        "peer_serial_number": "%DOWNSTREAM_PEER_SERIAL%",
        "peer_not_after": "%DOWNSTREAM_PEER_CERT_V_END%",
        "tls_version": "%DOWNSTREAM_TLS_VERSION%",
    }


def refused_backends(settings: ProxySettings) -> Json:
    """
    An access log of failed TLS handshakes with backends, for a router's ``upstream_log`` or a TCP proxy.

    It has one line for each attempt, even if the next one succeeded with another task. Envoy keeps no facts about a
    certificate that it refuses as a client, except the names in the reason for a wrong name.
    """
    line = _refusals(
        "upstream.transport_failure_reason",
        {
            "event": BACKEND_REFUSED_EVENT,
            "backend": "%UPSTREAM_CLUSTER%",
            "host": "%UPSTREAM_HOST%",
            "reason": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
            "client": "%DOWNSTREAM_REMOTE_ADDRESS%",
        },
        settings,
    )
    # UF: the connection failed. Every request is checked here, so the cheap test comes first.
    first = {"response_flag_filter": {"flags": ["UF"]}}
    return line | {"filter": {"and_filter": {"filters": [first, line["filter"]]}}}


def refused_requests(listener: str, settings: ProxySettings) -> Json:
    """
    A connection manager's access log of the requests that no allow rule of its listener lets their callers make.

    Args:
        listener: The listener's name, written into every line.
    """
    line = _line(
        NOT_ALLOWED,
        {
            "event": REQUEST_REFUSED_EVENT,
            "listener": listener,
            "method": "%REQ(:METHOD)%",
            "path": "%PATH(NQ:PATH)%",
            "client": "%DOWNSTREAM_REMOTE_ADDRESS%",
            "peer_subject": "%DOWNSTREAM_PEER_SUBJECT%",
            "peer_names": "%DOWNSTREAM_PEER_DNS_SAN%",
            "peer_uris": "%DOWNSTREAM_PEER_URI_SAN%",
            "peer_serial_number": "%DOWNSTREAM_PEER_SERIAL%",
        },
        settings,
    )
    return line | {"filter": denied_by_rbac()}


def denied_by_rbac() -> Json:
    """``config.accesslog.v3.AccessLogFilter``: Envoy's HTTP filter for role-based access control has answered."""
    return _only_if(f"response.code_details.startsWith('{REFUSED_BY_RBAC}')")


def _line(cause: str, fields: Json, settings: ProxySettings) -> Json:
    return extension(
        "envoy.access_loggers.stdout",
        STDOUT_ACCESS_LOG,
        log_format={
            "json_format": {
                "at": "%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%",
                "level": "warning",
                "mesh": settings.mesh,
                "service": settings.service,
                "cause": cause,
                **fields,
            }
        },
    )


def _refusals(reason: str, fields: Json, settings: ProxySettings) -> Json:
    # An unreachable backend has a reason too, "delayed connect error", and so has a connection that a peer or the
    # network resets, at any time of its life; nobody is refused then. Only a reason's beginning is never a peer's.
    return {
        **_line(f"%CEL({cause_expression(reason)})%", fields, settings),
        "filter": _only_if(f"{reason}.startsWith('{_REASON}') && !{reason}.startsWith('{_OF_THE_SYSTEM}')"),
    }


def _only_if(expression: str) -> Json:
    """``AccessLogFilter`` of a CEL expression."""
    return {
        "extension_filter": extension("envoy.access_loggers.extension_filters.cel", CEL_FILTER, expression=expression)
    }
