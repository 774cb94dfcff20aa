"""
Instances that run, and that AWS denies what they need, or that acknowledge nothing any more. Pure.

They serve what they have until it expires; a person is told before a new version shows it. A role that has lost its
whole policy may not write acknowledgements either: then silence is all that there is to see.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.contract.acknowledgements import DENIED, REFUSED_BY_AWS
from meshcert.lifecycle.deciding.findings import Finding, Kind
from meshcert.lifecycle.deciding.steps import Concern
from meshcert.lifecycle.observation import Unknown
from meshcert.publishing.publication import is_published

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcert.identity import ServiceUse
    from meshcert.lifecycle.observation import Observation, Workload
    from meshcert.lifecycle.policy import Policy


def cut_off(seen: Observation, policy: Policy) -> Concern:
    """What a person is told of services whose running instances are denied, or silent; nothing is done for them."""
    if isinstance(seen.services, Unknown) or isinstance(seen.acknowledgements, Unknown):
        return Concern()
    if not is_published(seen.current):
        return Concern()  # no task can serve anything yet
    findings: list[Finding] = []
    for use in seen.identity.services:
        if service := seen.services.get(use.name):
            findings += (Finding(Kind.SERVED_BEHIND, told) for told in _told(seen, use, service, policy))
    return Concern(findings=tuple(findings))


def _told(seen: Observation, use: ServiceUse, service: Workload, policy: Policy) -> Iterator[str]:
    rows = {} if isinstance(seen.acknowledgements, Unknown) else seen.acknowledgements
    denied, heard = [], {}
    for instance in service.instances:
        row = rows.get(instance.id)
        last = row.at if row else instance.started_at
        if not instance.running or last is None:
            continue
        if (seen.now - last).total_seconds() > policy.silent_after_s:
            heard[instance.id] = last
        elif row and DENIED in (refused := row.error.partition(REFUSED_BY_AWS)[2].partition(";")[0]):
            denied.append(refused)
    word = f"{len(service.instances)} {service.words.instance}s of {service.name}"
    if denied:
        yield f"{len(denied)} of {word} are denied what is new: {_role(use)}. AWS: {denied[0]}"
    if heard:
        first = min(heard, key=lambda each: (heard[each], each))
        since = f"{heard[first]:%Y-%m-%d %H:%M} UTC"
        yield (
            f"{len(heard)} of {word} run, and have acknowledged nothing since {since}. Their log says why "
            f"(acknowledgement-waits). If it is AccessDenied: {_role(use)}"
        )


def _role(use: ServiceUse) -> str:
    lacks = (
        f"attach the policy that meshcert sidecar {use.name} names to its task role"
        if use.attached
        else f"put the inline policy `rights` of {use.name}'s task role back, as deployed"
    )
    return f"{lacks}; if it is there, an SCP or a permissions boundary denies"
