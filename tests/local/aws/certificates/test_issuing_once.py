"""One token, one certificate: what IssueCertificate's callers pay for, and how a test counts it."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from local.aws.config import CertificateTimes
from tests.local.aws.hierarchies import end_entity_request, eventually, issue, new_authority, parsed, permit_acm, root
from tests.local.aws.refusals import ClientError, code_of
from tests.local.aws.shapes import checked_client
from tests.local.aws.triggers import new_queue

if TYPE_CHECKING:
    from local.running_aws import LocalAws
    from tests.local.aws.triggers import Queue

TIMES = CertificateTimes(token_s=1200)
NEW = {"Type": "ABSOLUTE", "Value": int(datetime.now(UTC).timestamp())}
TOKEN = "one"


@pytest.fixture
def pca(fresh_aws: LocalAws) -> Any:
    """Private CA, with every answer held against botocore's shapes."""
    return checked_client(fresh_aws, "acm-pca")


def counts(aws: LocalAws, arn: str) -> dict[str, int]:
    """What a CA has issued."""
    found: dict[str, int] = aws.control("GET", "/_local/acm-pca/issued")[arn]
    return found


def test_a_token_gives_the_same_certificate_until_it_is_forgotten(fresh_aws: LocalAws, pca: Any) -> None:
    """However often it is asked; it counts from its first use."""
    arn, csr = root(pca), end_entity_request("teller.color.local", "spiffe://color/teller")
    seen = []

    for older_by_s in (0, 500, 500, 500):
        fresh_aws.control("PUT", "/_local/acm-pca/tokens", {"older_by_s": older_by_s})
        seen.append(issue(pca, arn, csr, IdempotencyToken=TOKEN)[0])

    assert seen[0] == seen[1] == seen[2] != seen[3]
    expected = {"issued": 2, "for_acm": 0, "authorities": 1, "failed": 0, "repeated": 2, "revoked": 0}
    assert counts(fresh_aws, arn) == expected


