"""Renewals that ACM cannot finish: it answers as if all were well, keeps trying for three days, and then gives up."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from local.aws.config import CertificateTimes
from tests.local.aws.hierarchies import eventually, permit_acm
from tests.local.aws.refusals import ClientError, code_of
from tests.local.aws.renewable_certificates import described, exported

if TYPE_CHECKING:
    from datetime import datetime

    from local.running_aws import LocalAws

TIMES = CertificateTimes(renewal_takes_s=0.1)
DAY = "/_local/acm/day"


def is_stuck(aws: LocalAws, arn: str) -> bool:
    """Whether ACM has tried to renew and says why it cannot."""
    return "RenewalStatusReason" in described(aws, arn)["RenewalSummary"]


def updated_since(aws: LocalAws, arn: str, before: datetime) -> bool:
    """Whether the state of a certificate's renewal is newer than ``before``."""
    return bool(described(aws, arn)["RenewalSummary"]["UpdatedAt"] > before)


def test_a_renewal_without_permission_stays_pending_until_acm_tries_again(fresh_aws: LocalAws) -> None:
    """RenewCertificate succeeds all the same, and is refused while pending; once permitted, ACM's next day heals it."""
    arn, acm = exported(fresh_aws, permitted=False), fresh_aws.client("acm")

    answer = acm.renew_certificate(CertificateArn=arn)
    eventually(partial(is_stuck, fresh_aws, arn), "a reason")
    stuck = described(fresh_aws, arn)
    permit_acm(fresh_aws.client("acm-pca"), stuck["CertificateAuthorityArn"])
    with pytest.raises(ClientError) as again:
        acm.renew_certificate(CertificateArn=arn)
    day = fresh_aws.control("POST", DAY)
    eventually(lambda: described(fresh_aws, arn)["Serial"] != stuck["Serial"], "a renewed certificate")

    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert stuck["Status"] == "ISSUED"
    assert stuck["RenewalSummary"]["RenewalStatus"] == "PENDING_AUTO_RENEWAL"
    assert stuck["RenewalSummary"]["RenewalStatusReason"] == "PCA_ACCESS_DENIED"
    assert code_of(again) == "RequestInProgressException"
    assert day["renewing"] == [arn]


def test_renewals_can_be_held_back(fresh_aws: LocalAws) -> None:
    """What was asked for, or is due, stays pending until they may go on; then each is done once."""
    arn, acm = exported(fresh_aws, permitted=True), fresh_aws.client("acm")
    before = described(fresh_aws, arn)["Serial"]
    assert fresh_aws.control("PUT", "/_local/acm/renewals", {"held": True}) == {"held": True}

    acm.renew_certificate(CertificateArn=arn)
    done = fresh_aws.control("POST", DAY)
    held = described(fresh_aws, arn)

    assert done["renewing"] == [arn]
    assert (held["Serial"], held["RenewalSummary"]["RenewalStatus"]) == (before, "PENDING_AUTO_RENEWAL")
    assert fresh_aws.control("PUT", "/_local/acm/renewals", {"held": False}) == {"held": False}
    eventually(lambda: described(fresh_aws, arn)["Serial"] != before, "a renewed certificate")
    assert described(fresh_aws, arn)["RenewalSummary"]["RenewalStatus"] == "SUCCESS"


def test_a_permission_can_be_taken_away(fresh_aws: LocalAws) -> None:
    """DeletePermission leaves the CA as it is, and ACM without it."""
    arn, acm, pca = exported(fresh_aws, permitted=True), fresh_aws.client("acm"), fresh_aws.client("acm-pca")
    authority = described(fresh_aws, arn)["CertificateAuthorityArn"]

    pca.delete_permission(CertificateAuthorityArn=authority, Principal="acm.amazonaws.com")
    acm.renew_certificate(CertificateArn=arn)

    eventually(partial(is_stuck, fresh_aws, arn), "a reason")
    assert pca.list_permissions(CertificateAuthorityArn=authority)["Permissions"] == []


def test_a_pending_renewal_ends_after_three_days(fresh_aws: LocalAws) -> None:
    """ACM gives up after 72 hours; then it takes a new request, and tries no more by itself."""
    arn, acm = exported(fresh_aws, permitted=False), fresh_aws.client("acm")
    acm.renew_certificate(CertificateArn=arn)
    eventually(partial(is_stuck, fresh_aws, arn), "the first try")
    tried = []

    for _ in range(4):
        before = described(fresh_aws, arn)["RenewalSummary"]["UpdatedAt"]
        tried.append(fresh_aws.control("POST", DAY)["renewing"] == [arn])
        if tried[-1]:
            eventually(partial(updated_since, fresh_aws, arn, before), "a try")

    assert tried == [True, True, False, False]
    assert acm.renew_certificate(CertificateArn=arn)["ResponseMetadata"]["HTTPStatusCode"] == 200
