"""A request to AWS Private CA: made once, stored, and sent the same by whoever comes second."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from meshcert.errors import CertificateRequestInvalid
from meshcert.issuing.certificate_request import LONGEST_TOKEN, CertificateRequest, read_stored_request
from meshcert.issuing.issuance_terms import KEY_ALGORITHMS, LONGEST_CSR, MOST_DNS_NAMES, make_request
from meshcert.material import PrivateKey
from meshcert.san import Dns, Uri
from tests.meshcert.issuing.private_ca import AUTHORITY, DAY, HOSTS, NOW, TEMPLATE, TERMS, WORKLOAD

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshcert.san import San


@pytest.fixture(scope="module")
def request_made() -> CertificateRequest:
    """For a SPIFFE ID and two DNS names, a day."""
    return make_request(TERMS, "color", "front", "7", NOW)


def test_a_request_has_the_shape_of_issue_certificate(request_made: CertificateRequest) -> None:
    """Times are whole seconds since 1970; the validity begins where the request says, not an hour before."""
    parameters = request_made.parameters()
    token = parameters.pop("IdempotencyToken")
    csr = parameters.pop("Csr")
    begun = int(NOW.timestamp())

    assert parameters == {
        "CertificateAuthorityArn": AUTHORITY,
        "SigningAlgorithm": "SHA256WITHECDSA",
        "TemplateArn": TEMPLATE,
        "Validity": {"Value": begun + 86_400, "Type": "ABSOLUTE"},
        "ValidityNotBefore": {"Value": begun - 600, "Type": "ABSOLUTE"},
    }
    assert csr.startswith(b"-----BEGIN CERTIFICATE REQUEST-----\n")
    assert 0 < len(token) <= LONGEST_TOKEN


def test_the_csr_asks_for_the_names_and_names_no_host_in_its_subject(request_made: CertificateRequest) -> None:
    """The subject is for audit reports: OpenSSL takes a common name for a host where there is no DNS name."""
    csr = x509.load_pem_x509_csr(request_made.csr.encode())

    assert list(csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value) == [
        x509.UniformResourceIdentifier(str(WORKLOAD)),
        *(x509.DNSName(str(host)) for host in HOSTS),
    ]
    assert csr.subject.rfc4514_string() == "OU=front,O=color"
    assert csr.is_signature_valid


@pytest.mark.parametrize(
    ("algorithm", "kind", "bits"),
    [
        ("EC_prime256v1", ec.EllipticCurvePrivateKey, 256),
        ("EC_secp384r1", ec.EllipticCurvePrivateKey, 384),
        ("RSA_2048", rsa.RSAPrivateKey, 2048),
    ],
)
def test_every_request_has_a_new_key_of_its_algorithm(algorithm: str, kind: type, bits: int) -> None:
    """And comes back from its JSON and its key as it was."""
    made = [make_request(replace(TERMS, key_algorithm=algorithm), "color", "front", "7", NOW) for _ in range(2)]
    key = load_pem_private_key(made[0].private_key.reveal().encode(), None)

    assert isinstance(key, kind)
    assert key.key_size == bits  # type: ignore[union-attr]  # both kinds have one
    assert made[0].private_key != made[1].private_key
    assert read_stored_request(made[0].to_json(), made[0].private_key, "front", "7") == made[0]
    assert algorithm in KEY_ALGORITHMS


def test_whoever_comes_second_sends_the_identical_request(request_made: CertificateRequest) -> None:
    """All parameters, to the byte: Private CA issues a second certificate for anything else."""
    read = read_stored_request(request_made.to_json(), request_made.private_key, "front", "7")

    assert read.parameters() == request_made.parameters()
    assert read.made_at == NOW.replace(microsecond=0)


def test_a_request_with_the_most_and_longest_names_fits_in_a_csr() -> None:
    """acm-pca:IssueCertificate takes 32,768 bytes; RSA_4096 and the longest subject add 1,500 to what is made here."""
    hosts = tuple(Dns(".".join([f"{number:063}", "a" * 63, "b" * 63, "c" * 61])) for number in range(MOST_DNS_NAMES))
    workload = Uri("spiffe://a/" + "b" * 2037)

    request = make_request(replace(TERMS, names=(workload, *hosts)), "color", "front", "7", NOW)

    assert LONGEST_CSR - 5_000 < len(request.csr) <= LONGEST_CSR - 1_500


def test_the_token_is_that_of_one_request() -> None:
    """AWS issues once for it, and refuses another request with it."""
    whose = [("color", "front", "7"), ("color", "front", "8"), ("color", "front7", "x"), ("colorf", "ront", "7")]

    tokens = [make_request(TERMS, *each, NOW).token for each in (*whose, whose[0])]

    assert len(set(tokens)) == len(tokens)


def test_neither_json_nor_text_of_a_request_has_anything_of_its_key(request_made: CertificateRequest) -> None:
    """Whoever stores it encrypts the key."""
    lines = request_made.private_key.reveal().splitlines()[1:-1]

    for text in (request_made.to_json(), repr(request_made), str(request_made.parameters())):
        assert not [line for line in lines if line in text]
        assert "PRIVATE KEY" not in text


@pytest.mark.parametrize(("gone", "outdated"), [(0.0, False), (0.499, False), (0.5, True), (1.5, True)])
def test_a_request_is_outdated_when_its_certificate_would_be_renewed_at_once(
    request_made: CertificateRequest, gone: float, *, outdated: bool
) -> None:
    """From half of the life on, counted from when it was made."""
    assert request_made.is_outdated(request_made.made_at + DAY * gone) is outdated


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"names": ()}, "names: there are none"),
        ({"names": (WORKLOAD, Uri("spiffe://color.example/back"))}, "names: there are 2 URIs"),
        ({"names": (WORKLOAD, WORKLOAD)}, "names: a name stands twice"),
        ({"names": (Dns("a.local"), Dns("A.LOCAL"))}, "names: a name stands twice"),
        ({"names": tuple(Dns(f"n{number}.local") for number in range(76))}, "names: there are more than 75"),
        (
            {"names": (Uri("spiffe://color.example/front/"),)},
            r"names\[0\]: .*ends with a slash \(SPIFFE-ID section 2.2",
        ),
        ({"names": (Uri("https://color.example/"),)}, r"names\[0\]: .*is not a SPIFFE ID"),
        ({"names": (Dns("a..local"),)}, r"names\[0\]: .*is not a DNS name"),
        ({"names": (Uri("a.local"),)}, "names: a name is of the other kind"),
        ({"key_algorithm": "EC_secp521r1"}, "key_algorithm: 'EC_secp521r1' is no key algorithm here"),
        ({"life": dt.timedelta(0)}, "validity: it is shorter than a second"),
        ({"back_dating": dt.timedelta(seconds=-1)}, "validity: it would begin after the request"),
    ],
)
def test_what_cannot_be_issued_is_not_asked_for(changes: dict[str, Any], fault: str) -> None:
    """Nothing is billed for it."""
    with pytest.raises(CertificateRequestInvalid, match=fault) as caught:
        make_request(replace(TERMS, **changes), "color", "front", "7", NOW)

    assert str(caught.value).startswith("request for identity front: ")


@pytest.mark.parametrize(("mesh", "identity"), [("m" * 65, "front"), ("color", "f" * 65), ("", "front")])
def test_a_name_that_does_not_fit_in_a_subject_is_refused(mesh: str, identity: str) -> None:
    """RFC 5280 allows 64 characters."""
    with pytest.raises(CertificateRequestInvalid, match="subject: "):
        make_request(TERMS, mesh, identity, "7", NOW)


def changed(**fields: object) -> Callable[[str], str]:
    """Stored JSON with other values; None takes a field out."""

    def change(text: str) -> str:
        value = {**json.loads(text), **fields}
        return json.dumps({name: each for name, each in value.items() if each is not None})

    return change


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda _: "", "it is not JSON"),
        (lambda _: "[]", "no object of schema 1"),
        (changed(Schema=2), "no object of schema 1"),
        (changed(Csr=None), "missing or empty: Csr"),
        (changed(Token=7, Epoch=""), "missing or empty: Epoch, Token"),
        (changed(Identity="back"), "another identity or epoch"),
        (changed(Epoch="8"), "another identity or epoch"),
        (changed(Token="t" * 37), "token is longer than 36"),
        (changed(Names="front.color.local"), "a name or a time is none"),
        (changed(Names=["spiffe://color.example/back"]), "asks for other names than it says"),
        (changed(NotAfter="soon"), "a name or a time is none"),
        (changed(MadeAt="2026-11-30T06:00:00"), "a name or a time is none"),
        (changed(NotAfter="2026-11-29T06:00:00+00:00"), "does not begin before it was made and end after"),
        (
            changed(Csr="-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"),
            "cannot be read",
        ),
    ],
)
def test_a_stored_request_that_makes_no_sense_is_refused(
    request_made: CertificateRequest, change: Callable[[str], str], fault: str
) -> None:
    """A row is believed no more than its writer; the message says nothing of the key."""
    with pytest.raises(CertificateRequestInvalid, match=fault) as caught:
        read_stored_request(change(request_made.to_json()), request_made.private_key, "front", "7")

    assert caught.value.__cause__ is None
    assert "PRIVATE KEY" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "fault"),
    [
        (PrivateKey("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), "its key cannot be read"),
        (make_request(TERMS, "color", "front", "7", NOW).private_key, "its CSR was not made with its key"),
    ],
)
def test_a_stored_request_with_another_key_is_refused(
    request_made: CertificateRequest, key: PrivateKey, fault: str
) -> None:
    """Its certificate could not be used: it would be paid for and thrown away."""
    with pytest.raises(CertificateRequestInvalid, match=fault):
        read_stored_request(request_made.to_json(), key, "front", "7")


@pytest.mark.parametrize("names", [(WORKLOAD,), HOSTS, (Dns("front"),)])
def test_names_may_be_of_either_kind_alone(names: tuple[San, ...]) -> None:
    """One SPIFFE ID, or DNS names as single labels too, which ACM refuses."""
    request = make_request(replace(TERMS, names=names), "color", "front", "7", NOW)

    assert read_stored_request(request.to_json(), request.private_key, "front", "7").names == names
