"""
Stopping without a failed request.

Callers learn of a stopping task within 13 seconds (:data:`meshcert.contract.discovery.CALLERS_LEARN_S`), so the proxy
goes on accepting connections for longer than that and only asks clients to leave, with ``Connection: close`` and
GOAWAY. Then it closes the ways in and waits for requests in flight. The readiness container does this, because ECS
stops it first; Envoy's container does if it has no application, or if all containers are told to stop at once.
"""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, NamedTuple, Self
from urllib.parse import quote

from entrypoint.container.drain_time import drain_time
from entrypoint.container.paths import Paths
from entrypoint.envoy.admin import Admin
from meshcert.bounded_json import read_json
from meshcert.contract.container import LOOPBACK
from meshcert.contract.environment import LOOPBACK_ADDRESS, PROXY, PROXY_FROM
from meshcert.contract.stopping import APPLICATION_STOP_S, FINISH_S

if TYPE_CHECKING:
    from collections.abc import Mapping

_ASK_WITHIN_S = 1.0
"""How long a connection that was accepted as the ways in closed has for its handshake and its first request."""
_LOOK_FOR_APPLICATION_S = 1.0
_CONNECT_TIMEOUT_S = 1.0
# Only a proxy of TCP has counters under "tcp"; what is open stands under "listener", where HTTP counts, too.
_STATS = r"^(http\..*downstream_rq_active|(tcp|listener)\.ingress_.*\.downstream_cx_(total|active))$"


class InFlight(NamedTuple):
    """
    What is open still.

    Args:
        requests: Requests, over HTTP and gRPC.
        tcp_sessions: Connections to ``tcp`` listeners.
    """

    requests: int = 0
    tcp_sessions: int = 0


class Drain:
    """
    Drains one Envoy.

    Args:
        application_port: TCP port of the application; once nobody listens there, the ways in close at once. 0: none.
        outlasts: Whether the ways out are kept until the application has ended.
    """

    def __init__(self, environ: Mapping[str, str], application_port: int = 0, *, outlasts: bool = False) -> None:
        self.accept_s = drain_time(environ)
        self._address = environ.get(LOOPBACK_ADDRESS) or LOOPBACK
        self._admin = Admin(self._address)
        self._application_port = application_port
        self._outlasts = outlasts and application_port > 0
        self._began = 0.0
        self._closed_at = 0.0
        self._looked_at = 0.0
        self._gone = False

    @classmethod
    def of_envoy(cls, environ: Mapping[str, str]) -> Self:
        """The drain of Envoy's own container once it is configured: it knows its application from the settings."""
        proxy = read_json(environ.get(PROXY) or _fetched(environ))
        return cls(environ, proxy["application_port"] if proxy.get("awaits_application") else 0, outlasts=True)

    def begin(self) -> None:
        """Ask Envoy to drain. If it does not answer, it is stopped when the time is over all the same."""
        self._began = time.monotonic()
        self._ask("/healthcheck/fail")
        self._ask("/drain_listeners?graceful&skip_exit&inboundonly")

    def finished(self) -> bool:
        """True once the ways in are closed, no request is in flight, and the ways out are needed no more."""
        now = time.monotonic()
        gone = self._application_gone(now)
        if not self._closed_at:
            if not gone and now - self._began < self.accept_s:
                return False
            self._ask("/drain_listeners?inboundonly")
            self._closed_at = now
        closed_for_s = now - self._closed_at
        if closed_for_s < _ASK_WITHIN_S and not gone:
            return False
        if closed_for_s < FINISH_S and any(self.left()):
            return False
        longest_s = max(self.accept_s, APPLICATION_STOP_S) + FINISH_S
        return gone or not self._outlasts or now - self._began >= longest_s

    def left(self) -> InFlight:
        """What is open still: it ends with Envoy, or with the application if that is stopped first."""
        try:
            lines = self._admin.get(f"/stats?filter={quote(_STATS)}").splitlines()
            stats = {name: int(value) for name, _, value in (line.rpartition(": ") for line in lines)}
        except (OSError, ValueError):
            return InFlight()
        tcp = {f"listener.{name.split('.')[1].rpartition('_')[0]}" for name in stats if name.startswith("tcp.")}
        return InFlight(
            sum(
                value
                for name, value in stats.items()
                if name.startswith("http.") and not name.startswith("http.admin.")
            ),
            sum(value for name, value in stats.items() if name.removesuffix(".downstream_cx_active") in tcp),
        )

    def _ask(self, path: str) -> None:
        try:
            self._admin.post(path)
        except OSError:
            return

    def _application_gone(self, now: float) -> bool:
        if self._application_port and not self._gone and now - self._looked_at >= _LOOK_FOR_APPLICATION_S:
            self._looked_at = now
            try:
                socket.create_connection((self._address, self._application_port), _CONNECT_TIMEOUT_S).close()
            except ConnectionRefusedError:
                self._gone = True
            except OSError:
                pass  # it is busy
        return self._gone


def _fetched(environ: Mapping[str, str]) -> str:
    """The proxy's settings as the watcher has kept them; Envoy is configured, so it has."""
    from entrypoint.container.kept_settings import kept_settings  # few proxies have so many settings
    from meshcert.documents.stored_settings import stored_at
    from meshcert.errors import StoredSettingsUnusable

    try:
        return kept_settings(stored_at(environ[PROXY_FROM]), Paths(environ).stored_settings)
    except (OSError, StoredSettingsUnusable):
        return "{}"  # somebody has taken the file away: drained without a look at the application
