"""Prefixes of SPIFFE IDs among the names that a peer accepts: what they mean in a mesh file, and slips in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshcert.mesh import proxy_settings, read_mesh
from meshcert.mesh.edges.pairs import lets_in
from meshcert.mesh.reading.schema import json_schema
from meshcert.proxy import ProxySettings
from meshcert.san import Dns, SpiffeIdPrefix
from tests.meshcert.mesh.mesh_slips import CLIENT, GATEWAY_NAME, NODE_TLS, REMOVED, Slip, changed, faults_of

if TYPE_CHECKING:
    from meshcert.mesh.mesh import Mesh

NAMES = f"{NODE_TLS}.validation.subject_alternative_names"
MATCH = f"{NAMES}.match"
WITH_IDS: tuple[tuple[str, object], ...] = (
    ("mesh.trust_domain", "color.example"),
    *(
        (f"identities.{name}.{key}", value)
        for name, path in (("colorgateway", "ns/edge/sa/gateway"), ("colorteller", "ns/back/sa/teller"))
        for key, value in (
            ("issuer", "acm-pca"),
            ("validity", "24h"),
            ("spiffe_id", f"spiffe://color.example/{path}"),
        )
    ),
)
"""Gateway and teller have SPIFFE IDs beside their DNS names."""


def _mesh(*changes: tuple[str, object]) -> Mesh:
    reading = read_mesh(changed(*WITH_IDS, *changes))
    assert reading.mesh, reading.faults
    return reading.mesh


def test_a_prefix_reaches_the_listener_beside_whole_names() -> None:
    """And comes back from the settings that the container reads."""
    mesh = _mesh((MATCH, {"exact": [GATEWAY_NAME], "prefix": ["spiffe://color.example/ns/edge"]}))

    settings = proxy_settings(mesh, "colorteller")

    accepted = settings.listeners[0].tls.subject_alternative_names
    assert accepted == (Dns(GATEWAY_NAME), SpiffeIdPrefix("spiffe://color.example/ns/edge"))
    assert ProxySettings.from_json(settings.to_json()) == settings


@pytest.mark.parametrize("prefix", ["spiffe://color.example", "spiffe://color.example/ns/edge/sa/gateway"])
def test_a_prefix_admits_an_identity_that_has_an_id_under_it(prefix: str) -> None:
    """The whole trust domain, or the very ID."""
    mesh = _mesh((MATCH, {"prefix": [prefix]}))
    (listener,) = proxy_settings(mesh, "colorteller").listeners

    assert lets_in(mesh, listener, "colorgateway")
    assert [str(name) for name in mesh.peer_names("colorgateway")] == ["spiffe://color.example/ns/edge/sa/gateway"]


def test_a_caller_may_accept_a_backend_by_prefix() -> None:
    """Client policies have the same match."""
    match = {"match": {"prefix": ["spiffe://color.example/ns/back"]}}
    mesh = _mesh((f"{CLIENT}.validation.subject_alternative_names", match))
    (backend,) = proxy_settings(mesh, "colorgateway").backends

    assert backend.tls
    assert backend.tls.subject_alternative_names == (SpiffeIdPrefix("spiffe://color.example/ns/back"),)


SLIPS = [
    Slip(MATCH, {}, "names nobody", "prefix: [...]"),
    Slip(MATCH, {"exact": []}, "the list is empty", "Give at least one", f"{MATCH}.exact"),
    Slip(MATCH, {"exact": [GATEWAY_NAME], "prefix": []}, "the list is empty", "Give at least one", f"{MATCH}.prefix"),
    *(
        Slip(MATCH, {"prefix": [text]}, problem, remedy, f"{MATCH}.prefix[0]")
        for text, problem, remedy in (
            ("mtls.svc.cluster.local", "DNS names are compared as a whole", "List each DNS name under exact"),
            (GATEWAY_NAME, "a DNS name has no prefix", "for example spiffe://color.example/ns/shop"),
            ("*.mtls.svc.cluster.local", "a DNS name has no prefix", "under exact"),
            ("/ns/edge", "names no trust domain", "Write the whole prefix"),
            ("ns/edge", "names no trust domain", "Write the whole prefix"),
            ("https://color.example/ns", "names no trust domain", "spiffe://color.example/ns/shop"),
            ("spiffe://color.example/ns/edge/", "ends with a slash", "Write spiffe://color.example/ns/edge"),
            ("spiffe://color.example/", "ends with a slash", "Write spiffe://color.example"),
            ("spiffe://color.example/ns//edge", "empty path segment", "whole path segments"),
            ("spiffe://color.example/ns/..", "path segment '.' or '..'", "whole path segments"),
            ("spiffe://color.example/ns/*", "of more than letters, digits", "whole path segments"),
            ("spiffe://Color.example/ns", "not in lower case", "whole path segments"),
            ("spiffe://", "no trust domain", "for example spiffe://color.example/ns"),
            ("spiffe://color.example/ns/edge/sa/gate", "has a SPIFFE ID under", "Use a prefix of an identity's"),
            ("spiffe://color.example/ns/back", "has a SPIFFE ID under", "or trust its hierarchy"),
            ("spiffe://other.example", "has a SPIFFE ID under spiffe://other.example", "Use a prefix of"),
        )
    ),
]


@pytest.mark.parametrize("slip", SLIPS, ids=lambda slip: f"{slip.value}")
def test_each_slip_in_a_prefix_is_told_alone_with_its_remedy(slip: Slip) -> None:
    """A prefix always names its trust domain, ends with a whole segment, and is of somebody."""
    (fault,) = faults_of(changed(*WITH_IDS, (slip.at, slip.value)))

    assert fault.place == (slip.place or slip.at)
    assert slip.problem in fault.problem
    assert slip.remedy in fault.remedy


def test_a_caller_whose_id_is_under_no_prefix_is_told() -> None:
    """As one whose names are not listed is."""
    mesh = {"prefix": ["spiffe://color.example/ns/other"]}
    other = {
        "hierarchy": "colorgateway",
        "issuer": "acm-pca",
        "validity": "24h",
        "spiffe_id": "spiffe://color.example/ns/other/a",
        "key_algorithm": "EC_prime256v1",
    }

    (fault,) = faults_of(changed(*WITH_IDS, (MATCH, mesh), ("identities.other", other)))

    assert fault.place == f"{CLIENT}.certificate.identity"
    assert "accepts spiffe://color.example/ns/other and below" in fault.problem


def test_names_of_nobody_may_still_be_left_out() -> None:
    """Then every name that the hierarchy has signed is accepted, as before."""
    mesh = _mesh((NAMES, REMOVED))

    assert proxy_settings(mesh, "colorteller").listeners[0].tls.subject_alternative_names == ()


def test_editors_take_prefixes_and_refuse_dns_names_there() -> None:
    """The JSON Schema has the pattern of whole segments."""
    match = json_schema()["$defs"]["SanMatch"]

    assert match["properties"]["prefix"]["items"]["pattern"].startswith("^spiffe://")
    assert "required" not in match
