"""Envoy's administration interface, on loopback only, with only the paths that meshcert and its operators need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.contract.container import ADMIN_PORT
from meshcert.envoy.addresses import Addresses, socket_address

if TYPE_CHECKING:
    from meshcert.envoy.api import Json

EXACT_PATHS = ("/ready", "/certs", "/server_info", "/listeners", "/clusters", "/healthcheck/fail")
PREFIX_PATHS = ("/stats", "/config_dump", "/drain_listeners")
"""Paths that take parameters."""


def admin(addresses: Addresses) -> Json:
    """
    ``bootstrap.v3.Admin``. Envoy answers 403 for every path that is not in ``allow_paths``.

    ``/quitquitquit``, ``/logging``, ``/runtime_modify`` and the profilers are not listed. ``/config_dump`` is: Envoy
    writes ``[redacted]`` where a key or passphrase was. No ``access_log``: the health check would fill it.
    """
    return {
        "address": socket_address(addresses.loopback, ADMIN_PORT),
        "ignore_global_conn_limit": True,
        "allow_paths": [
            *({"exact": path} for path in EXACT_PATHS),
            *({"prefix": path} for path in PREFIX_PATHS),
        ],
    }
