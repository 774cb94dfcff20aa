"""A CA that answers requests as AWS Private CA's template EndEntityCertificate/V1 does, or otherwise."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from meshcert.issuing.issuance_terms import IssuanceTerms
from meshcert.san import Dns, Uri

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshcert.issuing.certificate_request import CertificateRequest

NOW = dt.datetime(2026, 11, 30, 6, 0, 0, 123456, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
AUTHORITY = "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/11111111-2222-3333-4444-555555555555"
TEMPLATE = "arn:aws:acm-pca:::template/EndEntityCertificate/V1"
WORKLOAD = Uri("spiffe://color.example/front")
HOSTS = (Dns("front.color.local"), Dns("*.front.color.local"))
TERMS = IssuanceTerms(
    AUTHORITY, "SHA256WITHECDSA", TEMPLATE, "EC_prime256v1", (WORKLOAD, *HOSTS), DAY, dt.timedelta(minutes=10)
)
BOTH_ROLES = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)

_KEY = ec.generate_private_key(ec.SECP256R1())
_ISSUER = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "color issuing")])


def key_usage(*usages: str) -> x509.KeyUsage:
    """A key usage with these bits, by ``cryptography``'s names."""
    bits = [
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
        *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    ]
    return x509.KeyUsage(**{bit: bit in usages for bit in bits})


def issued(
    request: CertificateRequest,
    *,
    names: Sequence[x509.GeneralName] | None = None,
    names_critical: bool = False,
    subject: x509.Name | None = None,
    key: ec.EllipticCurvePublicKey | None = None,
    validity: tuple[dt.datetime, dt.datetime] | None = None,
    usage: x509.KeyUsage | None = key_usage("digital_signature", "key_encipherment"),  # noqa: B008 -- a value
    usage_critical: bool = True,
    roles: Sequence[x509.ObjectIdentifier] = BOTH_ROLES,
    ca: bool = False,
) -> str:
    """
    The leaf for a request, PEM; each argument is what the CA does otherwise.

    Args:
        usage: None leaves the extension out, as no roles do.
    """
    csr = x509.load_pem_x509_csr(request.csr.encode())
    asked = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    not_before, not_after = validity or (request.not_before, request.not_after)
    builder = (
        x509.CertificateBuilder()
        .issuer_name(_ISSUER)
        .subject_name(csr.subject if subject is None else subject)
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .public_key(key or csr.public_key())
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=False)
    )
    found = list(asked) if names is None else list(names)
    if found:
        builder = builder.add_extension(x509.SubjectAlternativeName(found), critical=names_critical)
    if usage is not None:
        builder = builder.add_extension(usage, critical=usage_critical)
    if roles:
        builder = builder.add_extension(x509.ExtendedKeyUsage(roles), critical=False)
    return builder.sign(_KEY, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
