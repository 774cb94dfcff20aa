"""What AWS Private CA gives back is what was asked for, or it is not used."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from meshcert.errors import CertificateNotAsRequested
from meshcert.issuing.issuance_terms import make_request
from meshcert.issuing.issued_check import verify_issued
from tests.meshcert.issuing.private_ca import DAY, HOSTS, NOW, TERMS, WORKLOAD, issued, key_usage

if TYPE_CHECKING:
    from meshcert.issuing.certificate_request import CertificateRequest

SPIFFE = make_request(TERMS, "color", "front", "7", NOW)
DNS = make_request(replace(TERMS, names=HOSTS), "color", "front", "7", NOW)
SECOND = dt.timedelta(seconds=1)

URI = x509.UniformResourceIdentifier(str(WORKLOAD))
NAMES = [URI, *(x509.DNSName(str(host)) for host in HOSTS)]
EMPTY = x509.Name([])


@pytest.mark.parametrize("request_made", [SPIFFE, DNS], ids=["spiffe", "dns"])
def test_what_was_asked_for_is_taken(request_made: CertificateRequest) -> None:
    """With whatever else stands around it left out."""
    leaf = issued(request_made)

    assert verify_issued(request_made, f"\n{leaf}\n") == leaf


@pytest.mark.parametrize(
    "otherwise",
    [
        {"names": NAMES[::-1]},
        {"names_critical": True},
        {"validity": (SPIFFE.not_before + SECOND, SPIFFE.not_after - SECOND)},
        {"usage": key_usage("digital_signature")},
        {"usage": key_usage("digital_signature", "key_agreement")},
        {"roles": ()},
    ],
)
def test_what_makes_no_difference_is_taken(otherwise: dict[str, Any]) -> None:
    """The order of names, a shorter validity, and what the standard lets open."""
    leaf = issued(SPIFFE, **otherwise)

    assert verify_issued(SPIFFE, leaf) == leaf


@pytest.mark.parametrize(
    ("otherwise", "fault"),
    [
        ({"names": NAMES[:-1]}, "names: it has .*and was asked for with"),
        ({"names": []}, "names: it has no names, and was asked for"),
        ({"names": [*NAMES, x509.DNSName("back.color.local")]}, "it has .*back.color.local"),
        ({"names": [*NAMES, NAMES[-1]]}, "names: it has "),
        ({"names": [*NAMES, x509.IPAddress(ip_address("10.0.0.1"))]}, "kinds that were not asked for: IPAddress"),
        ({"names": [*NAMES, x509.RFC822Name("a@color.example")]}, "kinds that were not asked for: RFC822Name"),
        ({"subject": x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "back.local")])}, "subject is not that of"),
        ({"key": ec.generate_private_key(ec.SECP256R1()).public_key()}, "it is for another key"),
        ({"validity": (SPIFFE.not_before - SECOND, SPIFFE.not_after)}, "it is valid from .*asked for from"),
        ({"validity": (SPIFFE.not_before, SPIFFE.not_after + SECOND)}, "it is valid from .*asked for from"),
        ({"validity": (SPIFFE.not_before, SPIFFE.made_at)}, "it ended before it was asked for"),
        ({"validity": (SPIFFE.not_before, SPIFFE.not_before + 30 * DAY)}, "it is valid from"),
        ({"ca": True}, r"it is a CA's, not a leaf \(X509-SVID section 4.1\)"),
        ({"usage": None}, r"it has no key usage \(X509-SVID section 4.3\)"),
        ({"usage_critical": False}, r"its key usage is not marked critical \(X509-SVID section 4.3\)"),
        ({"usage": key_usage("key_encipherment")}, r"lacks digitalSignature \(X509-SVID section 4.3\)"),
        ({"usage": key_usage("digital_signature", "key_cert_sign")}, r"\(keyCertSign\) \(X509-SVID section 4.3\)"),
        ({"usage": key_usage("digital_signature", "crl_sign")}, r"\(cRLSign\) \(X509-SVID section 4.3\)"),
        ({"roles": (ExtendedKeyUsageOID.SERVER_AUTH,)}, r"not for both serverAuth .* \(X509-SVID section 4.4\)"),
        ({"roles": (ExtendedKeyUsageOID.CLIENT_AUTH,)}, r"not for both serverAuth .* \(X509-SVID section 4.4\)"),
    ],
)
@pytest.mark.parametrize("request_made", [SPIFFE, DNS], ids=["spiffe", "dns"])
def test_anything_else_is_refused(request_made: CertificateRequest, otherwise: dict[str, Any], fault: str) -> None:
    """With every difference; the certificate of a DNS name is held to the same usages."""
    with pytest.raises(CertificateNotAsRequested, match=fault) as caught:
        verify_issued(request_made, issued(request_made, **otherwise))

    assert caught.value.subject == "front"


@pytest.mark.parametrize(
    ("names", "fault"),
    [
        ([*NAMES, x509.UniformResourceIdentifier("spiffe://color.example/back")], "it has 2 URIs"),
        ([*NAMES, URI], "it has 2 URIs"),
        (NAMES[1:], "it has 0 URIs"),
        ([x509.UniformResourceIdentifier("spiffe://color.example"), *NAMES[1:]], r"X509-SVID section 3.1\)"),
        ([x509.UniformResourceIdentifier("spiffe://color.example/"), *NAMES[1:]], r"SPIFFE-ID section 2.2\)"),
        ([x509.UniformResourceIdentifier("spiffe://color.example//front"), *NAMES[1:]], r"SPIFFE-ID section 2.2\)"),
        ([x509.UniformResourceIdentifier("spiffe://color.example/front?q=1"), *NAMES[1:]], r"SPIFFE-ID section 2\)"),
        ([x509.UniformResourceIdentifier("spiffe://Color.example/front"), *NAMES[1:]], r"SPIFFE-ID section 2.1\)"),
        ([x509.UniformResourceIdentifier("https://color.example/front"), *NAMES[1:]], r"SPIFFE-ID section 2\)"),
    ],
)
def test_a_spiffe_id_that_envoy_would_let_pass_is_refused_by_its_rule(
    names: list[x509.GeneralName], fault: str
) -> None:
    """Two URIs, and paths that are none: Envoy's validator accepts them from whoever it trusts."""
    with pytest.raises(CertificateNotAsRequested, match=fault):
        verify_issued(SPIFFE, issued(SPIFFE, names=names))


