"""The local AWS Private CA gives real certificates under AWS's rules, in AWS's shapes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.local.aws.hierarchies import (
    P256,
    RSA,
    Algorithms,
    assert_chain_leads_to,
    end_entity_request,
    issue,
    new_authority,
    parsed,
    permit_acm,
    request_of,
    root,
    subordinate,
)
from tests.local.aws.refusals import ClientError, code_of
from tests.local.aws.shapes import checked_client

if TYPE_CHECKING:
    from local.running_aws import LocalAws


@pytest.fixture
def pca(aws: LocalAws) -> Any:
    """Private CA, with every answer held against botocore's shapes."""
    return checked_client(aws, "acm-pca")


@pytest.fixture
def request_pem() -> bytes:
    """A signing request of our own, with a SPIFFE id and a DNS name."""
    return end_entity_request("teller.color.local", "spiffe://color/teller")


@pytest.mark.parametrize("algorithms", [P256, RSA, Algorithms("EC_secp384r1", "SHA384WITHECDSA")], ids=lambda a: a.key)
def test_a_leaf_of_a_two_tier_hierarchy_verifies_up_to_its_root(
    pca: Any, request_pem: bytes, algorithms: Algorithms
) -> None:
    """Chain: the issuing CA first, the root last; an independent verifier builds the path."""
    root_arn = root(pca, algorithms=algorithms)
    issuing = subordinate(pca, root_arn, algorithms=algorithms)

    leaf, chain = issue(pca, issuing, request_pem)

    root_pem = pca.get_certificate_authority_certificate(CertificateAuthorityArn=root_arn)["Certificate"]
    assert_chain_leads_to(root_pem, leaf, chain)
    issuers = x509.load_pem_x509_certificates(chain.encode())
    assert [parsed(leaf).issuer, issuers[0].issuer] == [issuer.subject for issuer in issuers]
    assert issuers[1] == parsed(root_pem)


def test_every_ca_key_algorithm_is_made(pca: Any) -> None:
    """The key in the signing request is of the asked kind; RSA-4096 takes the code path of RSA-2048."""
    expected = {"EC_prime256v1": "secp256r1", "EC_secp384r1": "secp384r1", "EC_secp521r1": "secp521r1"}
    for name, curve in expected.items():
        arn = new_authority(pca, name, algorithms=Algorithms(name, "SHA512WITHECDSA"))
        key = x509.load_pem_x509_csr(request_of(pca, arn)).public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert key.curve.name == curve

    arn = new_authority(pca, "RSA_3072", algorithms=Algorithms("RSA_3072", "SHA512WITHRSA"))
    key = x509.load_pem_x509_csr(request_of(pca, arn)).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    assert key.key_size == 3072


def test_templates_set_constraints_and_usages(pca: Any, request_pem: bytes) -> None:
    """Path length, CA flag, key usage, extended usage and key identifiers come from the template."""
    root_arn = root(pca)
    issuing = subordinate(pca, root_arn)

    leaf = parsed(issue(pca, issuing, request_pem)[0])
    client_only = parsed(issue(pca, issuing, request_pem, "EndEntityClientAuthCertificate")[0])
    ca = parsed(pca.get_certificate_authority_certificate(CertificateAuthorityArn=issuing)["Certificate"])

    constraints = leaf.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca) == (False, False)
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage)
    assert (usage.critical, usage.value.digital_signature, usage.value.key_encipherment) == (True, True, True)
    both = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(both) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    one = client_only.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(one) == {ExtendedKeyUsageOID.CLIENT_AUTH}
    ca_constraints = ca.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (ca_constraints.ca, ca_constraints.path_length) == (True, 0)
    ca_usage = ca.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (ca_usage.key_cert_sign, ca_usage.crl_sign, ca_usage.key_encipherment) == (True, True, False)
    subject_id = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    authority_id = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    assert subject_id == authority_id


def test_subject_and_names_pass_from_the_request_to_the_certificate(pca: Any, request_pem: bytes) -> None:
    """Also URI names, also with the base template: the requester controls the identity."""
    leaf = parsed(issue(pca, root(pca), request_pem)[0])

    wanted = x509.load_pem_x509_csr(request_pem)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names == wanted.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert leaf.subject == wanted.subject


