"""Foreign trust domains in the mesh file: what is rendered, and what is refused."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from meshcert.mesh import Mesh, proxy_settings, read_mesh
from meshcert.mesh.checks.findings import findings_of
from meshcert.mesh.edges.edges import edges_of, refused_of
from meshcert.mesh.edges.pairs import RefusalCause, refusal_of
from meshcert.mesh.edges.permission import callers_of, listeners_of, permission
from meshcert.proxy import ProxySettings
from meshcert.tls_sources import FederatedTrust
from tests.meshcert.mesh.mesh_slips import REMOVED, steps

SPIFFE = yaml.safe_load((Path(__file__).parents[3] / "examples/spiffe.yaml").read_text())
UI = "virtual_nodes.ui.listeners[0].tls.validation"
URL = "https://partner.example/bundle.json"
ENDPOINT: dict[str, Any] = {"url": URL, "profile": "https_web"}
PARTNER: dict[str, Any] = {"partner.example": {"bundle_endpoint": ENDPOINT}}
BOTH: dict[str, Any] = {
    "trust": {"hierarchy": "yelb", "trust_domains": ["partner.example"]},
    "subject_alternative_names": {
        "match": {"exact": ["spiffe://yelb.example/gateway", "spiffe://partner.example/web"]}
    },
}
ALONE = {
    "trust": {"trust_domains": ["partner.example"]},
    "subject_alternative_names": {"match": {"exact": ["spiffe://partner.example/api"]}},
}
HOST = {
    "listeners": [{"port_mapping": {"port": 443, "protocol": "http"}}],
    "service_discovery": {"dns": {"hostname": "api.partner.example"}},
}
CALL = [
    ("virtual_nodes.api", HOST),
    (
        "virtual_nodes.ui.backends[1]",
        {
            "virtual_node": "api",
            "client_policy": {"tls": {"certificate": {"identity": "ui"}, "validation": ALONE}},
        },
    ),
]


def written(*changes: tuple[str, Any]) -> bytes:
    """Yelb's mesh file that trusts a partner at its page, with these changes."""
    values = copy.deepcopy(SPIFFE)
    for place, value in (("trust_domains", PARTNER), (UI, BOTH), *changes):
        *way, last = steps(place) if not place.startswith("trust_domains.") else ["trust_domains", place[14:]]
        part = values
        for step in way:
            part = part[step]
        if value is REMOVED:
            del part[last]
        elif isinstance(last, int) and last == len(part):
            part.append(copy.deepcopy(value))
        else:
            part[last] = copy.deepcopy(value)
    return yaml.safe_dump(values, sort_keys=False).encode()


def mesh_of(*changes: tuple[str, Any]) -> Mesh:
    """The mesh of that file, which has no fault."""
    reading = read_mesh(written(*changes))
    assert reading.mesh is not None, reading.faults
    return reading.mesh


def test_a_listener_that_trusts_a_partner_names_both_trust_domains() -> None:
    """And the secrets of both; the settings come back from their JSON."""
    settings = proxy_settings(mesh_of(), "ui")

    trust = FederatedTrust("yelb", "yelb.example", ("partner.example",))
    assert settings.listeners[0].tls.trust == trust
    assert settings.listeners[0].tls.hierarchy == "yelb"
    assert settings.federated_trusts == (trust,)
    assert "yelb" in settings.trust_bundles
    assert settings.foreign_bundles["partner.example"].secret == "meshcert/yelb/federation/partner.example"
    assert ProxySettings.from_json(settings.to_json()) == settings


def test_a_partner_can_be_called_and_trusted_alone() -> None:
    """Without a hierarchy nobody of this mesh could answer."""
    settings = proxy_settings(mesh_of(*CALL), "ui")

    (backend,) = [each for each in settings.backends if each.name == "api"]
    assert backend.tls is not None
    assert backend.tls.trust == FederatedTrust("", "", ("partner.example",))
    assert not backend.tls.hierarchy
    assert ProxySettings.from_json(settings.to_json()) == settings


def test_proxies_that_trust_no_partner_keep_the_settings_of_before() -> None:
    """Their task definitions stay as they are."""
    without = read_mesh(yaml.safe_dump(SPIFFE).encode()).mesh
    assert without

    assert "foreign" not in proxy_settings(without, "ui").to_json()
    assert proxy_settings(mesh_of(), "appserver") == proxy_settings(without, "appserver")


def test_who_may_call_whom_is_told_where_partners_are_trusted() -> None:
    """For every pair of a caller and a listener."""
    mesh = mesh_of(*CALL)

    assert all(edge.authenticated for edge in edges_of(mesh) if edge.callee.name == "ui")
    assert refused_of(mesh)
    answers = [
        permission(mesh, caller, callee)
        for caller in callers_of(mesh)
        for service in mesh.services
        for callee in listeners_of(mesh, service)
        if caller != callee.service
    ]
    assert any(each.allowed for each in answers)


