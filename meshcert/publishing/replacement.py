"""Have certificates of AWS Private CA issued: the next one of an identity, and the one that a deploy declares."""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from meshcert.contract.staging_labels import CURRENT
from meshcert.errors import CertificateUnusable, DeployUnderWay, IdentityMissing
from meshcert.identity import IssuerName
from meshcert.issuing.certificate_request import key_algorithm
from meshcert.issuing.epochs import FIRST
from meshcert.material import certificate_version
from meshcert.material.certificate_facts import load_certificates, sans_of
from meshcert.material.pem import CERTIFICATE, sole_block
from meshcert.publishing.publication import version_labelled

if TYPE_CHECKING:
    from meshcert.clock import Clock
    from meshcert.identity import Identity, IdentityTable
    from meshcert.issuing.issuance_terms import IssuanceTerms
    from meshcert.issuing.issuer import IssuedCertificate, MaterialSource
    from meshcert.issuing.issuing_once import Asked, Issuing
    from meshcert.publishing.export import Sources
    from meshcert.publishing.ports import SecretVault

_ROUNDING = dt.timedelta(minutes=1)

logger = logging.getLogger(__name__)


def replace_certificate(identity: Identity, replaces: str, issuing: Issuing, table: IdentityTable) -> Asked | None:
    """
    Ask for the certificate that follows another one, and write it in the identity's row.

    It is published by :func:`meshcert.publishing.export.export_issued`, once it is issued.

    Args:
        identity: As its row has it.
        replaces: ARN of the certificate that is to be replaced.

    Returns:
        What was asked for; None if the identity has another certificate by now.

    Raises:
        DeployUnderWay: If the row does not say what CloudFormation declares. Nothing is sent.
        IdentityMissing: If no mesh file declares the identity. Nothing is sent.
        IssuanceBudgetSpent: If this must be a loop. Nothing is sent.
        MeshcertError: If AWS does not answer, or refuses.
    """
    if identity.issuer is not IssuerName.PRIVATE_CA or identity.certificate_arn != replaces:
        return None
    terms = issuing.terms(identity.name, identity.names)
    if identity.certificate_authority_arns[:1] != (terms.authority_arn,):
        # A deploy moves it to another CA, and may refuse that yet: peers or partners may not know its root.
        raise DeployUnderWay(identity.name)
    asked = issuing.replace(identity.name, replaces, terms)
    table.reissued(identity.name, asked.certificate_arn, replaces)
    return asked


def certificate_declared(identity: Identity, row: Identity | None, issuing: Issuing, sources: Sources) -> Identity:
    """
    An identity with a certificate that is as a deploy declares it: the one that it has, or one that is asked for now.

    Args:
        identity: As the deploy declares it, without a certificate.
        row: As the table has it; None if it is new. It may be of another issuer: then the identity moves.

    Raises:
        DeployUnderWay: If CloudFormation declares other names elsewhere.
        CertificatePending: If its certificate is not issued yet.
        MeshcertError: If AWS does not answer, or refuses.
    """
    terms = issuing.terms(identity.name, identity.names)
    has_own = row is not None and row.issuer is IssuerName.PRIVATE_CA
    # Without one, it may have been asked for by an earlier try of this deploy.
    latest = row.certificate_arn if row and has_own else issuing.latest(identity.name)
    # A CA that the identity leaves is asked nothing: it may be left because it does not answer.
    issued = _issued(latest, sources.certificates) if latest.startswith(f"{terms.authority_arn}/") else None
    if (
        issued
        and is_declared(issued.certificate, terms, issuing.clock)
        and _can_be_published(identity, latest, issued, issuing, sources.vault)
    ):
        by_deploy = row.issued_by_deploy if row and has_own else True
        return replace(identity, certificate_arn=latest, issued_by_deploy=by_deploy)
    replaced = latest or (row.certificate_arn if row else FIRST)
    asked = issuing.replace(identity.name, replaced, terms)
    return replace(identity, certificate_arn=asked.certificate_arn, issued_by_deploy=True)


def _can_be_published(
    identity: Identity, certificate_arn: str, issued: IssuedCertificate, issuing: Issuing, vault: SecretVault
) -> bool:
    """
    Whether a certificate's key is stored, or is what proxies read already.

    Neither is so after a way back: what was published then is not current any more, and its request is deleted.
    """
    if issuing.has_request(identity.name, certificate_arn):
        return True
    current = version_labelled(vault.labels(identity.secret_id), CURRENT)
    return current == certificate_version(issued.certificate)


def _issued(reference: str, certificates: MaterialSource) -> IssuedCertificate | None:
    """A certificate that is there and could be issued; None if there is none."""
    try:
        return certificates.look(reference)
    except (CertificateUnusable, IdentityMissing) as error:
        logger.info("another certificate is asked for: %s", error)
        return None


def is_declared(certificate: str, terms: IssuanceTerms, clock: Clock) -> bool:
    """
    Whether a certificate is good now, and has the declared names, the declared kind of key, and no longer life.

    One that ends soon is no reason for another: the lifecycle sees to that. Nor is one with a shorter life than
    declared: the next certificate has the declared one.
    """
    try:
        (leaf,) = load_certificates(sole_block(certificate, CERTIFICATE))
    except ValueError:
        return False
    longest = terms.life + terms.back_dating + _ROUNDING
    return (
        set(sans_of(leaf)) == set(terms.names)
        and key_algorithm(leaf.public_key()) == terms.key_algorithm
        and leaf.not_valid_after_utc - leaf.not_valid_before_utc <= longest
        and clock.now() < leaf.not_valid_after_utc
    )
