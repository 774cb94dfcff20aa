"""Faults of identities whose certificates come straight from AWS Private CA, and of those that ACM issues for."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from meshcert import naming
from meshcert.issuing.issuance_terms import IssuanceTerms
from meshcert.issuing.private_ca_lives import shortest_life
from meshcert.mesh import read_mesh
from meshcert.mesh.checks.names import LONGEST_NAMES
from meshcert.mesh.part import life_text
from meshcert.san import Dns, San, Uri
from tests.meshcert.mesh.mesh_slips import CLIENT, NODE_TLS, REMOVED, TELLER_NAME, Slip, changed, faults_of, identity

TELLER = "identities.colorteller"
GATEWAY = "identities.colorgateway"
SHORT = "hierarchies.colorteller"
ID = "spiffe://color.example/colorteller"
FROM_PRIVATE_CA: tuple[tuple[str, object], ...] = (
    ("mesh.trust_domain", "color.example"),
    (f"{SHORT}.usage", "short_lived"),
    (f"{TELLER}.issuer", "acm-pca"),
    (f"{TELLER}.validity", "24h"),
    (f"{TELLER}.spiffe_id", ID),
)
"""The teller's certificates come from a short-lived CA, the gateway's from ACM."""


def _id(text: str, problem: str, remedy: str) -> Slip:
    return Slip(f"{TELLER}.spiffe_id", text, problem, remedy)


SPIFFE_IDS = [
    _id("color.example/colorteller", "is not a SPIFFE ID", f"for example {ID}"),
    _id("https://color.example/colorteller", "is not a SPIFFE ID", f"for example {ID}"),
    _id("SPIFFE://color.example/colorteller", "is not a SPIFFE ID", f"for example {ID}"),
    _id(f"{ID}?role=a", "has a query", f"for example {ID}"),
    _id(f"{ID}#a", "has a fragment", f"for example {ID}"),
    _id(f"{ID}%20a", "has a percent sign", f"for example {ID}"),
    _id("spiffe://me@color.example/colorteller", "has a user", f"for example {ID}"),
    _id("spiffe://color.example:8443/colorteller", "has a port", f"for example {ID}"),
    _id("spiffe:///colorteller", "has no trust domain", f"for example {ID}"),
    _id("spiffe://Color.example/colorteller", "not in lower case", f"Write {ID}"),
    _id("spiffe://côlor.example/colorteller", "of more than a-z", f"for example {ID}"),
    _id(f"spiffe://{'a' * 256}/colorteller", "more than 255 bytes", f"for example {ID}"),
    _id(f"{ID}/", "ends with a slash", f"Write {ID}"),
    _id("spiffe://color.example//colorteller", "empty path segment", f"Write {ID}"),
    _id("spiffe://color.example/../colorteller", "path segment '.' or '..'", f"Write {ID}"),
    _id(f"{ID}:a", "of more than letters, digits", f"for example {ID}"),
    _id("spiffe://color.example", "no workload in it", f"Write {ID}"),
    _id("spiffe://color.example/*", "is a wildcard", "an identity for each workload"),
    _id("spiffe://*.example/colorteller", "is a wildcard", "an identity for each workload"),
    _id(f"{ID}{'a' * 2048}", "more than 2048 bytes (SPIFFE-ID section 2.3)", "at most 2048 bytes"),
    _id("spiffe://other.example/a/b", "trust domain other.example, and this mesh's is color.example", "example/a/b"),
    Slip(
        "identities.second",
        {**identity("colorteller"), "issuer": "acm-pca", "spiffe_id": ID},
        "belongs to identity colorteller already",
        "remove it here or there",
        "identities.second.spiffe_id",
    ),
]

TRUST_DOMAINS = [
    Slip("mesh.trust_domain", REMOVED, "missing, and identity colorteller has a SPIFFE ID", "domain: color.example"),
    Slip("mesh.trust_domain", "Color.example", "not in lower case", "Write color.example"),
    Slip("mesh.trust_domain", "color.example:8443", "has a port", "such as color.example"),
    Slip("mesh.trust_domain", "spiffe://color.example", "more than the name", "Write color.example"),
    Slip("mesh.trust_domain", "color.example/a", "more than the name", "Write color.example"),
    Slip("mesh.trust_domain", "spiffe://", "more than the name", "Write color.example"),
    Slip("mesh.trust_domain", "*.example", "of more than a-z", "such as color.example"),
    Slip("mesh.trust_domain", "a" * 256, "more than 255 bytes", "such as color.example"),
    Slip("mesh.trust_domain", 7, "expected text, found 7", "quotes"),
]

NAMES = [
    Slip(
        f"{TELLER}.dns_names",
        [TELLER_NAME, "spiffe://color.example/b"],
        "is a URI, and no DNS name",
        "Write spiffe_id: spiffe://color.example/b",
        f"{TELLER}.dns_names[1]",
    ),
    Slip(f"{TELLER}.dns_names", [TELLER_NAME, "b"], "and meshcert refuses", "whole name", f"{TELLER}.dns_names[1]"),
    Slip(
        f"{TELLER}.dns_names", [TELLER_NAME, *(f"t{i}.mtls.local" for i in range(75))], "76 names, and 75", "at most 75"
    ),
    Slip(
        f"{TELLER}.dns_names",
        [TELLER_NAME, *(f"{'a' * 60}.t{i}.mtls.local" for i in range(45))],
        "bytes, and 3,500 is the most: an SSM parameter of 4,096 bytes",
        "Use shorter names",
        TELLER,
    ),
    Slip(
        "identities.nameless",
        {"hierarchy": "colorteller", "issuer": "acm-pca", "key_algorithm": "EC_prime256v1"},
        "has no name",
        "dns_names, a spiffe_id, or both",
    ),
    Slip(f"{GATEWAY}.dns_names", [], "empty, and ACM issues for DNS names", "[colorgateway.mtls.svc.cluster.local]"),
    Slip(f"{GATEWAY}.dns_names", REMOVED, "it is missing", "Add dns_names, for example [colorgateway.mtls"),
    Slip(f"{GATEWAY}.spiffe_id", ID + "2", "ACM puts nothing but DNS names", "issuer: acm-pca"),
    Slip(f"{GATEWAY}.spiffe_id", "SPIFFE", "ACM puts nothing but DNS names", "issuer: acm-pca"),
]

LIVES = [
    Slip(f"{TELLER}.validity", "1", "'1' is not allowed", "a whole number of hours or days, as in 24h or 7d"),
    Slip(f"{TELLER}.validity", 24, "24 is not allowed", "a whole number of hours or days, as in 24h or 7d"),
    Slip(f"{TELLER}.validity", "0h", "'0h' is not allowed", "as in 24h or 7d"),
    Slip(f"{TELLER}.validity", "1.5h", "'1.5h' is not allowed", "as in 24h or 7d"),
    Slip(f"{TELLER}.validity", "30m", "30m is too short", "Use 1h or more"),
    Slip(f"{TELLER}.validity", "59m", "keeps 100 versions for 24 hours, which is enough for lives of 1h", "Use 1h"),
    Slip(f"{TELLER}.validity", "8d", "colorteller is short_lived and gives 7d at most, and this is 8d", "at most 7d"),
    Slip(f"{TELLER}.validity", "169h", "7d at most, and this is 169h", "at most 7d"),
    Slip(f"{SHORT}.usage", "short", "'short' is not allowed", "Use general_purpose or short_lived"),
    Slip(f"{TELLER}.issuer", "pca", "'pca' is not allowed", "Use acm or acm-pca"),
    Slip(f"{GATEWAY}.validity", "24h", "ACM's certificates live 395 days, whatever is asked", "issuer: acm-pca"),
    Slip(
        f"{GATEWAY}.hierarchy",
        "colorteller",
        "colorteller are short_lived, and ACM issues from general-purpose CAs only",
        "issuer: acm-pca",
    ),
]


@pytest.mark.parametrize(
    "slip",
    [*SPIFFE_IDS, *TRUST_DOMAINS, *NAMES, *LIVES],
    ids=lambda slip: f"{slip.at}: {'removed' if slip.value is REMOVED else repr(slip.value)[:40]}: {slip.problem}",
)
def test_a_fault_of_issuance_is_found_alone_at_its_place_with_its_remedy(slip: Slip) -> None:
    """Among those of issuance: who trusts or lists the identity may be at fault besides."""
    found = [
        fault
        for fault in faults_of(changed(*FROM_PRIVATE_CA, (slip.at, slip.value)))
        if not fault.place.startswith("virtual_")
    ]

    assert [fault.place for fault in found] == [slip.place or slip.at]
    assert slip.problem in found[0].problem
    assert slip.remedy in found[0].remedy


@pytest.mark.parametrize(
    ("changes", "place", "problem"),
    [
        ([(f"{TELLER}.validity", "366d")], f"{TELLER}.validity", "acm-pca gives 365d at most, and this is 366d"),
        (
            [(f"{TELLER}.validity", "365d"), (f"{SHORT}.issuing_validity_years", 1)],
            f"{SHORT}.issuing_validity_years",
            "certificates live 365 days and outlive a CA of 1 year",
        ),
    ],
)
def test_a_general_purpose_ca_gives_a_year_and_must_outlive_it(
    changes: list[tuple[str, object]], place: str, problem: str
) -> None:
    """Its own certificates end with it."""
    (fault,) = faults_of(changed(*FROM_PRIVATE_CA, (f"{SHORT}.usage", "general_purpose"), *changes))

    assert (fault.place, fault.problem) == (place, problem)


@pytest.mark.parametrize(
    "changes",
    [
        (),
        ((f"{TELLER}.validity", "1h"),),
        ((f"{TELLER}.validity", "7d"),),
        ((f"{TELLER}.validity", REMOVED),),
        ((f"{SHORT}.usage", "general_purpose"), (f"{TELLER}.validity", "365d")),
        # A CA of a year, which ACM's certificates would outlive.
        ((f"{SHORT}.issuing_validity_years", 1),),
        ((f"{SHORT}.tiers", 1), (f"{SHORT}.issuing_validity_years", REMOVED), (f"{SHORT}.root_validity_years", 1)),
        # The teller's CA has an RSA key.
        ((f"{TELLER}.key_algorithm", "EC_prime256v1"),),
        ((f"{TELLER}.dns_names", [f"{'a' * 60}.{'b' * 20}.mtls.local", TELLER_NAME]),),
        ((f"{TELLER}.dns_names", [TELLER_NAME, *(f"t{number}.mtls.local" for number in range(74))]),),
        ((f"{TELLER}.spiffe_id", f"spiffe://color.example/{'a' * 2024}"),),
        ((f"{TELLER}.spiffe_id", "spiffe://color.example/ns/A_b/sa/C.d-9"),),
        ((f"{TELLER}.spiffe_id", REMOVED), ("mesh.trust_domain", REMOVED)),
    ],
)
def test_what_private_ca_issues_is_no_fault(changes: tuple[tuple[str, object], ...]) -> None:
    """Bounds are themselves allowed, and what only ACM refuses is none of acm-pca's."""
    assert faults_of(changed(*FROM_PRIVATE_CA, *changes)) == ()


