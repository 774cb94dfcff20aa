"""IssueCertificate's own rules: who may be put below whom, which names pass, how long it lasts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from tests.local.aws.hierarchies import (
    RSA,
    activate,
    issue,
    new_authority,
    parsed,
    request_of,
    root,
    subordinate,
)
from tests.local.aws.refusals import ClientError, code_of
from tests.local.aws.shapes import checked_client

if TYPE_CHECKING:
    from local.running_aws import LocalAws

SHORT = "SHORT_LIVED_CERTIFICATE"
URI = "spiffe://color.example/teller"
OTHER = {"SubjectAlternativeNames": [{"UniformResourceIdentifier": "spiffe://color.example/other"}]}
CLIENT_ONLY = {"ExtendedKeyUsage": [{"ExtendedKeyUsageType": "CLIENT_AUTH"}]}
POLICY = "1.3.6.1.4.1.99999.1"


@pytest.fixture
def pca(aws: LocalAws) -> Any:
    """Private CA, with every answer held against botocore's shapes."""
    return checked_client(aws, "acm-pca")


def request(common_name: str = "", uri: str = "", *more: x509.ExtensionType) -> bytes:
    """A signing request with what is given, and nothing else; PEM."""
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else []
    names = [x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)])] if uri else []
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    for extension in (*names, *more):
        builder = builder.add_extension(extension, critical=False)
    signed = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


def uris(leaf: x509.Certificate) -> list[str]:
    """The URIs among its alternative names."""
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.UniformResourceIdentifier)


def refused(pca: Any, arn: str, csr: bytes, template: str = "EndEntityCertificate", **more: Any) -> str:
    """The code with which the CA refuses to issue."""
    with pytest.raises(ClientError) as error:
        issue(pca, arn, csr, template, **more)
    return code_of(error)


def test_a_signing_request_needs_a_subject_or_a_name(pca: Any) -> None:
    """One of the two is enough; without a subject, the names are critical (RFC 5280, 4.2.1.6)."""
    arn = root(pca)

    by_name, _ = issue(pca, arn, request("", URI))
    by_subject, _ = issue(pca, arn, request("teller"))

    names = parsed(by_name).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert (list(parsed(by_name).subject), names.critical, uris(parsed(by_name))) == ([], True, [URI])
    assert [each.value for each in parsed(by_subject).subject] == ["teller"]
    assert refused(pca, arn, request()) == "MalformedCSRException"


@pytest.mark.parametrize(
    ("lengths", "allowed"),
    [((), 3), ((1,), 0), ((0,), None), ((3, 1), 0), ((2, 1, 0), None)],
    ids=str,
)
def test_a_ca_puts_below_itself_what_the_path_lengths_above_leave(
    pca: Any, lengths: tuple[int, ...], allowed: int | None
) -> None:
    """None leaves no CA at all; end entities it issues all the same."""
    arn = root(pca)
    for tier, length in enumerate(lengths):
        below = new_authority(pca, "Below", "SUBORDINATE")
        arn = activate(pca, below, arn, f"SubordinateCACertificate_PathLen{length}", years=5 - tier)
    child = request_of(pca, new_authority(pca, "Child", "SUBORDINATE"))
    first_refused = 0 if allowed is None else allowed + 1

    for length in range(first_refused):
        issue(pca, arn, child, f"SubordinateCACertificate_PathLen{length}")
    for length in range(first_refused, 4):
        with pytest.raises(ClientError, match="CA depth") as error:
            issue(pca, arn, child, f"SubordinateCACertificate_PathLen{length}")
        assert code_of(error) == "ValidationException"
    issue(pca, arn, request("teller", URI))


