"""Look at an identity: ask issuer, secret, platform, instances and CAs. A part that fails does not hide the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from meshcert.errors import (
    AccessDenied,
    AwsRefused,
    IdentityMissing,
    MeshcertError,
)
from meshcert.issuing.issuer import Issuance
from meshcert.lifecycle.memory import CurrentVersion, KnownCertificate
from meshcert.lifecycle.observation import Authority, Missing, Observation, Unknown, Workload
from meshcert.lifecycle.observing.compromised import left_behind, taken_up, unnamed_authority, with_the_same_key
from meshcert.lifecycle.orders import COMPROMISED, RENEW

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from meshcert.identity import Identity
    from meshcert.lifecycle.memory import Memory
    from meshcert.lifecycle.observation import Acknowledgement
    from meshcert.lifecycle.orders import Order
    from meshcert.lifecycle.ports import Authorities, Observers

_Seen = TypeVar("_Seen")


def observe(identity: Identity, memory: Memory, observers: Observers, known: Issuance | None = None) -> Observation:
    """
    The state of an identity, as its issuer, its secret and its services show it now.

    Args:
        memory: From earlier looks. The issuer is not asked for certificates that it has shown before.
        known: The issuance, if it has just been seen: the issuer's answers have a quota.

    Returns:
        Everything that was found; parts that could not be looked at are
        :class:`~meshcert.lifecycle.observation.Unknown`.
    """
    issuer = observers.issuers[identity.issuer]
    # Labels first: a certificate newer than the labels is published by the next look; the reverse would be an error.
    labels = _attempt(partial(observers.labels.labels, identity.secret_id))
    issuance: Issuance | Missing | Unknown | None = known
    if issuance is None:
        # Of a key that has leaked, the public half has to be known: a certificate may be issued for it once more.
        leaked = memory.order is not None and memory.order.kind == COMPROMISED
        certificates = {} if leaked else memory.certificates
        versions = {serial_number: seen.version for serial_number, seen in certificates.items()}
        issuance = _attempt(partial(issuer.observe, identity.certificate_arn, versions))
    services: dict[str, Workload | None] | Unknown = {}
    acknowledgements: dict[str, Acknowledgement] | Unknown = {}
    settings: dict[str, str] = {}
    for use in identity.services:
        if use.attached:
            wanted = _attempt(partial(observers.settings.version, use.name))
            # Unknown ones ask for nothing: the next look finds them.
            settings |= {use.name: wanted} if isinstance(wanted, str) else {}
        service = _attempt(partial(observers.platform.look, use.name, use.place))
        instances = [instance.id for instance in service.instances] if isinstance(service, Workload) else []
        said = _attempt(partial(observers.acknowledgements.of, use.name, instances)) if instances else {}
        if isinstance(service, Unknown):
            services = service
        elif not isinstance(services, Unknown):
            services |= {use.name: None if isinstance(service, Missing) else service}
        if isinstance(said, Unknown | Missing):
            acknowledgements = Unknown(said.what) if isinstance(said, Missing) else said
        elif not isinstance(acknowledgements, Unknown):
            acknowledgements |= _of_tasks(identity, service, said)
    now = observers.clock.now()
    # After the services: what was wanted when they were looked at, and is told to end now, is seen twice, not never.
    ending = _attempt(partial(_ending, identity, observers)) if _something_is_to_be_revoked(memory, now) else {}
    return Observation(
        identity=identity,
        now=now,
        issuer=issuer.can,
        issuance=issuance,
        labels=labels,
        services=services,
        acknowledgements=acknowledgements,
        authorities=_attempt(partial(_authorities, identity, observers.authorities)),
        settings=settings,
        ending=Unknown(ending.what) if isinstance(ending, Missing) else ending,
    )


def remembered(memory: Memory, seen: Observation) -> Memory:
    """The memory after a look."""
    issued = seen.issuance if isinstance(seen.issuance, Issuance) else None
    if issued and issued.version and issued.validity:
        validity = issued.validity
        known = KnownCertificate(issued.version, issued.reference, validity.not_before, validity.not_after)
        labelled = seen.labels if isinstance(seen.labels, Mapping) else ()
        authority = unnamed_authority(issued.reference, seen)
        memory = memory.knowing(issued.serial_number, known, frozenset(labelled), authority)
    if seen.current:
        memory = replace(memory, publication=_publication(seen, memory))
    if memory.order and memory.order.kind == COMPROMISED:
        memory = taken_up(memory, memory.order, seen)
    if memory.compromise:
        memory = replace(memory, compromise=left_behind(with_the_same_key(memory.compromise, seen), seen))
    memory = replace(memory, order=_outstanding(memory.order, seen, issued.version if issued else ""))
    if seen.whole:
        memory = replace(memory, looked_at=seen.now)
    return memory


def _of_tasks(
    identity: Identity, service: Workload | Missing | Unknown | None, said: Mapping[str, Mapping[str, Acknowledgement]]
) -> dict[str, Acknowledgement]:
    """Acknowledgements of a service's own instances: its role could write rows of other instances too."""
    if not isinstance(service, Workload):
        return {}
    rows = {instance.id: said.get(instance.id, {}) for instance in service.instances}
    return {instance: row[identity.name] for instance, row in rows.items() if identity.name in row}


def _something_is_to_be_revoked(memory: Memory, now: dt.datetime) -> bool:
    ordered = memory.order is not None and memory.order.kind == COMPROMISED
    return ordered or (memory.compromise is not None and bool(memory.compromise.outstanding(now)))


def _ending(identity: Identity, observers: Observers) -> dict[str, str]:
    served: dict[str, str] = {}
    for use in identity.services:
        instances = observers.platform.ending(use.name, use.place)
        said = observers.acknowledgements.of(use.name, instances) if instances else {}
        rows = {instance: said.get(instance, {}).get(identity.name) for instance in instances}
        served |= {instance: row.version if row else "" for instance, row in rows.items()}
    return served


def _authorities(identity: Identity, authorities: Authorities) -> tuple[Authority, ...]:
    return tuple(Authority(arn, authorities.not_after(arn)) for arn in identity.certificate_authority_arns)


def _attempt(look: Callable[[], _Seen]) -> _Seen | Missing | Unknown:
    try:
        return look()
    except IdentityMissing as error:
        return Missing(str(error))
    except AwsRefused as error:
        return Unknown(str(error), denied=isinstance(error, AccessDenied))
    except MeshcertError as error:
        return Unknown(str(error))


def _publication(seen: Observation, memory: Memory) -> CurrentVersion:
    before = memory.publication
    known = before if before and before.version == seen.current else CurrentVersion(seen.current, seen.now)
    holds = memory.holding(seen.current)
    if holds is None:
        return known
    return CurrentVersion(known.version, known.since, holds.certificate_arn, holds.not_before, holds.not_after)


def _outstanding(order: Order | None, seen: Observation, issued: str) -> Order | None:
    """An order as far as it is still open: None once another version has replaced the one that it is about."""
    is_now = issued if order and order.kind == RENEW else seen.current
    if order is None or order.kind == COMPROMISED or not is_now or order.version == is_now:
        return order
    return None if order.version else replace(order, version=is_now)
