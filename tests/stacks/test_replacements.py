"""The local CloudFormation replaces what AWS's replaces, for every type that the stacks use."""

from __future__ import annotations

import gzip
import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pytest

from local.aws.replacing_properties import REPLACING
from tests.meshcert.mesh.mesh_slips import changed
from tests.stacks.synthesis import ROOT, synthesise

if TYPE_CHECKING:
    from tests.stacks.synthesis import Templates

# The CloudFormation template reference, as the CDK CLI carries it for ``cdk diff``.
_REFERENCE = ROOT / "build" / "node" / "node_modules" / "aws-cdk" / "db.json.gz"


@lru_cache(maxsize=1)
def _reference() -> dict[str, dict[str, Any]]:
    with gzip.open(_REFERENCE) as file:
        entities = json.load(file)["schema"]["resource"]["entities"]
    resources = entities.values() if isinstance(entities, dict) else entities
    return {resource["cloudFormationType"]: resource["properties"] for resource in resources}


@pytest.fixture(scope="module")
def with_lists_and_endpoints(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """The templates of a mesh that uses what mesh.yaml does not."""
    folder = tmp_path_factory.mktemp("mesh")
    file = folder / "mesh.yaml"
    file.write_bytes(changed(("hierarchies.colorteller.revocation", "crl"), ("network.egress", "endpoints")))
    return synthesise(folder / "out", mesh=str(file))


def _types(templates: Templates) -> set[str]:
    found = {
        resource["Type"] for template in templates.by_stack.values() for resource in template["Resources"].values()
    }
    return {name for name in found if not name.startswith("Custom::")}


def test_every_type_of_the_templates_is_in_the_table(templates: Templates, with_lists_and_endpoints: Templates) -> None:
    """A type that is not there would be changed in place, whatever AWS does."""
    assert sorted((_types(templates) | _types(with_lists_and_endpoints)) - REPLACING.keys()) == []


@pytest.mark.parametrize("kind", REPLACING)
def test_the_table_says_what_the_reference_says(kind: str) -> None:
    """Each property whose update requires replacement, and no other."""
    replaced = {name for name, value in _reference()[kind].items() if value.get("causesReplacement") == "yes"}

    assert set(REPLACING[kind]) == replaced