def test_a_short_lived_ca_is_the_last_of_its_hierarchy(pca: Any) -> None:
    """As a root it signs itself, for as long as it likes, and end entities; no CA."""
    arn = root(pca, mode=SHORT)
    child = request_of(pca, new_authority(pca, "Child", "SUBORDINATE"))

    assert refused(pca, arn, child, "SubordinateCACertificate_PathLen0") == "InvalidArgsException"
    issue(pca, arn, request("teller", URI), validity={"Type": "DAYS", "Value": 7})


def test_a_short_lived_ca_stands_below_a_general_purpose_root(pca: Any) -> None:
    """Its leaves live for seven days at most, however the end is written."""
    arn = subordinate(pca, root(pca), mode=SHORT)
    late = datetime.now(UTC) + timedelta(days=7, minutes=5)
    codes = [
        refused(pca, arn, request("teller", URI), validity=validity)
        for validity in (
            {"Type": "DAYS", "Value": 8},
            {"Type": "ABSOLUTE", "Value": int(late.timestamp())},
            {"Type": "END_DATE", "Value": int(f"{late:%Y%m%d%H%M%S}")},
            {"Type": "MONTHS", "Value": 1},
        )
    ]

    assert codes == ["ValidationException"] * 4


def test_the_begin_may_be_chosen_and_does_not_move_the_end(pca: Any) -> None:
    """Without ValidityNotBefore an hour's life begins an hour ago; with it, when it says."""
    arn, now = root(pca, mode=SHORT), datetime.now(UTC).replace(microsecond=0)
    hour = {"Type": "ABSOLUTE", "Value": int((now + timedelta(hours=1)).timestamp())}
    begin = {"Type": "ABSOLUTE", "Value": int(now.timestamp())}

    usual = parsed(issue(pca, arn, request("teller", URI), validity=hour)[0])
    chosen = parsed(issue(pca, arn, request("teller", URI), validity=hour, ValidityNotBefore=begin)[0])

    assert usual.not_valid_after_utc == chosen.not_valid_after_utc == now + timedelta(hours=1)
    assert abs(usual.not_valid_before_utc - (now - timedelta(hours=1))) < timedelta(seconds=30)
    assert chosen.not_valid_before_utc == now


@pytest.mark.parametrize(
    "terms",
    [
        {"validity": {"Type": "ABSOLUTE", "Value": -60}},
        {"validity": {"Type": "END_DATE", "Value": 20010101000000}},
        {"ValidityNotBefore": {"Type": "DAYS", "Value": 1}},
        {"SigningAlgorithm": "SHA256WITHRSA"},
        {"template": "CodeSigningCertificate"},
        {"template": "BlankEndEntityCertificate"},
        {"template": "SubordinateCACertificate_PathLen4"},
        {"template": "RootCACertificate_CSRPassthrough"},
        {"template": "RootCACertificate"},
    ],
    ids=str,
)
def test_terms_that_private_ca_does_not_know_are_refused(pca: Any, terms: dict[str, Any]) -> None:
    """Ends in the past (a minute ago, though the begin is dated back further), other keys' algorithms, templates."""
    arn, asked = root(pca), dict(terms)
    if asked.get("validity", {}).get("Value", 0) < 0:
        asked["validity"] = {"Type": "ABSOLUTE", "Value": int(datetime.now(UTC).timestamp()) - 60}

    assert refused(pca, arn, request("teller", URI), **asked) == "InvalidArgsException"


def test_what_is_too_long_is_refused_in_the_services_words(aws: LocalAws) -> None:
    """As cert-manager's aws-privateca-issuer#30 saw it: a token of more than 36 characters."""
    pca = aws.client("acm-pca")
    arn = root(pca)

    with pytest.raises(ClientError, match=r"idempotencyToken.*less than or equal to 36") as error:
        issue(pca, arn, request("teller", URI), IdempotencyToken="t" * 37)

    assert code_of(error) == "ValidationException"
    assert refused(pca, arn, request("teller", URI) + b"\n" * 32_768) == "ValidationException"


