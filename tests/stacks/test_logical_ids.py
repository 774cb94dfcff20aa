"""Whatever stands at the top of a stack with a name in its id is known to the check of names that are alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from aws_cdk import App, CfnElement, Stack

from app import build
from meshcert.mesh import load_mesh
from meshcert.mesh.checks.stacks.logical_ids import named_elements
from meshcert.mesh.stacks.logical_ids import logical_id, shared_output
from stacks.shards import parameter_value
from tests.stacks.synthesis import CONTEXT, ROOT

if TYPE_CHECKING:
    from pathlib import Path

HIDDEN = "Default"
"""The CDK leaves a construct of this id out of logical ids."""


def stacks(scope: Any) -> list[Any]:
    """Those of an app, in its stages too."""
    children = scope.node.children
    return [each for child in children for each in ([child] if Stack.is_stack(child) else stacks(child))]


def ids_at_the_top(file: Path, folder: Path) -> set[str]:
    """The ids of a mesh's elements that get no hash, but those that are the same in every mesh: they begin big."""
    app = build(App(outdir=str(folder), context=CONTEXT | {"mesh": str(file)}))
    found = set()
    for stack in stacks(app):
        tops = [stack, *filter(None, [stack.node.try_find_child(HIDDEN)])]
        for each in (child for top in tops for child in top.node.children):
            if any(map(CfnElement.is_cfn_element, filter(None, (each, each.node.try_find_child(HIDDEN))))):
                found.add(each.node.id)
    return {name for name in found if name[0].islower()}


@pytest.mark.parametrize(
    ("mesh", "some"),
    [("front.yaml", {"front-routes", "gatewayAddress", "innerRootCa"}), ("yelb-accounts.yaml", {"innerSharedCa"})],
)
def test_every_id_without_a_hash_is_checked(mesh: str, some: set[str], tmp_path: Path) -> None:
    """Another one of a kind that the check does not know would end a synthesis with the CDK's own error."""
    file = ROOT / "examples" / mesh
    declared = load_mesh(file)
    shared = {shared_output(name) for name in declared.hierarchies if declared.cells}

    found = ids_at_the_top(file, tmp_path / "out")

    assert some <= found
    # Its hierarchies have the outputs of roots, too.
    assert found <= {each.construct_id for each in named_elements(declared)} | shared


def test_parameters_of_names_that_are_alike_are_two() -> None:
    """The first keeps the id that the CDK gives it, in whatever order they are asked for again."""
    stack, names = Stack(App(), "Stack"), ["/meshcert/m/group/a-b", "/meshcert/m/group/ab", "/meshcert/m/group/abc"]

    values = [parameter_value(stack, name) for name in (*names, *reversed(names))]

    elements: list[Any] = [each for each in stack.node.find_all() if CfnElement.is_cfn_element(each)]
    ids = [str(stack.resolve(each.logical_id)) for each in elements]
    assert values[:3] == values[:2:-1]
    assert (len(ids), len(set(ids))) == (3, 3)
    assert [logical_id(each).startswith("SsmParameterValue") for each in ids].count(True) == 2
