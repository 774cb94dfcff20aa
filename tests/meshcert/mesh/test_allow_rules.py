"""Allow rules in a mesh file: what they become, which path is whose, and slips in them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from meshcert.mesh import proxy_settings, read_mesh
from meshcert.proxy import Listener, ProxySettings
from meshcert.routes import AllowRule, deciding_rule
from meshcert.san import Dns, SpiffeIdPrefix, Uri
from tests.meshcert.mesh.mesh_slips import (
    CLIENT,
    GATEWAY_NAME,
    NODE,
    NODE_TLS,
    REMOVED,
    Slip,
    changed,
    faults_of,
    identity,
)
from tests.meshcert.mesh.test_spiffe_id_prefixes import WITH_IDS

if TYPE_CHECKING:
    from meshcert.errors import Fault

LISTENER = f"{NODE}.listeners[0]"
ALLOW = f"{LISTENER}.allow"
EDGE = "spiffe://color.example/ns/edge"
ALL = {"match": {"prefix": "/"}}
GATEWAYS = {"exact": [GATEWAY_NAME]}
HEALTH = {
    "healthy_threshold": 2,
    "unhealthy_threshold": 2,
    "interval_millis": 5000,
    "timeout_millis": 2000,
}


def _listener(*changes: tuple[str, object]) -> Listener:
    reading = read_mesh(changed(*WITH_IDS, *changes))
    assert reading.mesh, reading.faults
    settings = proxy_settings(reading.mesh, "colorteller")
    assert ProxySettings.from_json(settings.to_json()) == settings
    (listener,) = settings.listeners
    return listener


def test_rules_reach_the_container() -> None:
    """As whole paths and prefixes, with their callers' names."""
    rules = [
        {"match": {"prefix": "/admin"}, "callers": {"exact": [GATEWAY_NAME], "prefix": [EDGE]}},
        {"match": {"path": {"exact": "/healthz"}}, "callers": {"exact": [f"{EDGE}/sa/gateway"]}},
        ALL,
    ]

    assert _listener((ALLOW, rules)).allow == (
        AllowRule((Dns(GATEWAY_NAME), SpiffeIdPrefix(EDGE)), prefix="/admin"),
        AllowRule((Uri(f"{EDGE}/sa/gateway"),), path="/healthz"),
        AllowRule(prefix="/"),
    )


def test_rules_for_grpc_are_about_services_and_methods() -> None:
    """A call's path is /SERVICE/METHOD (gRPC over HTTP/2, Requests)."""
    rules = [
        {"match": {"service_name": "color.Color", "method_name": "Get"}, "callers": GATEWAYS},
        {"match": {"service_name": "color.Color"}, "callers": GATEWAYS},
        {"match": {}},
    ]

    assert [rule.text for rule in _listener((f"{LISTENER}.port_mapping.protocol", "grpc"), (ALLOW, rules)).allow] == [
        "/color.Color/Get",
        "/color.Color/",
        "/",
    ]


def test_a_listener_without_rules_has_the_settings_of_before() -> None:
    """Byte for byte: no task definition changes."""
    settings = json.loads(_settings().to_json())

    assert "allow" not in settings["listeners"][0]


def _settings() -> ProxySettings:
    reading = read_mesh(changed())
    assert reading.mesh
    return proxy_settings(reading.mesh, "colorteller")


@pytest.mark.parametrize("key", ["exact", "prefix"])
def test_names_that_rules_list_are_demanded_of_their_identity(key: str) -> None:
    """So a deploy that takes them from it is refused, as for the listener's own."""
    listed = [f"{EDGE}/sa/gateway"] if key == "exact" else [EDGE]
    reading = read_mesh(
        changed(
            *WITH_IDS,
            (f"{NODE_TLS}.validation.subject_alternative_names", REMOVED),
            (ALLOW, [{**ALL, "callers": {key: listed}}]),
        )
    )

    assert reading.mesh
    assert reading.mesh.peer_names("colorgateway") == (Uri(f"{EDGE}/sa/gateway"),)


A, B = (Dns("a.local"),), (Dns("b.local"),)
RULES = (
    AllowRule(A, prefix="/"),
    AllowRule(B, prefix="/admin"),
    AllowRule(A, path="/admin/health"),
    AllowRule(B, prefix="/shop/"),
    AllowRule(A, path="/shop"),
)
"""The last two: whoever writes both means both."""


