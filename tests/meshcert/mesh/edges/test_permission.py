"""Whether one may call another, and that what is told to change is what it takes."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings

from local.cdk import ROOT
from meshcert.mesh import Mesh, load_mesh, read_mesh
from meshcert.mesh.edges.pairs import RefusalCause
from meshcert.mesh.edges.permission import Change, Permission, callers_of, listeners_of, permission
from tests.local.demo.random_meshes import meshes
from tests.meshcert.cli.map.companies import company

SHOP = ROOT / "examples" / "shop.yaml"
SPIFFE = ROOT / "examples" / "spiffe.yaml"
drawn = settings(
    max_examples=40, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


def applied(values: dict[str, Any], changes: tuple[Change, ...]) -> dict[str, Any]:
    """A mesh file's values with changes made as a person would type them in."""
    changed = copy.deepcopy(values)
    for change in changes:
        *parents, last = [int(part) if part.isdecimal() else part for part in re.findall(r"[^.\[\]]+", change.place)]
        around: Any = changed
        for part in parents:
            around = around[part] if isinstance(around, list) else around.setdefault(part, {})
        if isinstance(change.value, dict) and last == "identities":
            around[last] |= change.value
        elif last in {"backends", "routes", "exact"}:
            around.setdefault(last, []).append(change.value)
        else:
            around[last] = change.value
    return changed


def mixed(values: dict[str, Any]) -> dict[str, Any]:
    """The same mesh with what its kind has not: a tcp store, and a node of another hierarchy that names its callers."""
    changed = copy.deepcopy(values)
    changed["hierarchies"]["bank"] = {"tiers": 1, "key_algorithm": "RSA_2048"}
    changed["identities"]["bank"] |= {"hierarchy": "bank", "key_algorithm": "RSA_2048"}
    rule = {
        "trust": {"hierarchy": "bank"},
        "subject_alternative_names": {"match": {"exact": ["bank.company.internal"]}},
    }
    changed["virtual_gateways"]["partners"]["listeners"][0]["tls"]["validation"] = rule
    application = {"image": "registry.example.com/app:1", "port": 8080, "egress": []}
    for name, protocol in (("store", "tcp"), ("vault", "http")):
        identity = {"hierarchy": "company", "dns_names": [f"{name}.company.internal"], "key_algorithm": "EC_prime256v1"}
        tls = {"certificate": {"identity": name}, "validation": rule}
        changed["identities"][name] = identity
        changed["virtual_nodes"][name] = {
            "listeners": [{"port_mapping": {"port": 9443, "protocol": protocol}, "tls": tls}]
        }
        changed["services"][name] = {"virtual_node": name, "application": application}
    return changed


def answers(mesh: Mesh) -> list[Permission]:
    """The answer about every caller and every listener of somebody else."""
    return [
        permission(mesh, caller, callee)
        for caller in callers_of(mesh)
        for service in mesh.services
        for callee in listeners_of(mesh, service)
        if caller != service
    ]


def judged(mesh: Mesh, caller: str, callee: str) -> Permission:
    """The answer about one listener."""
    (listener,) = listeners_of(mesh, callee)
    return permission(mesh, caller, listener)


def assert_changes_help(values: dict[str, Any]) -> int:
    """Make the changes of every 'no', and ask again; returns how many there were."""
    mesh = read_mesh(yaml.safe_dump(values).encode()).mesh
    count = 0
    for one in answers(mesh) if mesh else ():
        assert one.allowed or one.changes or one.remedy
        if one.changes:
            count += 1
            told = f"{one.caller.name} → {one.callee.name}: {one.reason}, {one.changes}"
            reading = read_mesh(yaml.safe_dump(applied(values, one.changes)).encode())
            assert reading.mesh is not None, f"{told}: {[str(fault) for fault in reading.faults]}"
            again = judged(reading.mesh, one.caller.name, one.callee.name)
            # That there are no tasks, for example, is told once the call is declared.
            assert again.allowed or (again.changes and again.changes != one.changes), f"{told}; then {again.reason}"
    return count


@pytest.mark.parametrize(
    ("values", "fewest"),
    [
        (yaml.safe_load(SHOP.read_text()), 6),
        (yaml.safe_load(SPIFFE.read_text()), 10),
        (company(6), 20),
        (mixed(company(4)), 15),
    ],
    ids=["shop", "spiffe", "company", "mixed"],
)
def test_who_makes_the_changes_that_are_told_may_call(values: dict[str, Any], fewest: int) -> None:
    """Every 'no' with changes becomes a 'yes', and the file gets no fault by them."""
    assert assert_changes_help(values) >= fewest


@given(meshes())
@drawn
def test_changes_help_in_meshes_that_nobody_thought_of(values: dict[str, Any]) -> None:
    """Any trust, any names; most of these files have a fault, and then nothing is asked."""
    assert_changes_help(values)


