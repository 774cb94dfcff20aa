"""
Which requests a route takes, in App Mesh's fields.

Limits are those of the App Mesh API (version 2019-01-25), whose definitions people bring along.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, Strict

from meshcert.mesh.part import Part, Port

Text = Annotated[str, Field(min_length=1, max_length=255)]
Host = Annotated[str, Field(min_length=1, max_length=253)]
Whole = Annotated[int, Strict()]
Priority = Annotated[int, Strict(), Field(ge=0, le=1000)]


class Method(StrEnum):
    """A request's method."""

    GET = "GET"
    HEAD = "HEAD"
    POST = "POST"
    PUT = "PUT"
    DELETE = "DELETE"
    CONNECT = "CONNECT"
    OPTIONS = "OPTIONS"
    TRACE = "TRACE"
    PATCH = "PATCH"


class Scheme(StrEnum):
    """How a request was sent."""

    HTTP = "http"
    HTTPS = "https"


class PathMatch(Part):
    """A whole path, without the query: exactly one of them."""

    exact: Text | None = Field(default=None, examples=["/colors/blue"])
    """The path."""
    regex: Text | None = Field(default=None, examples=["/colors/[a-z]+"])
    """A regular expression (RE2) for all of the path."""


class RangeMatch(Part):
    """Whole numbers."""

    start: Whole = Field(examples=[0])
    """The first that matches."""
    end: Whole = Field(examples=[10])
    """The first after them that does not match."""


class ValueMatch(Part):
    """How a value has to look: exactly one of them."""

    exact: Text | None = Field(default=None, examples=["blue"])
    """The value."""
    prefix: Text | None = Field(default=None, examples=["bl"])
    """How it begins."""
    suffix: Text | None = Field(default=None, examples=["ue"])
    """How it ends."""
    regex: Text | None = Field(default=None, examples=["blue|green"])
    """A regular expression (RE2) for all of it."""
    range: RangeMatch | None = None
    """A whole number from start on and below end."""


class HeaderMatch(Part):
    """A header of a request."""

    name: Annotated[str, Field(min_length=1, max_length=50)] = Field(examples=["x-color"])
    """Its name; upper and lower case are the same."""
    match: ValueMatch | None = None
    """How its value has to look. Left out: the header has to be there."""
    invert: Annotated[bool, Strict()] = False
    """`true`: requests without such a header match."""


class MetadataMatch(HeaderMatch):
    """Metadata of a gRPC call: a header of its request."""


class QueryValueMatch(Part):
    """How the value of a query parameter has to look."""

    exact: Text = Field(examples=["blue"])
    """The value."""


class QueryParameterMatch(Part):
    """A parameter in a request's query."""

    name: Text = Field(examples=["color"])
    """Its name."""
    match: QueryValueMatch | None = None
    """How its value has to look. Left out: the parameter has to be there."""


_HEADERS = Field(default=(), max_length=10)


class HttpMatch(Part):
    """Which HTTP requests: all that is written has to match. One of prefix and path is needed."""

    prefix: Annotated[str, Field(max_length=255)] = Field(
        default="", examples=["/"], json_schema_extra={"pattern": "^/"}
    )
    """How the path begins, by characters: `/color` takes `/colors` too."""
    path: PathMatch | None = None
    """The whole path; or prefix."""
    headers: tuple[HeaderMatch, ...] = _HEADERS
    """Headers, at most 10."""
    query_parameters: tuple[QueryParameterMatch, ...] = _HEADERS
    """Parameters of the query, at most 10."""
    method: Method | None = None
    """The method."""
    scheme: Scheme | None = None
    """How the request was sent."""
    port: Port | None = None
    """The router's listener on which it came; needed if there are several."""


class GrpcMatch(Part):
    """Which gRPC calls: all that is written has to match; nothing takes every call."""

    service_name: Text | None = Field(default=None, examples=["color.ColorService"])
    """The service, with its package."""
    method_name: Annotated[str, Field(min_length=1, max_length=50)] | None = Field(default=None, examples=["GetColor"])
    """The method; with service_name only."""
    metadata: tuple[MetadataMatch, ...] = _HEADERS
    """Metadata, at most 10."""
    port: Port | None = None
    """The router's listener on which it came; needed if there are several."""


class TcpMatch(Part):
    """Which TCP connections."""

    port: Port | None = None
    """The router's listener on which it came; needed if there are several."""


class HostnameMatch(Part):
    """The host that a request names, without a port: exactly one of them."""

    exact: Annotated[str, Field(min_length=1, max_length=253)] | None = Field(
        default=None, examples=["api.example.com"]
    )
    """The host."""
    suffix: Host | None = Field(default=None, examples=[".example.com"])
    """How it ends."""


class GatewayHttpMatch(HttpMatch):
    """Which HTTP requests a gateway route takes. One of prefix, path and hostname is needed."""

    hostname: HostnameMatch | None = None
    """The host that they name."""


class GatewayGrpcMatch(GrpcMatch):
    """Which gRPC calls a gateway route takes. One of service_name and hostname is needed."""

    hostname: HostnameMatch | None = None
    """The host that they name."""
