"""Observations for tests: all is well unless told."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from evidence.simulation.vault import SEED_VERSION
from meshcert.aws.ecs.services import WORDS
from meshcert.identity import Identity, ServiceUse
from meshcert.issuing import acm
from meshcert.lifecycle.memory import BegunRollout, CurrentVersion, Memory, Quarantine, RenewalRequest
from meshcert.lifecycle.observation import (
    Acknowledgement,
    Authority,
    Instance,
    Missing,
    Observation,
    Rollout,
    RolloutState,
    Unknown,
    Workload,
)
from meshcert.lifecycle.orders import Order
from meshcert.lifecycle.policy import Policy
from meshcert.proxy import RotationMode
from meshcert.san import Dns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshcert.issuing.issuer import Issuance

NOW = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
SECOND, MINUTE, HOUR, DAY = (dt.timedelta(seconds=size) for size in (1, 60, 3600, 86400))
LIFETIME = 395 * DAY
POLICY = Policy()
ARN, OTHER_ARN = "arn:certificate/teller", "arn:certificate/before-the-deploy"
ISSUING, ROOT = "arn:ca/issuing", "arn:ca/root"
V1, V2, V3 = "1" * 64, "2" * 64, "3" * 64
SEED = SEED_VERSION
BEFORE, OURS = "ecs-svc/1", "ecs-svc/2"

GATEWAY = ServiceUse("gateway", RotationMode.RELOAD, 60.0)
TELLER = ServiceUse("teller", RotationMode.REDEPLOY, 60.0)
TELLER_2 = ServiceUse("teller-2", RotationMode.REDEPLOY, 60.0)
UNAVAILABLE = Unknown("it throttles")
DENIED = Unknown("it may not", denied=True)


def certificate(
    version: str = V1,
    gone: float = 0.3,
    *,
    renewable: bool = True,
    status: str = "ISSUED",
    renewal: str = "",
    reason: str = "",
    failure: str = "",
    arn: str = ARN,
) -> Issuance:
    """A certificate of which a fraction of the lifetime is gone, as ACM describes it."""
    issued = NOW - LIFETIME * gone
    description = {
        "Status": status,
        "Serial": f"0{version[0]}",
        "NotBefore": issued - dt.timedelta(seconds=POLICY.back_dating_s),
        "NotAfter": issued + LIFETIME,
        "RenewalEligibility": "ELIGIBLE" if renewable else "INELIGIBLE",
        "RenewalSummary": {"RenewalStatus": renewal, "RenewalStatusReason": reason},
        "FailureReason": failure,
    }
    return replace(acm.issuance(arn, description), version=version)


def labels(
    current: str = V1, last_good: str = V1, previous: str = "", quarantined: str = ""
) -> dict[str, frozenset[str]]:
    """Staging labels by version."""
    places = {"AWSCURRENT": current, "LASTGOOD": last_good, "AWSPREVIOUS": previous, "QUARANTINED": quarantined}
    versions = {version for version in places.values() if version}
    return {version: frozenset(label for label, at in places.items() if at == version) for version in versions}


def service(
    use: ServiceUse,
    deployment: str = BEFORE,
    state: RolloutState = RolloutState.COMPLETED,
    *,
    tasks: int = 2,
    desired: int = 2,
    age: dt.timedelta = 30 * DAY,
    failed: int = 0,
    failures: tuple[str, ...] = (),
    excused: tuple[str, ...] = (),
) -> Workload:
    """A service whose tasks have run for a month."""
    running = tuple(Instance(f"{use.name}/{number}", deployment, started_at=NOW - age) for number in range(tasks))
    return Workload(use.name, desired, running, Rollout(deployment, state, failed), WORDS, failures, excused)


def says(
    gateway: str = V1, teller: str = V1, *, refused: str = "", but: Mapping[str, str] | None = None
) -> dict[str, Acknowledgement]:
    """What the tasks of gateway and teller serve; an empty version says nothing, ``but`` is by task."""
    served = {f"gateway/{number}": gateway for number in range(2)}
    served |= {f"{name}/{number}": teller for name in ("teller", "teller-2") for number in range(2)}
    served |= dict(but or {})
    said = {task: Acknowledgement(NOW, version) for task, version in served.items() if version}
    if refused:
        said["gateway/1"] = Acknowledgement(NOW, gateway, refused=refused, error="no such key")
    return said


def remembers(
    current: str = V1,
    since: dt.timedelta = 30 * DAY,
    *,
    asked: tuple[str, dt.timedelta] | None = None,
    rollouts: dict[str, BegunRollout] | None = None,
    bad: Quarantine | None = None,
    order: Order | None = None,
    published: CurrentVersion | None = None,
) -> Memory:
    """A version that has been current for a while."""
    renewal = RenewalRequest(asked[0], NOW - asked[1]) if asked else None
    publication = published or CurrentVersion(current, NOW - since)
    return Memory(publication, renewal, rollouts or {}, bad, order)


def rollout(
    version: str, ago: dt.timedelta, deployment: str = OURS, *, replaces: str = BEFORE, tries: int = 1
) -> BegunRollout:
    """Our deployment."""
    return BegunRollout(version, replaces, NOW - ago, deployment, tries)


def ordered(kind: str, version: str = "") -> Order:
    """An order, just taken up."""
    return Order(kind, "alice", "drill", NOW, version)


class Looked(NamedTuple):
    """
    What a plan is made of, besides the policy.

    Args:
        seen: One look.
        memory: What earlier looks remembered.
    """

    seen: Observation
    memory: Memory


def look(
    *uses: ServiceUse,
    certificate: Issuance | Missing | Unknown = certificate(),  # noqa: B008  frozen
    labels: Mapping[str, frozenset[str]] | Missing | Unknown = labels(),  # noqa: B008  never changed
    services: Mapping[str, Workload | None] | Unknown | None = None,
    said: Mapping[str, Acknowledgement] | Unknown | None = None,
    authorities: tuple[Authority, ...] | Missing | Unknown | None = None,
    memory: Memory | None = None,
    ending: Mapping[str, str] | Unknown | None = None,
) -> Looked:
    """
    One look, at which all is well unless told: version 1 is issued, published, proven and served.

    Args:
        uses: The identity's services; gateway (reload), then teller (redeploy).
        certificate: What ACM holds.
        labels: The secret's labels.
        services: Services that are not as usual.
        said: What tasks say.
        authorities: The hierarchy's CAs.
        memory: What is remembered.
        ending: Tasks that are told to end.
    """
    uses = uses or (GATEWAY, TELLER)
    usual: dict[str, Workload | None] = {use.name: service(use) for use in uses}
    far = (Authority(ISSUING, NOW + 1825 * DAY), Authority(ROOT, NOW + 3650 * DAY))
    seen = Observation(
        identity=Identity(
            "colorteller", ARN, "arn:secret", ROOT, (Dns("teller.local"),), (), "", (ISSUING, ROOT), uses
        ),
        now=NOW,
        issuer=acm.ACM,
        issuance=certificate,
        labels=labels,
        services=services if isinstance(services, Unknown) else usual | dict(services or {}),
        acknowledgements=says() if said is None else said,
        authorities=far if authorities is None else authorities,
        ending={} if ending is None else ending,
    )
    return Looked(seen, remembers() if memory is None else memory)