@pytest.mark.parametrize(
    ("path", "decides"),
    [
        ("/", 0),
        ("/x", 0),
        ("/x/admin", 0),
        ("/admin", 1),
        ("/admin/", 1),
        ("/administrator", 1),
        ("/admin/health", 2),
        ("/admin/health/x", 1),
        ("/admin/health/", None),
        ("/admin/Health", None),
        ("/Admin", None),
        ("/ADMIN/x", None),
        ("/shop/x", 3),
        ("/shop/", 3),
        ("/shop", 4),
        ("/Shop", None),
        ("/SHOP/x", None),
        ("/shops", 0),
        ("/x;y", None),
        ("/admin%3bx", None),
    ],
)
def test_the_rule_with_the_longest_path_decides_and_nobody_about_what_may_be_meant_for_it(
    path: str, decides: int | None
) -> None:
    """That Envoy judges so is in tests/envoy/test_allow_rules.py."""
    assert deciding_rule(RULES, path) is (None if decides is None else RULES[decides])


@pytest.mark.parametrize("path", ["/shop", "/shop/x", "/"])
def test_without_a_rule_for_it_a_path_is_nobodys(path: str) -> None:
    """A prefix with a slash at its end says nothing of the path without."""
    assert deciding_rule((AllowRule(A, prefix="/shop/"),), path) == (
        AllowRule(A, prefix="/shop/") if path == "/shop/x" else None
    )


def _faults(*changes: tuple[str, object]) -> list[Fault]:
    return list(faults_of(changed(*WITH_IDS, *changes)))


def _match(match: object, problem: str, remedy: str, place: str = "") -> Slip:
    return Slip(ALLOW, [{"match": match, "callers": GATEWAYS}], problem, remedy, f"{ALLOW}[0].match{place}")


def _callers(callers: object, problem: str, remedy: str, place: str = "") -> Slip:
    return Slip(ALLOW, [{**ALL, "callers": callers}, HEALTHZ], problem, remedy, f"{ALLOW}[0].callers{place}")


HEALTHZ: dict[str, Any] = {"match": {"path": {"exact": "/healthz"}}, "callers": GATEWAYS}
SLIPS = [
    Slip(ALLOW, [], "the list is empty", "Give at least one"),
    Slip(ALLOW, None, "", ""),
    _match({}, "neither of prefix and path", "Write prefix: /"),
    _match({"prefix": "/a", "path": {"exact": "/a"}}, "both of prefix and path", "Keep one"),
    _match({"prefix": "a"}, "'a' is not a path", "Begin with /: /a", ".prefix"),
    _match({"path": {"exact": "a"}}, "'a' is not a path", "Begin with /", ".path.exact"),
    _match({"prefix": "/a?b"}, "ends before ? and #", "", ".prefix"),
    _match({"prefix": "/a#b"}, "ends before ? and #", "", ".prefix"),
    _match({"prefix": "/a//b"}, "'//' is not left in one", "without it", ".prefix"),
    _match({"prefix": "/a/../b"}, "'/../' is not left in one", "without it", ".prefix"),
    _match({"path": {"exact": "/a%2Fb"}}, "'%2F' is not left in one", "without it", ".path.exact"),
    _match({"prefix": "/a b"}, "no such characters", "%XX", ".prefix"),
    _match({"prefix": "/a;b"}, "a path with a semicolon is refused", "without it", ".prefix"),
    _match({"prefix": "/a%3Bb"}, "a path with a semicolon is refused", "without it", ".prefix"),
    _match({"service_name": "a.B"}, "the listener speaks http", "Write prefix", ".service_name"),
    _callers({}, "names nobody", "Add exact: [...]"),
    _callers(None, "", ""),
    _callers({"exact": []}, "the list is empty", "Give at least one", ".exact"),
    _callers(
        {"exact": [GATEWAY_NAME, "colorgatewy.mtls.svc.cluster.local"]},
        "no identity of hierarchy colorgateway has the name",
        f"Did you mean {GATEWAY_NAME}?",
        ".exact[1]",
    ),
    _callers({"prefix": [f"{EDGE}s"]}, "has a SPIFFE ID under", "Use a prefix of", ".prefix[0]"),
    _callers({"prefix": ["mtls.svc.cluster.local"]}, "a DNS name has no prefix", "under exact", ".prefix[0]"),
    _callers({"prefix": [f"{EDGE}/"]}, "ends with a slash", f"Write {EDGE}", ".prefix[0]"),
    Slip(ALLOW, [ALL, HEALTHZ, ALL], "another rule is about /", "Make one rule of both", f"{ALLOW}[2].match"),
    Slip(
        ALLOW,
        [ALL, {"match": {"prefix": "/a"}}, {"match": {"prefix": "/A"}}],
        "another rule is about /a, and many applications take both paths for one",
        "Make one rule of both",
        f"{ALLOW}[2].match",
    ),
]


