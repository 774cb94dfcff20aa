"""Private certificates in the local ACM: requested, exported and renewed as AWS's acceptance tests have seen it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from local.aws.config import CertificateTimes
from tests.local.aws.hierarchies import (
    RSA,
    Algorithms,
    assert_chain_leads_to,
    eventually,
    new_authority,
    permit_acm,
    root,
    subordinate,
)
from tests.local.aws.refusals import ClientError, code_of
from tests.local.aws.shapes import checked_client

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.running_aws import LocalAws

TIMES = CertificateTimes(renewal_takes_s=0.5)
NAME = "teller.color.local"
PASSPHRASE = b"correct horse battery"


@pytest.fixture
def acm(aws: LocalAws) -> Any:
    """ACM, with every answer held against botocore's shapes."""
    return checked_client(aws, "acm")


@pytest.fixture
def pca(aws: LocalAws) -> Any:
    """Private CA."""
    return aws.client("acm-pca")


@pytest.fixture
def authority(pca: Any) -> str:
    """An active root CA that ACM may renew from."""
    arn = root(pca)
    permit_acm(pca, arn)
    return arn


@pytest.fixture
def request_certificate(acm: Any, authority: str) -> Callable[..., str]:
    """Requests a P-256 certificate for NAME and more names; returns its ARN."""

    def request(*names: str, **changes: Any) -> str:
        call = {"DomainName": NAME, "CertificateAuthorityArn": authority, "KeyAlgorithm": "EC_prime256v1", **changes}
        if names:
            call["SubjectAlternativeNames"] = list(names)
        return str(acm.request_certificate(**call)["CertificateArn"])

    return request


def described(acm: Any, arn: str) -> dict[str, Any]:
    """ACM's description of a certificate."""
    detail: dict[str, Any] = acm.describe_certificate(CertificateArn=arn)["Certificate"]
    return detail


def renewed(acm: Any, arn: str, old_serial: str) -> dict[str, Any]:
    """The description once the serial number is another."""
    eventually(lambda: described(acm, arn)["Serial"] != old_serial, "a renewed certificate")
    return described(acm, arn)


def test_a_new_certificate_is_issued_and_not_yet_renewable(acm: Any, request_certificate: Callable[..., str]) -> None:
    """PRIVATE and ISSUED with the facts of the leaf; no renewal summary before the first renewal."""
    detail = described(acm, request_certificate("other.color.local"))

    assert (detail["Status"], detail["Type"]) == ("ISSUED", "PRIVATE")
    assert detail["RenewalEligibility"] == "INELIGIBLE"
    assert "RenewalSummary" not in detail
    assert detail["SubjectAlternativeNames"] == [NAME, "other.color.local"]
    assert {usage["Name"] for usage in detail["ExtendedKeyUsages"]} == {
        "TLS_WEB_SERVER_AUTHENTICATION",
        "TLS_WEB_CLIENT_AUTHENTICATION",
    }
    assert abs(detail["NotAfter"] - datetime.now(UTC) - timedelta(days=395)) < timedelta(minutes=1)
    assert abs(datetime.now(UTC) - detail["NotBefore"] - timedelta(hours=1)) < timedelta(minutes=1)


@pytest.mark.parametrize("key", ["RSA_2048", "EC_prime256v1", "EC_secp384r1"])
def test_an_export_holds_one_set_that_belongs_together(acm: Any, pca: Any, key: str) -> None:
    """Leaf, chain up to the root, and the encrypted key of the leaf, as the description says."""
    algorithms = RSA if key == "RSA_2048" else Algorithms()
    root_arn = root(pca, algorithms=algorithms)
    issuing = subordinate(pca, root_arn, algorithms=algorithms)
    arn = acm.request_certificate(DomainName=NAME, CertificateAuthorityArn=issuing, KeyAlgorithm=key)["CertificateArn"]

    exported = acm.export_certificate(CertificateArn=arn, Passphrase=PASSPHRASE)

    leaf = x509.load_pem_x509_certificate(exported["Certificate"].encode())
    private_key = load_pem_private_key(exported["PrivateKey"].encode(), PASSPHRASE)
    as_der = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert private_key.public_key().public_bytes(*as_der) == leaf.public_key().public_bytes(*as_der)
    assert exported["PrivateKey"].startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----")
    root_pem = pca.get_certificate_authority_certificate(CertificateAuthorityArn=root_arn)["Certificate"]
    assert_chain_leads_to(root_pem, exported["Certificate"], exported["CertificateChain"])
    detail = described(acm, arn)
    assert (int(detail["Serial"].replace(":", ""), 16), detail["KeyAlgorithm"]) == (leaf.serial_number, key)
    got = acm.get_certificate(CertificateArn=arn)
    assert (got["Certificate"], got["CertificateChain"]) == (exported["Certificate"], exported["CertificateChain"])


def test_each_export_encrypts_the_key_anew(acm: Any, request_certificate: Callable[..., str]) -> None:
    """Same key, other bytes: a repeated export cannot be compared as text."""
    arn = request_certificate()

    first, second = (acm.export_certificate(CertificateArn=arn, Passphrase=PASSPHRASE) for _ in range(2))

    assert first["Certificate"] == second["Certificate"]
    assert first["PrivateKey"] != second["PrivateKey"]


@pytest.mark.parametrize("passphrase", [b"with#hash", b"with$dollar", b"with%percent", "ümlaut".encode()])
def test_a_passphrase_that_acm_does_not_take_is_refused(
    acm: Any, request_certificate: Callable[..., str], passphrase: bytes
) -> None:
    """ASCII without the three characters; the certificate does not count as exported then."""
    arn = request_certificate()

    with pytest.raises(ClientError) as error:
        acm.export_certificate(CertificateArn=arn, Passphrase=passphrase)

    assert code_of(error) == "ValidationException"
    assert described(acm, arn)["RenewalEligibility"] == "INELIGIBLE"


