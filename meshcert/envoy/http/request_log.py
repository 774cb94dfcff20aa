"""A line on standard output for each request, if the settings ask for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.envoy.api import STDOUT_ACCESS_LOG, Json, extension

if TYPE_CHECKING:
    from meshcert.proxy import ProxySettings

REQUEST_EVENT = "request"
"""``event`` of a line whose form the mesh file leaves to us."""
FIELDS = {
    "host": "%REQ(:AUTHORITY)%",
    "method": "%REQ(:METHOD)%",
    # Queries hold what nobody wants in a log.
    "path": "%PATH(NQ:PATH)%",
    "protocol": "%PROTOCOL%",
    "status": "%RESPONSE_CODE%",
    "flags": "%RESPONSE_FLAGS%",
    "grpc_status": "%GRPC_STATUS%",
    "duration_ms": "%DURATION%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "route": "%ROUTE_NAME%",
    "backend": "%UPSTREAM_CLUSTER%",
    "task": "%UPSTREAM_HOST%",
    "client": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "peer_names": "%DOWNSTREAM_PEER_DNS_SAN%",
    "peer_uris": "%DOWNSTREAM_PEER_URI_SAN%",
    "tls_version": "%DOWNSTREAM_TLS_VERSION%",
    "request_id": "%REQ(X-REQUEST-ID)%",
}
"""What a line says if the mesh file does not (Envoy, "Access logging", command operators)."""


def request_log(listener: str, settings: ProxySettings) -> Json:
    """
    The field ``access_log`` of a connection manager; empty if the settings ask for none.

    Args:
        listener: The listener's name, written into every line of our own form.
    """
    log = settings.request_log
    if log is None:
        return {}
    if log.text:
        text = log.text if log.text.endswith("\n") else f"{log.text}\n"
        form: Json = {"text_format_source": {"inline_string": text}}
    else:
        ours = {
            "at": "%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%",
            "level": "info",
            "event": REQUEST_EVENT,
            "mesh": settings.mesh,
            "service": settings.service,
            "listener": listener,
        }
        form = {"json_format": log.fields or {**ours, **FIELDS}}
    return {"access_log": [extension("envoy.access_loggers.stdout", STDOUT_ACCESS_LOG, log_format=form)]}
