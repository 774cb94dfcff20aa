"""A whole mesh from the AWS CLI's JSON: what comes of it is a mesh file without a fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from meshcert.appmesh.report import Fate
from meshcert.mesh import read_mesh
from tests.meshcert.appmesh.definitions import IMAGE, color, imported

if TYPE_CHECKING:
    from pathlib import Path


def test_a_complete_source_becomes_a_mesh_file_without_a_fault(tmp_path: Path) -> None:
    """Nothing is lost, and nothing is left to decide."""
    made = imported(tmp_path, color())

    assert made.faults == ()
    assert made.report.of(Fate.LOST) + made.report.of(Fate.DECISION) == ()
    assert made.is_complete
    mesh = read_mesh(made.text.encode()).mesh
    assert mesh is not None
    assert [(call.caller, call.node) for call in mesh.calls()] == [
        ("virtual_gateways.gateway", "front"),
        ("virtual_nodes.front", "green"),
        ("virtual_nodes.front", "blue"),
    ]


def test_an_application_keeps_its_port_and_gets_the_image_that_was_given(tmp_path: Path) -> None:
    """Envoy and application are in one task: Envoy listens at another port."""
    values = yaml.safe_load(imported(tmp_path, color()).text)

    assert values["services"]["blue"] == {"virtual_node": "blue", "application": {"image": IMAGE, "port": 8080}}
    assert values["virtual_nodes"]["blue"]["listeners"][0]["port_mapping"] == {"port": 18080, "protocol": "http"}
    assert values["services"]["front"]["application"]["proxy_environment"] is True


def test_the_timeouts_that_nobody_wrote_stand_in_the_file(tmp_path: Path) -> None:
    """App Mesh's 15 seconds, at both ends."""
    values = yaml.safe_load(imported(tmp_path, color()).text)

    assert values["virtual_nodes"]["blue"]["listeners"][0]["timeout"] == {"http": {"per_request": 15.0}}
    routes = values["virtual_routers"]["colors"]["routes"]
    assert [route["http_route"]["timeout"] for route in routes] == [{"per_request": 15.0}] * 2
