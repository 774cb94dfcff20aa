"""Revocation lists in the local AWS: written as Private CA writes them, read with a task's rights alone."""

from __future__ import annotations

import csv
import json
import os
import ssl
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509

from entrypoint.aws.object_storage import ObjectStorage
from entrypoint.aws.signed_connection import Session, SignedConnection
from entrypoint.judging.revocation import RevocationLists
from entrypoint.judging.revocation_list import read_revocation_list
from meshcert.errors import AwsRefused
from meshcert.material import ListSource, TrustBundle
from meshcert.proxy import Revocation
from tests.local.aws.certificates.test_templates import activated, authority, signed
from tests.local.aws.hierarchies import end_entity_request, issue, parsed, request_of, root
from tests.local.aws.refusals import ClientError, code_of
from tests.local.aws.roles import new_role
from tests.local.aws.stacks import delete, deploy, outputs_of, reasons_of
from tests.local.aws.triggers import new_queue

if TYPE_CHECKING:
    from local.running_aws import LocalAws

BUCKET = "meshcert-color-crl"
WRITER = {"Service": "acm-pca.amazonaws.com"}
RIGHTS = ["s3:PutObject", "s3:PutObjectAcl", "s3:GetBucketAcl", "s3:GetBucketLocation"]
LISTS = {
    "CrlConfiguration": {
        "Enabled": True,
        "CrlType": "COMPLETE",
        "ExpirationInDays": 7,
        "S3BucketName": BUCKET,
        "S3ObjectAcl": "BUCKET_OWNER_FULL_CONTROL",
        "CrlDistributionPointExtensionConfiguration": {"OmitExtension": True},
    }
}


def _stack(**configuration: Any) -> dict[str, Any]:
    """A bucket, its policy, and a root CA that makes lists, as the PKI stack has them."""
    statement = {"Effect": "Allow", "Principal": WRITER, "Action": RIGHTS, "Resource": "*"}
    ca = authority("Color Root", "ROOT")
    ca["Properties"]["RevocationConfiguration"] = {"CrlConfiguration": LISTS["CrlConfiguration"] | configuration}
    ca["DependsOn"] = ["Policy"]
    blocked = dict.fromkeys(("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True)
    return {
        "Bucket": {
            "Type": "AWS::S3::Bucket",
            "Properties": {
                "BucketName": BUCKET,
                "PublicAccessBlockConfiguration": blocked,
                "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
            },
        },
        "Policy": {
            "Type": "AWS::S3::BucketPolicy",
            "Properties": {"Bucket": {"Ref": "Bucket"}, "PolicyDocument": {"Statement": [statement]}},
        },
        "Root": ca,
        "RootCertificate": signed("Root", "Root", "RootCACertificate", 10),
        "RootActivation": activated("Root"),
    }


@pytest.fixture
def ca(fresh_aws: LocalAws) -> str:
    """ARN of an active CA that makes lists."""
    outputs = {"Arn": {"Fn::GetAtt": ["Root", "Arn"]}}
    assert deploy(fresh_aws, "color-pki", _stack(), outputs) == "CREATE_COMPLETE", reasons_of(fresh_aws, "color-pki")
    return outputs_of(fresh_aws, "color-pki")["Arn"]


def _key(arn: str) -> str:
    return f"crl/{arn.rpartition('/')[2]}.crl"


def _read(aws: LocalAws, arn: str) -> x509.CertificateRevocationList:
    body = aws.client("s3").get_object(Bucket=BUCKET, Key=_key(arn))["Body"].read()
    return x509.load_der_x509_crl(body)


def _authority(aws: LocalAws, arn: str) -> str:
    answer = aws.client("acm-pca").get_certificate_authority_certificate(CertificateAuthorityArn=arn)
    return str(answer["Certificate"])


def _revoked(aws: LocalAws, arn: str) -> int:
    """A leaf that is issued and revoked; its serial number."""
    pca = aws.client("acm-pca")
    leaf, _ = issue(pca, arn, end_entity_request("teller.color.local", "spiffe://color/teller"))
    serial = parsed(leaf).serial_number
    pca.revoke_certificate(
        CertificateAuthorityArn=arn, CertificateSerial=f"{serial:x}", RevocationReason="KEY_COMPROMISE"
    )
    return serial


def test_an_active_ca_has_an_empty_list_for_seven_days(fresh_aws: LocalAws, ca: str) -> None:
    """Complete, signed by the CA, with a number; an independent library checks it."""
    found = _read(fresh_aws, ca)

    assert found.is_signature_valid(parsed(_authority(fresh_aws, ca)).public_key())  # type: ignore[arg-type]
    assert found.next_update_utc
    assert found.next_update_utc - found.last_update_utc == timedelta(days=7)
    assert abs(found.last_update_utc - datetime.now(UTC)) < timedelta(minutes=1)
    assert [extension.critical for extension in found.extensions] == [False, False]
    assert len(found) == 0


def test_every_revocation_makes_a_new_list(fresh_aws: LocalAws, ca: str) -> None:
    """With a higher number, and all that was revoked before."""
    before = _read(fresh_aws, ca)
    serials = {_revoked(fresh_aws, ca) for _ in range(2)}
    after = _read(fresh_aws, ca)

    numbers = [each.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number for each in (before, after)]
    assert {entry.serial_number for entry in after} == serials
    assert numbers[0] < numbers[1]


def test_lists_are_switched_on_and_off_in_place(fresh_aws: LocalAws, ca: str) -> None:
    """The CA stays the same; without lists, a revocation writes none."""
    pca = fresh_aws.client("acm-pca")
    resources = _stack()
    resources["Root"]["Properties"]["RevocationConfiguration"] = {"CrlConfiguration": {"Enabled": False}}

    assert deploy(fresh_aws, "color-pki", resources, {"Arn": {"Fn::GetAtt": ["Root", "Arn"]}}) == "UPDATE_COMPLETE"
    _revoked(fresh_aws, ca)
    without = len(_read(fresh_aws, ca))
    pca.update_certificate_authority(CertificateAuthorityArn=ca, RevocationConfiguration=LISTS)

    assert outputs_of(fresh_aws, "color-pki")["Arn"] == ca
    assert without == 0
    assert len(_read(fresh_aws, ca)) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"S3BucketName": "nobody-has-this"}, "does not exist"),
        ({"S3ObjectAcl": "PUBLIC_READ"}, "blocks public access"),
    ],
)
def test_a_bucket_that_takes_no_lists_fails_the_ca(fresh_aws: LocalAws, change: dict[str, Any], said: str) -> None:
    """As on AWS: the CA is not made."""
    assert deploy(fresh_aws, "color-pki", _stack(**change)) == "ROLLBACK_COMPLETE"
    assert said in reasons_of(fresh_aws, "color-pki")