@pytest.mark.parametrize("slip", SLIPS, ids=lambda slip: f"{slip.value}")
def test_each_slip_in_a_rule_is_told_alone_with_its_remedy(slip: Slip) -> None:
    """Null would be everybody, so it is a slip too."""
    (fault,) = _faults((slip.at, slip.value))

    assert fault.place == (slip.place or slip.at)
    assert slip.problem in fault.problem
    assert slip.remedy in fault.remedy


@pytest.mark.parametrize(
    ("changes", "problem", "remedy"),
    [
        (
            [(f"{NODE_TLS}.mode", "PERMISSIVE"), (f"{LISTENER}.permissive_from", [{"cidr": "10.20.0.0/16"}])],
            "takes plain text of anybody",
            "mode: STRICT",
        ),
        ([(NODE_TLS, REMOVED), (CLIENT, REMOVED)], "the listener speaks plain text", "mode: STRICT, certificate"),
        ([(f"{NODE_TLS}.validation", REMOVED)], "without a validation", "trust: {hierarchy: ...}"),
    ],
)
def test_rules_need_callers_that_are_known_for_certain(
    changes: list[tuple[str, object]], problem: str, remedy: str
) -> None:
    """A STRICT listener with a validation; all others say why not."""
    told = [fault for fault in _faults(*changes, (ALLOW, [ALL])) if fault.place == ALLOW]

    (fault,) = told
    assert problem in fault.problem
    assert remedy in fault.remedy


def test_rules_of_a_tcp_listener_are_refused_with_the_way_to_go() -> None:
    """Its own names are the list of who is allowed."""
    told = _faults((f"{LISTENER}.port_mapping.protocol", "tcp"), (ALLOW, [ALL]))

    (fault,) = [each for each in told if each.place == ALLOW]
    assert "no requests and no paths" in fault.problem
    assert f"{NODE_TLS}.validation.subject_alternative_names" in fault.remedy


def test_a_name_that_the_listener_itself_refuses_is_told() -> None:
    """The handshake comes first."""
    other = identity("colorgateway", "other.mtls.svc.cluster.local")

    (fault,) = _faults(
        ("identities.other", other), (ALLOW, [{**ALL, "callers": {"exact": [*other["dns_names"], GATEWAY_NAME]}}])
    )

    assert fault.place == f"{ALLOW}[0].callers.exact[0]"
    assert "refuse other.mtls.svc.cluster.local before any rule is asked" in fault.problem


def test_one_name_at_the_listener_and_another_of_the_same_identity_in_a_rule_are_no_fault() -> None:
    """For the time of a move, an identity has two kinds of names."""
    assert _faults((ALLOW, [{**ALL, "callers": {"prefix": [EDGE]}}])) == []


def test_a_declared_caller_that_no_rule_names_is_told() -> None:
    """Its every call would be refused."""
    other = identity("colorgateway", "other.mtls.svc.cluster.local")
    names = f"{NODE_TLS}.validation.subject_alternative_names.match.exact"

    (fault,) = _faults(
        ("identities.other", other),
        (names, [GATEWAY_NAME, *other["dns_names"]]),
        (ALLOW, [{**ALL, "callers": {"exact": other["dns_names"]}}]),
    )

    assert fault.place == f"{CLIENT}.certificate.identity"
    assert "lets colorgateway ask for nothing" in fault.problem
    assert GATEWAY_NAME in fault.remedy


@pytest.mark.parametrize(
    ("protocol", "path", "rules", "told"),
    [
        ("http", "/ping", [{"match": {"prefix": "/colors"}}], "{path: {exact: /ping}}"),
        ("http", "", [{"match": {"prefix": "/colors"}}], "{path: {exact: /}}"),
        ("grpc", "", [{"match": {"service_name": "a.B"}}], "{service_name: grpc.health.v1.Health, method_name: Check}"),
        ("http", "/ping", [ALL], ""),
        ("http", "/ping?deep=1", [{"match": {"path": {"exact": "/ping"}}}], ""),
        ("grpc", "", [{"match": {"service_name": "grpc.health.v1.Health"}}], ""),
    ],
)
def test_health_checks_of_callers_need_a_rule_too(
    protocol: str, path: str, rules: list[dict[str, Any]], told: str
) -> None:
    """Else each caller would take each task for ill."""
    check = {**HEALTH, "protocol": protocol, **({"path": path} if path else {})}

    faults = _faults(
        (f"{LISTENER}.port_mapping.protocol", protocol), (f"{LISTENER}.health_check", check), (ALLOW, rules)
    )

    assert [fault.place for fault in faults] == ([f"{LISTENER}.health_check"] if told else [])
    assert all(told in fault.remedy for fault in faults)
