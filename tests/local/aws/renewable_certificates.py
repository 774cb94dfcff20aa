"""Certificates that are ready to be renewed, and what ACM says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.local.aws.hierarchies import permit_acm, root

if TYPE_CHECKING:
    from local.running_aws import LocalAws


def exported(aws: LocalAws, *, permitted: bool) -> str:
    """A certificate that was exported, of a CA that ACM may or may not renew from; its ARN."""
    pca, acm = aws.client("acm-pca"), aws.client("acm")
    authority = root(pca)
    if permitted:
        permit_acm(pca, authority)
    call = {"CertificateAuthorityArn": authority, "KeyAlgorithm": "EC_prime256v1"}
    arn = acm.request_certificate(DomainName="teller.color.local", **call)["CertificateArn"]
    acm.export_certificate(CertificateArn=arn, Passphrase=b"correct horse")
    return str(arn)


def described(aws: LocalAws, arn: str) -> dict[str, Any]:
    """ACM's description of a certificate."""
    detail: dict[str, Any] = aws.client("acm").describe_certificate(CertificateArn=arn)["Certificate"]
    return detail
