"""How a pair that speaks plain TCP is asked: a session that says a server's first word, and waits for an answer."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local.gateway_client import ASK_TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.demo.questions import Question

FIRST_WORDS = {
    # Redis answers "+PONG" (https://redis.io/docs/latest/commands/ping/).
    6379: b"PING\r\n",
    # PostgreSQL's SSLRequest: length and code 80877103; it answers "N" or "S" (PostgreSQL manual, 54.7).
    5432: struct.pack("!II", 8, 80877103),
}
"""What the servers that usually have a port understand as a first message, by the callee's port."""
ANY_WORDS = b"meshcert\r\n"
"""What the others get; the stand-in sends it back."""
LONGEST_ANSWER = 80


class TcpClient:
    """Whoever asks over TCP: each question is a session of its own."""

    def __init__(self, address: str) -> None:
        self.address = address

    def close(self) -> None:
        """Nothing stays open."""


@dataclass(frozen=True)
class TcpAsking:
    """
    A question over TCP, with all that it takes to ask it, for a :class:`local.gateway_client.SteadyClient`.

    Args:
        question: The question.
        address: Finds the address to connect to; raises LookupError if there is none.
        server: The port of the callee, which says what it probably understands.
    """

    question: Question
    address: Callable[[], str]
    server: int

    def client(self) -> TcpClient:
        """One that asks at the address of now."""
        return TcpClient(self.address())

    def ask(self, client: TcpClient, request_id: str = "") -> bytes:  # noqa: ARG002 -- TCP has no place for an id
        """Open a session, say something and wait for an answer; raises OSError when none comes."""
        with socket.create_connection((client.address, self.question.listener.port), ASK_TIMEOUT_S) as session:
            session.sendall(FIRST_WORDS.get(self.server, ANY_WORDS))
            answer = session.recv(LONGEST_ANSWER)
        if not answer:
            raise ConnectionError("the session was closed without an answer")
        return answer

    def said(self, response: bytes) -> str:
        """What came back, as Python writes it."""
        return repr(response)[1:]

    def ask_once(self) -> tuple[str, str]:
        """Ask; returns what came back, and nothing that an Envoy would have said in its stead."""
        return self.said(self.ask(self.client())), ""
