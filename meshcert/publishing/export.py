"""
Bring one identity, or one trust bundle, in line: its secret holds what ACM and the CA hold now.

Nothing here asks why it was called. It compares what is with what should be and takes the steps that are missing, so
calling it twice, late or for nothing changes nothing.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshcert import naming
from meshcert.contract.staging_labels import CURRENT
from meshcert.errors import PublicationRaced, SecretMalformed, SecretNotPublished
from meshcert.material import ListSource, Passphrase, TrustBundle, certificate_version, join_certificates
from meshcert.material.certificate_facts import CertificateFacts, certificate_facts
from meshcert.material.document import read_material, write_material, write_trust_bundle
from meshcert.publishing.preflight import Expectation, verify_certificate, verify_material, verify_trust_bundle
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
    """
    Where material comes from and goes to.

    Args:
        certificates: The issuer.
        authorities: AWS Private CA.
        vault: Secrets Manager.
        clock: Time.
    """

    certificates: MaterialSource
    authorities: CertificateAuthorities
    vault: SecretVault
    clock: Clock


@dataclass(frozen=True)
class RevocationListRequest:
    """A revocation list that proxies are to look at: the S3 bucket it lies in, and the CA that writes and signs it."""

    bucket: str
    certificate_authority_arn: str

    @property
    def key(self) -> str:
        """Where in the bucket it lies."""
        return naming.revocation_list(self.certificate_authority_arn.rpartition("/")[2])


@dataclass(frozen=True)
class TrustBundleRequest:
    """
    A trust bundle to publish.

    Args:
        hierarchy: Name of the hierarchy in the mesh file.
        secret_id: ARN of the secret that holds it.
        root_certificate_authority_arns: The root CAs whose certificates are in it; several while one replaces another.
        lists: The revocation list of every CA of these hierarchies; empty if they make none.
    """

    hierarchy: str
    secret_id: str
    root_certificate_authority_arns: tuple[str, ...]
    lists: tuple[RevocationListRequest, ...] = ()


@dataclass(frozen=True)
class ExportResult:
    """
    What a secret holds after the call.

    Args:
        subject: The identity or the trust bundle.
        outcome: Whether the call changed it.
        version_id: The current version.
        facts: What is public about the certificate; None for a trust bundle.
    """

    subject: str
    outcome: Outcome
    version_id: str
    facts: CertificateFacts | None = None

    def summary(self) -> dict[str, str]:
        """Small, public and JSON: for logs and for whoever invoked the function."""
        summary = {"subject": self.subject, "outcome": str(self.outcome), "version_id": self.version_id}
        if self.facts:
            summary |= {
                "serial_number": self.facts.serial_number,
                "not_after": self.facts.not_after.isoformat(),
            }
        return summary


def export_identity(identity: Identity, sources: Sources, values: PublishedValues | None = None) -> ExportResult:
    """
    An identity's secret holds the certificate that ACM holds, checked, and ACM can renew it.

    The public half is checked on every call, so a deploy whose peers accept only names that the certificate lacks is
    refused even when nothing is to be published. The private key leaves ACM only if the certificate is not current
    yet, or if ACM says it cannot be renewed: an export lost between ACM's renewal and this call would otherwise stop
    all renewals to come. Exporting a published certificate once more changes nothing but that.

    Args:
        identity: Whose material.
        sources: Where it comes from and goes to.
        values: Where the current value is read, to leave a newer certificate alone. None lets an older certificate
            take the place of a newer one: a deploy that is rolled back means that.

    Returns:
        What the secret holds now.

    Raises:
        CertificatePending: If ACM has not issued the certificate yet.
        MaterialRejected: If the pre-flight found faults; the secret is as it was.
        PublicationRaced: If a newer certificate is current by now; it stays so.
        VersionQuarantined: If the certificate was rolled back; the secret is as it was, and ACM can renew it.
        MeshcertError: If AWS is unavailable, denies a call, or something does not exist.
    """
    # Before ACM is looked at: see publish's argument ``seen``.
    seen = sources.vault.labels(identity.secret_id)
    issued = sources.certificates.look(identity.certificate_arn)
    expected = expectation(identity, sources.authorities, sources.clock)
    verify_certificate(issued.certificate, issued.certificate_chain, expected)
    version_id = certificate_version(issued.certificate)
    if not issued.to_take_out:
        # Otherwise it is exported first and refused afterwards: only a renewal leads out of a quarantine.
        require_publishable(seen, identity.secret_id, version_id)
    if version_labelled(seen, CURRENT) == version_id and not issued.to_take_out:
        remove_pending(sources.vault, identity.secret_id, version_id, seen)
        return ExportResult(identity.name, Outcome.ALREADY_CURRENT, version_id, certificate_facts(issued.certificate))
    exported = _take_out(identity, expected, sources)
    if values:
        _require_newer(identity, exported, values, seen)
    return _publish(identity, exported, sources, seen)


def export_issued(identity: Identity, version_id: str, sources: Sources, values: PublishedValues) -> ExportResult:
    """
    As :func:`export_identity`, for a caller that has looked at ACM itself: ACM is asked for the export alone.

    ACM answers ten looks a second for a whole account, and the renewal function has just had one.

    Args:
        identity: Whose material.
        version_id: The version that ACM was seen to hold.
        sources: Where it comes from and goes to.
        values: Where the current value is read, to leave a newer certificate alone.

    Returns:
        What came out of ACM, and what became of it. A version that was rolled back is withheld; ACM can renew it now.

    Raises:
        CertificatePending: If ACM has not issued the certificate yet.
        MaterialRejected: If the pre-flight found faults; the secret is as it was.
        PublicationRaced: If a newer certificate is current by now; it stays so.
        MeshcertError: If AWS is unavailable, denies a call, or something does not exist.
    """
    seen = sources.vault.labels(identity.secret_id)
    expected = expectation(identity, sources.authorities, sources.clock)
    exported = _take_out(identity, expected, sources)
    came_out = exported.material.version_id
    if came_out != version_id:
        logger.info("%s: ACM was seen to hold %s and has given %s", identity.name, version_id, came_out)
    if is_withheld(seen, came_out):
        return ExportResult(identity.name, Outcome.WITHHELD, came_out, exported.facts)
    _require_newer(identity, exported, values, seen)
    return _publish(identity, exported, sources, seen)


def export_trust_bundle(order: TrustBundleRequest, sources: Sources) -> ExportResult:
    """
    A trust bundle's secret holds the certificates that its root CAs have now.

    A root's reissued certificate, of the same subject and key, takes the place of the one before: leaves under either
    verify against both.

    Args:
        order: Which bundle.
        sources: Where it comes from and goes to.

    Returns:
        What the secret holds now.

    Raises:
        MaterialRejected: If a certificate is no root's, or not valid now; the secret is as it was.
        MeshcertError: If AWS is unavailable, denies a call, or something does not exist.
    """
    seen = sources.vault.labels(order.secret_id)
    roots = [sources.authorities.certificate(arn) for arn in order.root_certificate_authority_arns]
    # Whoever reads a list checks that its CA has signed it, and an issuing CA is in no bundle of roots.
    lists = ((each, sources.authorities.certificate(each.certificate_authority_arn)) for each in order.lists)
    listed = (ListSource(each.bucket, each.key, certificate) for each, certificate in lists)
    bundle = TrustBundle(join_certificates(roots), tuple(listed))
    verify_trust_bundle(bundle, order.hierarchy, sources.clock.now())
    value = write_trust_bundle(bundle)
    outcome = publish(sources.vault, order.secret_id, bundle.version_id, value, seen)
    return ExportResult(f"trust-bundle/{order.hierarchy}", outcome, bundle.version_id)


def new_passphrase() -> Passphrase:
    """
    64 random characters, 384 bits, of the alphabet that acm:ExportCertificate takes: no ``#``, ``$`` or ``%``.

    Made anew for every export, never at import: a snapshot of the process would share it.
    """
    return Passphrase(secrets.token_urlsafe(48))


def expectation(identity: Identity, authorities: CertificateAuthorities, clock: Clock) -> Expectation:
    """
    What an identity's certificate must be now.

    Args:
        identity: Whose certificate.
        authorities: Gives the root CA's own certificate.
        clock: Time.
    """
    return Expectation(
        identity=identity.name,
        names=identity.names,
        peer_rules=identity.peer_rules,
        trust_anchors=authorities.certificate(identity.root_certificate_authority_arn),
        at=clock.now(),
    )


@dataclass(frozen=True)
class _Exported:
    """What came out of ACM, checked."""

    material: Material
    facts: CertificateFacts


def _take_out(identity: Identity, expected: Expectation, sources: Sources) -> _Exported:
    """A renewal may have come since ACM was looked at: what counts is the certificate that comes out."""
    exported = sources.certificates.export(identity.certificate_arn, new_passphrase())
    material = verify_material(exported, expected)
    return _Exported(material, certificate_facts(material.certificate))


def _publish(identity: Identity, exported: _Exported, sources: Sources, seen: LabelsByVersion) -> ExportResult:
    version_id = exported.material.version_id
    value = write_material(exported.material, exported.facts.as_document())
    outcome = publish(sources.vault, identity.secret_id, version_id, value, seen)
    return ExportResult(identity.name, outcome, version_id, exported.facts)


def _require_newer(identity: Identity, exported: _Exported, values: PublishedValues, seen: LabelsByVersion) -> None:
    """
    Refuse a certificate that is older than the current one.

    A deploy publishes a new certificate before it writes the identity's row: until then, whoever goes by the row
    exports the certificate of before.
    """
    version_id = version_labelled(seen, CURRENT)
    if version_id in {None, exported.material.version_id}:
        return
    current = values.current_value(identity.secret_id)
    try:
        before = certificate_facts(read_material(current.value, identity.secret_id).certificate)
    except (SecretNotPublished, SecretMalformed, ValueError):
        # Nothing that a proxy could read: any certificate is newer.
        return
    if current.version_id != version_id or exported.facts.not_before < before.not_before:
        raise PublicationRaced(identity.secret_id, CURRENT)
