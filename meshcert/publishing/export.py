"""
Bring the secret of one identity, or of one trust bundle, up to date with ACM and its CAs.

The use cases do not ask why they were called. They compare the present state with the wanted one and take only the
missing steps, so calling them twice, late or for nothing changes nothing.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshcert.contract.staging_labels import CURRENT, QUARANTINED
from meshcert.errors import PublicationRaced, SecretMalformed, SecretNotPublished
from meshcert.material import Passphrase, certificate_version
from meshcert.material.certificate_facts import CertificateFacts, certificate_facts
from meshcert.material.document import read_material, write_material
from meshcert.publishing.ownership import require_own_certificate
from meshcert.publishing.preflight import Expectation, verify_certificate, verify_material
from meshcert.publishing.publication import (
    Outcome,
    is_withheld,
    publish,
    remove_pending,
    require_publishable,
    version_labelled,
)

if TYPE_CHECKING:
    from meshcert.clock import Clock
    from meshcert.identity import Identity
    from meshcert.issuing.issuer import MaterialSource
    from meshcert.material import Material
    from meshcert.publishing.ports import CertificateAuthorities, PublishedValues, SecretVault
    from meshcert.publishing.publication import LabelsByVersion

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sources:
    """The ports that material is read from and published through."""

    certificates: MaterialSource
    authorities: CertificateAuthorities
    vault: SecretVault
    clock: Clock


@dataclass(frozen=True)
class ExportResult:
    """
    The state of a secret after an export.

    Args:
        subject: The identity's name, or ``trust-bundle/`` and the hierarchy's name.
        outcome: What the call changed.
        facts: Public facts about the certificate; None for a trust bundle.
    """

    subject: str
    outcome: Outcome
    version_id: str
    facts: CertificateFacts | None = None

    def summary(self) -> dict[str, str]:
        """A short public summary that can be written as JSON, for logs and for the function's caller."""
        summary = {"subject": self.subject, "outcome": str(self.outcome), "version_id": self.version_id}
        if self.facts:
            summary |= {
                "serial_number": self.facts.serial_number,
                "not_after": self.facts.not_after.isoformat(),
            }
        return summary


def export_identity(
    identity: Identity, sources: Sources, values: PublishedValues | None = None, *, may_go_back: bool = False
) -> ExportResult:
    """
    Publish the certificate that ACM holds for an identity, unless it is published already.

    The public half is checked on every call, even if there is nothing to publish: a deploy is refused if its peers
    accept only names that the certificate lacks. The private key leaves ACM only if the certificate is not current yet,
    or if ACM says that it cannot be renewed. The second case makes up for an export that was lost after a renewal,
    which would otherwise block all further renewals. Exporting a published certificate again has no other effect.

    Args:
        values: Used to read the current value, so that an older certificate does not replace a newer one; None compares
            nothing.
        may_go_back: An older certificate does replace a newer one, as the rollback of a deploy needs. The newer one is
            labelled ``QUARANTINED`` then, as in any way back: running proxies go back from nothing else.

    Returns:
        The state of the secret now.

    Raises:
        CertificateNotOwned: If the certificate was requested for another identity.
        CertificatePending: If ACM has not issued the certificate yet.
        MaterialRejected: If the pre-flight found faults; the secret is unchanged.
        PublicationRaced: If a newer certificate has become current meanwhile; it stays current.
        VersionQuarantined: If the certificate was rolled back; the secret is unchanged, and ACM can renew the
            certificate.
        MeshcertError: If AWS is unavailable, denies a call, or something does not exist.
    """
    require_own_certificate(identity, sources.certificates)
    # Read before ACM is asked: see the argument ``seen`` of publish.
    seen = sources.vault.labels(identity.secret_id)
    issued = sources.certificates.look(identity.certificate_arn)
    expected = expectation(identity, sources.authorities, sources.clock)
    verify_certificate(issued.certificate, issued.certificate_chain, expected)
    version_id = certificate_version(issued.certificate)
    if not issued.to_take_out:
        # Otherwise it is exported first and refused later: only a renewal ends a quarantine, and it needs an export.
        require_publishable(seen, identity.secret_id, version_id)
    if version_labelled(seen, CURRENT) == version_id and not issued.to_take_out:
        remove_pending(sources.vault, identity.secret_id, version_id, seen)
        sources.certificates.published(identity.name, identity.certificate_arn)
        return ExportResult(identity.name, Outcome.ALREADY_CURRENT, version_id, certificate_facts(issued.certificate))
    exported = _take_out(identity, expected, sources)
    if values and _is_older(identity, exported, values, seen):
        if not may_go_back:
            raise PublicationRaced(identity.secret_id, CURRENT)
        _quarantine_current(identity, exported.material.version_id, sources.vault, seen)
    return _publish(identity, exported, sources, seen)