def test_a_renewal_needs_an_export_before_each(acm: Any, request_certificate: Callable[..., str]) -> None:
    """Not exported: refused. Exported: empty answer, later a new certificate, and refused again."""
    arn = request_certificate()

    with pytest.raises(ClientError, match="has not been exported") as before:
        acm.renew_certificate(CertificateArn=arn)
    old = acm.export_certificate(CertificateArn=arn, Passphrase=PASSPHRASE)
    eligible = described(acm, arn)
    acm.renew_certificate(CertificateArn=arn)
    pending = described(acm, arn)
    after = renewed(acm, arn, eligible["Serial"])
    with pytest.raises(ClientError, match="has not been exported"):
        acm.renew_certificate(CertificateArn=arn)

    assert code_of(before) == "ValidationException"
    assert eligible["RenewalEligibility"] == "ELIGIBLE"
    assert "RenewalSummary" not in eligible
    assert (pending["Serial"], pending["RenewalSummary"]["RenewalStatus"]) == (
        eligible["Serial"],
        "PENDING_AUTO_RENEWAL",
    )
    assert (after["RenewalSummary"]["RenewalStatus"], after["RenewalEligibility"]) == ("SUCCESS", "INELIGIBLE")
    new = acm.export_certificate(CertificateArn=arn, Passphrase=PASSPHRASE)
    keys = [x509.load_pem_x509_certificate(item["Certificate"].encode()).public_key() for item in (old, new)]
    assert keys[0] != keys[1]


def test_a_second_renewal_while_one_is_under_way_is_refused(acm: Any, request_certificate: Callable[..., str]) -> None:
    """So that a repeated event makes no second certificate."""
    arn = request_certificate()
    acm.export_certificate(CertificateArn=arn, Passphrase=PASSPHRASE)
    serial = described(acm, arn)["Serial"]

    acm.renew_certificate(CertificateArn=arn)
    with pytest.raises(ClientError) as error:
        acm.renew_certificate(CertificateArn=arn)

    assert code_of(error) == "RequestInProgressException"
    renewed(acm, arn, serial)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"DomainName": "single-label"}, "ValidationException"),
        ({"SubjectAlternativeNames": [f"n{i}.color.local" for i in range(10)]}, "LimitExceededException"),
        ({"KeyAlgorithm": "EC_secp521r1"}, "ValidationException"),
        ({"DomainName": f"{'a' * 60}.color.local"}, "InvalidParameterException"),
    ],
    ids=["no dot", "eleven names", "import-only key", "long common name"],
)
def test_a_request_outside_acms_limits_is_refused(
    request_certificate: Callable[..., str], changes: dict[str, Any], code: str
) -> None:
    """Before any CA is asked."""
    with pytest.raises(ClientError) as error:
        request_certificate(**changes)

    assert code_of(error) == code


def test_what_the_ca_refuses_becomes_a_failed_certificate(acm: Any, pca: Any) -> None:
    """The request succeeds; status and reason say why there is no certificate."""
    cases = {
        new_authority(pca, "Waiting"): "PCA_INVALID_STATE",
        root(pca, years=1): "PCA_INVALID_DURATION",
        root(pca, mode="SHORT_LIVED_CERTIFICATE"): "PCA_INVALID_ARGS",
        root(pca, algorithms=RSA): "PCA_INVALID_ARGS",
        root(pca)[:-4] + "0000": "PCA_RESOURCE_NOT_FOUND",
    }
    seen = {}

    for authority in cases:
        call = {"DomainName": NAME, "CertificateAuthorityArn": authority, "KeyAlgorithm": "EC_prime256v1"}
        detail = described(acm, acm.request_certificate(**call)["CertificateArn"])
        seen[authority] = detail["FailureReason"]
        assert detail["Status"] == "FAILED"

    assert cases == seen


def test_lists_leave_out_ec_keys_unless_asked(acm: Any, request_certificate: Callable[..., str]) -> None:
    """As on AWS, where EC certificates vanish from inventories."""
    arn = request_certificate()

    by_default = acm.list_certificates()["CertificateSummaryList"]
    asked = acm.list_certificates(Includes={"keyTypes": ["EC_prime256v1"]})["CertificateSummaryList"]

    assert arn not in {item["CertificateArn"] for item in by_default}
    assert arn in {item["CertificateArn"] for item in asked}


def test_tags_tokens_and_deletion_work_on_private_certificates(
    acm: Any, request_certificate: Callable[..., str]
) -> None:
    """The same token returns the same certificate; deleted is gone."""
    tags = [{"Key": "meshcert:identity", "Value": "teller"}]
    first, second = (request_certificate(IdempotencyToken="once", Tags=tags) for _ in range(2))

    acm.add_tags_to_certificate(CertificateArn=first, Tags=[{"Key": "team", "Value": "payments"}])
    listed = acm.list_tags_for_certificate(CertificateArn=first)["Tags"]
    acm.delete_certificate(CertificateArn=first)
    with pytest.raises(ClientError) as error:
        described(acm, first)

    assert first == second
    assert listed == [*tags, {"Key": "team", "Value": "payments"}]
    assert code_of(error) == "ResourceNotFoundException"


def test_public_certificates_are_still_ministacks(acm: Any) -> None:
    """Without a CA the request falls through; such a certificate is not exported."""
    arn = acm.request_certificate(DomainName="www.example.com")["CertificateArn"]

    with pytest.raises(ClientError) as error:
        acm.export_certificate(CertificateArn=arn, Passphrase=PASSPHRASE)

    assert code_of(error) == "ValidationException"
    assert acm.get_certificate(CertificateArn=arn)["Certificate"]
