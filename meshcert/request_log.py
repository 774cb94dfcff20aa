"""The access log of requests, as a proxy's settings hold it."""

from __future__ import annotations

from meshcert.values.named_tuple import NamedTuple


class RequestLog(NamedTuple):
    """
    A line for each request, on standard output.

    Args:
        text: The line, with Envoy's command operators; empty for JSON.
        fields: The fields of a JSON object by name; empty for those of :data:`meshcert.envoy.http.request_log.FIELDS`.
    """

    text: str = ""
    fields: dict[str, str] = {}  # noqa: RUF012 -- a field of a named tuple, never changed