def test_an_allow_rule_may_name_a_partners_workload() -> None:
    """By its whole ID or by prefix; who has it, this mesh cannot know."""
    rules = [
        {"match": {"prefix": "/"}, "callers": {"exact": ["spiffe://yelb.example/gateway"]}},
        {"match": {"prefix": "/api"}, "callers": {"exact": ["spiffe://partner.example/web"]}},
        {"match": {"prefix": "/other"}, "callers": {"prefix": ["spiffe://partner.example"]}},
    ]

    (listener,) = proxy_settings(mesh_of((UI.replace(".tls.validation", ".allow"), rules)), "ui").listeners

    assert [rule.text for rule in listener.allow] == ["/", "/api", "/other"]


def test_a_prefix_is_no_name_where_partners_are_trusted() -> None:
    """There Envoy compares all URIs of a certificate with whole IDs."""
    match = {"exact": ["spiffe://yelb.example/gateway"], "prefix": ["spiffe://partner.example/web"]}

    (fault,) = read_mesh(written((UI, {**BOTH, "subject_alternative_names": {"match": match}}))).faults

    assert fault.place == f"{UI}.subject_alternative_names.match.prefix[0]"
    assert "IDs are compared as a whole" in fault.problem


def test_who_is_of_no_trusted_domain_is_refused_for_that() -> None:
    """In the words of Envoy's log, where partners alone are trusted."""
    mesh = mesh_of()
    (listener,) = proxy_settings(mesh, "ui").listeners
    partners = listener._replace(tls=listener.tls._replace(trust=FederatedTrust("", "", ("partner.example",))))

    assert refusal_of(mesh, listener, "gateway") is None
    assert refusal_of(mesh, listener, "appserver") is RefusalCause.WRONG_NAME
    assert refusal_of(mesh, partners, "gateway") is RefusalCause.OTHER_TRUST_DOMAIN


def test_a_trust_domain_that_nobody_trusts_is_told() -> None:
    """It is fetched for nothing."""
    root = Path(__file__).parents[3]
    told = findings_of(mesh_of((UI, SPIFFE["virtual_nodes"]["ui"]["listeners"][0]["tls"]["validation"])), root)

    assert "nobody trusts it" in {each.place: each.problem for each in told}["trust_domains.partner.example"]
    assert not any(each.place.startswith("trust_domains") for each in findings_of(mesh_of(), root))


def _trust(**trust: Any) -> dict[str, Any]:
    return {**BOTH, "trust": {**BOTH["trust"], **trust}}


def _names(*names: str) -> dict[str, Any]:
    return {**BOTH, "subject_alternative_names": {"match": {"exact": ["spiffe://yelb.example/gateway", *names]}}}


def _endpoint(**fields: Any) -> tuple[str, Any]:
    return "trust_domains", {"partner.example": {"bundle_endpoint": {**ENDPOINT, **fields}}}