@pytest.mark.parametrize(
    ("template", "names", "common_name", "policies"),
    [
        ("EndEntityCertificate", URI, "teller", []),
        ("EndEntityCertificate_APIPassthrough", "spiffe://color.example/other", "other", []),
        ("EndEntityCertificate_CSRPassthrough", URI, "teller", [POLICY]),
        ("EndEntityCertificate_APICSRPassthrough", "spiffe://color.example/other", "other", [POLICY]),
    ],
)
def test_the_api_stands_in_place_of_the_request_where_the_template_takes_it(
    pca: Any, template: str, names: str, common_name: str, policies: list[str]
) -> None:
    """And is ignored where not; usages are the template's, whatever API and request say."""
    policy = x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier(POLICY), None)])
    csr = request("teller", URI, policy, x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]))
    api = {"Subject": {"CommonName": "other"}, "Extensions": {**OTHER, **CLIENT_ONLY}}

    leaf = parsed(issue(pca, root(pca), csr, template, ApiPassthrough=api)[0])

    assert uris(leaf) == [names]
    assert [each.value for each in leaf.subject] == [common_name]
    both = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    assert set(leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == both
    found = [each.value for each in leaf.extensions if isinstance(each.value, x509.CertificatePolicies)]
    assert [each.policy_identifier.dotted_string for one in found for each in one] == policies


@pytest.mark.parametrize(
    "template", ["BlankEndEntityCertificate", "BlankEndEntityCertificate_CriticalBasicConstraints"]
)
def test_a_blank_template_gives_what_is_passed_and_no_more(pca: Any, template: str) -> None:
    """No key usage by itself, so no SVID; with the API's it is one. It never makes a CA."""
    arn, csr = root(pca), request("teller", URI, x509.BasicConstraints(ca=True, path_length=3))
    api = {"Extensions": {"KeyUsage": {"DigitalSignature": True}, **CLIENT_ONLY}}

    bare = parsed(issue(pca, arn, csr, f"{template}_CSRPassthrough")[0])
    full = parsed(issue(pca, arn, csr, f"{template}_APICSRPassthrough", ApiPassthrough=api)[0])

    assert {each.oid for each in bare.extensions} == {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    }
    constraints = [each.extensions.get_extension_for_class(x509.BasicConstraints) for each in (bare, full)]
    assert [(each.critical, each.value.ca) for each in constraints] == [("_Critical" in template, False)] * 2
    usage = full.extensions.get_extension_for_class(x509.KeyUsage)
    assert (usage.critical, usage.value.digital_signature, usage.value.key_encipherment) == (True, True, False)
    assert set(full.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == {
        ExtendedKeyUsageOID.CLIENT_AUTH
    }


@pytest.mark.parametrize(
    "name",
    [
        {"UniformResourceIdentifier": "spiffe://color.example/" + "x" * 231},
        {"RegisteredId": "1.2.3"},
        {"IpAddress": "no address"},
    ],
    ids=lambda name: next(iter(name)),
)
def test_names_that_the_api_cannot_pass_are_refused(pca: Any, name: dict[str, str]) -> None:
    """A URI of more than 253 characters passes in a signing request alone."""
    arn, api = root(pca), {"Extensions": {"SubjectAlternativeNames": [name]}}
    template = "EndEntityCertificate_APIPassthrough"

    assert refused(pca, arn, request("teller", URI), template, ApiPassthrough=api) == "InvalidArgsException"
    uri = "spiffe://color.example/" + "x" * 231
    assert uris(parsed(issue(pca, arn, request("", uri), template)[0])) == [uri]


def test_a_leafs_key_may_be_of_another_family_than_its_ca(pca: Any) -> None:
    """The signing algorithm follows the CA's key, unlike at ACM."""
    arn = root(pca)

    leaf = parsed(issue(pca, arn, request_of(pca, new_authority(pca, "RSA", algorithms=RSA)))[0])

    assert isinstance(leaf.public_key(), rsa.RSAPublicKey)