def test_the_shortest_life_is_the_one_that_secrets_manager_follows() -> None:
    """The number in the fault is computed, and a minute less is refused."""
    below = shortest_life() - dt.timedelta(minutes=1)
    (fault,) = faults_of(changed(*FROM_PRIVATE_CA, (f"{TELLER}.validity", life_text(below))))

    assert fault.remedy == f"Use {life_text(shortest_life())} or more"
    assert faults_of(changed(*FROM_PRIVATE_CA, (f"{TELLER}.validity", life_text(shortest_life())))) == ()


@pytest.mark.parametrize(("text", "hours"), [("24h", 24), ("1d", 24), ("7d", 168), ("36h", 36), ("90m", 1.5)])
def test_a_life_is_read_as_it_is_written(text: str, hours: float) -> None:
    """And an identity without one lives as long as its issuer's default."""
    reading = read_mesh(changed(*FROM_PRIVATE_CA, (f"{TELLER}.validity", text)))

    assert reading.mesh
    assert reading.mesh.identities["colorteller"].life == dt.timedelta(hours=hours)
    assert reading.mesh.identities["colorgateway"].life == dt.timedelta(days=395)


def test_the_faults_of_several_parts_come_together() -> None:
    """And none of them is told twice."""
    text = changed(
        *FROM_PRIVATE_CA,
        ("mesh.trust_domain", "Color.example"),
        (f"{GATEWAY}.spiffe_id", ID),
        (f"{TELLER}.validity", "9d"),
    )

    assert [fault.place for fault in faults_of(text)] == [
        "mesh.trust_domain",
        f"{GATEWAY}.spiffe_id",
        f"{TELLER}.validity",
    ]