def test_names_are_critical_where_the_subject_is_empty() -> None:
    """X509-SVID section 3.1; the subject is not what was asked for either."""
    with pytest.raises(CertificateNotAsRequested, match="names are not marked critical"):
        verify_issued(SPIFFE, issued(SPIFFE, subject=EMPTY))
    with pytest.raises(CertificateNotAsRequested) as caught:
        verify_issued(SPIFFE, issued(SPIFFE, subject=EMPTY, names_critical=True))

    assert [fault.problem for fault in caught.value.faults] == ["its subject is not that of the request"]


@pytest.mark.parametrize(
    "answer",
    ["", "no PEM", issued(SPIFFE) + issued(SPIFFE), "x" + issued(SPIFFE), issued(SPIFFE).replace("M", "N", 1)],
)
def test_an_answer_that_is_not_one_certificate_is_refused(answer: str) -> None:
    """The chain comes in a field of its own."""
    with pytest.raises(CertificateNotAsRequested, match="it is not one PEM certificate that can be read"):
        verify_issued(SPIFFE, answer)


def test_every_difference_is_told_at_once() -> None:
    """A person sees the whole of it."""
    with pytest.raises(CertificateNotAsRequested) as caught:
        verify_issued(SPIFFE, issued(DNS, ca=True, usage=None))

    assert [fault.place for fault in caught.value.faults] == ["certificate names"] + ["certificate"] * 4
