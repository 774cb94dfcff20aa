"""Clients of a gateway: one that checks its certificate, one that keeps asking, one without a certificate."""

from __future__ import annotations

import socket
import ssl
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import httpx

if TYPE_CHECKING:
    from types import TracebackType

    from meshcert.material import TrustBundle

ASK_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Gateway:
    """
    Where a client finds the mesh.

    Args:
        address: IP address of the gateway's load balancer.
        server_name: The name the gateway's certificate must carry.
        trust: The roots it is checked against.
    """

    address: str
    port: int
    server_name: str
    trust: TrustBundle

    def client(self) -> httpx.Client:
        """A client that trusts the gateway's hierarchy and nobody else."""
        context = ssl.create_default_context(cadata=self.trust.certificates)
        return httpx.Client(
            verify=context, base_url=f"https://{self.address}:{self.port}", timeout=ASK_TIMEOUT_S, trust_env=False
        )

    def ask(self, client: httpx.Client) -> httpx.Response:
        """One request; raises httpx.HTTPError when it gets no answer."""
        return client.get("/color", headers={"host": self.server_name}, extensions={"sni_hostname": self.server_name})


@dataclass
class SteadyClient:
    """
    Somebody who keeps asking, every second request over a new connection, and counts what fails.

    Args:
        gateway: Whom it asks.
        answer: The right answer's text; anything else counts as failed.
        pause_s: Pause between two requests, seconds.
    """

    gateway: Gateway
    answer: str
    pause_s: float = 0.005
    requests: int = 0
    failures: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._keep_asking, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(timeout=2 * ASK_TIMEOUT_S)

    def _keep_asking(self) -> None:
        client = self.gateway.client()
        while not self._stop.wait(self.pause_s):
            if self.requests % 2:
                client.close()
                client = self.gateway.client()
            try:
                response = self.gateway.ask(client)
                if response.status_code != httpx.codes.OK or response.text.strip() != self.answer:
                    self.failures.append(f"{response.status_code} {response.text[:80]}")
            except httpx.HTTPError as error:
                self.failures.append(repr(error))
            self.requests += 1
        client.close()


def ask_without_certificate(address: str, port: int, server_name: str) -> tuple[int | None, str]:
    """
    Knock at a listener that demands client certificates, with none.

    The server's certificate is not checked: this client is an intruder who does not care. In TLS 1.3 the client's
    handshake is complete before the server has looked for its certificate, so it sends and reads as well.

    Args:
        address: IP address of a task.
        server_name: Sent as SNI.

    Returns:
        The HTTP status, or None if no answer came, and what happened to the connection.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((address, port), timeout=ASK_TIMEOUT_S) as plain,
            context.wrap_socket(plain, server_hostname=server_name) as connection,
        ):
            connection.sendall(f"GET /color HTTP/1.1\r\nHost: {server_name}\r\n\r\n".encode())
            answer = connection.recv(64)
    except OSError as error:
        return None, str(error)
    return (int(answer.split()[1]), "answered") if answer else (None, "the connection was closed")