def test_a_node_with_a_spiffe_id_alone_has_to_be_listed_by_its_callers() -> None:
    """Who lists no names wants its host, which only a DNS name proves: tests/envoy/test_names.py asks Envoy."""
    alone, names = (*FROM_PRIVATE_CA, (f"{TELLER}.dns_names", [])), f"{CLIENT}.validation.subject_alternative_names"

    (fault,) = faults_of(changed(*alone, (names, REMOVED)))

    assert fault.place == f"{NODE_TLS}.certificate.identity"
    assert f"or list one of {ID} under the callers' subject_alternative_names" in fault.remedy
    assert faults_of(changed(*alone, (names, {"match": {"exact": [ID]}}))) == ()


def test_the_longest_names_fit_in_the_parameter_that_says_what_may_be_issued() -> None:
    """With the longest ARNs that there are, in the form in which a deploy writes them."""
    names: tuple[San, ...] = (
        Uri(f"spiffe://color.example/{'a' * 2025}"),
        *(Dns("b" * 253) for _ in range(5)),
        Dns("c" * 159),
    )
    assert sum(len(str(name)) + len('"", ') for name in names) == LONGEST_NAMES
    terms = IssuanceTerms(
        authority_arn="arn:aws-us-gov:acm-pca:ap-southeast-2:123456789012:certificate-authority/" + "1" * 36,
        signing_algorithm="SHA384WITHECDSA",
        template_arn=naming.leaf_template("aws-us-gov"),
        key_algorithm="EC_prime256v1",
        names=names,
        life=dt.timedelta(days=365),
    )

    assert len(json.dumps(terms.document())) < 4096 - 200
