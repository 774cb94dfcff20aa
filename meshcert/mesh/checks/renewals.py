"""What a renewal ends: a service with ``rotation: redeploy`` gets new tasks, and the old ones only drain."""

from __future__ import annotations

import math
from itertools import product
from typing import TYPE_CHECKING

from meshcert.contract.stopping import LONGEST_DRAIN_S
from meshcert.errors import Fault
from meshcert.mesh.rendering import proxy_settings
from meshcert.proxy import RotationMode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcert.mesh.mesh import Mesh
    from meshcert.timeouts import Timeouts


def cut_at_renewals(mesh: Mesh) -> Iterator[Fault]:
    """
    A finding for each redeployed service whose requests may, as somebody wrote, stay open for longer than its drain.

    Limits that nobody wrote are no finding: by default a request may take any time, and few do.
    """
    ways = list(_ways(mesh))
    for name, service in mesh.services.items():
        if service.rotation is not RotationMode.REDEPLOY:
            continue
        longest_s = max(
            (
                _open_for_s(limits)
                for gateway, node, limits in ways
                if service.virtual_gateway == gateway or service.virtual_node == node
            ),
            default=0.0,
        )
        if longest_s > service.drain_s:
            allowed = f"{longest_s:g} s" if longest_s < math.inf else "any time"
            yield Fault(
                f"services.{name}.rotation",
                f"its timeouts let a request be open for {allowed}, and a task that is replaced drains for "
                f"{service.drain_s:g} s: requests that are open for longer are cut at each renewal",
                "Write rotation: reload"
                + (f", or drain_s: {longest_s:g}" if longest_s <= LONGEST_DRAIN_S else "")
                + f", or timeouts of {service.drain_s:g} s",
            )


def _ways(mesh: Mesh) -> Iterator[tuple[str, str, Timeouts]]:
    """Gateway and node of each route, with the limits that are written for it, at each of the gateway's listeners."""
    for name, service in mesh.services.items():
        if not service.virtual_gateway:
            continue
        settings = proxy_settings(mesh, name)
        protocols = {backend.name: backend.protocol for backend in settings.backends}
        for route in settings.routes:
            for share, listener in product(route.shares, settings.listeners):
                limits = route.timeouts.otherwise(listener.timeouts.of(protocols[share.backend]))
                yield service.virtual_gateway, share.backend, limits


def _open_for_s(limits: Timeouts) -> float:
    """The longest that a request is allowed to take, seconds; 0 if nobody says."""
    totals = [limit for limit in (limits.per_request_s, limits.stream_s) if limit]
    if totals:
        return min(totals)
    said = [limit for limit in limits if limit is not None]
    return math.inf if 0 in said else max(said, default=0.0)
