"""One JSON line for each connection that was refused, with the reason."""

from __future__ import annotations

from meshcert.envoy.api import CEL_FILTER, STDOUT_ACCESS_LOG, Json, extension

REFUSED_EVENT = "connection-refused"
"""``event`` of the line."""


def refused_connections(listener: str) -> Json:
    """
    A listener's access log (``config.accesslog.v3.AccessLog``) of failed TLS handshakes.

    Envoy has one counter, ``ssl.fail_verify_error``, for five different faults of a peer; the transport failure
    reason is what tells them apart.

    Args:
        listener: Its name, written into every line.
    """
    return {
        **extension(
            "envoy.access_loggers.stdout",
            STDOUT_ACCESS_LOG,
            log_format={
                "json_format": {
                    "at": "%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%",
                    "level": "warning",
                    "event": REFUSED_EVENT,
                    "listener": listener,
                    "reason": "%DOWNSTREAM_TRANSPORT_FAILURE_REASON%",
                    "client": "%DOWNSTREAM_REMOTE_ADDRESS%",
                    "peer_subject": "%DOWNSTREAM_PEER_SUBJECT%",
                    "peer_names": "%DOWNSTREAM_PEER_DNS_SAN%",
                    "peer_serial_number": "%DOWNSTREAM_PEER_SERIAL%",
                    "tls_version": "%DOWNSTREAM_TLS_VERSION%",
                }
            },
        ),
        "filter": {
            "extension_filter": extension(
                "envoy.access_loggers.extension_filters.cel",
                CEL_FILTER,
                expression="connection.transport_failure_reason != ''",
            )
        },
    }
