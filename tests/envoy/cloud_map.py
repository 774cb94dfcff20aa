"""Names that resolve to what a test says, as Cloud Map's do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from dnslib import QTYPE, RR, A
from dnslib.server import BaseResolver, DNSServer

if TYPE_CHECKING:
    from types import TracebackType


class CloudMap(BaseResolver):  # type: ignore[misc]  # dnslib has no types
    """
    A DNS server for a few names; use it as a context.

    Args:
        address: Loopback address to bind, port 5353.
    """

    def __init__(self, address: str) -> None:
        self.records: dict[str, list[str]] = {}
        """Addresses by name."""
        self.resolver = f"{address}:5353"
        self._server = DNSServer(self, address=address, port=5353, logger=_Silence())

    def __enter__(self) -> Self:
        self._server.start_thread()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()
        self._server.server.server_close()

    def resolve(self, request: Any, _handler: Any) -> Any:
        """The answer to one question."""
        reply = request.reply()
        name = str(request.q.qname).rstrip(".")
        if request.q.qtype == QTYPE.A:
            for address in self.records.get(name, ()):
                reply.add_answer(RR(request.q.qname, QTYPE.A, ttl=1, rdata=A(address)))
        return reply


class _Silence:
    def __getattr__(self, _: str) -> Any:
        return lambda *_args: None
