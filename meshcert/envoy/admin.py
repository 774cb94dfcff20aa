"""Envoy's administration interface: loopback only, and only what this product and its operators need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.contract.container import ADMIN_PORT
from meshcert.envoy.addresses import Addresses, socket_address

if TYPE_CHECKING:
    from meshcert.envoy.api import Json

EXACT_PATHS = ("/ready", "/certs", "/server_info", "/listeners", "/clusters", "/healthcheck/fail")
PREFIX_PATHS = ("/stats", "/config_dump", "/drain_listeners")
"""Those that take parameters."""


def admin(addresses: Addresses) -> Json:
    """
    ``bootstrap.v3.Admin``: what is not listed in ``allow_paths`` is answered with 403.

    ``/quitquitquit``, ``/logging``, ``/runtime_modify`` and the profilers are not listed. ``/config_dump`` is: Envoy
    writes ``[redacted]`` where a key or passphrase was. No ``access_log``: the health check would fill it.

    Args:
        addresses: Whose loopback address is bound.
    """
    return {
        "address": socket_address(addresses.loopback, ADMIN_PORT),
        "ignore_global_conn_limit": True,
        "allow_paths": [
            *({"exact": path} for path in EXACT_PATHS),
            *({"prefix": path} for path in PREFIX_PATHS),
        ],
    }
