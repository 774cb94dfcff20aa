"""What is said when a served certificate has expired: it stays, since an empty Envoy would be no better."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrypoint.envoy.install import leaf_of
from entrypoint.judging.preflight import validity
from entrypoint.log import iso_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from entrypoint.log import Log
    from entrypoint.rotating.delivery import Served


class Expiry:
    """
    Tells of certificates that have expired while Envoy serves them, once of each.

    Args:
        log: Takes the event ``certificate-expired``.
        now: Seconds since 1970, UTC.
    """

    def __init__(self, log: Log, now: Callable[[], float]) -> None:
        self._log = log
        self._now = now
        self._told: dict[str, str] = {}

    def look(self, name: str, served: Served) -> str:
        """
        That it has expired, in words; empty if it has not, or is no certificate's.

        Args:
            name: SDS name.
            served: What Envoy was last handed.
        """
        leaf = leaf_of(served.content)
        if not leaf or self._now() < (not_after := validity(leaf).not_after):
            return ""
        when = iso_time(not_after)
        if self._told.get(name) != served.version:
            self._told[name] = served.version
            self._log.error("certificate-expired", secret=name, version=served.version, not_after=when)
        return f"the served certificate expired on {when}"
