"""A private certificate in the structures of ACM's API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from local.aws.certificates import x509_signing

if TYPE_CHECKING:
    from cryptography import x509

    from local.aws.certificates.private_certificate import PrivateCertificate

_USAGES = (
    {"Name": "TLS_WEB_SERVER_AUTHENTICATION", "OID": "1.3.6.1.5.5.7.3.1"},
    {"Name": "TLS_WEB_CLIENT_AUTHENTICATION", "OID": "1.3.6.1.5.5.7.3.2"},
)


def detail(certificate: PrivateCertificate) -> dict[str, Any]:
    """``CertificateDetail``; what AWS keeps for AMAZON_ISSUED certificates, such as IssuedAt, is absent."""
    described: dict[str, Any] = {
        "CertificateArn": certificate.arn,
        "DomainName": certificate.domain_name,
        "SubjectAlternativeNames": list(certificate.names),
        "Subject": f"CN={certificate.domain_name}",
        "CreatedAt": certificate.created_at.timestamp(),
        "Status": certificate.current_status,
        "KeyAlgorithm": certificate.key_algorithm,
        "InUseBy": [],
        "Type": "PRIVATE",
        "CertificateAuthorityArn": certificate.authority_arn,
        "RenewalEligibility": "ELIGIBLE" if certificate.renewable else "INELIGIBLE",
        "Options": certificate.options,
    }
    if certificate.failure_reason:
        described["FailureReason"] = certificate.failure_reason
    if certificate.renewal:
        described["RenewalSummary"] = certificate.renewal
    return described | _facts(certificate.certificate) if certificate.certificate else described


def summary(certificate: PrivateCertificate) -> dict[str, Any]:
    """``CertificateSummary``."""
    fields = {
        "CertificateArn": certificate.arn,
        "DomainName": certificate.domain_name,
        "SubjectAlternativeNameSummaries": list(certificate.names),
        "HasAdditionalSubjectAlternativeNames": False,
        "Status": certificate.current_status,
        "Type": "PRIVATE",
        "KeyAlgorithm": certificate.key_algorithm,
        "InUse": False,
        "Exported": certificate.exported,
        "RenewalEligibility": "ELIGIBLE" if certificate.renewable else "INELIGIBLE",
        "CreatedAt": certificate.created_at.timestamp(),
    }
    if certificate.certificate:
        fields["NotBefore"] = certificate.certificate.not_valid_before_utc.timestamp()
        fields["NotAfter"] = certificate.certificate.not_valid_after_utc.timestamp()
    return fields


def public_summary(record: dict[str, Any]) -> dict[str, Any]:
    """``CertificateSummary`` of MiniStack's record of a public or imported certificate."""
    return {
        "CertificateArn": record["CertificateArn"],
        "DomainName": record["DomainName"],
        "SubjectAlternativeNameSummaries": list(record.get("SubjectAlternativeNames") or []),
        "HasAdditionalSubjectAlternativeNames": False,
        "Status": record["Status"],
        "Type": record.get("Type", "AMAZON_ISSUED"),
        "KeyAlgorithm": record.get("KeyAlgorithm", "RSA_2048"),
        "InUse": False,
    }


def _facts(certificate: x509.Certificate) -> dict[str, Any]:
    names = certificate.issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    names += certificate.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)
    digest = certificate.signature_hash_algorithm
    # The families of subject and issuer are the same: ACM refuses others.
    signed_with = "RSA" if isinstance(certificate.public_key(), rsa.RSAPublicKey) else "ECDSA"
    return {
        "Serial": x509_signing.serial_text(certificate),
        "Issuer": str(names[0].value) if names else "",
        "NotBefore": certificate.not_valid_before_utc.timestamp(),
        "NotAfter": certificate.not_valid_after_utc.timestamp(),
        "SignatureAlgorithm": f"{digest.name.upper() if digest else 'NONE'}WITH{signed_with}",
        "KeyUsages": [{"Name": "DIGITAL_SIGNATURE"}, {"Name": "KEY_ENCIPHERMENT"}],
        "ExtendedKeyUsages": list(_USAGES),
    }
