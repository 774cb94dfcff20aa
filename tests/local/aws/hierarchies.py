"""Certificate authorities made through the API, and the check that a chain leads to one of them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from cryptography.x509.verification import PolicyBuilder, Store

if TYPE_CHECKING:
    from collections.abc import Callable

TEMPLATE = "arn:aws:acm-pca:::template/{}/V1"
_Seen = TypeVar("_Seen")


@dataclass(frozen=True)
class Algorithms:
    """What a CA is made of: its key and how it signs."""

    key: str = "EC_prime256v1"
    signing: str = "SHA256WITHECDSA"


P256 = Algorithms()
RSA = Algorithms("RSA_2048", "SHA256WITHRSA")


def new_authority(
    pca: Any, name: str, kind: str = "ROOT", algorithms: Algorithms = P256, mode: str = "GENERAL_PURPOSE"
) -> str:
    """A CA that waits for its certificate; returns its ARN."""
    answer = pca.create_certificate_authority(
        CertificateAuthorityConfiguration={
            "KeyAlgorithm": algorithms.key,
            "SigningAlgorithm": algorithms.signing,
            "Subject": {"CommonName": name, "Organization": "Color"},
        },
        CertificateAuthorityType=kind,
        UsageMode=mode,
        Tags=[{"Key": "meshcert:mesh", "Value": "color"}],
    )
    return str(answer["CertificateAuthorityArn"])


def root(
    pca: Any, name: str = "Color Root", algorithms: Algorithms = P256, years: int = 10, mode: str = "GENERAL_PURPOSE"
) -> str:
    """An active root CA; returns its ARN."""
    arn = new_authority(pca, name, "ROOT", algorithms, mode)
    certificate, _ = issue(pca, arn, request_of(pca, arn), "RootCACertificate", {"Type": "YEARS", "Value": years})
    pca.import_certificate_authority_certificate(CertificateAuthorityArn=arn, Certificate=certificate.encode())
    return arn


def subordinate(
    pca: Any,
    parent: str,
    name: str = "Color Issuing",
    algorithms: Algorithms = P256,
    mode: str = "GENERAL_PURPOSE",
) -> str:
    """An active CA below ``parent`` that may sign end entities only; returns its ARN."""
    return activate(pca, new_authority(pca, name, "SUBORDINATE", algorithms, mode), parent)


def activate(
    pca: Any, arn: str, parent: str, template: str = "SubordinateCACertificate_PathLen0", years: int = 5
) -> str:
    """Give a CA that waits its certificate from ``parent``; returns its ARN."""
    certificate, chain = issue(pca, parent, request_of(pca, arn), template, {"Type": "YEARS", "Value": years})
    pca.import_certificate_authority_certificate(
        CertificateAuthorityArn=arn, Certificate=certificate.encode(), CertificateChain=chain.encode()
    )
    return arn


def request_of(pca: Any, arn: str) -> bytes:
    """A CA's own signing request, PEM."""
    return str(pca.get_certificate_authority_csr(CertificateAuthorityArn=arn)["Csr"]).encode()


def end_entity_request(dns_name: str, uri: str) -> bytes:
    """A signing request for a P-256 key of our own, with a DNS name and a URI; PEM."""
    names = x509.SubjectAlternativeName([x509.DNSName(dns_name), x509.UniformResourceIdentifier(uri)])
    return (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, dns_name)]))
        .add_extension(names, critical=False)
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )


def parsed(pem: str) -> x509.Certificate:
    """The certificate a PEM text holds."""
    return x509.load_pem_x509_certificate(pem.encode())


def issue(
    pca: Any,
    arn: str,
    request: bytes,
    template: str = "EndEntityCertificate",
    validity: dict[str, Any] | None = None,
    **more: Any,
) -> tuple[str, str]:
    """Issue by a template's short name, with ``more`` of the request; returns the certificate and its chain, PEM."""
    signing = pca.describe_certificate_authority(CertificateAuthorityArn=arn)["CertificateAuthority"]
    usual = {
        "SigningAlgorithm": signing["CertificateAuthorityConfiguration"]["SigningAlgorithm"],
        "TemplateArn": TEMPLATE.format(template),
        "Validity": validity or {"Type": "DAYS", "Value": 30 if signing["UsageMode"] == "GENERAL_PURPOSE" else 1},
    }
    issued = pca.issue_certificate(CertificateAuthorityArn=arn, Csr=request, **usual | more)
    got = eventually(lambda: _issued(pca, arn, issued["CertificateArn"]), f"the certificate from {arn}")
    return got["Certificate"], got.get("CertificateChain", "")


def _issued(pca: Any, arn: str, certificate_arn: str) -> dict[str, Any]:
    """GetCertificate's answer; empty while the certificate is being made."""
    try:
        got: dict[str, Any] = pca.get_certificate(CertificateAuthorityArn=arn, CertificateArn=certificate_arn)
    except pca.exceptions.RequestInProgressException:
        return {}
    return got


def permit_acm(pca: Any, arn: str) -> None:
    """Let ACM renew from a CA."""
    actions = ["IssueCertificate", "GetCertificate", "ListPermissions"]
    pca.create_permission(CertificateAuthorityArn=arn, Principal="acm.amazonaws.com", Actions=actions)


def assert_chain_leads_to(root_pem: str, leaf_pem: str, chain_pem: str, at: datetime | None = None) -> None:
    """Build and verify the path from the leaf to the root, for clients, as cryptography does it."""
    anchor = x509.load_pem_x509_certificate(root_pem.encode())
    issuers = x509.load_pem_x509_certificates(chain_pem.encode()) if chain_pem else []
    verifier = PolicyBuilder().store(Store([anchor])).time(at or datetime.now(UTC)).build_client_verifier()
    leaf = x509.load_pem_x509_certificate(leaf_pem.encode())
    verifier.verify(leaf, [issuer for issuer in issuers if issuer != anchor])


def eventually(look: Callable[[], _Seen], what: str, *, within_s: float = 60.0) -> _Seen:
    """What ``look`` returns as soon as it is true; fails when it is not in time."""
    deadline = time.monotonic() + within_s
    while not (seen := look()):
        assert time.monotonic() < deadline, f"{what}: not within {within_s} s"
        time.sleep(0.02)
    return seen
