"""Names in both pre-flights: what the export function publishes, the container serves."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING

import pytest

from entrypoint.judging.preflight import check_material
from meshcert.errors import MaterialRejected
from meshcert.material.certificate_facts import certificate_facts
from meshcert.publishing.preflight import Expectation, verify_material
from meshcert.san import San, san_of

if TYPE_CHECKING:
    from evidence.fixtures.pki import Hierarchy
    from meshcert.material import Material

TELLER = "teller.mesh.local"
TELLER_ID = "spiffe://color.example/ns/back/sa/Teller"
SERVES = [
    ([TELLER], [TELLER]),
    (["Teller.Mesh.local"], [TELLER]),
    ([TELLER], ["TELLER.mesh.local"]),
    (["*.Mesh.local"], ["*.mesh.local"]),
    ([TELLER_ID], [TELLER_ID]),
    ([TELLER_ID, "Teller.mesh.local"], [TELLER, TELLER_ID]),
]
"""What a certificate carries, and what the mesh file declares."""
LACKS = [
    (["other.mesh.local"], [TELLER], TELLER),
    (["*.mesh.local"], [TELLER], TELLER),
    (["color.example"], [TELLER_ID], TELLER_ID),
    ([TELLER_ID.lower()], [TELLER_ID], TELLER_ID),
    ([TELLER_ID.replace("color", "Color")], [TELLER_ID], TELLER_ID),
    ([TELLER_ID + "2"], [TELLER_ID], TELLER_ID),
]
"""The same, and the name that it lacks."""


def _sans(names: list[str]) -> tuple[San, ...]:
    return tuple(san_of(name) for name in names)


def _expected(hierarchy: Hierarchy, declared: list[str], *rules: list[str]) -> Expectation:
    peer_rules = tuple(_sans(rule) for rule in rules)
    return Expectation("teller", _sans(declared), peer_rules, hierarchy.root_pem, dt.datetime.now(dt.UTC))


def _faults(material: Material, expected: Expectation) -> tuple[list[str], list[str]]:
    """What the export function says, and what the container says."""
    found: tuple[list[str], list[str]] = ([], [])
    for faults, check in (
        (found[0], lambda: verify_material(material, expected)),
        (found[1], lambda: check_material(material, expected.names, "the secret", time.time())),
    ):
        try:
            check()
        except MaterialRejected as refusal:
            faults += [str(fault) for fault in refusal.faults]
    return found


@pytest.mark.parametrize(("carried", "declared"), SERVES)
def test_both_take_a_certificate_with_its_declared_names(
    hierarchy: Hierarchy, carried: list[str], declared: list[str]
) -> None:
    """The case of a DNS name is no matter: a certificate that was published once ended containers with code 65."""
    assert _faults(hierarchy.issue(carried), _expected(hierarchy, declared)) == ([], [])


@pytest.mark.parametrize(("carried", "declared", "lacking"), LACKS)
def test_both_refuse_a_certificate_that_lacks_a_name(
    hierarchy: Hierarchy, carried: list[str], declared: list[str], lacking: str
) -> None:
    """One fault each tells the name; rules of SPIFFE that are broken besides are the same ones."""
    published, served = _faults(hierarchy.issue(carried), _expected(hierarchy, declared))

    (at_issue,) = [fault for fault in published if f"declared are {', '.join(sorted(declared))}" in fault]
    (in_use,) = [fault for fault in served if f"it lacks the name(s) {lacking}" in fault]
    assert all(", ".join(sorted(carried)) in fault for fault in (at_issue, in_use))
    assert _rules(published) == _rules(served)
    assert len(published) == len(served) == 1 + len(_rules(served))


@pytest.mark.parametrize(
    ("carried", "declared"),
    [
        ([TELLER], [TELLER, TELLER_ID]),
        ([TELLER_ID], [TELLER_ID, TELLER]),
        ([TELLER], [TELLER, "old.mesh.local"]),
    ],
)
def test_a_certificate_that_has_lost_a_name_is_served_and_not_published(
    hierarchy: Hierarchy, carried: list[str], declared: list[str]
) -> None:
    """A task knows the names of its own deploy: the certificate of the next is there before that one's settings."""
    published, served = _faults(hierarchy.issue(carried), _expected(hierarchy, declared))

    assert any(f"declared are {', '.join(sorted(declared))}" in fault for fault in published)
    assert served == []


def _rules(faults: list[str]) -> list[str]:
    """The broken rules of SPIFFE among faults, without place and remedy."""
    return sorted(fault.split(": ", 1)[1].split(" (X509")[0] for fault in faults if "X509-SVID" in fault)


@pytest.mark.parametrize("more", ["more.mesh.local", TELLER_ID])
def test_a_name_that_nobody_declared_is_not_published(hierarchy: Hierarchy, more: str) -> None:
    """The container serves it: a certificate of a mesh file to come may be there before its settings."""
    published, served = _faults(hierarchy.issue([TELLER, more]), _expected(hierarchy, [TELLER]))

    assert (len(published), served) == (1, [])


def test_a_peers_rule_is_met_by_a_uri(hierarchy: Hierarchy) -> None:
    """It may name a DNS name and a URI, while peers are moved from one to the other."""
    material = hierarchy.issue([TELLER, TELLER_ID])

    assert _faults(material, _expected(hierarchy, [TELLER, TELLER_ID], [TELLER_ID], ["old.local", TELLER_ID]))[0] == []
    (fault,) = _faults(material, _expected(hierarchy, [TELLER, TELLER_ID], [TELLER], [TELLER_ID + "2"]))[0]
    assert f"a peer accepts only {TELLER_ID}2, and it has {TELLER_ID}, {TELLER}" in fault


@pytest.mark.parametrize("usage", ["serverAuth", "clientAuth"])
def test_a_spiffe_certificate_is_judged_in_both_roles(hierarchy: Hierarchy, usage: str) -> None:
    """The library has no server role for a URI; both pre-flights see a missing purpose all the same."""
    material = hierarchy.issue([TELLER_ID], extended_key_usages=[usage])  # type: ignore[list-item] # a literal each

    (published,), (served,) = _faults(material, _expected(hierarchy, [TELLER_ID]))

    (missing,) = {"serverAuth", "clientAuth"} - {usage}
    assert f"lacks {missing}" in published
    assert f"it is not for {missing}" in served


def test_a_secret_tells_uris_beside_dns_names(hierarchy: Hierarchy) -> None:
    """In the certificate's order, as texts."""
    document = certificate_facts(hierarchy.issue([TELLER, TELLER_ID]).certificate).as_document()

    assert document["Names"] == [TELLER, TELLER_ID]
