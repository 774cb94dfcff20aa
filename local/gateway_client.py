"""Clients of a gateway: one that checks its certificate, and one that keeps asking."""

from __future__ import annotations

import math
import ssl
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

import httpx

from local.requests_seen import HEADER, RequestIds, RequestsSeen, told_twice

if TYPE_CHECKING:
    from types import TracebackType

    from meshcert.material import TrustBundle

ASK_TIMEOUT_S = 20.0
"""Generous: on a busy machine a mesh whose answer has not come yet has failed nobody."""
LONGEST_TEXT = 300
"""Of what a wrong answer says, for whoever looks for its cause, characters."""
_Client = TypeVar("_Client")
_Answer = TypeVar("_Answer")


class Asked(Protocol[_Client, _Answer]):
    """Whom a client asks, and what: over HTTP, or whatever else a client speaks."""

    def client(self) -> _Client:
        """A client with no connection yet; it has a ``close``. Raises OSError or LookupError if there is nobody."""

    def ask(self, client: _Client, request_id: str = "") -> _Answer:
        """One request with this id; raises httpx.HTTPError, OSError or LookupError when it gets no answer."""

    def said(self, response: _Answer) -> str:
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

    def ask(self, client: httpx.Client, request_id: str = "") -> httpx.Response:
        """One request with this id; raises httpx.HTTPError when it gets no answer."""
        headers = {"host": self.server_name, HEADER: request_id}
        return client.get("/color", headers=headers, extensions={"sni_hostname": self.server_name})

    def said(self, response: httpx.Response) -> str:
        """The text of a good answer, or the status and the beginning of another one."""
        good = response.status_code == httpx.codes.OK
        return response.text.strip() if good else f"{response.status_code} {response.text[:80]}"


@dataclass
class SteadyClient:
    """
    Somebody who keeps asking, every second request over a new connection, and counts what fails.

    A request that came to an application twice has failed too; that is told when the client has ended.

    Args:
        gateway: Whom it asks.
        answer: What the right answer says; anything else counts as failed.
        seen: What came to the applications.
        pause_s: Pause between two requests, seconds.
        name: Who asks whom: each failure begins with it, the time, how long it took and how old its connection was.
        kept_s: Age of a connection from which on it is not used again, seconds. A server may close an idle one, and
            HTTP/1.1 loses a request that is on its way then (RFC 9112 section 9.5): so a client leaves before.
    """

    gateway: Asked[Any, Any]
    answer: str
    seen: RequestsSeen
    pause_s: float = 0.02
    name: str = ""
    kept_s: float = math.inf
    requests: int = 0
    connections: int = 0
    """New ones; each request over one that failed has failed."""
    failures: list[str] = field(default_factory=list)
    counted: int = 0
    """Requests that came to an application that counts, known when the client has ended."""
    twice: int = 0
    """How many of them came more than once."""
    _ids: RequestIds = field(default_factory=RequestIds)
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
        came = self.seen.of(self._ids.prefix)
        told = told_twice(came)
        self.counted, self.twice = len(came), len(told)
        self.failures += told

    def _keep_asking(self) -> None:
        client, made = self.gateway.client(), time.monotonic()
        self.connections += 1
        while not self._stop.wait(self.pause_s):
            if self.requests % 2 or time.monotonic() - made > self.kept_s:
                client.close()
                client, made = self.gateway.client(), time.monotonic()
                self.connections += 1
            asked = time.monotonic()
            if why := self._wrong(client):
                now = datetime.now(UTC).time().isoformat("milliseconds")
                times = f"after {time.monotonic() - asked:.3f} s on a connection {asked - made:.3f} s old"
                self.failures.append(f"{self.name} at {now} UTC {times}: {why}".lstrip())
            self.requests += 1
            self.seen.read()
        client.close()

    def _wrong(self, client: Any) -> str:
        """Ask once; what is wrong with the answer, or why there is none. Empty if it is the right one."""
        try:
            response = self.gateway.ask(client, self._ids.next())
        except (httpx.HTTPError, OSError, LookupError) as error:
            return repr(error)
        if (said := self.gateway.said(response)) == self.answer:
            return ""
        text = response.text[:LONGEST_TEXT] if isinstance(response, httpx.Response) else ""
        return f"{said} {text}" if text and text not in said else said
