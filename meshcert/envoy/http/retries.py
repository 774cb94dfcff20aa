"""When a request is sent again, in Envoy's fields (``route.v3.RetryPolicy``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.envoy.api import PREVIOUS_HOSTS, Json, duration, extension

if TYPE_CHECKING:
    from meshcert.routes import Retries

RETRY_PAUSES = {"base_interval": "0.025s", "max_interval": "0.05s"}
"""``core.v3.BackoffStrategy``: all tasks in half a second, and time for Envoy to leave out those that failed before."""
SAFE_EVENTS = ("connect-failure", "refused-stream", "reset-before-request")
"""
What happens only to requests that certainly were not processed, whatever their method.

Their connection was never made, or their stream was refused unread by the peer (HTTP/2 REFUSED_STREAM, also after
GOAWAY), or their connection broke before they were sent. A stopping or rotating backend causes all three.
"""
EVENTS: dict[str, tuple[str, ...]] = {
    "server-error": ("retriable-status-codes", "reset"),
    "gateway-error": ("retriable-status-codes", "reset"),
    "client-error": ("retriable-status-codes",),
    "stream-error": ("refused-stream",),
    "connection-error": ("connect-failure",),
    "cancelled": ("cancelled",),
    "deadline-exceeded": ("deadline-exceeded",),
    "internal": ("internal",),
    "resource-exhausted": ("resource-exhausted",),
    "unavailable": ("unavailable",),
}
"""App Mesh's events in Envoy's words (App Mesh API, HttpRetryPolicy and GrpcRetryPolicy)."""
STATUS_CODES: dict[str, tuple[int, ...]] = {
    "server-error": (500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511),
    "gateway-error": (502, 503, 504),
    "client-error": (409,),
}


def retry_policy(tries: int, retries: Retries | None) -> Json:
    """
    A route's policy: for requests that certainly were not processed, and for the events that it names.

    Envoy has one number for all. With events that a request may have been processed at, it is the route's, as App
    Mesh's was; without, ours.

    Args:
        tries: How often a request that surely was not processed is sent at most, where the route says nothing.
        retries: What the route says.
    """
    events = retries.events if retries and retries.times else ()
    further = [envoy for event in events for envoy in EVENTS[event] if envoy not in SAFE_EVENTS]
    times = retries.times if retries and further else tries - 1
    policy: Json = {
        "retry_on": ",".join(dict.fromkeys((*SAFE_EVENTS, *further))),
        "num_retries": times,
        "retry_host_predicate": [extension("envoy.retry_host_predicates.previous_hosts", PREVIOUS_HOSTS)],
        "host_selection_retry_max_attempts": tries - 1,
        "retry_back_off": RETRY_PAUSES,
    }
    if codes := sorted({code for event in events for code in STATUS_CODES.get(event, ())}):
        policy["retriable_status_codes"] = codes
    if retries:
        policy["per_try_timeout"] = duration(retries.per_try_timeout_s)
    return policy