@pytest.mark.parametrize(
    ("validity", "lifetime"),
    [
        ({"Type": "DAYS", "Value": 7}, timedelta(days=7)),
        ({"Type": "MONTHS", "Value": 12}, timedelta(days=365)),
        ({"Type": "YEARS", "Value": 2}, timedelta(days=2 * 365)),
    ],
    ids=lambda value: value["Type"] if isinstance(value, dict) else "",
)
def test_relative_validity_counts_from_now_and_begins_an_hour_ago(
    pca: Any, request_pem: bytes, validity: dict[str, Any], lifetime: timedelta
) -> None:
    """NotBefore is back-dated by 60 minutes; NotAfter is not."""
    leaf = parsed(issue(pca, root(pca), request_pem, validity=validity)[0])

    now = datetime.now(UTC)
    assert abs(leaf.not_valid_before_utc - (now - timedelta(hours=1))) < timedelta(seconds=5)
    assert abs(leaf.not_valid_after_utc - (now + lifetime)) < timedelta(days=2 if lifetime.days > 7 else 0, seconds=5)


def test_absolute_validity_and_end_date_are_taken_literally(pca: Any, request_pem: bytes) -> None:
    """Seconds since the epoch, and YYYYMMDDHHMMSS in UTC; the begin may be given too."""
    arn = root(pca)
    start = datetime.now(UTC).replace(microsecond=0)
    end = start + timedelta(seconds=90)

    by_second = issue(pca, arn, request_pem, validity={"Type": "ABSOLUTE", "Value": int(end.timestamp())})[0]
    by_date = issue(pca, arn, request_pem, validity={"Type": "END_DATE", "Value": int(f"{end:%Y%m%d%H%M%S}")})[0]
    begin = {"Type": "ABSOLUTE", "Value": int(start.timestamp())}
    dated = issue(pca, arn, request_pem, ValidityNotBefore=begin)[0]

    assert parsed(by_second).not_valid_after_utc == parsed(by_date).not_valid_after_utc == end
    assert parsed(dated).not_valid_before_utc == start


def test_nothing_outlives_its_issuer(pca: Any, request_pem: bytes) -> None:
    """A validity that ends after the CA's is refused, not shortened."""
    arn = root(pca, years=1)

    with pytest.raises(ClientError, match="exceeds the certificate authority validity") as error:
        issue(pca, arn, request_pem, validity={"Type": "YEARS", "Value": 2})

    assert code_of(error) == "ValidationException"


def test_a_ca_issues_only_while_it_is_active(pca: Any, request_pem: bytes) -> None:
    """PENDING_CERTIFICATE and DISABLED refuse; ACTIVE again issues again."""
    waiting, arn = new_authority(pca, "Waiting"), root(pca)

    with pytest.raises(ClientError) as pending:
        issue(pca, waiting, request_pem)
    pca.update_certificate_authority(CertificateAuthorityArn=arn, Status="DISABLED")
    with pytest.raises(ClientError) as disabled:
        issue(pca, arn, request_pem)
    pca.update_certificate_authority(CertificateAuthorityArn=arn, Status="ACTIVE")
    issue(pca, arn, request_pem)

    assert [code_of(pending), code_of(disabled)] == ["InvalidStateException"] * 2


def test_a_ca_is_deleted_only_when_disabled_and_can_be_restored(pca: Any) -> None:
    """ACTIVE refuses; DELETED is described with the end of its restore window."""
    arn = root(pca)

    with pytest.raises(ClientError) as active:
        pca.delete_certificate_authority(CertificateAuthorityArn=arn)
    pca.update_certificate_authority(CertificateAuthorityArn=arn, Status="DISABLED")
    pca.delete_certificate_authority(CertificateAuthorityArn=arn, PermanentDeletionTimeInDays=7)
    deleted = pca.describe_certificate_authority(CertificateAuthorityArn=arn)["CertificateAuthority"]
    pca.restore_certificate_authority(CertificateAuthorityArn=arn)
    restored = pca.describe_certificate_authority(CertificateAuthorityArn=arn)["CertificateAuthority"]

    assert code_of(active) == "InvalidStateException"
    assert deleted["Status"] == "DELETED"
    assert deleted["RestorableUntil"] - datetime.now(UTC) > timedelta(days=6)
    assert restored["Status"] == "DISABLED"


def test_a_ca_takes_only_certificates_of_its_own_key(pca: Any) -> None:
    """Another CA's certificate is a mismatch; text is malformed; a subordinate needs its chain."""
    first, second = root(pca), new_authority(pca, "Other")
    below = new_authority(pca, "Below", "SUBORDINATE")
    foreign = pca.get_certificate_authority_certificate(CertificateAuthorityArn=first)["Certificate"].encode()
    own, _ = issue(pca, first, request_of(pca, below), "SubordinateCACertificate_PathLen0")
    codes = []

    for arn, certificate in ((second, foreign), (second, b"no certificate"), (below, own.encode())):
        with pytest.raises(ClientError) as error:
            pca.import_certificate_authority_certificate(CertificateAuthorityArn=arn, Certificate=certificate)
        codes.append(code_of(error))

    assert codes == ["CertificateMismatchException", "MalformedCertificateException", "InvalidRequestException"]


