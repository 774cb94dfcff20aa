"""Shards that a mesh file may not have, each with its sentence."""

from __future__ import annotations

from typing import Any

import pytest

from meshcert.mesh import read_mesh
from meshcert.mesh.checks.stacks import shards
from tests.meshcert.mesh.mesh_slips import COLOR, REMOVED, changed


@pytest.mark.parametrize(
    ("changes", "place", "problem"),
    [
        (("shards", {"one": ["colorteller"], "two": ["color*"]}), "shards.two", "colorteller is in the shards one and"),
        (("shards", {"one": ["nobody"]}), "shards.one[0]", "no service and no identity is named nobody"),
        (("shards", {"one": ["no-*"]}), "shards.one[0]", "no service and no identity is named no-*"),
        (("shards", {"one": ["*-x"]}), "shards.one[0]", ""),
        (("shards", {"One": ["colorteller"]}), "shards.One", ""),
        (("shards", {"pki": ["colorteller"]}), "shards.pki", "those of a mesh color-services or color-identities"),
    ],
    ids=[
        "overlapping",
        "an unknown name",
        "a beginning of no name",
        "no beginning",
        "a shard's own name",
        "stacks of another mesh",
    ],
)
def test_a_shard_that_cannot_be_is_refused(changes: tuple[str, Any], place: str, problem: str) -> None:
    """With its place."""
    faults = read_mesh(changed(changes)).faults

    assert [fault.place for fault in faults] == [place]
    assert problem in faults[0].problem


def test_shards_share_one_log_group() -> None:
    """One role starts all tasks."""
    faults = read_mesh(changed(("shards", {"one": ["color*"]}), ("logs", {"group_per_service": True}))).faults

    assert [fault.place for fault in faults] == ["logs.group_per_service"]


def test_a_shard_with_more_services_and_callers_than_a_template_has_parameters_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A caller that is in the shard itself counts once."""
    monkeypatch.setattr(shards, "MOST_GROUPS_NAMED", 1)

    outside = read_mesh(changed(("shards", {"one": ["colorteller"]}))).faults
    alone = read_mesh(changed(("shards", {"one": ["colorgateway"]}))).faults

    assert [fault.place for fault in outside] == ["shards.one"]
    assert "its services and their callers are 2" in outside[0].problem
    assert alone == ()


def test_a_service_with_the_name_of_a_load_balancer_is_refused_in_its_stack_alone() -> None:
    """Each has a security group, of the same logical id there."""
    name, gateway = "edge-balancer", COLOR["services"]["colorgateway"]
    more = [
        ("services.colorgateway", REMOVED),
        ("services.edge", {**gateway, "virtual_gateway": "colorgateway", "load_balancer": True}),
        (f"virtual_nodes.{name}", COLOR["virtual_nodes"]["colorteller"]),
        (f"services.{name}", {**COLOR["services"]["colorteller"], "virtual_node": name}),
    ]

    together = read_mesh(changed(*more)).faults
    without = read_mesh(changed(*more, ("services.edge.load_balancer", False))).faults
    apart = read_mesh(changed(*more, ("shards", {"one": [name]}))).faults

    assert [fault.place for fault in together] == [f"services.{name}"]
    assert "the load balancer of edge" in together[0].problem
    assert (without, apart) == ((), ())
