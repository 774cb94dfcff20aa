"""Promises of a mesh whose routes stand outside its task definitions."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from meshcert.documents.route_table import read_route_table
from meshcert.mesh import read_mesh, route_table
from meshcert.mesh.checks.limits import resources
from tests.meshcert.mesh.routed_meshes import SERVICE, mesh_values, route
from tests.stacks.synthesis import synthesise

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stacks.synthesis import Resource, Templates

WRITES = {"dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:GetItem"}


def canary(blue: int) -> dict[str, Any]:
    """A gateway and a node, both to a virtual service of which so many per cent are blue."""
    values = mesh_values([route("all", {"blue": blue, "green": 100 - blue}, prefix="/")])
    values["virtual_nodes"]["gray"]["backends"] = [{"virtual_service": SERVICE}]
    return values


def synthesised(folder: Path, blue: int) -> Templates:
    """The templates of :func:`canary`."""
    file = folder / f"{blue}.yaml"
    file.write_text(yaml.safe_dump(canary(blue), sort_keys=False))
    return synthesise(folder / f"out-{blue}", mesh=str(file))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For mesh files and templates."""
    return tmp_path_factory.mktemp("canary")


@pytest.fixture(scope="module")
def little(folder: Path) -> Templates:
    """Five per cent."""
    return synthesised(folder, 5)


def _routes(templates: Templates) -> dict[str, Resource]:
    found = templates.resources("Custom::MeshcertRoutes")
    return {resource.properties["Service"]: resource for resource in found}


def test_other_weights_change_the_rows_of_routes_and_nothing_else(folder: Path, little: Templates) -> None:
    """No task definition, so no task: a canary is an edit and a deploy."""
    half = synthesised(folder, 50)
    changed = {
        (stack, logical_id)
        for stack, template in little.by_stack.items()
        for logical_id, resource in template["Resources"].items()
        if resource != half.by_stack[stack]["Resources"][logical_id]
    }

    assert changed == {("services", each.logical_id) for each in _routes(little).values()}
    assert set(_routes(little)) == {"edge", "gray"}


def test_the_row_that_is_written_is_the_mesh_files(little: Templates) -> None:
    """What the deploy function gets can be read, and says what the file says."""
    mesh = read_mesh(yaml.safe_dump(canary(5)).encode()).mesh
    assert mesh is not None
    for service, resource in _routes(little).items():
        said = resource.properties
        assert read_route_table(said["Document"], said["Version"], service) == route_table(mesh, service)


def test_rows_are_written_before_their_services_start_new_tasks(little: Templates) -> None:
    """New tasks read their routes at start; CloudFormation follows dependencies in both directions."""
    services = {each.properties["ServiceName"]: each for each in little.resources("AWS::ECS::Service")}
    template = little.by_stack["services"]["Resources"]

    for name, resource in _routes(little).items():
        assert resource.logical_id in template[services[name].logical_id]["DependsOn"]


def test_tasks_read_the_row_of_their_own_service_and_write_none(little: Templates) -> None:
    """Whoever could write a route could send another's requests where they like."""
    of_table = [
        statement
        for statement in little.statements()
        if any("color-routes" in resource for resource in statement.resources)
    ]
    readers = [statement for statement in of_table if "Export" not in statement.role]

    assert {statement.role[:4] for statement in readers} == {"edge", "gray"}
    for statement in readers:
        assert statement.actions == ("dynamodb:GetItem",)
        assert statement.conditions == {
            "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [statement.role[:4]]},
            "Null": {"dynamodb:LeadingKeys": "false"},
        }
    (writer,) = (statement for statement in of_table if "Export" in statement.role)
    assert set(writer.actions) == WRITES


def test_a_mesh_without_routers_gateway_routes_and_backends_of_nodes_has_the_table_and_no_row(
    templates: Templates,
) -> None:
    """
    Its services are those of before.

    The table is there whoever has routes: its stack is updated before the services', so a deploy that takes the last
    routes out, and fails, would have no table to bring them back to.
    """
    assert not templates.resources_if_any("Custom::MeshcertRoutes")
    tables = {each.properties["TableName"] for each in templates.resources("AWS::DynamoDB::Table")}
    assert "meshcert-color-routes" in tables


def test_resources_of_routes_are_counted(little: Templates) -> None:
    """``meshcert check`` says in time that a stack would be too large."""
    mesh = read_mesh(yaml.safe_dump(deepcopy(canary(5))).encode()).mesh
    assert mesh is not None
    counted = resources(mesh)

    for stack in ("identities", "services"):
        there = len(little.by_stack[stack]["Resources"])
        assert there <= counted[stack] <= there + 12
