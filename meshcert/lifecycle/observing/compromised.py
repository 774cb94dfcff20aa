"""Which certificates an order about a compromised key is about. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from meshcert.contract.staging_labels import PENDING
from meshcert.issuing.issuer import Issuance
from meshcert.issuing.private_ca import authority_of
from meshcert.lifecycle.compromise import CompromisedCertificate, KeyCompromise
from meshcert.lifecycle.observation import Unknown
from meshcert.publishing.publication import is_published

if TYPE_CHECKING:
    from meshcert.lifecycle.memory import KnownCertificate, Memory
    from meshcert.lifecycle.observation import Observation
    from meshcert.lifecycle.orders import Order


def taken_up(memory: Memory, order: Order, seen: Observation) -> Memory:
    """
    The memory after an order about a compromised key was taken up.

    Whoever could read the key of a version could as well have read those before it. So the order is about every
    certificate that was published up to then and has not ended, and about none that came later.

    Returns:
        The same memory, with the order, if the secret's labels are not known, or if it has no such version.
    """
    version = order.version or seen.current
    before = memory.compromise
    if before and before.has(version):
        return replace(memory, order=None)
    versions = _published_until(memory, version, seen)
    if not versions:
        return memory
    earlier = tuple(each for each in before.certificates if _matters(each, seen)) if before else ()
    found = tuple(_certificate(memory, each, seen) for each in versions if not (before and before.has(each)))
    certificates = (*earlier, *(each for each in found if not each.has_ended(seen.now)))
    at = before.at if before else None
    return replace(memory, order=None, compromise=KeyCompromise(order.by, order.reason, seen.now, certificates, at))


def with_the_same_key(compromise: KeyCompromise, seen: Observation) -> KeyCompromise:
    """What is known of a compromise, with the issued certificate if that is for a compromised key again."""
    issued = seen.issuance
    if not isinstance(issued, Issuance) or not issued.public_key or compromise.has(issued.version):
        return compromise
    if all(each.public_key != issued.public_key for each in compromise.certificates):
        return compromise
    end = issued.validity.not_after if issued.validity else None
    again = CompromisedCertificate(
        issued.version,
        issued.serial_number,
        _authority(issued.reference, seen),
        end,
        public_key=issued.public_key,
    )
    return replace(compromise, certificates=(*compromise.certificates, again))


def left_behind(compromise: KeyCompromise, seen: Observation) -> KeyCompromise:
    """
    What is known of a compromise, with the moment at which every instance serves another key, if that has come.

    It has come once the version with another key is proven, or if no instance runs: those that start later read the
    current version. What an instance says after that changes nothing: it may be the one that was broken into.
    """
    if compromise.left_at or not seen.current or compromise.has(seen.current):
        return compromise
    is_left = seen.last_good == seen.current or _nothing_runs(seen)
    return replace(compromise, left_at=seen.now) if is_left else compromise


def unnamed_authority(reference: str, seen: Observation) -> str:
    """
    The CA of the mesh that signs a certificate whose reference does not name it; the same for its whole life.

    Returns:
        Its ARN; empty if the certificate is not the identity's present one, or the CA is the user's.
    """
    identity = seen.identity
    if authority_of(reference) or reference != identity.certificate_arn or identity.has_existing_authority:
        return ""
    return next(iter(identity.certificate_authority_arns), "")


def told(before: KeyCompromise | None, after: KeyCompromise | None) -> str:
    """What the audit log says of an order that was taken up."""
    new = [each for each in after.certificates if not (before and before.has(each.version))] if after else []
    revoked = ", ".join(each.serial_number for each in new if each.can_be_revoked)
    by_hand = ", ".join(each.serial_number or each.version for each in new if not each.can_be_revoked)
    parts = [f"to be revoked: {revoked}"] if revoked else []
    why = "for its CA is yours, or it or its serial number is not known"
    parts += [f"to be revoked by hand, {why}: {by_hand}"] if by_hand else []
    return f"done: {'; '.join(parts) or 'known before'}"


def _nothing_runs(seen: Observation) -> bool:
    if isinstance(seen.services, Unknown) or not seen.services:
        return False
    services = seen.services.values()
    return all(service is not None and not service.instances and not service.rolling_out for service in services)


def _published_until(memory: Memory, version: str, seen: Observation) -> tuple[str, ...]:
    """A version and those that were published before it; none if the secret never had it, or cannot be looked at."""
    if not isinstance(seen.labels, Mapping) or not is_published(version):
        return ()
    known = {certificate.version: certificate for certificate in memory.certificates.values()}
    if version not in seen.labels and version not in known:
        return ()
    labelled = {each for each, labels in seen.labels.items() if is_published(each) and labels - {PENDING}}
    until = known[version].not_before if version in known else None
    older = {each for each, of in known.items() if until and of.not_before <= until}
    # The current version of a later epoch is the cure; one of an earlier epoch is what proxies went back to. One that
    # was rolled back was served before.
    later = {seen.current} - older
    newest_first = sorted(
        (labelled | older) - later - {version}, key=lambda each: _begun(known.get(each)), reverse=True
    )
    return (version, *newest_first)


def _begun(certificate: KnownCertificate | None) -> float:
    return certificate.not_before.timestamp() if certificate else 0.0


def _certificate(memory: Memory, version: str, seen: Observation) -> CompromisedCertificate:
    for serial_number, known in memory.certificates.items():
        if known.version == version:
            authority = _authority(known.certificate_arn, seen, memory.authorities.get(known.certificate_arn, ""))
            key = _public_key(version, seen)
            return CompromisedCertificate(version, serial_number, authority, known.not_after, public_key=key)
    return CompromisedCertificate(version)


def _authority(reference: str, seen: Observation, remembered: str = "") -> str:
    """The CA that has signed a certificate; empty if that is not known, or it is the user's: nothing revokes there."""
    authority = remembered or authority_of(reference) or unnamed_authority(reference, seen)
    identity = seen.identity
    theirs = identity.certificate_authority_arns[:1] if identity.has_existing_authority else ()
    return "" if authority in theirs else authority


def _public_key(version: str, seen: Observation) -> str:
    issued = seen.issuance
    return issued.public_key if isinstance(issued, Issuance) and issued.version == version else ""


def _matters(certificate: CompromisedCertificate, seen: Observation) -> bool:
    """False if a certificate has ended, or nothing is known of it any more."""
    if certificate.not_after is None:
        return isinstance(seen.labels, Mapping) and certificate.version in seen.labels
    return not certificate.has_ended(seen.now)
