"""
What a route of a proxy's settings may say beside a path prefix and a backend.

The words are App Mesh's; :mod:`meshcert.envoy.http` turns them into Envoy's. In JSON only what differs from its default
is written, so a route that says nothing of this has the text that it always had.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any

from meshcert.values.named_tuple import NamedTuple


class MatchKind(StrEnum):
    """How a header is looked at."""

    PRESENT = "present"
    EXACT = "exact"
    PREFIX = "prefix"
    SUFFIX = "suffix"
    REGEX = "regex"
    RANGE = "range"


class HeaderCondition(NamedTuple):
    """
    A header that a request must have.

    Args:
        name: In lower case.
        value: What its value is compared with, by ``kind``.
        start: First whole number of a range.
        end: The first after it.
        invert: The request must have the header, with another value; of ``present``: it must not have the header.
    """

    name: str
    kind: MatchKind = MatchKind.PRESENT
    value: str = ""
    start: int = 0
    end: int = 0
    invert: bool = False


class QueryCondition(NamedTuple):
    """
    A parameter that a request's query must have.

    Args:
        exact: Its value; empty for any.
    """

    name: str
    exact: str = ""


class Conditions(NamedTuple):
    """
    What a request must be like, beside its path prefix. All of it has to match.

    Args:
        path: The whole path, instead of a prefix.
        regex: A regular expression (RE2) for the whole path, instead of a prefix.
        host: The host that the request names, without a port.
        host_suffix: How that host ends.
        grpc: It is a gRPC call.
        port: Port of a gateway's listener, or the port that an application names; 0 for any.
    """

    path: str = ""
    regex: str = ""
    host: str = ""
    host_suffix: str = ""
    method: str = ""
    scheme: str = ""
    headers: tuple[HeaderCondition, ...] = ()
    query_parameters: tuple[QueryCondition, ...] = ()
    grpc: bool = False
    port: int = 0


class Target(NamedTuple):
    """
    One of the backends that share a route's requests.

    Args:
        weight: Its share, beside the other weights; more than 0.
    """

    backend: str
    weight: int


class Rewriting(NamedTuple):
    """
    What the backend sees instead of what the client sent.

    Args:
        prefix: The beginning of the path that goes, with a slash behind it if there is one; empty leaves the path.
        value: What takes its place.
        path: What takes the place of the whole path; empty leaves it.
        host: What takes the place of the host; empty leaves it.
    """

    prefix: str = ""
    value: str = ""
    path: str = ""
    host: str = ""


class Retries(NamedTuple):
    """
    After what a request is sent again.

    Args:
        times: How often at most.
        per_try_timeout_s: Longest time for one try, the first included, seconds.
        events: App Mesh's names of HTTP, TCP and gRPC events.
    """

    times: int
    per_try_timeout_s: float
    events: tuple[str, ...]


def said(part: Any) -> dict[str, Any]:
    """The fields of a named tuple that differ from their defaults."""
    missing = object()
    defaults = part._field_defaults
    return {name: value for name, value in part._asdict().items() if value != defaults.get(name, missing)}


def beginning_of(prefix: str) -> str:
    """A regular expression for a prefix and the slash behind it, if there is one."""
    return re.escape(prefix) if prefix.endswith("/") else f"{re.escape(prefix)}/?"


def read_route_parts(item: dict[str, Any]) -> dict[str, Any]:
    """
    The fields of a route in JSON that stand for parts, as these parts.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: If one is missing, unknown or of the wrong kind.
    """
    parts: dict[str, Any] = {}
    if "conditions" in item:
        parts["conditions"] = _conditions(item["conditions"])
    if "targets" in item:
        parts["targets"] = tuple(Target(**target) for target in item["targets"])
    if "rewriting" in item:
        parts["rewriting"] = Rewriting(**item["rewriting"])
    if "retries" in item:
        parts["retries"] = Retries(**item["retries"] | {"events": tuple(item["retries"]["events"])})
    return parts


def _conditions(item: dict[str, Any]) -> Conditions:
    headers = tuple(
        HeaderCondition(**header | {"kind": MatchKind(header.get("kind", MatchKind.PRESENT))})
        for header in item.get("headers", ())
    )
    parameters = tuple(QueryCondition(**parameter) for parameter in item.get("query_parameters", ()))
    return Conditions(**item | {"headers": headers, "query_parameters": parameters})
