"""Kinds of load, and where each goes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

GRPC_SERVICE = "meshcert.load.Echo"
"""Name of the gRPC service that the application serves; its method is ``Echo``."""


class Protocol(StrEnum):
    """Protocol of a load."""

    HTTP1 = "http1"
    """HTTP/1.1: one request at a time on a connection."""
    HTTP2 = "http2"
    """HTTP/2 in clear text with prior knowledge (RFC 9113 section 3.3): all workers share a kept connection."""
    GRPC = "grpc"
    """Unary calls over the same."""


class Connection(StrEnum):
    """How long a connection lives."""

    KEPT = "kept"
    """Until the server ends it."""
    NEW = "new"
    """One request: every request makes its own."""


@dataclass(frozen=True)
class Load:
    """
    A closed loop: each worker sends its next request when it has the answer to the last one.

    Args:
        protocol: What is spoken.
        connection: How long a connection lives.
        address: IPv4 address to connect to.
        port: TCP port.
        workers: How many ask at the same time.
        pause_s: What a worker waits between an answer and its next request, seconds.
        timeout_s: After this an unanswered request has failed, seconds.
    """

    protocol: Protocol
    connection: Connection
    address: str
    port: int
    workers: int = 2
    pause_s: float = 0.0
    timeout_s: float = 5.0

    @property
    def name(self) -> str:
        """For example ``http2-kept``."""
        return f"{self.protocol}-{self.connection}"

    @property
    def arguments(self) -> tuple[str, str]:
        """Two words that :meth:`from_arguments` reads back: ``http2-kept`` and ``127.0.0.1:9080``."""
        return self.name, f"{self.address}:{self.port}"

    @classmethod
    def from_arguments(cls, name: str, target: str, *, workers: int, pause_s: float, timeout_s: float) -> Load:
        """
        Read a load as the command line has it.

        Args:
            name: Protocol and connection, for example ``grpc-new``.
            target: Address and port, for example ``127.0.0.1:9080``.
            workers: As in the class.
            pause_s: As in the class.
            timeout_s: As in the class.

        Raises:
            ValueError: If there is no such load, or the target is not an address and a port.
        """
        protocol, _, connection = name.partition("-")
        address, _, port = target.rpartition(":")
        return cls(Protocol(protocol), Connection(connection), address, int(port), workers, pause_s, timeout_s)
