"""
``python -m entrypoint.healthcheck``: exit code 0 once Envoy is LIVE and has accepted every secret, else 1.

It ignores the certificates' age: ECS would kill a task that it cannot replace while AWS is down.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from entrypoint.container.paths import Paths
from entrypoint.envoy.plain_http import is_live
from meshcert.contract.container import LOOPBACK
from meshcert.contract.environment import LOOPBACK_ADDRESS

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMEOUT_S = 2.0


def healthy(environ: Mapping[str, str]) -> bool:
    """True if this container does its work: the application, if there is one, may be started."""
    return os.path.exists(Paths(environ).delivered) and is_live(environ.get(LOOPBACK_ADDRESS) or LOOPBACK, TIMEOUT_S)


if __name__ == "__main__":
    sys.exit(0 if healthy(os.environ) else 1)