def test_a_reissued_ca_certificate_goes_on_the_same_ca(pca: Any, request_pem: bytes) -> None:
    """Same ARN and key, a longer life, and what it signed before still verifies."""
    arn = root(pca, years=1)
    leaf, chain = issue(pca, arn, request_pem)

    longer, _ = issue(pca, arn, request_of(pca, arn), "RootCACertificate", {"Type": "YEARS", "Value": 20})
    pca.import_certificate_authority_certificate(CertificateAuthorityArn=arn, Certificate=longer.encode())

    described = pca.describe_certificate_authority(CertificateAuthorityArn=arn)["CertificateAuthority"]
    assert described["NotAfter"] == parsed(longer).not_valid_after_utc
    assert_chain_leads_to(longer, leaf, chain)


def test_permissions_are_kept_once_each(pca: Any) -> None:
    """A second permission for ACM is refused; deleting it twice is not."""
    arn = root(pca)
    permit_acm(pca, arn)

    with pytest.raises(ClientError) as error:
        permit_acm(pca, arn)
    listed = pca.list_permissions(CertificateAuthorityArn=arn)["Permissions"]
    for _ in range(2):
        pca.delete_permission(CertificateAuthorityArn=arn, Principal="acm.amazonaws.com")

    assert code_of(error) == "PermissionAlreadyExistsException"
    assert [permission["Principal"] for permission in listed] == ["acm.amazonaws.com"]
    assert pca.list_permissions(CertificateAuthorityArn=arn)["Permissions"] == []


def test_a_short_lived_ca_gives_seven_days_at_most(pca: Any, request_pem: bytes) -> None:
    """The usage mode limits leaves, not the CA itself."""
    arn = root(pca, mode="SHORT_LIVED_CERTIFICATE")

    issue(pca, arn, request_pem, validity={"Type": "DAYS", "Value": 7})
    with pytest.raises(ClientError) as error:
        issue(pca, arn, request_pem, validity={"Type": "DAYS", "Value": 8})

    assert code_of(error) == "ValidationException"


def test_revocation_tags_and_lists_are_kept(pca: Any, request_pem: bytes) -> None:
    """The remaining operations answer in shape and remember."""
    arn = root(pca)
    leaf, _ = issue(pca, arn, request_pem)
    serial = f"{parsed(leaf).serial_number:x}"

    revoke = {"CertificateAuthorityArn": arn, "CertificateSerial": serial, "RevocationReason": "KEY_COMPROMISE"}
    pca.revoke_certificate(**revoke)
    with pytest.raises(ClientError) as again:
        pca.revoke_certificate(**revoke)
    pca.tag_certificate_authority(CertificateAuthorityArn=arn, Tags=[{"Key": "team", "Value": "payments"}])
    pca.untag_certificate_authority(CertificateAuthorityArn=arn, Tags=[{"Key": "meshcert:mesh"}])

    assert code_of(again) == "RequestAlreadyProcessedException"
    assert pca.list_tags(CertificateAuthorityArn=arn)["Tags"] == [{"Key": "team", "Value": "payments"}]
    assert arn in {ca["Arn"] for ca in pca.list_certificate_authorities()["CertificateAuthorities"]}


def test_unknown_things_are_named_in_the_refusal(pca: Any, request_pem: bytes) -> None:
    """Malformed ARNs, missing CAs, unknown templates and broken requests have their own codes."""
    arn = root(pca)
    missing = arn[:-4] + "0000"
    codes = []

    for call in (
        lambda: pca.describe_certificate_authority(CertificateAuthorityArn="arn:aws:acm-pca:nowhere"),
        lambda: pca.describe_certificate_authority(CertificateAuthorityArn=missing),
        lambda: issue(pca, arn, request_pem, "CodeSigningCertificate"),
        lambda: issue(pca, arn, b"no request"),
    ):
        with pytest.raises(ClientError) as error:
            call()
        codes.append(code_of(error))

    expected = ["InvalidArnException", "ResourceNotFoundException", "InvalidArgsException", "MalformedCSRException"]
    assert codes == expected
