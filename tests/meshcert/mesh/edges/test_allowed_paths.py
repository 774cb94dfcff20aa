"""What allow rules let each caller ask for, as `why` and `map` tell it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml

from local.cdk import ROOT
from meshcert.mesh import Mesh, read_mesh
from meshcert.mesh.edges.allowed_paths import AllowedPaths
from meshcert.mesh.edges.edges import edges_of, refused_of
from meshcert.mesh.edges.pairs import RefusalCause, pairs_of
from meshcert.mesh.edges.permission import listeners_of, permission

SHOP: dict[str, Any] = yaml.safe_load((ROOT / "examples" / "shop.yaml").read_text())
GATEWAY = "gateway.shop.internal"
RULES: list[dict[str, Any]] = [
    {"match": {"prefix": "/"}, "callers": {"exact": [GATEWAY]}},
    {"match": {"prefix": "/admin"}, "callers": {"exact": ["partner.example"]}},
    {"match": {"path": {"exact": "/healthz"}}},
]


def _shop(rules: list[dict[str, Any]], *, names: bool = True) -> dict[str, Any]:
    """The shop, whose orders have rules; partners have a name that these may list."""
    values = copy.deepcopy(SHOP)
    listener = values["virtual_nodes"]["orders"]["listeners"][0]
    listener["allow"] = rules
    if not names:
        del listener["tls"]["validation"]["subject_alternative_names"]
    return values


def _mesh(values: dict[str, Any]) -> Mesh:
    reading = read_mesh(yaml.safe_dump(values).encode())
    assert reading.mesh, reading.faults
    return reading.mesh


def _partner(mesh: dict[str, Any]) -> str:
    return str(mesh["identities"]["partner"]["dns_names"][0])


@pytest.fixture
def mesh() -> Mesh:
    """Of orders, the gateway may ask for everything but what partners alone may."""
    values = _shop(RULES, names=False)
    values["virtual_nodes"]["orders"]["listeners"][0]["allow"][1]["callers"]["exact"] = [_partner(values)]
    return _mesh(values)


def test_an_edge_says_what_its_caller_may_ask_for(mesh: Mesh) -> None:
    """And listeners without rules say nothing."""
    told = {(edge.caller.name, edge.callee.name): edge.paths for edge in edges_of(mesh)}

    assert told.pop(("gateway", "orders")) == AllowedPaths(("/*", "/healthz"), ("/admin*",))
    assert set(told.values()) == {None}


def test_a_declared_caller_is_told_its_paths(mesh: Mesh) -> None:
    """As people read them."""
    (orders,) = listeners_of(mesh, "orders")

    found = permission(mesh, "gateway", orders)

    assert found.allowed
    assert str(found.paths) == "/* and /healthz, not /admin*"
    assert not found.remedy


def test_who_is_named_by_no_rule_is_told_to_be_listed() -> None:
    """Which paths it needs, nobody but its owner knows."""
    mesh = _mesh(_shop([{"match": {"prefix": "/"}, "callers": {"exact": [GATEWAY]}}], names=False))
    (orders,) = listeners_of(mesh, "orders")

    found = permission(mesh, "partner", orders)
    declared = permission(mesh, "catalog", orders)

    assert not found.allowed
    assert "virtual_nodes.orders.listeners[0].allow" in declared.remedy
    assert declared.changes


def test_who_passes_the_handshake_and_no_rule_is_refused_by_the_rules() -> None:
    """The cause is that of the log; the pairs, which are about handshakes, stay what they were."""
    without = _mesh(_shop([{"match": {"prefix": "/"}}], names=False))
    mesh = _mesh(_shop([{"match": {"prefix": "/"}, "callers": {"exact": [GATEWAY]}}], names=False))

    (refused,) = [each for each in refused_of(mesh) if each.callee.service == "orders"]
    (before,) = [each for each in refused_of(without) if each.callee.service == "orders"]

    assert "partner" in refused.causes[RefusalCause.NOT_ALLOWED]
    assert set(refused.causes[RefusalCause.NOT_ALLOWED]) == set(before.admitted)
    assert refused.admitted == ()
    assert [pair.trusted for pair in pairs_of(mesh)] == [pair.trusted for pair in pairs_of(without)]


@pytest.mark.parametrize(
    ("paths", "text"),
    [
        (AllowedPaths(("/*",), ()), "/*"),
        (AllowedPaths(("/a*", "/b"), ("/a/c*", "/d")), "/a* and /b, not /a/c* or /d"),
        (AllowedPaths((), ("/*",)), "none; /* are for others"),
    ],
)
def test_paths_are_told_in_one_line(paths: AllowedPaths, text: str) -> None:
    """Of a screen, or of a cell."""
    assert str(paths) == text
