"""A host outside the mesh is a virtual node that DNS knows and no service runs: what may be said of it."""

from __future__ import annotations

from typing import Any

import pytest

from local.cdk import ROOT
from meshcert.contract.container import PUBLIC_ROOTS
from meshcert.mesh import read_mesh
from meshcert.mesh.checks.findings import findings_of
from meshcert.mesh.rendering.settings import proxy_settings
from meshcert.proxy import BackendTls, ProxySettings
from meshcert.san import Dns
from meshcert.tls_sources import PublicRoots
from tests.meshcert.mesh.mesh_slips import COLOR, NODE, REMOVED, changed, identity

HOST = "api.partner.example.com"
PLACE = f"{NODE}.backends[0].client_policy.tls"
APPLICATION = "services.colorteller.application"
PUBLIC = {"trust": {"public_roots": True}}
OURS = {"trust": {"hierarchy": "colorgateway"}}
TELLER_POLICY = {"certificate": {"identity": "colorgateway"}, "validation": {"trust": {"hierarchy": "colorteller"}}}
TELLER = {"virtual_node": "colorteller", "client_policy": {"tls": TELLER_POLICY}}


def partner(dns: Any = HOST, port: int = 443, **listener: Any) -> dict[str, Any]:
    """The virtual node that stands for the host."""
    return {
        "service_discovery": {"dns": dns},
        "listeners": [{"port_mapping": {"port": port, "protocol": "http"}, **listener}],
    }


def called(validation: dict[str, Any] | None, **tls: Any) -> tuple[str, Any]:
    """The node's backends: the host, with a policy that checks it like this; None for plain text."""
    policy = {"client_policy": {"tls": {"validation": validation, **tls}}} if validation else {}
    return f"{NODE}.backends", [{"virtual_node": "partner", **policy}]


def named(*names: str) -> dict[str, Any]:
    """The names that a policy lists."""
    return {"subject_alternative_names": {"match": {"exact": list(names)}}}


def settings(*changes: tuple[str, Any]) -> ProxySettings:
    """The proxy settings of the node, of a file without a fault."""
    reading = read_mesh(changed(*changes))
    assert reading.mesh is not None, [str(fault) for fault in reading.faults]
    return proxy_settings(reading.mesh, "colorteller")


@pytest.mark.parametrize(
    ("validation", "tls"),
    [
        (PUBLIC, BackendTls(PublicRoots(PUBLIC_ROOTS))),
        (
            {**PUBLIC, **named("alias.example.com")},
            BackendTls(PublicRoots(PUBLIC_ROOTS), "", (Dns("alias.example.com"),)),
        ),
        (OURS, BackendTls("colorgateway")),
        (None, None),
    ],
    ids=["public roots", "public roots, another name", "a hierarchy of the file", "plain text"],
)
def test_a_host_outside_the_mesh_is_called_as_the_policy_says(validation: Any, tls: BackendTls | None) -> None:
    """Names left out, Envoy demands the one by which it is found; no secret comes of public roots."""
    found = settings(
        ("virtual_nodes.partner", partner()),
        ("identities.partner", identity("colorgateway", HOST)),
        called(validation),
    )

    (backend,) = found.backends
    assert (backend.host, backend.port, backend.tls, backend.cloud_map_service) == (HOST, 443, tls, "")
    assert set(found.trust_bundles) == {"colorgateway"}
    assert ProxySettings.from_json(found.to_json()) == found


@pytest.mark.parametrize(
    ("dns", "one_host"),
    [
        (HOST, False),
        ({"hostname": HOST}, True),
        ({"hostname": HOST, "response_type": "ENDPOINTS"}, False),
        ({"hostname": HOST, "responseType": "LOADBALANCER"}, True),
    ],
)
def test_all_addresses_are_one_host_or_each_is_a_task(dns: Any, one_host: bool) -> None:  # noqa: FBT001 -- a column of the table
    """In App Mesh's words, whose default is LOADBALANCER; a name alone means what it meant before."""
    (backend,) = settings(("virtual_nodes.partner", partner(dns)), called(PUBLIC)).backends

    assert backend.one_host is one_host


def test_a_certificate_may_be_presented_to_a_partner() -> None:
    """Mutual TLS with somebody who trusts a hierarchy of this mesh."""
    found = settings(("virtual_nodes.partner", partner()), called(PUBLIC, certificate={"identity": "colorteller"}))

    assert found.backends[0].tls == BackendTls(PublicRoots(PUBLIC_ROOTS), "colorteller")


