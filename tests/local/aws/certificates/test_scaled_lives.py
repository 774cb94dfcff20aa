"""A life of a day passes in a minute: what IssueCertificate's callers get is scaled around the moment of the issue."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from local.aws.config import CertificateTimes
from local.running_aws import LocalAwsFailed
from tests.local.aws.certificates.test_revocation_lists import RIGHTS, WRITER
from tests.local.aws.hierarchies import end_entity_request, issue, parsed, root, subordinate
from tests.local.aws.refusals import ClientError, code_of

if TYPE_CHECKING:
    from cryptography import x509

    from local.running_aws import LocalAws

SCALE = 1 / 1440
TIMES = CertificateTimes(life_scale=SCALE)
SHORT = "SHORT_LIVED_CERTIFICATE"
DAY, WEEK = timedelta(days=1), timedelta(days=7)
SECOND = timedelta(seconds=1)


@pytest.fixture
def pca(fresh_aws: LocalAws) -> Any:
    """Private CA, where a day lasts a minute."""
    return fresh_aws.client("acm-pca")


def leaf_of(pca: Any, arn: str, **more: Any) -> x509.Certificate:
    """A certificate for a request of our own."""
    return parsed(issue(pca, arn, end_entity_request("teller.color.local", "spiffe://color/teller"), **more)[0])


def absolute(moment: datetime) -> dict[str, Any]:
    """``moment`` as the API takes it."""
    return {"Type": "ABSOLUTE", "Value": int(moment.timestamp())}


def life(certificate: x509.Certificate) -> timedelta:
    """From one end of its validity to the other."""
    return certificate.not_valid_after_utc - certificate.not_valid_before_utc


def test_a_day_lives_a_minute_and_begins_as_much_nearer(pca: Any) -> None:
    """AWS's hour before the issue is 2.5 s, of which the whole ones are left; a second never comes on top."""
    arn, asked_at = root(pca, mode=SHORT), datetime.now(UTC)

    leaf = leaf_of(pca, arn, validity={"Type": "DAYS", "Value": 1})

    issued_at = leaf.not_valid_before_utc + 2 * SECOND
    assert leaf.not_valid_after_utc - issued_at == timedelta(minutes=1)
    assert asked_at - SECOND < issued_at <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("before", "after", "least_s", "most_s"),
    [
        (timedelta(hours=1), DAY, 60, 62.5),
        (timedelta(), DAY, 58, 60),
        (DAY, WEEK, 478, 480),
        (timedelta(minutes=5), timedelta(hours=1), 1, 2.71),
    ],
    ids=str,
)
def test_a_life_is_never_longer_than_its_share_and_valid_at_once(
    pca: Any, before: timedelta, after: timedelta, least_s: float, most_s: float
) -> None:
    """Whole seconds are taken from the life at both ends, one each at most."""
    arn, asked_at = root(pca, mode=SHORT), datetime.now(UTC).replace(microsecond=0)

    leaf = leaf_of(pca, arn, validity=absolute(asked_at + after), ValidityNotBefore=absolute(asked_at - before))

    assert timedelta(seconds=least_s) <= life(leaf) <= timedelta(seconds=most_s)
    assert asked_at - before <= leaf.not_valid_before_utc <= datetime.now(UTC)
    assert leaf.not_valid_after_utc <= asked_at + after


def test_cas_and_what_acm_manages_keep_their_lives(fresh_aws: LocalAws, pca: Any) -> None:
    """A root of ten years, a CA of five below it, and ACM's 395 days."""
    arn = root(pca)
    below = subordinate(pca, arn)
    own = [pca.get_certificate_authority_certificate(CertificateAuthorityArn=ca)["Certificate"] for ca in (arn, below)]
    acm = fresh_aws.client("acm")
    call = {"CertificateAuthorityArn": arn, "KeyAlgorithm": "EC_prime256v1"}
    managed = acm.request_certificate(DomainName="teller.color.local", **call)["CertificateArn"]
    detail = acm.describe_certificate(CertificateArn=managed)["Certificate"]

    years = [round(life(parsed(pem)).days / 365.25) for pem in own]

    assert (years, detail["NotAfter"] - detail["NotBefore"]) == ([10, 5], timedelta(days=395, hours=1))


def test_what_was_asked_for_is_what_is_judged(pca: Any) -> None:
    """Seven days and a bit would be seven minutes, eleven years four days: both are refused all the same."""
    short, long = root(pca, mode=SHORT), root(pca)
    codes = []

    for arn, validity in (
        (short, absolute(datetime.now(UTC) + WEEK + timedelta(minutes=5))),
        (long, {"Type": "YEARS", "Value": 11}),
        (short, absolute(datetime.now(UTC) + timedelta(minutes=20))),
    ):
        with pytest.raises(ClientError) as error:
            leaf_of(pca, arn, validity=validity)
        codes.append(code_of(error))

    assert codes == ["ValidationException", "ValidationException", "InvalidArgsException"]
    assert life(leaf_of(pca, short, validity={"Type": "DAYS", "Value": 7})) == timedelta(seconds=7 * 60 + 2)


def test_an_audit_report_and_a_revocation_see_what_is_in_the_certificate(fresh_aws: LocalAws, pca: Any) -> None:
    """Not what was asked for."""
    arn, s3 = root(pca), fresh_aws.client("s3")
    leaf = leaf_of(pca, arn)
    location = {"LocationConstraint": fresh_aws.region}
    s3.create_bucket(Bucket="reports", CreateBucketConfiguration=location)
    allowed = {"Effect": "Allow", "Principal": WRITER, "Action": RIGHTS, "Resource": "*"}
    s3.put_bucket_policy(Bucket="reports", Policy=json.dumps({"Statement": [allowed]}))

    call = {"CertificateAuthorityArn": arn, "CertificateSerial": f"{leaf.serial_number:x}"}
    pca.revoke_certificate(**call, RevocationReason="SUPERSEDED")
    report = pca.create_certificate_authority_audit_report(
        CertificateAuthorityArn=arn, S3BucketName="reports", AuditReportResponseFormat="JSON"
    )

    rows = json.loads(s3.get_object(Bucket="reports", Key=report["S3Key"])["Body"].read())
    (row,) = [each for each in rows if each["certificateArn"].endswith(f"{leaf.serial_number:032x}")]
    assert row["revocationReason"] == "SUPERSEDED"
    assert [row["notBefore"], row["notAfter"]] == [
        f"{moment:%Y-%m-%dT%H:%M:%S+0000}" for moment in (leaf.not_valid_before_utc, leaf.not_valid_after_utc)
    ]


def test_the_factor_can_be_changed_while_it_runs(fresh_aws: LocalAws, pca: Any) -> None:
    """For what is issued from then on; more than 1 could outlive the CA."""
    arn = root(pca)

    fresh_aws.control("PUT", "/_local/acm-pca/lives", {"factor": 1})
    whole = life(leaf_of(pca, arn, validity={"Type": "DAYS", "Value": 1}))
    for factor in (0, -1, 1.5):
        with pytest.raises(LocalAwsFailed):
            fresh_aws.control("PUT", "/_local/acm-pca/lives", {"factor": factor})
    kept = fresh_aws.control("GET", "/_local/acm-pca/lives")
    fresh_aws.reset()

    assert whole == DAY + timedelta(hours=1)
    assert (kept, fresh_aws.control("GET", "/_local/acm-pca/lives")) == ({"factor": 1.0}, {"factor": SCALE})