@pytest.mark.parametrize(
    "change",
    [
        {"Csr": end_entity_request("teller.color.local", "spiffe://color/teller")},
        {"Validity": {"Type": "DAYS", "Value": 2}},
        {"ValidityNotBefore": NEW},
        {"TemplateArn": "arn:aws:acm-pca:::template/EndEntityClientAuthCertificate/V1"},
        {"SigningAlgorithm": "SHA384WITHECDSA"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_token_with_other_parameters_is_refused_and_costs_nothing(
    fresh_aws: LocalAws, pca: Any, change: dict[str, Any]
) -> None:
    """The refusal names what changed; the certificate of before is still there for who asks as before."""
    arn, csr = root(pca), end_entity_request("teller.color.local", "spiffe://color/teller")
    call = {
        "CertificateAuthorityArn": arn,
        "Csr": csr,
        "SigningAlgorithm": "SHA256WITHECDSA",
        "Validity": {"Type": "DAYS", "Value": 1},
        "IdempotencyToken": TOKEN,
    }
    first = pca.issue_certificate(**call)

    with pytest.raises(ClientError, match=next(iter(change))) as error:
        pca.issue_certificate(**call | change)

    assert code_of(error) == "InvalidArgsException"
    spelt_out = {"TemplateArn": "arn:aws:acm-pca:::template/EndEntityCertificate/V1"}
    assert pca.issue_certificate(**call | spelt_out)["CertificateArn"] == first["CertificateArn"]
    assert counts(fresh_aws, arn)["issued"] == 1


def test_a_token_means_nothing_to_another_ca_and_what_is_refused_uses_none(fresh_aws: LocalAws, pca: Any) -> None:
    """A request that the CA refused may be put right under its token."""
    one, other = root(pca, years=1), root(pca)
    csr = end_entity_request("teller.color.local", "spiffe://color/teller")

    with pytest.raises(ClientError):
        issue(pca, one, csr, validity={"Type": "YEARS", "Value": 2}, IdempotencyToken=TOKEN)
    leaves = {issue(pca, arn, csr, IdempotencyToken=TOKEN)[0] for arn in (one, other)}

    assert len(leaves) == 2
    assert [counts(fresh_aws, arn)["issued"] for arn in (one, other)] == [1, 1]


def test_what_acm_asks_for_is_counted_by_itself(fresh_aws: LocalAws, pca: Any) -> None:
    """It is paid for when it is exported."""
    arn = root(pca)
    permit_acm(pca, arn)

    fresh_aws.client("acm").request_certificate(
        DomainName="teller.color.local", CertificateAuthorityArn=arn, KeyAlgorithm="EC_prime256v1"
    )

    expected = {"issued": 0, "for_acm": 1, "authorities": 1, "failed": 0, "repeated": 0, "revoked": 0}
    assert counts(fresh_aws, arn) == expected


def test_a_certificate_is_in_progress_until_it_is_made(fresh_aws: LocalAws, pca: Any) -> None:
    """It has its ARN and counts at once; the waiter of botocore gets it, and an event tells of it."""
    arn, csr = root(pca), end_entity_request("teller.color.local", "spiffe://color/teller")
    heard = queue_of(fresh_aws, "ACM Private CA Certificate Issuance")
    fresh_aws.control("PUT", "/_local/acm-pca/issuing", {"held": True})

    issued = pca.issue_certificate(
        CertificateAuthorityArn=arn, Csr=csr, SigningAlgorithm="SHA256WITHECDSA", Validity={"Type": "DAYS", "Value": 1}
    )["CertificateArn"]
    names = {"CertificateAuthorityArn": arn, "CertificateArn": issued}
    with pytest.raises(ClientError) as error:
        pca.get_certificate(**names)
    held = fresh_aws.control("GET", "/_local/acm-pca/issuing")
    counted = counts(fresh_aws, arn)["issued"]
    fresh_aws.control("PUT", "/_local/acm-pca/issuing", {"held": False})
    pca.get_waiter("certificate_issued").wait(**names)

    assert (code_of(error), counted) == ("RequestInProgressException", 1)
    assert held == {"held": True, "failing": False, "pending": [issued]}
    (event,) = heard.take(1)
    body = json.loads(event["Body"])
    assert (body["source"], body["resources"]) == ("aws.acm-pca", [arn, issued])
    assert body["detail"] == {"result": "success"}


def test_a_certificate_may_fail_after_its_arn(fresh_aws: LocalAws, pca: Any) -> None:
    """In progress first, then RequestFailedException for good; an event tells, and nobody pays."""
    arn, csr = root(pca), end_entity_request("teller.color.local", "spiffe://color/teller")
    heard = queue_of(fresh_aws, "ACM Private CA Certificate Issuance")
    call = {
        "CertificateAuthorityArn": arn,
        "Csr": csr,
        "SigningAlgorithm": "SHA256WITHECDSA",
        "Validity": {"Type": "DAYS", "Value": 1},
    }
    fresh_aws.control("PUT", "/_local/acm-pca/issuing", {"held": True, "failing": True})
    failed = pca.issue_certificate(**call)["CertificateArn"]

    def answer() -> str:
        with pytest.raises(ClientError) as error:
            pca.get_certificate(CertificateAuthorityArn=arn, CertificateArn=failed)
        return code_of(error)

    assert answer() == "RequestInProgressException"
    fresh_aws.control("PUT", "/_local/acm-pca/issuing", {"held": False, "failing": False})
    eventually(lambda: answer() == "RequestFailedException", "it has failed")
    issue(pca, arn, csr)

    assert [json.loads(event["Body"])["detail"]["result"] for event in heard.take(2)] == ["failure", "success"]
    found = counts(fresh_aws, arn)
    assert (found["issued"], found["failed"]) == (1, 1)


def test_what_the_quota_refuses_is_not_issued_and_uses_no_token(fresh_aws: LocalAws, pca: Any) -> None:
    """25 a second for each account and region, here one; the request may come again as it was."""
    arn, csr = root(pca), end_entity_request("teller.color.local", "spiffe://color/teller")
    rates = {"acm-pca:IssueCertificate": {"rate": 0.01, "burst": 1}}
    fresh_aws.control("PUT", "/_local/quotas", {"on": True, "rates": rates})

    issue(pca, arn, csr)
    with pytest.raises(ClientError) as error:
        issue(pca, arn, csr, IdempotencyToken=TOKEN)
    refused = counts(fresh_aws, arn)
    fresh_aws.control("PUT", "/_local/quotas", {"on": False})
    issue(pca, arn, csr, IdempotencyToken=TOKEN)

    assert code_of(error) == "ThrottlingException"
    assert (refused["issued"], refused["repeated"]) == (1, 0)
    assert counts(fresh_aws, arn)["issued"] == 2


def test_a_revocation_is_told_once_and_counted(fresh_aws: LocalAws, pca: Any) -> None:
    """By an event that names the CA and the certificate; a second revocation is refused, and no event comes."""
    arn, csr = root(pca), end_entity_request("teller.color.local", "spiffe://color/teller")
    heard = queue_of(fresh_aws, "ACM Private CA Certificate Revocation")
    serials = [f"{parsed(issue(pca, arn, csr)[0]).serial_number:032x}" for _ in range(2)]

    pca.update_certificate_authority(CertificateAuthorityArn=arn, Status="DISABLED")
    for serial in (serials[0], serials[0], serials[1]):
        with contextlib.suppress(pca.exceptions.RequestAlreadyProcessedException):
            pca.revoke_certificate(
                CertificateAuthorityArn=arn, CertificateSerial=serial, RevocationReason="KEY_COMPROMISE"
            )

    events = [json.loads(message["Body"]) for message in heard.take(2)]
    assert sorted(event["resources"] for event in events) == sorted(
        [arn, f"{arn}/certificate/{serial}"] for serial in serials
    )
    assert heard.messages() == []
    assert counts(fresh_aws, arn)["revoked"] == 2


def test_what_cannot_be_revoked_is_refused(fresh_aws: LocalAws, pca: Any) -> None:
    """A root's own certificate, one that is not made yet, one of another CA, and without a reason that AWS knows."""
    arn, other = root(pca), root(pca)
    csr = end_entity_request("teller.color.local", "spiffe://color/teller")
    own = parsed(pca.get_certificate_authority_certificate(CertificateAuthorityArn=arn)["Certificate"])
    leaf = parsed(issue(pca, arn, csr)[0])
    fresh_aws.control("PUT", "/_local/acm-pca/issuing", {"held": True})
    pending = pca.issue_certificate(
        CertificateAuthorityArn=arn, Csr=csr, SigningAlgorithm="SHA256WITHECDSA", Validity={"Type": "DAYS", "Value": 1}
    )["CertificateArn"]
    codes = []

    for authority, serial, reason in (
        (arn, f"{own.serial_number:x}", "KEY_COMPROMISE"),
        (arn, pending.rpartition("/")[2], "KEY_COMPROMISE"),
        (other, f"{leaf.serial_number:x}", "KEY_COMPROMISE"),
        (arn, "no number", "KEY_COMPROMISE"),
        (arn, f"{leaf.serial_number:x}", "CERTIFICATE_HOLD"),
        (new_authority(pca, "Waiting"), f"{leaf.serial_number:x}", "KEY_COMPROMISE"),
    ):
        with pytest.raises(ClientError) as error:
            pca.revoke_certificate(CertificateAuthorityArn=authority, CertificateSerial=serial, RevocationReason=reason)
        codes.append(code_of(error))

    assert codes == [
        "InvalidRequestException",
        "RequestInProgressException",
        "ResourceNotFoundException",
        "InvalidRequestException",
        "InvalidRequestException",
        "InvalidStateException",
    ]


def queue_of(aws: LocalAws, detail_type: str) -> Queue:
    """A queue that gets the events of a kind."""
    heard, events = new_queue(aws, "heard"), aws.client("events")
    events.put_rule(Name="heard", EventPattern=json.dumps({"detail-type": [detail_type]}))
    events.put_targets(Rule="heard", Targets=[{"Id": "queue", "Arn": heard.arn}])
    return heard
