"""What PERMISSIVE listeners are asked over TLS and in plain text, as Envoy counts it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from meshcert.envoy import filter_chain_name
from meshcert.proxy import TlsMode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from entrypoint.envoy.admin import Admin
    from meshcert.proxy import Listener, ProxySettings

_COUNTERS = "/stats?filter=%5E(http%7Ctcp)%5C.ingress_.*_(tls%7Cplain)%5C.downstream_(rq%7Ccx)_total%24"
"""Asks for ``^(http|tcp)\\.ingress_.*_(tls|plain)\\.downstream_(rq|cx)_total$``."""


class PermissiveCounts(NamedTuple):
    """
    What one listener has been asked since Envoy has started: requests, and connections if it is ``tcp``.

    Args:
        last_plain_at: The latest time at which the last one in plain text can have come, seconds since 1970, UTC; 0 if
            there is none.
    """

    tls: int
    plain: int
    last_plain_at: int = 0


class PermissiveListeners:
    """
    The PERMISSIVE listeners of a proxy.

    Args:
        now: Seconds since 1970, UTC.
    """

    def __init__(self, proxy: ProxySettings, admin: Admin, now: Callable[[], float]) -> None:
        self._listeners = [listener for listener in proxy.listeners if listener.tls.mode is TlsMode.PERMISSIVE]
        self._admin = admin
        self._now = now
        self._counts: dict[int, PermissiveCounts] = {}

    def read(self) -> Mapping[int, PermissiveCounts]:
        """
        The counts of each listener, by its port; the last ones if Envoy does not answer, empty before it ever has.

        The time of the last request in plain text is that of the first look at which Envoy has counted it.
        """
        if self._listeners:
            try:
                counters = _numbers(self._admin.get(_COUNTERS))
            except (OSError, ValueError):
                return self._counts
            self._counts = {listener.port: self._counted(listener, counters) for listener in self._listeners}
        return self._counts

    def _counted(self, listener: Listener, counters: Mapping[str, int]) -> PermissiveCounts:
        tls, plain = (counters.get(_counter(listener, encrypted=encrypted), 0) for encrypted in (True, False))
        before = self._counts.get(listener.port, PermissiveCounts(0, 0))
        last_plain_at = before.last_plain_at if plain == before.plain else int(self._now())
        return PermissiveCounts(tls, plain, last_plain_at if plain else 0)


def _numbers(text: str) -> dict[str, int]:
    lines = (line.partition(": ") for line in text.splitlines())
    return {name: int(value) for name, _, value in lines}


def _counter(listener: Listener, *, encrypted: bool) -> str:
    """Envoy's counter of a filter chain's requests, or connections."""
    name = filter_chain_name(listener.port, tls=encrypted)
    return f"tcp.{name}.downstream_cx_total" if listener.protocol == "tcp" else f"http.{name}.downstream_rq_total"
