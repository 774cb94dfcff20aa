"""
Certificates of AWS Private CA that are published: while they are what a deploy declares, their CA is not needed.

The owner of a CA may end its share or disable it, and Private CA may throttle. A deploy that changes nothing the CA
signs for keeps what is published; one that is taken back goes back to what was published before.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from meshcert.contract.staging_labels import CURRENT, PREVIOUS
from meshcert.errors import (
    AwsRefused,
    AwsUnavailable,
    IdentityMissing,
    IssuanceBudgetSpent,
    MaterialRejected,
    MeshcertError,
    SecretMalformed,
    SecretNotPublished,
)
from meshcert.identity import IssuerName
from meshcert.material.certificate_facts import certificate_facts
from meshcert.material.document import read_material
from meshcert.publishing.export import ExportResult, expectation, go_back
from meshcert.publishing.preflight import verify_certificate
from meshcert.publishing.publication import Outcome, is_withheld, version_labelled
from meshcert.publishing.replacement import is_declared

if TYPE_CHECKING:
    from meshcert.deploying.deployment import Deployment
    from meshcert.identity import Identity
    from meshcert.issuing.issuance_terms import IssuanceTerms
    from meshcert.material import Material


def keep_published(
    identity: Identity, row: Identity | None, unanswered: MeshcertError, deployment: Deployment
) -> tuple[Identity, ExportResult]:
    """
    The published certificate that is as a deploy declares it, without asking its CA; that it is kept is told.

    The current version is left alone. If only the one before is as declared, a deploy is taken back, and it becomes the
    current one.

    Args:
        identity: As the deploy declares it, without a certificate.
        row: As the table has it; None if it is new.
        unanswered: Why the CA's own answer is not to be had.

    Returns:
        The identity with the certificate that was asked for last: what follows takes the place of that one.

    Raises:
        MeshcertError: ``unanswered``, if it is not the CA's, or if nothing that is published is as declared.
    """
    is_own = row is not None and row.issuer is IssuerName.PRIVATE_CA
    issuing, vault = deployment.issuing, deployment.sources.vault
    latest = row.certificate_arn if row and is_own else issuing.latest(identity.name)
    if not latest or not _is_of_private_ca(unanswered):
        raise unanswered
    terms, seen = issuing.terms(identity.name, identity.names), vault.labels(identity.secret_id)
    for label in (CURRENT, PREVIOUS):
        version_id, value = version_labelled(seen, label), _value(identity, label, deployment)
        if version_id is None or is_withheld(seen, version_id):
            continue
        material = _material(value, identity)
        if material is None or material.version_id != version_id or not _is_good(identity, material, terms, deployment):
            continue
        outcome = Outcome.ALREADY_CURRENT
        if label == PREVIOUS:
            outcome = go_back(identity, version_id, value, vault, seen)
        deployment.told.append(str(unanswered))
        kept = replace(identity, certificate_arn=latest, issued_by_deploy=row.issued_by_deploy if row else True)
        return kept, ExportResult(identity.name, outcome, version_id, certificate_facts(material.certificate))
    raise unanswered


def _is_of_private_ca(error: MeshcertError) -> bool:
    """Whether an error says that a CA has no answer, or that it is not to be asked yet."""
    if isinstance(error, IdentityMissing):
        return ":acm-pca:" in error.resource
    asked = isinstance(error, AwsRefused | AwsUnavailable) and error.operation.startswith("acm-pca:")
    return asked or isinstance(error, IssuanceBudgetSpent)


def _value(identity: Identity, label: str, deployment: Deployment) -> str:
    try:
        return deployment.labelled_values.labelled_value(identity.secret_id, label)
    except IdentityMissing:
        return ""


def _material(value: str, identity: Identity) -> Material | None:
    try:
        return read_material(value, identity.secret_id)
    except (SecretMalformed, SecretNotPublished):
        return None


def _is_good(identity: Identity, material: Material, terms: IssuanceTerms, deployment: Deployment) -> bool:
    """Whether a certificate was issued for this identity by the declared CA, is as declared, and may be served now."""
    if not is_declared(material.certificate, terms, deployment.sources.clock):
        return False
    serial_number = certificate_facts(material.certificate).serial_number
    if not deployment.issuing.is_known(identity.name, terms.authority_arn, serial_number):
        return False
    expected = expectation(identity, deployment.sources.authorities, deployment.sources.clock)
    try:
        verify_certificate(material.certificate, material.certificate_chain, expected)
    except MaterialRejected:
        return False
    return True