@pytest.mark.parametrize(
    ("caller", "callee", "allowed", "cause", "words"),
    [
        ("gateway", "orders", True, None, "it is declared, and routed by virtual_gateways.gateway.routes[0] (/orders)"),
        ("catalog", "orders", False, RefusalCause.UNKNOWN_ISSUER, "not among virtual_nodes.catalog.backends"),
        ("partner", "gateway:9443", True, None, "the listener names partner"),
        ("partner", "gateway:8443", True, None, "lets in any client"),
        ("partner", "orders", False, RefusalCause.WRONG_NAME, "outside the mesh"),
        ("orders", "gateway:9443", False, RefusalCause.NO_CERTIFICATE, "a client without a certificate"),
        ("orders", "gateway:8443", False, None, "orders may connect to nobody at port 8443"),
    ],
)
def test_the_shop_is_judged_as_its_comments_say(
    caller: str, callee: str, *, allowed: bool, cause: RefusalCause | None, words: str
) -> None:
    """One case of each kind."""
    found = judged(load_mesh(SHOP), caller, callee)

    assert (found.allowed, found.cause) == (allowed, cause)
    assert words in found.reason


def test_who_needs_another_identity_gets_one_of_the_hierarchys_kind() -> None:
    """With a SPIFFE ID where the others have one, and of the issuer that its CA is for."""
    values = yaml.safe_load(SPIFFE.read_text())
    values["hierarchies"]["edge"] = values["hierarchies"]["yelb"]
    values["identities"]["gateway"]["hierarchy"] = "edge"
    for tls in (
        values["virtual_nodes"]["ui"]["listeners"][0]["tls"],
        values["virtual_nodes"]["ui"]["backends"][0]["client_policy"]["tls"],
    ):
        tls["validation"]["trust"] = {"hierarchy": "edge" if "spiffe://yelb.example/gateway" in str(tls) else "yelb"}

    found = judged(Mesh.model_validate(values), "gateway", "appserver")

    (declared,) = (change.value for change in found.changes if change.place == "identities")
    assert declared == {
        "gateway-yelb": {
            "hierarchy": "yelb",
            "issuer": "acm-pca",
            "validity": "24h",
            "spiffe_id": "spiffe://yelb.example/gateway-yelb",
            "key_algorithm": "EC_prime256v1",
        }
    }


def changed_shop(*changes: Change) -> Mesh:
    """The shop with changes."""
    return Mesh.model_validate(applied(yaml.safe_load(SHOP.read_text()), changes))


def test_a_backend_that_no_route_leads_to_is_not_called() -> None:
    """The gateway's Envoy knows it, and sends it nothing."""
    values = yaml.safe_load(SHOP.read_text())
    del values["virtual_gateways"]["gateway"]["routes"][2]

    found = judged(Mesh.model_validate(values), "gateway", "search")

    assert (found.allowed, found.reason) == (False, "search is a backend, but no route of gateway leads to it")
    assert [change.place for change in found.changes] == ["virtual_gateways.gateway.routes"]


def test_nobody_answers_where_no_tasks_are() -> None:
    """Declared, but with desired_count 0."""
    found = judged(changed_shop(Change("services.search.desired_count", 0)), "gateway", "search")

    assert (found.allowed, found.reason) == (False, "it is declared, but search has no tasks")
    assert found.changes == (Change("services.search.desired_count", 1),)


def test_a_gateway_without_a_load_balancer_admits_nobody() -> None:
    """Its security group has no rule."""
    found = judged(changed_shop(Change("services.gateway.load_balancer", value=False)), "partner", "gateway:9443")

    assert (found.allowed, found.group) == (False, "gateway admits nobody: the gateway has no load balancer")
    assert found.changes == (Change("services.gateway.load_balancer", value=True),)


def test_a_client_that_a_rule_without_names_lets_in_is_told_why() -> None:
    """Whoever the hierarchy has signed comes in."""
    values = yaml.safe_load(SHOP.read_text())
    del values["virtual_gateways"]["gateway"]["listeners"][1]["tls"]["validation"]["subject_alternative_names"]

    found = judged(Mesh.model_validate(values), "partner", "gateway:9443")

    assert found.allowed
    assert found.reason == "the listener names nobody, so it lets in whatever hierarchy edge has signed"


def test_a_gateway_cannot_call_what_speaks_tcp() -> None:
    """It routes requests."""
    found = judged(
        changed_shop(
            Change("virtual_nodes.ledger", {"listeners": [{"port_mapping": {"port": 5432, "protocol": "tcp"}}]}),
            Change("services.ledger", {"virtual_node": "ledger", "application": {"image": "ledger:1", "port": 5433}}),
        ),
        "gateway",
        "ledger",
    )

    assert (found.allowed, found.reason) == (False, "a gateway routes requests, and ledger speaks tcp")
    assert found.changes == ()


def test_a_virtual_service_stands_for_every_node_that_may_answer() -> None:
    """A router's targets, each judged."""
    mesh = changed_shop(
        Change("virtual_services", {"all.shop.internal": {"provider": {"virtual_router": "all"}}}),
        Change(
            "virtual_routers",
            {
                "all": {
                    "listeners": [{"port_mapping": {"port": 80, "protocol": "http"}}],
                    "routes": [
                        {
                            "name": "both",
                            "http_route": {
                                "match": {"prefix": "/"},
                                "action": {
                                    "weighted_targets": [
                                        {"virtual_node": "orders", "weight": 1},
                                        {"virtual_node": "search", "weight": 1},
                                    ]
                                },
                            },
                        }
                    ],
                }
            },
        ),
    )

    assert [each.service for each in listeners_of(mesh, "all.shop.internal")] == ["orders", "search"]
