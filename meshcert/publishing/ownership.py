"""
What belongs to an identity or a trust bundle: derived from the mesh's name and its own, never believed.

Requests, rows and messages name secrets, buckets and certificates too. Whoever can write one could otherwise have the
key of one identity published where another can read it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from meshcert import naming
from meshcert.errors import CertificateNotOwned

if TYPE_CHECKING:
    from meshcert.identity import Identity
    from meshcert.issuing.issuer import MaterialSource

_SECRET_ARN = re.compile(
    r"arn:[a-z0-9-]+:secretsmanager:(?P<region>[a-z0-9-]+):(?P<account>[0-9]{12}):secret:(?P<name>.+)-[A-Za-z0-9]{6}"
)
"""Secrets Manager adds a hyphen and six characters to the name (user guide, "What's in a Secrets Manager secret?")."""


def is_identity_secret(secret_arn: str, mesh: str, identity: str) -> bool:
    """True if a complete ARN is that of the secret with this identity's material."""
    return _secret_name(secret_arn) == naming.identity_secret(mesh, identity)


def is_trust_bundle_secret(secret_arn: str, mesh: str, hierarchy: str) -> bool:
    """True if a complete ARN is that of the secret with this hierarchy's trust bundle."""
    return _secret_name(secret_arn) == naming.trust_bundle_secret(mesh, hierarchy)


def is_foreign_bundle_secret(secret_arn: str, mesh: str, trust_domain: str) -> bool:
    """True if a complete ARN is that of the secret with this foreign trust domain's bundle."""
    return _secret_name(secret_arn) == naming.foreign_bundle_secret(mesh, trust_domain)


def is_revocation_bucket(bucket: str, mesh: str, secret_arn: str) -> bool:
    """
    True if a bucket is the mesh's own, in the account and region of a secret.

    Args:
        secret_arn: A secret that the mesh's functions may write, so it lies in their own account and region.
    """
    found = _SECRET_ARN.fullmatch(secret_arn)
    return found is not None and bucket == naming.revocation_bucket(mesh, found["account"], found["region"])


def require_own_certificate(identity: Identity, certificates: MaterialSource) -> None:
    """
    Refuse a certificate that was not requested for this identity.

    Raises:
        CertificateNotOwned: If CloudFormation has tagged it with another identity, or nobody has tagged it.
        IdentityMissing: If there is no such certificate.
    """
    owner = certificates.owner(identity.certificate_arn)
    if owner != identity.name:
        raise CertificateNotOwned(identity.certificate_arn, identity.name, owner)


def _secret_name(secret_arn: str) -> str:
    found = _SECRET_ARN.fullmatch(secret_arn)
    return found["name"] if found else ""