EXACT = f"{UI}.subject_alternative_names.match.exact"
API = f"{CALL[1][0]}.client_policy.tls.validation"
DOMAIN = "trust_domains.partner.example"
SLIPS: dict[str, tuple[list[tuple[str, Any]], str, str]] = {
    "https-spiffe": ([_endpoint(profile="https_spiffe")], f"{DOMAIN}.bundle_endpoint.profile", "https_spiffe is not"),
    "another-profile": ([_endpoint(profile="http")], f"{DOMAIN}.bundle_endpoint.profile", "not allowed"),
    "http": ([_endpoint(url="http://partner.example/")], f"{DOMAIN}.bundle_endpoint.url", "no https URL"),
    "user": ([_endpoint(url="https://a:b@partner.example/")], f"{DOMAIN}.bundle_endpoint.url", "has a user"),
    "no-host": ([_endpoint(url="https:///bundle.json")], f"{DOMAIN}.bundle_endpoint.url", "has no host"),
    "bad-port": ([_endpoint(url="https://partner.example:x/")], f"{DOMAIN}.bundle_endpoint.url", "is no URL"),
    "fragment": ([_endpoint(url=f"{URL}#a")], f"{DOMAIN}.bundle_endpoint.url", "has a fragment"),
    "space": ([_endpoint(url="https://partner.example/a b")], f"{DOMAIN}.bundle_endpoint.url", "percent-encoded"),
    "two-sources": ([(DOMAIN, {"bundle_endpoint": ENDPOINT, "file": "a.json"})], DOMAIN, "bundle_endpoint and file"),
    "no-source": ([(DOMAIN, {})], DOMAIN, "neither bundle_endpoint nor file"),
    "file-elsewhere": ([(DOMAIN, {"file": "../a.json"})], f"{DOMAIN}.file", "leads out"),
    "capital-letters": ([("trust_domains.Other.example", {"file": "a"})], "trust_domains.Other.example", "lower case"),
    "own": ([("trust_domains.yelb.example", {"file": "a"})], "trust_domains.yelb.example", "own trust domain"),
    "too-many": (
        [("trust_domains", PARTNER | {f"p{number}.example": {"file": "a"} for number in range(20)})],
        "trust_domains",
        "20 is the most",
    ),
    "too-long": (
        [
            (
                "trust_domains",
                PARTNER
                | {
                    f"p{number}.example": {"bundle_endpoint": {**ENDPOINT, "url": URL + "a" * 900}}
                    for number in range(4)
                },
            )
        ],
        "trust_domains",
        "3,000 is the most",
    ),
    "undeclared": (
        [(UI, _trust(trust_domains=["partner.example", "partnr.example"]))],
        f"{UI}.trust.trust_domains[1]",
        "not declared under trust_domains",
    ),
    "twice": (
        [(UI, _trust(trust_domains=["partner.example", "partner.example"]))],
        f"{UI}.trust.trust_domains[1]",
        "written twice",
    ),
    "name-of-the-function": (
        [("services.gateway", REMOVED), ("services.federate", SPIFFE["services"]["gateway"])],
        "services.federate",
        "of the function that asks bundle endpoints",
    ),
    "own-as-foreign": (
        [(UI, _trust(trust_domains=["partner.example", "yelb.example"]))],
        f"{UI}.trust.trust_domains[1]",
        "own trust domain",
    ),
    "two-kinds-of-roots": (
        [*CALL, (f"{API}.trust", {"trust_domains": ["partner.example"], "public_roots": True})],
        f"{API}.trust",
        "it names public_roots and trust_domains",
    ),
    "no-names": ([(UI, {"trust": BOTH["trust"]})], f"{UI}.subject_alternative_names", "without names"),
    "dns-name": ([(UI, _names("web.partner.example"))], f"{EXACT}[1]", "does not look at these"),
    "not-listed": ([(UI, _names("spiffe://other.example/web"))], f"{EXACT}[1]", "alone are trusted here"),
    "no-path": ([(UI, _names("spiffe://partner.example"))], f"{EXACT}[1]", "names a trust domain"),
    "unknown-of-ours": (
        [(UI, _names("spiffe://yelb.example/gatewai", "spiffe://partner.example/web"))],
        f"{EXACT}[1]",
        "no identity of hierarchy",
    ),
    "nobody-of-it-named": ([(UI, _names())], f"{UI}.trust.trust_domains[0]", "trusted for nothing"),
    "ours-without-hierarchy": (
        [*CALL, (API, _names() | {"trust": ALONE["trust"]})],
        f"{API}.subject_alternative_names.match.exact[0]",
        "no hierarchy is trusted here",
    ),
    "partner-alone-and-we-call": (
        [(UI, ALONE)],
        "virtual_gateways.gateway.backends[0].client_policy.tls.certificate.identity",
        "lets in foreign trust domains alone",
    ),
    "partner-alone-and-we-answer": (
        [("virtual_gateways.gateway.backends[0].client_policy.tls.validation", ALONE)],
        "virtual_gateways.gateway.backends[0].client_policy.tls.validation.trust.trust_domains",
        "of this mesh",
    ),
    "no-caller-named": (
        [(UI, BOTH | {"subject_alternative_names": {"match": {"exact": ["spiffe://partner.example/web"]}}})],
        "virtual_gateways.gateway.backends[0].client_policy.tls.certificate.identity",
        "has none of these names",
    ),
    "a server of one domain among several": (
        [
            CALL[0],
            (
                "virtual_nodes.ui.backends[1]",
                {"virtual_node": "api", "client_policy": {"tls": {"validation": {**ALONE, **BOTH}}}},
            ),
        ],
        "virtual_nodes.ui.backends[1].client_policy.tls.validation.trust.trust_domains",
        "a CA of one can pass for all",
    ),
    "a protocol in which the server speaks first": (
        [
            ("virtual_nodes.redis.listeners[0].tls.validation.trust.trust_domains", ["partner.example"]),
            (
                "virtual_nodes.redis.listeners[0].tls.validation.subject_alternative_names",
                {"match": {"exact": ["spiffe://yelb.example/appserver", "spiffe://partner.example/web"]}},
            ),
        ],
        "virtual_nodes.redis.listeners[0].tls.validation.trust.trust_domains",
        "hears what the application says first",
    ),
}


@pytest.mark.parametrize(("changes", "place", "problem"), SLIPS.values(), ids=SLIPS)
def test_what_no_envoy_or_function_could_do_is_refused(
    changes: list[tuple[str, Any]], place: str, problem: str
) -> None:
    """At its place, and nothing else is."""
    faults = read_mesh(written(*changes)).faults

    assert [fault.place for fault in faults] == [place], faults
    assert problem in faults[0].problem
    assert faults[0].remedy


def test_a_hierarchy_beside_a_partner_needs_a_trust_domain() -> None:
    """Else its roots would speak for no SPIFFE ID."""
    faults = read_mesh(written(("mesh.trust_domain", REMOVED))).faults

    assert {fault.place for fault in faults} == {"mesh.trust_domain"}