FAULTS = [
    (
        [called({**PUBLIC, **named("*.partner.example.com")})],
        f"{PLACE}.validation.subject_alternative_names.match.exact[0]",
        "no whole name",
    ),
    ([called(OURS)], f"{PLACE}.validation.trust.hierarchy", f"must prove the name {HOST}"),
    ([called(PUBLIC), (f"{APPLICATION}.egress", []), ("port", 8443)], f"{APPLICATION}.egress", "at port 8443"),
    (
        [
            called(None),
            (f"{APPLICATION}.egress", [{"cidr": "10.0.0.0/8", "ports": [80], "protocol": "udp"}]),
            ("port", 80),
        ],
        f"{APPLICATION}.egress",
        "at port 80",
    ),
    (
        [("virtual_nodes.partner.backends", [TELLER])],
        "virtual_nodes.partner.backends",
        "no Envoy",
    ),
    (
        [
            (
                f"{NODE}.listeners[0].tls.validation",
                {"trust": {"public_roots": True}},
            )
        ],
        f"{NODE}.listeners[0].tls.validation.trust.public_roots",
        "sign for anybody",
    ),
    (
        [
            (
                "virtual_gateways.colorgateway.backends[0].client_policy.tls.validation",
                {"trust": {"public_roots": True}},
            )
        ],
        "virtual_gateways.colorgateway.backends[0].client_policy.tls.validation.trust.public_roots",
        "a certificate of this mesh",
    ),
    (
        [called({"trust": {"hierarchy": "colorgateway", "public_roots": True}})],
        f"{PLACE}.validation.trust",
        "hierarchy and public_roots",
    ),
    ([called({"trust": {"public_roots": False}})], f"{PLACE}.validation.trust", "none of"),
]


@pytest.mark.parametrize(("changes", "place", "problem"), FAULTS, ids=[problem for _, _, problem in FAULTS])
def test_what_could_not_work_is_a_fault_with_its_place(
    changes: list[tuple[str, Any]], place: str, problem: str
) -> None:
    """One each, and a remedy."""
    port = next((value for key, value in changes if key == "port"), 443)
    others = [change for change in changes if change[0] != "port"]

    faults = read_mesh(changed(("virtual_nodes.partner", partner(port=port)), *others)).faults

    assert [fault.place for fault in faults] == [place], [str(fault) for fault in faults]
    assert problem in faults[0].problem
    assert faults[0].remedy


@pytest.mark.parametrize(
    ("rules", "port"),
    [([], 443), ([{"cidr": "198.51.100.0/24", "ports": [8443]}], 8443), (REMOVED, 8443)],
    ids=["443 is open anyway", "a rule", "everything is open"],
)
def test_a_port_that_the_task_may_connect_to_is_no_fault(rules: Any, port: int) -> None:
    """Whether the range holds the host's addresses, nobody can know."""
    egress = (f"{APPLICATION}.egress", rules)

    assert settings(("virtual_nodes.partner", partner(port=port)), called(PUBLIC), egress).backends


def test_a_gateway_may_lead_to_a_host_outside_the_mesh() -> None:
    """Its routes know it by the node's name."""
    (first,) = COLOR["virtual_gateways"]["colorgateway"]["backends"]
    outside = {"virtual_node": "partner", "client_policy": {"tls": {"validation": PUBLIC}}}
    changes = (
        ("virtual_nodes.partner", partner()),
        ("virtual_gateways.colorgateway.backends", [first, outside]),
        (
            "virtual_gateways.colorgateway.routes",
            [
                {"match": {"prefix": "/"}, "virtual_node": "colorteller"},
                {"match": {"prefix": "/partner"}, "virtual_node": "partner"},
            ],
        ),
    )

    reading = read_mesh(changed(*changes))

    assert reading.mesh is not None, [str(fault) for fault in reading.faults]
    found = proxy_settings(reading.mesh, "colorgateway")
    assert found.backends[1].tls == BackendTls(PublicRoots(PUBLIC_ROOTS))


def test_an_identity_that_a_host_has_to_prove_is_of_use() -> None:
    """So nothing is found in such a file."""
    changes = (
        ("virtual_nodes.partner", partner()),
        ("identities.partner", identity("colorgateway", HOST)),
        called(OURS),
    )

    reading = read_mesh(changed(*changes))

    assert reading.mesh is not None
    assert findings_of(reading.mesh, ROOT) == ()


def test_a_host_that_nobody_calls_is_found() -> None:
    """It has no security group."""
    reading = read_mesh(changed(("virtual_nodes.partner", partner())))

    assert reading.mesh is not None
    (finding,) = findings_of(reading.mesh, ROOT)
    assert (finding.place, finding.problem) == ("virtual_nodes.partner", "nobody calls it")
