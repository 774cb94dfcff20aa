"""Clients of a gateway: one that checks its certificate, and one that keeps asking."""

from __future__ import annotations

import ssl
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, Self

import httpx

if TYPE_CHECKING:
    from types import TracebackType

    from meshcert.material import TrustBundle

ASK_TIMEOUT_S = 5.0


class Asked(Protocol):
    """Whom a client asks, and what."""

    def client(self) -> httpx.Client:
        """A client with no connection yet."""

    def ask(self, client: httpx.Client) -> httpx.Response:
        """One request; raises httpx.HTTPError, OSError or LookupError when it gets no answer."""

    def said(self, response: httpx.Response) -> str:
        """What an answer says; two answers are equal if this is."""


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

    def said(self, response: httpx.Response) -> str:
        """The text of a good answer, or the status and the beginning of another one."""
        good = response.status_code == httpx.codes.OK
        return response.text.strip() if good else f"{response.status_code} {response.text[:80]}"


@dataclass
class SteadyClient:
    """
    Somebody who keeps asking, every second request over a new connection, and counts what fails.

    Args:
        gateway: Whom it asks.
        answer: What the right answer says; anything else counts as failed.
        pause_s: Pause between two requests, seconds.
    """

    gateway: Asked
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
            try:
                if self.requests % 2:
                    client.close()
                    client = self.gateway.client()
                said = self.gateway.said(self.gateway.ask(client))
                if said != self.answer:
                    self.failures.append(said)
            except (httpx.HTTPError, OSError, LookupError) as error:
                self.failures.append(repr(error))
            self.requests += 1
        client.close()
