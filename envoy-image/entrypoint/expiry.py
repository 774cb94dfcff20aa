"""What is said when a served certificate has expired: it stays, since an empty Envoy would be no better."""

from __future__ import annotations

import ssl
import time
from typing import TYPE_CHECKING

from entrypoint import der
from entrypoint.install import leaf_of
from meshcert.material import split_certificates

if TYPE_CHECKING:
    from collections.abc import Callable

    from entrypoint.delivery import Served
    from entrypoint.log import Log


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
        leaf = split_certificates(leaf_of(served.content))[:1]
        if not leaf:
            return ""
        not_after = der.validity(ssl.PEM_cert_to_DER_cert(leaf[0])).not_after
        if self._now() < not_after:
            return ""
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(not_after))
        if self._told.get(name) != served.version:
            self._told[name] = served.version
            self._log.error("certificate-expired", secret=name, version=served.version, not_after=when)
        return f"the served certificate expired on {when}"
