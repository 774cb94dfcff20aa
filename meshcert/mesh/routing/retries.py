"""When a request is sent again: a retry policy, in App Mesh's fields."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, Strict

from meshcert.mesh.part import Part, Seconds
from meshcert.timeouts import LONGEST_TIMEOUT_S


class HttpRetryEvent(StrEnum):
    """What happened to a request (App Mesh API, HttpRetryPolicy)."""

    SERVER_ERROR = "server-error"
    """500 to 508, 510 or 511, or its connection broke."""
    GATEWAY_ERROR = "gateway-error"
    """502, 503 or 504, or its connection broke."""
    CLIENT_ERROR = "client-error"
    """409."""
    STREAM_ERROR = "stream-error"
    """The stream was refused."""


class TcpRetryEvent(StrEnum):
    """What happened to a connection."""

    CONNECTION_ERROR = "connection-error"
    """It was not made."""


class GrpcRetryEvent(StrEnum):
    """The status of a gRPC call, in the headers of its answer."""

    CANCELLED = "cancelled"
    DEADLINE_EXCEEDED = "deadline-exceeded"
    INTERNAL = "internal"
    RESOURCE_EXHAUSTED = "resource-exhausted"
    UNAVAILABLE = "unavailable"


class HttpRetryPolicy(Part):
    """When requests are sent again, beside those that surely were not processed. At least one event is needed."""

    max_retries: Annotated[int, Strict(), Field(ge=0, le=100)] = Field(examples=[2])
    """How often, after the first time."""
    per_retry_timeout: Annotated[Seconds, Field(le=LONGEST_TIMEOUT_S)] = Field(examples=[2.0])
    """Longest time for one try, the first included, seconds."""
    http_retry_events: tuple[HttpRetryEvent, ...] = Field(default=(), examples=[["gateway-error"]])
    """After which answers. A repeated POST may be carried out twice."""
    tcp_retry_events: tuple[TcpRetryEvent, ...] = Field(default=(), examples=[["connection-error"]])
    """After which faults of a connection."""


class GrpcRetryPolicy(HttpRetryPolicy):
    """When gRPC calls are sent again. At least one event is needed."""

    grpc_retry_events: tuple[GrpcRetryEvent, ...] = Field(default=(), examples=[["unavailable"]])
    """After which status."""
