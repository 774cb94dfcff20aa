"""The pairs of a mesh file: whom it lets talk, and everybody else."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings

from local.cdk import ROOT
from meshcert.mesh import Mesh, load_mesh, proxy_settings, read_mesh
from meshcert.mesh.checks.findings import findings_of
from meshcert.mesh.edges.pairs import Manner, Pair, lets_in, outside_identities, pairs_of, presenters
from tests.local.demo.random_meshes import meshes

SHOP = ROOT / "examples" / "shop.yaml"
drawn = settings(
    max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


def _names(pairs: list[Pair]) -> set[str]:
    return {str(pair) for pair in pairs}


@given(meshes())
@drawn
def test_the_declared_pairs_of_services_are_the_calls_of_the_file(values: dict[str, Any]) -> None:
    """Every backend of a service with tasks is a declared pair, and no other pair of two services is."""
    mesh = Mesh.model_validate(values)
    calls = {
        f"{call.caller.rpartition('.')[2]} → {mesh.service_of(call.node)}:9443"
        for call in mesh.calls()
        if mesh.services[call.caller.rpartition(".")[2]].desired_count
    }

    assert _names([pair for pair in pairs_of(mesh) if pair.declared and not pair.caller.outside]) == calls


@given(meshes())
@drawn
def test_every_caller_meets_every_listener_of_others_once(values: dict[str, Any]) -> None:
    """Nobody is left out, nobody is tried twice, and nobody calls itself."""
    mesh = Mesh.model_validate(values)
    pairs = pairs_of(mesh)
    running = [name for name, service in mesh.services.items() if service.desired_count]
    listeners = [
        (name, listener.port)
        for name in running
        for listener in proxy_settings(mesh, name).listeners
        if mesh.services[name].virtual_node or (listener.tls.trust and listener.tls.mode != "DISABLED")
    ]
    wanted = {(caller, *one) for caller in running for one in listeners if caller != one[0]}
    wanted |= {(client, *one) for client in outside_identities(mesh) for one in listeners}

    met = Counter((pair.caller.name, pair.callee.service, pair.callee.listener.port) for pair in pairs)
    assert met == Counter(wanted)


@given(meshes())
@drawn
def test_in_a_file_without_faults_every_declared_pair_is_let_in(values: dict[str, Any]) -> None:
    """The mesh file's own checks and the derivation judge the same rules, each on its own."""
    mesh = read_mesh(yaml.safe_dump(values).encode()).mesh
    if mesh is None:
        return
    for pair in pairs_of(mesh):
        if pair.declared:
            assert pair.trusted, str(pair)


@given(meshes())
@drawn
def test_a_listener_that_names_nobody_trusts_no_less(values: dict[str, Any]) -> None:
    """Taking the names out of a rule lets in whom it let in before, and then all whom the hierarchy has signed."""
    mesh = Mesh.model_validate(values)
    for pair in pairs_of(mesh):
        listener = pair.callee.listener
        nameless = listener._replace(tls=listener.tls._replace(subject_alternative_names=()))
        for identity in pair.presented:
            signed = identity and mesh.identities[identity].hierarchy in mesh.trusted(listener.tls.hierarchy or "edge")
            if identity in pair.trusted:
                assert lets_in(mesh, nameless, identity)
            elif pair.callee.asks_for_certificates:
                assert lets_in(mesh, nameless, identity) == bool(signed)


@given(meshes())
@drawn
def test_an_identity_belongs_to_services_or_to_a_client_outside(values: dict[str, Any]) -> None:
    """Each is presented by a service with tasks, belongs to one without, or is a client's."""
    mesh = Mesh.model_validate(values)
    for identity in mesh.identities:
        idle = any(identity in proxy_settings(mesh, name).identities for name in mesh.services)
        assert (identity in outside_identities(mesh)) == (not idle)
        assert idle or not presenters(mesh, identity)


def test_the_shop_has_four_declared_pairs_and_no_listener_that_trusts_too_many() -> None:
    """Three calls of the gateway and the partner's; the twelve others must be refused."""
    pairs = pairs_of(load_mesh(SHOP))

    assert _names([pair for pair in pairs if pair.declared]) == {
        "gateway → orders:9443",
        "gateway → catalog:9443",
        "gateway → search:9443",
        "partner → gateway:9443",
    }
    assert {pair.manner for pair in pairs} == {Manner.MUTUAL}
    assert len(pairs) == 16
    assert not [pair for pair in pairs if pair.trusted and not pair.declared]


def test_whom_a_rule_without_names_lets_in_is_known_beforehand() -> None:
    """Nobody declared that the partner calls the search, but both certificates come from the hierarchy it trusts."""
    values = yaml.safe_load(SHOP.read_text())
    nameless = copy.deepcopy(values)
    del nameless["virtual_nodes"]["search"]["listeners"][0]["tls"]["validation"]["subject_alternative_names"]

    pairs = pairs_of(Mesh.model_validate(nameless))

    assert _names([pair for pair in pairs if pair.trusted and not pair.declared]) == {"partner → search:9443"}


def test_a_client_that_no_rule_names_is_not_declared() -> None:
    """The rule may still let it in: that is what trusted though undeclared means."""
    values = yaml.safe_load(SHOP.read_text())
    del values["virtual_gateways"]["gateway"]["listeners"][1]["tls"]["validation"]["subject_alternative_names"]

    (pair,) = [each for each in pairs_of(Mesh.model_validate(values)) if str(each) == "partner → gateway:9443"]

    assert not pair.declared
    assert pair.trusted == ("partner",)


@pytest.mark.parametrize(
    ("example", "declared", "undeclared"), [("front", 4, 12), ("yelb", 4, 12), ("company", 14, 130)]
)
def test_the_examples_name_their_callers_at_every_listener(example: str, declared: int, undeclared: int) -> None:
    """So nobody is trusted who was not declared; nothing in them is a fault, or a finding."""
    reading = read_mesh((ROOT / "examples" / f"{example}.yaml").read_bytes())
    assert reading.mesh
    assert not reading.faults
    assert findings_of(reading.mesh, ROOT) == ()
    pairs = pairs_of(reading.mesh)

    assert {pair.manner for pair in pairs} == {Manner.MUTUAL}
    assert sum(pair.declared for pair in pairs) == declared
    assert [str(pair) for pair in pairs if not pair.declared and pair.trusted] == []
    assert sum(not pair.declared for pair in pairs) == undeclared
