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


def detail(certificate: PrivateCertificate, options: dict[str, Any]) -> dict[str, Any]:
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
        "Options": options,
    }
    if certificate.failure_reason:
        described["FailureReason"] = certificate.failure_reason
    if certificate.renewal:
        described["RenewalSummary"] = certificate.renewal
    return described | _facts(certificate.certificate) if certificate.certificate else described


def summary(record: dict[str, Any], certificate: PrivateCertificate | None) -> dict[str, Any]:
    """``CertificateSummary`` of a private certificate, or of MiniStack's record of another one."""
    fields = {
        "CertificateArn": record["CertificateArn"],
        "DomainName": record["DomainName"],
        "SubjectAlternativeNameSummaries": list(record.get("SubjectAlternativeNames") or []),
        "HasAdditionalSubjectAlternativeNames": False,
        "Status": certificate.current_status if certificate else record["Status"],
        "Type": record.get("Type", "AMAZON_ISSUED"),
        "KeyAlgorithm": certificate.key_algorithm if certificate else record.get("KeyAlgorithm", "RSA_2048"),
        "InUse": False,
    }
    if certificate is None:
        return fields
    fields["Exported"] = certificate.exported
    fields["RenewalEligibility"] = "ELIGIBLE" if certificate.renewable else "INELIGIBLE"
    fields["CreatedAt"] = certificate.created_at.timestamp()
    if certificate.certificate:
        fields["NotBefore"] = certificate.certificate.not_valid_before_utc.timestamp()
        fields["NotAfter"] = certificate.certificate.not_valid_after_utc.timestamp()
    return fields


def record(certificate: PrivateCertificate, request: dict[str, Any]) -> dict[str, Any]:
    """What MiniStack's own operations need to know; the certificate's tags and options live here."""
    created = certificate.created_at.timestamp()
    return {
        "CertificateArn": certificate.arn,
        "DomainName": certificate.domain_name,
        "SubjectAlternativeNames": list(certificate.names),
        "Status": certificate.status,
        "Type": "PRIVATE",
        "CreatedAt": created,
        "IssuedAt": created,
        "Tags": list(request.get("Tags") or []),
        "Options": request.get("Options") or {"CertificateTransparencyLoggingPreference": "ENABLED"},
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