def test_a_bucket_without_a_policy_for_private_ca_is_refused(fresh_aws: LocalAws) -> None:
    """Its policy must name the service and all four actions."""
    pca = fresh_aws.client("acm-pca")
    fresh_aws.client("s3").create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": fresh_aws.region}
    )
    arn = root(pca)

    with pytest.raises(ClientError) as error:
        pca.update_certificate_authority(CertificateAuthorityArn=arn, RevocationConfiguration=LISTS)

    assert code_of(error) == "InvalidArgsException"
    assert request_of(pca, arn)


def test_private_ca_leaves_a_test_object_in_the_bucket(fresh_aws: LocalAws, ca: str) -> None:
    """Beside the list, and also before there is one."""
    found = fresh_aws.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]

    assert sorted(item["Key"] for item in found) == ["acm-pca-permission-test-key", _key(ca)]


def test_a_stack_that_fails_after_its_ca_cannot_delete_the_bucket(fresh_aws: LocalAws) -> None:
    """The test object lies in it: the first deploy ends in ROLLBACK_FAILED, and the bucket's name stays taken."""
    group = {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "one-name"}}
    twice = {"First": group, "Second": {**group, "DependsOn": ["RootActivation", "First"]}}

    status = deploy(fresh_aws, "color-pki", _stack() | twice)

    assert status == "ROLLBACK_FAILED"
    assert "not empty" in reasons_of(fresh_aws, "color-pki")
    assert [bucket["Name"] for bucket in fresh_aws.client("s3").list_buckets()["Buckets"]] == [BUCKET]


def test_a_stack_with_lists_is_not_deleted_until_its_bucket_is_empty(fresh_aws: LocalAws, ca: str) -> None:
    """DELETE_FAILED, with all else gone; after the objects are, it goes."""
    del ca
    bucket = fresh_aws.client("s3")

    first = delete(fresh_aws, "color-pki")
    for item in bucket.list_objects_v2(Bucket=BUCKET)["Contents"]:
        bucket.delete_object(Bucket=BUCKET, Key=item["Key"])
    second = delete(fresh_aws, "color-pki")

    assert (first, second) == ("DELETE_FAILED", "DELETE_COMPLETE")


