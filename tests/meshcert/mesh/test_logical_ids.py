"""Names that differ in hyphens alone are refused exactly where CloudFormation could not tell them apart."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from meshcert.mesh import read_mesh
from tests.meshcert.mesh.mesh_slips import COLOR, changed, faults_of
from tests.meshcert.mesh.routed_meshes import mesh_values, route

HYPHENS = "letters and digits alone"
GATEWAY, SECOND = "colorgateway", "color-gateway"
names = st.from_regex(r"[a-c]([a-c-]{0,3}[a-c])?", fullmatch=True)


def gateways(*called: str, **fields: Any) -> dict[str, Any]:
    """The Color app's mesh file with gateways of these names, each with a load balancer, or with such fields."""
    values: dict[str, Any] = copy.deepcopy(COLOR)
    gateway, service = values["virtual_gateways"].pop(GATEWAY), values["services"].pop(GATEWAY)
    for name in called:
        values["virtual_gateways"][name] = gateway
        values["services"][name] = service | {"virtual_gateway": name} | fields
    return values


def told(values: dict[str, Any]) -> list[str]:
    """The places of faults about names that are alike; there are no others."""
    faults = read_mesh(yaml.safe_dump(values, sort_keys=False).encode()).faults
    assert all(HYPHENS in fault.problem for fault in faults), faults
    return [fault.place for fault in faults]


@settings(max_examples=30, deadline=None)
@given(names, names)
def test_two_load_balancers_have_one_output_if_their_names_differ_in_hyphens_alone(one: str, other: str) -> None:
    """Any two other names go together."""
    is_alike = one != other and one.replace("-", "") == other.replace("-", "")

    assert told(gateways(one, other, load_balancer=True)) == ([f"services.{other}"] if is_alike else [])


def test_without_load_balancers_and_routes_any_names_go_together() -> None:
    """What is deployed today is refused nowhere."""
    values = gateways(GATEWAY, SECOND, load_balancer=True)
    values["services"][GATEWAY]["load_balancer"] = False

    assert told(values) == []


def test_stacks_of_their_own_tell_them_apart() -> None:
    """A shard has one."""
    assert told(gateways(GATEWAY, SECOND, load_balancer=True) | {"shards": {"second": [SECOND]}}) == []


def test_two_route_tables_are_written_by_two_resources() -> None:
    """Of services of which one has no routes, nothing is said."""
    values = mesh_values([route("all", "blue", prefix="/")])
    (first,) = values["virtual_gateways"]
    name = f"{first[:2]}-{first[2:]}"
    values["virtual_gateways"][name] = copy.deepcopy(values["virtual_gateways"][first])
    values["services"][name] = {"virtual_gateway": name}

    assert told(values) == [f"services.{name}"]
    del values["virtual_gateways"][name]
    values["virtual_nodes"][name] = values["virtual_nodes"]["green"]
    values["services"][name] = values["services"]["green"] | {"virtual_node": name}
    assert told(values) == []


@pytest.mark.parametrize(("name", "is_told"), [("color-teller", True), ("colortellers", False)])
def test_hierarchies_have_outputs_too(name: str, is_told: bool) -> None:  # noqa: FBT001 - of a table
    """Of CAs that a deploy makes."""
    faults = faults_of(changed((f"hierarchies.{name}", COLOR["hierarchies"]["colorteller"])))

    assert [fault.place for fault in faults if HYPHENS in fault.problem] == [f"hierarchies.{name}"] * is_told
