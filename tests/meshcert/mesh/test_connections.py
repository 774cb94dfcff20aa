"""Faults between the parts of a mesh file: calls that could never succeed, services that run nothing."""

from __future__ import annotations

import copy

import pytest

from tests.meshcert.mesh.mesh_slips import (
    BACKEND,
    CLIENT,
    COLOR,
    GATEWAY,
    GATEWAY_NAME,
    NODE_TLS,
    REMOVED,
    TELLER_NAME,
    Slip,
    assert_found_alone,
    changed,
    faults_of,
    identity,
)

CALLS = [
    Slip(f"{BACKEND}.virtual_node", "colortellr", "not declared under virtual_nodes", "Did you mean colorteller?"),
    Slip(
        f"{GATEWAY}.backends",
        COLOR["virtual_gateways"]["colorgateway"]["backends"] * 2,
        "already",
        "Remove one",
        f"{GATEWAY}.backends[1].virtual_node",
    ),
    Slip(f"{GATEWAY}.routes[0].virtual_node", "colorteler", "not among this gateway's backends", "mean colorteller?"),
    Slip(f"{GATEWAY}.routes[0].match.prefix", "colors", "not a path", "/colors"),
    Slip(
        f"{GATEWAY}.routes",
        COLOR["virtual_gateways"]["colorgateway"]["routes"] * 2,
        "two routes take /",
        "Remove one",
        f"{GATEWAY}.routes[1].match.prefix",
    ),
    Slip(
        "virtual_nodes.colorteller.listeners[0].port_mapping.protocol",
        "tcp",
        "speaks tcp",
        "grpc",
        f"{BACKEND}.virtual_node",
    ),
    Slip(f"{NODE_TLS}.certificate.identity", "teller", "'teller' is not declared", "Did you mean colorteller?"),
    Slip(f"{NODE_TLS}.validation.trust.hierarchy", "gateway", "not declared", "mean colorgateway?"),
    Slip(f"{NODE_TLS}.certificate", REMOVED, "STRICT needs a certificate", "DISABLED"),
    Slip(
        f"{NODE_TLS}.validation.subject_alternative_names.match.exact",
        [GATEWAY_NAME, "colorgatewy.mtls.svc.cluster.local"],
        "no identity of hierarchy colorgateway",
        f"Did you mean {GATEWAY_NAME}?",
        f"{NODE_TLS}.validation.subject_alternative_names.match.exact[1]",
    ),
    Slip(
        f"{NODE_TLS}.validation.subject_alternative_names.match.exact",
        ["zz.yy"],
        "has the name zz.yy",
        "Use a name of an identity",
        f"{NODE_TLS}.validation.subject_alternative_names.match.exact[0]",
    ),
    Slip(
        f"{NODE_TLS}.validation.subject_alternative_names.match.exact",
        [GATEWAY_NAME.replace("color", "Color")],
        "capital",
        f"Write {GATEWAY_NAME}",
        f"{NODE_TLS}.validation.subject_alternative_names.match.exact[0]",
    ),
    Slip(
        f"{NODE_TLS}.validation.subject_alternative_names.match.exact",
        [GATEWAY_NAME, "spiffe://color.example/gateway"],
        "has the name spiffe://color.example/gateway",
        "Use a name of an identity",
        f"{NODE_TLS}.validation.subject_alternative_names.match.exact[1]",
    ),
    Slip(f"{CLIENT}.validation.trust.hierarchy", "colortelle", "not declared", "mean colorteller?"),
    Slip(
        f"{CLIENT}.validation.trust.hierarchy",
        "colorgateway",
        "the call can never succeed",
        "Trust hierarchy colorteller",
    ),
    Slip(
        f"{CLIENT}.validation.subject_alternative_names.match.exact",
        ["teller.local"],
        "the call can never succeed",
        TELLER_NAME,
    ),
    Slip(
        f"{CLIENT}.validation.subject_alternative_names.match.exact",
        [TELLER_NAME, "colortelle.mtls.svc.cluster.local"],
        "no identity of hierarchy colorteller",
        "Did you mean",
        f"{CLIENT}.validation.subject_alternative_names.match.exact[1]",
    ),
    Slip(
        f"{CLIENT}.certificate",
        REMOVED,
        "none is presented, so the call can never succeed",
        "identity of hierarchy colorgateway",
    ),
    Slip(f"{CLIENT}.certificate.identity", "gateway", "not declared", "mean colorgateway?"),
    Slip(
        f"{CLIENT}.certificate.identity",
        "colorteller",
        "signed by colorteller, so the call can never succeed",
        "colorgateway",
    ),
    Slip(f"{BACKEND}.client_policy", {}, "and none is presented", "client_policy: {tls: {certificate", f"{CLIENT}"),
    Slip(
        "virtual_nodes.colorteller.listeners[0].tls",
        REMOVED,
        "over TLS, and its listener speaks plain text",
        "STRICT",
        f"{CLIENT}",
    ),
]

