"""Retry policies: the one that App Mesh added in silence, and requests that are carried out twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshcert.appmesh.report import Fate

if TYPE_CHECKING:
    from meshcert.appmesh.converting.draft import Draft

_SAFE = {"GET", "HEAD", "OPTIONS", "TRACE"}
_AFTER_AN_ANSWER = ("server-error", "gateway-error", "client-error")
"""HTTP events after which the application may have acted already; the first two include a broken connection."""
_DEFAULT = {
    "max_retries": 2,
    "per_retry_timeout": 15.0,
    "http_retry_events": ["gateway-error", "stream-error"],
    "tcp_retry_events": ["connection-error"],
}
"""App Mesh's default policy in its own words: retries after 503, reset, refused stream, failed connection."""
QUESTION = (
    "an account without a mesh before 29 July 2020 had a default policy on every route without one: two retries after "
    "503, UNAVAILABLE, a broken or failed connection. Was yours such an account?"
)


def add_default_retries(kind: str, route: dict[str, Any], draft: Draft, where: str) -> None:
    """Write App Mesh's default policy to a route without one, or ask whether it held; never for ``tcp``."""
    if "retry_policy" in route:
        return
    said = draft.answers.default_retries
    if said:
        route["retry_policy"] = _DEFAULT | ({"grpc_retry_events": ["unavailable"]} if kind == "grpcRoute" else {})
        why = "App Mesh's default policy is written out; gateway-error stands for its 503 and adds 502 and 504"
        draft.report.tell(Fate.CHANGED, "default retries", why, where)
    elif said is None:
        ask_for_default_retries(draft, where)


def ask_for_default_retries(draft: Draft, where: str) -> None:
    """Ask whether App Mesh's default policy held."""
    draft.report.ask(
        "default retries",
        f"{QUESTION} Without an answer, only requests that surely were not processed are sent again",
        where,
        "--default-retries, or --no-default-retries",
    )


def tell_repeated_posts(route: dict[str, Any], draft: Draft, where: str) -> None:
    """Name a route that sends requests again which may have been carried out."""
    policy = route.get("retry_policy")
    if not policy or route.get("match", {}).get("method") in _SAFE:
        return
    events = [event for event in policy.get("http_retry_events", []) if event in _AFTER_AN_ANSWER]
    if events:
        draft.report.tell(
            Fate.KEPT,
            "retries that repeat a POST",
            f"after {', '.join(events)} a request is sent again, whatever its method: it may be carried out twice",
            where,
        )
