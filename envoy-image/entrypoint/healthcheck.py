"""
``python -m entrypoint.healthcheck``: exit code 0 once Envoy is LIVE and has accepted every secret, else 1.

It ignores the certificates' age: ECS would kill a task that it cannot replace while AWS is down.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import TYPE_CHECKING

from entrypoint.container.paths import Paths
from meshcert.contract.container import ADMIN_PORT, LOOPBACK
from meshcert.contract.environment import LOOPBACK_ADDRESS

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMEOUT_S = 2.0


def healthy(environ: Mapping[str, str]) -> bool:
    """True if this container may get traffic."""
    return os.path.exists(Paths(environ).delivered) and _is_live(environ.get(LOOPBACK_ADDRESS) or LOOPBACK)


def _is_live(address: str) -> bool:
    """True if GET /ready says so; by hand, because importing an HTTP client takes longer than all of this."""
    try:
        with socket.create_connection((address, ADMIN_PORT), TIMEOUT_S) as connection:
            connection.sendall(f"GET /ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode())
            return connection.recv(64).split(b" ", 2)[1:2] == [b"200"]
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(0 if healthy(os.environ) else 1)
