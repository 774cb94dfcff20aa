"""The table of fields says what the importer does: each field is written into a mesh, and looked for in what comes."""

from __future__ import annotations

from typing import Any

import pytest

from meshcert.appmesh.converting.conversion import convert
from meshcert.appmesh.fields.field import AppMeshField, ValueKind
from meshcert.appmesh.fields.kinds import FIELDS
from meshcert.appmesh.reading.api_documents import api_resources
from meshcert.appmesh.report import Fate, ImportReport
from meshcert.appmesh.resources import ResourceKind
from meshcert.appmesh.writing import as_yaml
from tests.meshcert.appmesh.definitions import ANSWERED, color, route

EVERY_FIELD = [pytest.param(kind, field, id=f"{kind} {field.path}") for kind in ResourceKind for field in FIELDS[kind]]
CHANGED_BY = {
    ResourceKind.MESH: "mesh",
    ResourceKind.VIRTUAL_NODE: "front",
    ResourceKind.VIRTUAL_SERVICE: "color",
    ResourceKind.VIRTUAL_ROUTER: "colors",
    ResourceKind.ROUTE: "rest",
    ResourceKind.VIRTUAL_GATEWAY: "gateway",
    ResourceKind.GATEWAY_ROUTE: "way-in",
}
"""The document of the Color mesh that gets the field."""
TWO: dict[ValueKind, tuple[Any, Any]] = {
    ValueKind.TEXT: ("blue", "green"),
    ValueKind.WHOLE: (11, 12),
    ValueKind.FLAG: (True, False),
    ValueKind.DURATION: ({"unit": "s", "value": 7}, {"unit": "ms", "value": 7}),
    ValueKind.TREE: ({"key": 1}, {"key": 2}),
}


def put(spec: dict[str, Any], path: str, value: object) -> None:
    """Write a value at a path, in the first item of each list on the way."""
    *steps, last = path.split(".")
    around = spec
    for step in steps:
        name = step.removesuffix("[]")
        inner = around.setdefault(name, [{}] if step.endswith("[]") else {})
        around = inner[0] if step.endswith("[]") else inner
    around[last.removesuffix("[]")] = [value] if last.endswith("[]") else value


def converted(kind: ResourceKind, field: AppMeshField, value: object) -> tuple[str, ImportReport]:
    """The mesh file and the report of the Color mesh with a field."""
    documents = color()
    document = documents[CHANGED_BY[kind]]
    first = field.path.partition(".")[0]
    spec = document["spec"]
    if first.endswith("Route"):
        spec[first] = spec.pop("httpRoute")
    if ".timeout." in field.path and first == "listeners[]":
        spec["listeners"][0]["portMapping"]["protocol"] = field.path.split(".")[2]
    if field.path.startswith("provider."):
        spec["provider"] = {}
    put(spec, field.path, value)
    report = ImportReport()
    resources = [found for each in documents.values() for found in api_resources(each, "file", "file", report)]
    draft = convert(resources, ANSWERED, report)
    return as_yaml(draft.values, draft.comments), report


@pytest.mark.parametrize(("kind", "field"), EVERY_FIELD)
def test_a_field_becomes_what_the_table_says(kind: ResourceKind, field: AppMeshField) -> None:
    """What is kept makes a difference in the file, and what is not is told."""
    one, other = (converted(kind, field, value) for value in TWO[field.kind])

    told = {each.what for each in one[1].of(field.fate)}
    assert field.path in told
    assert field.fate is not Fate.KEPT or one[0] != other[0]


def test_a_field_that_app_mesh_does_not_have_is_told() -> None:
    """A slip of somebody's, or a field of a later version."""
    report = ImportReport()
    resources = api_resources(route("rest", "colors", {"blue": 1}, mirror={"to": "green"}), "file", "file", report)

    convert(resources, ANSWERED, report)

    assert ("httpRoute.mirror", "App Mesh has no such field there") in {
        (told.what, told.why) for told in report.of(Fate.LOST)
    }
