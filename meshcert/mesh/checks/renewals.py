"""What a renewal ends: a service with ``rotation: redeploy`` gets new tasks, and the old ones only drain."""

from __future__ import annotations

import math
from itertools import product
from typing import TYPE_CHECKING

from meshcert.contract.stopping import LONGEST_DRAIN_S
from meshcert.errors import Fault
from meshcert.identity import IssuerName
from meshcert.issuing.private_ca_lives import RENEWED_ON_AVERAGE, RENEWED_UNTIL
from meshcert.mesh.part import life_text
from meshcert.mesh.rendering.settings import proxy_settings
from meshcert.proxy import RotationMode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcert.mesh.findings import Findings
    from meshcert.mesh.mesh import Mesh
    from meshcert.mesh.services import DeclaredService
    from meshcert.timeouts import Timeouts

TASK_START_S = 60.0
"""What a task takes on Fargate before its containers start: network interface and images. AWS names no number."""
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3_600, 86_400


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


def check_rollouts(mesh: Mesh, findings: Findings) -> None:
    """
    Report identities whose certificate may end before every service with ``rotation: redeploy`` has the next one.

    A third of the life is left when the latest renewal begins. The services of an identity are deployed one after the
    other, and each may take, by what the file says of it: a minute until its tasks start, ``grace_period_s`` until they
    are ready, and ``drain_s`` until the old ones have ended.

    Args:
        mesh: A mesh in which :func:`~meshcert.mesh.checks.check` has found nothing.
    """
    for name, services in _redeployed(mesh).items():
        life = mesh.identities[name].life
        left_s = life.total_seconds() * float(1 - RENEWED_UNTIL)
        takes_s = sum(map(_takes_s, services.values()))
        if takes_s > left_s:
            findings.add(
                f"identities.{name}.validity",
                f"{math.floor(left_s / _MINUTE_S)} minutes of {life_text(life)} are left when the latest renewal "
                f"begins, and until {', '.join(services)} have new tasks, one service after the other, "
                f"{math.ceil(takes_s / _MINUTE_S)} may pass: a minute each until its tasks start, then grace_period_s "
                "and drain_s",
                "Write rotation: reload for these services, a longer validity, or a shorter grace_period_s",
            )


def replaced_often(mesh: Mesh) -> Iterator[Fault]:
    """A finding for each redeployed service that gets new tasks once a day or more often, because lives are short."""
    a_day: dict[str, dict[str, float]] = {}
    for identity, services in _redeployed(mesh).items():
        renewed_every_s = mesh.identities[identity].life.total_seconds() * float(RENEWED_ON_AVERAGE)
        for name in services:
            a_day.setdefault(name, {})[identity] = _DAY_S / renewed_every_s
    for name, renewals in a_day.items():
        deployments = sum(renewals.values())
        if deployments < 1:
            continue
        tasks = deployments * mesh.services[name].desired_count
        whose = ", ".join(f"{identity} ({life_text(mesh.identities[identity].life)})" for identity in renewals)
        yield Fault(
            f"services.{name}.rotation",
            f"every renewal of {whose} replaces its tasks: every {_DAY_S / deployments / _HOUR_S:.1f} hours on "
            f"average, {tasks:.1f} new tasks a day",
            "Write rotation: reload, which replaces none, or a longer validity",
        )


def _redeployed(mesh: Mesh) -> dict[str, dict[str, DeclaredService]]:
    """The services that get new tasks at each renewal, by name, for each identity of Private CA that has any."""
    found: dict[str, dict[str, DeclaredService]] = {}
    for name, service in mesh.services.items() if mesh.has_own_keys else ():
        if service.rotation is RotationMode.REDEPLOY:
            for identity in proxy_settings(mesh, name).identities:
                if mesh.identities[identity].issuer is IssuerName.PRIVATE_CA:
                    found.setdefault(identity, {})[name] = service
    return found


def _takes_s(service: DeclaredService) -> float:
    """How long a deployment of a service may take, seconds."""
    grace_s = service.application.health_check.grace_period_s if service.application else 0.0
    return TASK_START_S + grace_s + service.drain_s


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