def test_without_the_buckets_policy_no_list_is_written_and_only_an_event_tells(fresh_aws: LocalAws, ca: str) -> None:
    """The revocation itself succeeds; the list that peers read stays the old one."""
    heard = new_queue(fresh_aws, "heard")
    events = fresh_aws.client("events")
    events.put_rule(Name="lists", EventPattern=json.dumps({"detail-type": ["ACM Private CA CRL Generation"]}))
    events.put_targets(Rule="lists", Targets=[{"Id": "queue", "Arn": heard.arn}])
    _revoked(fresh_aws, ca)
    fresh_aws.client("s3").delete_bucket_policy(Bucket=BUCKET)
    _revoked(fresh_aws, ca)

    assert len(_read(fresh_aws, ca)) == 1
    good, bad = (json.loads(message["Body"]) for message in heard.take(2))
    assert {event["detail-type"] for event in (good, bad)} == {"ACM Private CA CRL Generation"}
    assert (good["resources"], good["detail"]) == ([ca], {"result": "success"})
    assert bad["detail"]["result"] == "failure"
    assert bad["detail"]["reason"].startswith("Failed to write CRL to S3.")


@pytest.mark.parametrize("kind", ["JSON", "CSV"])
def test_an_audit_report_names_what_a_ca_has_issued_and_revoked(fresh_aws: LocalAws, ca: str, kind: str) -> None:
    """With subjects, and without alternative names; one in half an hour."""
    pca = fresh_aws.client("acm-pca")
    leaf = parsed(issue(pca, ca, end_entity_request("teller.color.local", "spiffe://color/teller"))[0])
    revoked = _revoked(fresh_aws, ca)
    call = {"CertificateAuthorityArn": ca, "S3BucketName": BUCKET, "AuditReportResponseFormat": kind}

    made = pca.create_certificate_authority_audit_report(**call)
    with pytest.raises(ClientError) as again:
        pca.create_certificate_authority_audit_report(**call)
    names = {"CertificateAuthorityArn": ca, "AuditReportId": made["AuditReportId"]}
    pca.get_waiter("audit_report_created").wait(**names)
    body = fresh_aws.client("s3").get_object(Bucket=BUCKET, Key=made["S3Key"])["Body"].read().decode()

    rows = json.loads(body) if kind == "JSON" else list(csv.DictReader(body.splitlines()))
    serials = {int(row["serial"].replace(":", ""), 16): row for row in rows}
    assert "spiffe://" not in body
    assert {serial: row["subject"] for serial, row in serials.items() if serial in {leaf.serial_number, revoked}} == {
        leaf.serial_number: "CN=teller.color.local",
        revoked: "CN=teller.color.local",
    }
    assert [bool(serials[serial].get("revokedAt")) for serial in (leaf.serial_number, revoked)] == [False, True]
    assert serials[revoked]["revocationReason"] == "KEY_COMPROMISE"
    assert serials[revoked]["templateArn"] == "arn:aws:acm-pca:::template/EndEntityCertificate/V1"
    assert code_of(again) == "RequestInProgressException"


def test_a_task_reads_the_lists_it_may_read_through_the_proxys_own_client(fresh_aws: LocalAws, ca: str) -> None:
    """Signed, the bucket in the path, and a role with this one key: another key is refused."""
    allow = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/{_key(ca)}"}
    role = new_role(fresh_aws, "task", [allow])
    assumed = fresh_aws.client("sts").assume_role(RoleArn=role, RoleSessionName="task")["Credentials"]
    environ = fresh_aws.environment() | {
        "AWS_ACCESS_KEY_ID": assumed["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": assumed["SecretAccessKey"],
        "AWS_SESSION_TOKEN": assumed["SessionToken"],
    }
    os.environ.update(environ)  # awscrt looks there itself
    session = Session.begin(environ, lambda: None)
    region = environ["AWS_REGION"]
    storage = ObjectStorage(region, environ, lambda endpoint: SignedConnection(endpoint, region, "s3", session))
    pem = _authority(fresh_aws, ca)
    bundle = TrustBundle(pem, (ListSource(BUCKET, _key(ca), pem),))
    lists = RevocationLists(storage, time.time)

    first = lists.current(bundle, Revocation.FAIL_CLOSED, "trust/color")
    again = lists.current(bundle, Revocation.FAIL_CLOSED, "trust/color")
    _revoked(fresh_aws, ca)
    after = lists.current(bundle, Revocation.FAIL_CLOSED, "trust/color")

    assert [each.problem for each in (first, again, after)] == [""] * 3
    assert first == again != after
    assert len(x509.load_pem_x509_crl(after.pem.encode())) == 1
    stored = storage.read(BUCKET, _key(ca))
    assert stored
    assert storage.read(BUCKET, _key(ca), stored.entity_tag) is None
    assert read_revocation_list(stored.body, ssl.PEM_cert_to_DER_cert(pem)).number
    with pytest.raises(AwsRefused, match="AccessDenied"):
        storage.read(BUCKET, "crl/another.crl")
