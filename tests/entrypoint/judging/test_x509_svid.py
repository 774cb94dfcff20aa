"""The rules of an X509-SVID in the container: what the functions refuse at issue is refused before use as well."""

from __future__ import annotations

import ssl
import time
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from entrypoint.judging import x509_svid as in_container
from entrypoint.judging.preflight import check_material
from entrypoint.judging.usages import usage_faults
from evidence.fixtures.hostile_input import Reader, spoil
from meshcert.errors import MaterialRejected
from meshcert.issuing.issuance_terms import make_request
from meshcert.material import x509_svid as in_functions
from meshcert.san import san_of
from tests.meshcert.issuing.private_ca import HOSTS, NOW, TERMS, WORKLOAD, issued, key_usage

if TYPE_CHECKING:
    from evidence.fixtures.pki import Hierarchy

REQUEST = make_request(TERMS, "color", "front", "7", NOW)
URI = x509.UniformResourceIdentifier(str(WORKLOAD))
HOST_NAMES = [x509.DNSName(str(host)) for host in HOSTS]
CA = {"ca": True, "usage": key_usage("digital_signature", "key_cert_sign")}


def _uri(text: str) -> dict[str, Any]:
    return {"names": [x509.UniformResourceIdentifier(text), *HOST_NAMES]}


def _told(leaf: str) -> list[str]:
    both = chain(
        usage_faults(leaf, "Certificate", "Renew it"), in_container.svid_faults(leaf, "Certificate", "Renew it")
    )
    return [fault.problem for fault in both]


@pytest.mark.parametrize(
    ("otherwise", "problem"),
    [
        ({"names": HOST_NAMES}, "it has 0 URIs, and must have exactly one (X509-SVID section 2)"),
        ({"names": [URI, URI]}, "it has 2 URIs"),
        ({"names": [URI, x509.UniformResourceIdentifier("https://a.example/")]}, "it has 2 URIs"),
        (_uri("spiffe://color.example"), "(X509-SVID section 3.1)"),
        (_uri("spiffe://color.example/"), "ends with a slash"),
        (_uri("spiffe://color.example//front"), "an empty path segment"),
        (_uri("spiffe://color.example/../front"), "'.' or '..'"),
        (_uri("spiffe://color.example/front?q=1"), "a query"),
        (_uri("spiffe://color.example/front#a"), "a fragment"),
        (_uri("spiffe://color.example/fr%6fnt"), "a percent sign"),
        (_uri("spiffe://Color.example/front"), "not in lower case"),
        (_uri("spiffe://color.example:8/front"), "a port"),
        (_uri("spiffe://a@color.example/front"), "a user"),
        (_uri("spiffe:///front"), "no trust domain"),
        (_uri(f"spiffe://{'a' * 256}/front"), "more than 255 bytes"),
        (_uri(f"spiffe://color.example/{'a' * 2048}"), "more than 2048 bytes"),
        (_uri("https://color.example/front"), "is not a SPIFFE ID"),
        ({"subject": x509.Name([])}, "its names are not marked critical (X509-SVID section 3.1)"),
        (CA, "it is a CA's, not a leaf"),
        ({"usage": None}, "it has no key usage (X509-SVID section 4.3)"),
        ({"usage_critical": False}, "its key usage is not marked critical (X509-SVID section 4.3)"),
        ({"usage": key_usage("key_encipherment")}, "lacks digitalSignature"),
        ({"usage": key_usage("digital_signature", "key_cert_sign")}, "it may sign certificates or revocation lists"),
        ({"usage": key_usage("digital_signature", "crl_sign")}, "it may sign certificates or revocation lists"),
        ({"roles": (ExtendedKeyUsageOID.SERVER_AUTH,)}, "it is not for clientAuth"),
        ({"roles": (ExtendedKeyUsageOID.CLIENT_AUTH,)}, "it is not for serverAuth"),
    ],
)
def test_a_leaf_that_breaks_a_rule_is_refused_as_at_its_issue(otherwise: dict[str, Any], problem: str) -> None:
    """Each rule by its own words, by both programs, though one has a library for certificates and the other has not."""
    leaf = issued(REQUEST, **otherwise)

    assert problem in "; ".join(_told(leaf))
    assert in_functions.svid_faults(x509.load_pem_x509_certificate(leaf.encode()))


@pytest.mark.parametrize(
    "otherwise",
    [{}, {"names_critical": True}, {"subject": x509.Name([]), "names_critical": True}, {"names": [*HOST_NAMES, URI]}],
)
def test_a_leaf_that_keeps_the_rules_passes(otherwise: dict[str, Any]) -> None:
    """With DNS names beside the SPIFFE ID, or without a subject."""
    leaf = issued(REQUEST, **otherwise)

    assert _told(leaf) == []
    assert in_functions.svid_faults(x509.load_pem_x509_certificate(leaf.encode())) == []


def test_the_pre_flight_holds_those_to_the_rules_that_are_to_have_a_spiffe_id(hierarchy: Hierarchy) -> None:
    """A second URI is Envoy's undoing: it takes the first for the peer's name. One without any is DNS's alone."""
    two = hierarchy.issue([str(WORKLOAD), "spiffe://color.example/back", "a.local"])

    check_material(two, [san_of("a.local")], "the secret", time.time())
    with pytest.raises(MaterialRejected, match="it has 2 URIs"):
        check_material(two, [WORKLOAD], "the secret", time.time())


def test_the_spiffe_id_of_another_workload_is_no_name_that_was_gained(hierarchy: Hierarchy) -> None:
    """One common DNS name does not make up for it: the application would speak for that workload."""
    back = hierarchy.issue(["a.local", "spiffe://color.example/back"])

    with pytest.raises(MaterialRejected, match=r"its SPIFFE ID is another one: spiffe://color\.example/back"):
        check_material(back, [san_of("a.local"), WORKLOAD], "the secret", time.time())
    check_material(back, [san_of("a.local")], "the secret", time.time())


def test_a_spoiled_certificate_is_a_fault_and_nothing_else() -> None:
    """Bytes changed, cut, moved and doubled."""
    good = ssl.PEM_cert_to_DER_cert(issued(REQUEST))

    def judge(encoded: bytes) -> None:
        if list(in_container.svid_faults(ssl.DER_cert_to_PEM_cert(encoded), "Certificate", "Renew it")):
            raise ValueError

    assert spoil(Reader("certificate", judge, (ValueError,), (good,)), 2000) > 500