def export_issued(identity: Identity, version_id: str, sources: Sources, values: PublishedValues) -> ExportResult:
    """
    Like :func:`export_identity`, for a caller that knows which version ACM holds.

    ACM is asked only for the certificate's tags and for the export: it answers ten DescribeCertificate calls a second
    for a whole account, and the renewal function has just made one.

    Args:
        version_id: The version that ACM held when the caller looked.
        values: Used to read the current value, so that an older certificate does not replace a newer one.

    Returns:
        The version that was exported, and the outcome. A version that was rolled back is withheld; ACM can renew it
        now.

    Raises:
        CertificateNotOwned: If the certificate was requested for another identity.
        CertificatePending: If ACM has not issued the certificate yet.
        MaterialRejected: If the pre-flight found faults; the secret is unchanged.
        PublicationRaced: If a newer certificate has become current meanwhile; it stays current.
        MeshcertError: If AWS is unavailable, denies a call, or something does not exist.
    """
    require_own_certificate(identity, sources.certificates)
    seen = sources.vault.labels(identity.secret_id)
    expected = expectation(identity, sources.authorities, sources.clock)
    exported = _take_out(identity, expected, sources)
    came_out = exported.material.version_id
    if came_out != version_id:
        logger.info("%s: ACM was seen to hold %s and has given %s", identity.name, version_id, came_out)
    if is_withheld(seen, came_out):
        return ExportResult(identity.name, Outcome.WITHHELD, came_out, exported.facts)
    if _is_older(identity, exported, values, seen):
        raise PublicationRaced(identity.secret_id, CURRENT)
    return _publish(identity, exported, sources, seen)


def go_back(identity: Identity, version_id: str, value: str, vault: SecretVault, seen: LabelsByVersion) -> Outcome:
    """
    Publish an earlier version once more, without its issuer.

    Args:
        value: The version's.
        seen: The secret's labels as they were before the version was looked at.

    Returns:
        Whether readers see a change.

    Raises:
        PublicationRaced: If another run has published meanwhile.
        VersionQuarantined: If the version was rolled back.
    """
    _quarantine_current(identity, version_id, vault, seen)
    return publish(vault, identity.secret_id, version_id, value, seen)


def new_passphrase() -> Passphrase:
    """
    A random passphrase of 64 characters (384 bits) without ``#``, ``$`` and ``%``, which acm:ExportCertificate refuses.

    Every export gets its own. It is never made at import, where copies of a process snapshot would share it.
    """
    return Passphrase(secrets.token_urlsafe(48))


def expectation(identity: Identity, authorities: CertificateAuthorities, clock: Clock) -> Expectation:
    """The requirements on an identity's certificate at this moment."""
    return Expectation(
        identity=identity.name,
        names=identity.names,
        peer_rules=identity.peer_rules,
        trust_anchors=authorities.root(identity.root_certificate_authority_arn),
        at=clock.now(),
    )


@dataclass(frozen=True)
class _Exported:
    """Material exported from ACM, and checked."""

    material: Material
    facts: CertificateFacts


def _take_out(identity: Identity, expected: Expectation, sources: Sources) -> _Exported:
    """
    Export and check the material that ACM holds now.

    ACM may have renewed the certificate since it was looked at; the exported certificate is the one that counts.
    """
    exported = sources.certificates.export(identity.certificate_arn, new_passphrase())
    material = verify_material(exported, expected)
    return _Exported(material, certificate_facts(material.certificate))


def _publish(identity: Identity, exported: _Exported, sources: Sources, seen: LabelsByVersion) -> ExportResult:
    version_id = exported.material.version_id
    value = write_material(exported.material, exported.facts.as_document())
    outcome = publish(sources.vault, identity.secret_id, version_id, value, seen)
    sources.certificates.published(identity.name, identity.certificate_arn)
    return ExportResult(identity.name, outcome, version_id, exported.facts)


def _is_older(identity: Identity, exported: _Exported, values: PublishedValues, seen: LabelsByVersion) -> bool:
    """
    Whether a certificate is older than the current one.

    A deploy publishes a new certificate before it writes the identity's row. Until then, a caller that reads the row
    exports the earlier certificate. Raises PublicationRaced if another version is current by now.
    """
    version_id = version_labelled(seen, CURRENT)
    if version_id in {None, exported.material.version_id}:
        return False
    current = values.current_value(identity.secret_id)
    try:
        before = certificate_facts(read_material(current.value, identity.secret_id).certificate)
    except (SecretNotPublished, SecretMalformed, ValueError):
        # No proxy can read the current value: any certificate is newer.
        return False
    if current.version_id != version_id:
        raise PublicationRaced(identity.secret_id, CURRENT)
    return exported.facts.not_before < before.not_before


def _quarantine_current(identity: Identity, version_id: str, vault: SecretVault, seen: LabelsByVersion) -> None:
    """Label the version that is left; before the way back, so that no proxy sees that without the label."""
    require_publishable(seen, identity.secret_id, version_id)
    current, before = version_labelled(seen, CURRENT), version_labelled(seen, QUARANTINED)
    if current != before:
        vault.move_label(identity.secret_id, QUARANTINED, to=current, away_from=before)
