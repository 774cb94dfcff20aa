"""Certificates born in the past, ACM's daily run, and the events that it sends as a service."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509

from local.aws.config import CertificateTimes
from tests.local.aws.hierarchies import assert_chain_leads_to, eventually, permit_acm, root, subordinate

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.running_aws import LocalAws

TIMES = CertificateTimes(born_days_ago=340, renewal_takes_s=0.1)
NAME = "teller.color.local"
PASSPHRASE = b"correct horse battery"


@pytest.fixture
def acm(fresh_aws: LocalAws) -> Any:
    """ACM of an empty account."""
    return fresh_aws.client("acm")


@pytest.fixture
def authority(fresh_aws: LocalAws) -> str:
    """An issuing CA below a root, both made today."""
    pca = fresh_aws.client("acm-pca")
    arn = subordinate(pca, root(pca))
    permit_acm(pca, arn)
    return arn


@pytest.fixture
def certificate(acm: Any, authority: str) -> str:
    """A certificate requested today."""
    call = {"DomainName": NAME, "CertificateAuthorityArn": authority, "KeyAlgorithm": "EC_prime256v1"}
    return str(acm.request_certificate(**call)["CertificateArn"])


@pytest.fixture
def events(fresh_aws: LocalAws) -> Callable[[], list[dict[str, Any]]]:
    """Takes what ACM has sent since the last look out of a queue behind a rule."""
    sqs, rules = fresh_aws.client("sqs"), fresh_aws.client("events")
    url = sqs.create_queue(QueueName="acm-events")["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = {"Version": "2012-10-17", "Statement": [{**allow, "Resource": queue}]}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    rules.put_rule(Name="acm", EventPattern=json.dumps({"source": ["aws.acm"]}))
    rules.put_targets(Rule="acm", Targets=[{"Id": "queue", "Arn": queue}])

    def take() -> list[dict[str, Any]]:
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        for message in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in messages]

    return take


def described(acm: Any, arn: str) -> dict[str, Any]:
    """ACM's description of a certificate."""
    detail: dict[str, Any] = acm.describe_certificate(CertificateArn=arn)["Certificate"]
    return detail


def test_first_certificates_are_dated_back_and_cas_a_day_more(
    fresh_aws: LocalAws, acm: Any, authority: str, certificate: str
) -> None:
    """340 days old with 55 of 395 left; the CAs are 341 days old; the chain verifies now and on its first day."""
    pca, now = fresh_aws.client("acm-pca"), datetime.now(UTC)
    ca = pca.describe_certificate_authority(CertificateAuthorityArn=authority)["CertificateAuthority"]
    detail, got = described(acm, certificate), acm.get_certificate(CertificateArn=certificate)

    hour, minute = timedelta(hours=1), timedelta(minutes=1)
    assert abs(now - detail["NotBefore"] - timedelta(days=340) - hour) < minute
    assert abs(detail["NotAfter"] - now - timedelta(days=55)) < minute
    assert abs(now - ca["NotBefore"] - timedelta(days=341) - hour) < minute
    anchor = x509.load_pem_x509_certificates(got["CertificateChain"].encode())[-1]
    root_pem = got["CertificateChain"][got["CertificateChain"].rindex("-----BEGIN CERTIFICATE") :]
    assert anchor.subject == anchor.issuer
    for at in (now, detail["NotBefore"] + minute):
        assert_chain_leads_to(root_pem, got["Certificate"], got["CertificateChain"], at)


def test_acms_day_renews_what_was_exported_and_says_so(
    fresh_aws: LocalAws, acm: Any, certificate: str, events: Callable[[], list[dict[str, Any]]]
) -> None:
    """Within 60 days: a new certificate dated now, and the Available event with the ARN in resources only."""
    old = described(acm, certificate)["Serial"]
    acm.export_certificate(CertificateArn=certificate, Passphrase=PASSPHRASE)

    done = fresh_aws.control("POST", "/_local/acm/day")
    (event,) = eventually(events, "an event")

    detail = described(acm, certificate)
    assert done == {"renewing": [certificate], "approaching": [], "action_required": [], "expired": []}
    assert detail["Serial"] != old
    assert abs(detail["NotAfter"] - datetime.now(UTC) - timedelta(days=395)) < timedelta(minutes=1)
    assert event["source"] == "aws.acm"
    assert event["detail-type"] == "ACM Certificate Available"
    assert event["resources"] == [certificate]
    assert (event["detail"]["Action"], event["detail"]["CertificateType"]) == ("RENEWAL", "PRIVATE")
    assert certificate not in json.dumps(event["detail"])


def test_acms_day_leaves_alone_what_was_never_exported(fresh_aws: LocalAws, acm: Any, certificate: str) -> None:
    """Nobody exported it since it was issued, so nothing renews it."""
    old = described(acm, certificate)["Serial"]

    done = fresh_aws.control("POST", "/_local/acm/day")

    assert done["renewing"] == []
    assert described(acm, certificate)["Serial"] == old


def test_an_issued_certificate_is_announced(
    acm: Any, authority: str, events: Callable[[], list[dict[str, Any]]]
) -> None:
    """Action ISSUANCE, so that a rule on RENEWAL stays quiet."""
    call = {"DomainName": NAME, "CertificateAuthorityArn": authority, "KeyAlgorithm": "EC_prime256v1"}

    arn = acm.request_certificate(**call)["CertificateArn"]

    (event,) = eventually(events, "an event")
    assert (event["resources"], event["detail"]["Action"]) == ([arn], "ISSUANCE")
