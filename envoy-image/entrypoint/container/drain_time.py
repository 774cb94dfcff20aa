"""How long a stopping proxy goes on accepting connections; apart from the draining itself, which no start needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.contract.environment import DRAIN
from meshcert.contract.stopping import DRAIN_S

if TYPE_CHECKING:
    from collections.abc import Mapping


def drain_time(environ: Mapping[str, str]) -> float:
    """The seconds to go on accepting after SIGTERM; the default if the setting is not a number."""
    try:
        return float(environ.get(DRAIN) or DRAIN_S)
    except ValueError:
        return DRAIN_S