HEALTH_PATH = "services.colorteller.application.health_check.path"
SERVICES = [
    Slip("services.colorteller.virtual_gateway", "colorgateway", "both", "exactly one", "services.colorteller"),
    Slip("services.empty", {"desired_count": 1}, "neither", "exactly one"),
    Slip("services.colorteller.virtual_node", "colortellr", "not declared", "mean colorteller?"),
    Slip(
        "services.again",
        {"virtual_gateway": "colorgateway"},
        "service colorgateway runs colorgateway already",
        "desired_count",
        "services.again.virtual_gateway",
    ),
    Slip(
        "services.colorteller", REMOVED, "no service runs it", "virtual_node: colorteller", "virtual_nodes.colorteller"
    ),
    Slip("services.colorteller.application", REMOVED, "there is none", "Add application"),
    Slip("services.colorgateway.application", {"image": "x", "port": 1}, "has no application", "Remove it"),
    Slip("services.colorteller.load_balancer", True, "only a virtual gateway", "finds virtual nodes by itself"),
    Slip("services.colorteller.memory_mib", 4096, "cpu 256 with 4096 MiB", "512, 1024, 2048"),
    Slip("services.colorteller.application.port", 9443, "taken in the same task by listeners[0]", "another"),
    Slip(
        f"{GATEWAY}.listeners",
        COLOR["virtual_gateways"]["colorgateway"]["listeners"] * 2,
        "8443 is taken",
        "another",
        f"{GATEWAY}.listeners[1].port_mapping.port",
    ),
    Slip(f"{GATEWAY}.listeners[0].port_mapping.port", 9901, "Envoy's admin", "another"),
    Slip("services.colorteller.application.port", 9902, "taken in the same task by the readiness check", "another"),
    Slip("services.colorteller.application.port", 9903, "taken in the same task by the readiness check", "another"),
    Slip("services.colorteller.application.health_check", {"path": "healthz"}, "'healthz'", "^(/", HEALTH_PATH),
    Slip(
        "services.colorteller.application.health_check",
        {"grace_period_s": 1200},
        "1200 is not allowed",
        "less than or equal to 900",
        "services.colorteller.application.health_check.grace_period_s",
    ),
    Slip("services.colorgateway.drain_s", 121, "121 is not allowed", "less than or equal to 120"),
    Slip("services.colorgateway.drain_s", 115, "would need 125 s to stop (115 s and 10 s to finish)", "110 or less"),
    Slip("services.colorteller.drain_s", 13, "for up to 13 s to a task that was told to stop", "more than 13"),
]


@pytest.mark.parametrize("slip", [*CALLS, *SERVICES], ids=lambda slip: f"{slip.at}: {slip.problem}")
def test_a_fault_is_found_alone_at_its_place_with_its_remedy(slip: Slip) -> None:
    """One slip in a good file gives exactly one fault, and it says where, what and what to do."""
    assert_found_alone(slip)


