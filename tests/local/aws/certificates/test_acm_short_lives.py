"""ACM's times scaled to seconds: warnings, renewals that fail, and expiry come by the real clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from local.aws.config import CertificateTimes
from tests.local.aws.hierarchies import eventually, root

if TYPE_CHECKING:
    from local.running_aws import LocalAws

TIMES = CertificateTimes(leaf_lifetime_s=3, managed_renewal_s=3, warning_s=2.5, back_dating_s=1, renewal_takes_s=0.05)


def test_a_life_of_seconds_passes_all_its_stages(aws: LocalAws) -> None:
    """Renewal refused for want of a permission, then Action Required and the warning, then expired."""
    pca, acm = aws.client("acm-pca"), aws.client("acm")
    call = {"CertificateAuthorityArn": root(pca), "KeyAlgorithm": "EC_prime256v1"}
    arn = acm.request_certificate(DomainName="teller.color.local", **call)["CertificateArn"]
    acm.export_certificate(CertificateArn=arn, Passphrase=b"correct horse")
    detail = acm.describe_certificate(CertificateArn=arn)["Certificate"]

    first = aws.control("POST", "/_local/acm/day")
    for stage in ("approaching", "action_required", "expired"):
        eventually(partial(_passes, aws, stage, arn), stage, within_s=6)

    assert detail["NotAfter"] - detail["NotBefore"] == timedelta(seconds=4)
    assert first["renewing"] == [arn]
    assert acm.describe_certificate(CertificateArn=arn)["Certificate"]["Status"] == "EXPIRED"
    assert detail["NotAfter"] < datetime.now(UTC)


def _passes(aws: LocalAws, stage: str, arn: str) -> bool:
    """Whether a daily run now takes the certificate through a stage."""
    return arn in aws.control("POST", "/_local/acm/day")[stage]