@pytest.mark.parametrize("name", ["export", "renewal", "dispatch", "execution", "operator", "verify"])
def test_a_service_may_not_take_the_name_of_a_role_of_ours(name: str) -> None:
    """Task roles are called like their service, so these names are taken."""
    service = COLOR["services"]["colorgateway"]

    faults = faults_of(changed(("services.colorgateway", REMOVED), (f"services.{name}", service)))

    assert [fault.place for fault in faults] == [f"services.{name}"]
    assert "meshcert's own roles" in faults[0].problem


def test_a_client_whose_names_the_listener_does_not_accept_is_reported_at_the_client() -> None:
    """The listener's names exist, but this caller presents another identity of the same hierarchy."""
    faults = faults_of(
        changed(
            ("identities.guest", identity("colorgateway", "guest.mtls.svc.cluster.local")),
            (f"{CLIENT}.certificate.identity", "guest"),
        )
    )

    assert [fault.place for fault in faults] == [
        "virtual_gateways.colorgateway.backends[0].client_policy.tls.certificate.identity"
    ]
    assert "accepts colorgateway.mtls.svc.cluster.local, and guest has none of these names" in faults[0].problem


def test_a_disabled_listener_may_not_pretend_to_check_anybody() -> None:
    """Mode DISABLED with a validation beside it reads like mutual TLS and is plain text."""
    faults = faults_of(changed((f"{NODE_TLS}.mode", "DISABLED"), (f"{BACKEND}.client_policy", {})))

    assert [fault.place for fault in faults] == ["virtual_nodes.colorteller.listeners[0].tls.mode"]
    assert "would do nothing" in faults[0].problem


@pytest.mark.parametrize("protocol", ["http", "http2", "grpc", "tcp"])
def test_only_an_application_that_speaks_http_has_a_path_to_ask_for(protocol: str) -> None:
    """A gRPC server answers no GET, and TCP knows none."""
    faults = faults_of(
        changed(
            ("services.colorteller.application.health_check", {"path": "/healthz"}),
            ("virtual_nodes.colorteller.listeners[0].port_mapping.protocol", protocol),
        )
    )

    expected = [HEALTH_PATH] if protocol in ("grpc", "tcp") else []
    assert [fault.place for fault in faults if "health_check" in fault.place] == expected


def test_default_client_policies_are_checked_where_they_are_written() -> None:
    """A backend without a client_policy of its own answers for the one in backend_defaults."""
    policy = copy.deepcopy(COLOR["virtual_gateways"]["colorgateway"]["backends"][0]["client_policy"])
    policy["tls"]["validation"]["trust"]["hierarchy"] = "colorgateway"

    faults = faults_of(
        changed((f"{GATEWAY}.backend_defaults", {"client_policy": policy}), (f"{BACKEND}.client_policy", REMOVED))
    )

    assert [fault.place for fault in faults] == [
        "virtual_gateways.colorgateway.backend_defaults.client_policy.tls.validation.trust.hierarchy"
    ]


def test_a_call_without_any_policy_is_reported_at_the_backend() -> None:
    """Nothing stands in backend_defaults, so nobody is sent there."""
    faults = faults_of(changed((f"{BACKEND}.client_policy", REMOVED)))

    assert [fault.place for fault in faults] == [CLIENT]


def test_every_wrong_thing_about_one_call_is_reported() -> None:
    """The gateway would not believe the teller, nor the teller the gateway."""
    faults = faults_of(
        changed((f"{CLIENT}.validation.trust.hierarchy", "colorgateway"), (f"{CLIENT}.certificate", REMOVED))
    )

    assert [fault.place for fault in faults] == [f"{CLIENT}.certificate", f"{CLIENT}.validation.trust.hierarchy"]


def test_a_caller_that_lists_no_names_wants_the_nodes_host_in_its_certificate() -> None:
    """Envoy refuses a certificate without it, so the call would pass the check and never succeed."""
    moved = ("identities.colorteller.dns_names", ["ledger.mtls.svc.cluster.local"])
    (fault,) = faults_of(changed((f"{CLIENT}.validation.subject_alternative_names", REMOVED), moved))

    assert fault.place == f"{NODE_TLS}.certificate.identity"
    assert f"is found as {TELLER_NAME}" in fault.problem
    assert f"Add {TELLER_NAME}" in fault.remedy
