"""A service with more callers than its security group has rules: they share a group, and that one is let in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshcert.mesh import read_mesh
from meshcert.mesh.checks import limits
from meshcert.mesh.checks.stacks import caller_rules
from meshcert.mesh.edges import callers
from stacks.constructs import service_groups
from tests.meshcert.mesh.mesh_slips import changed
from tests.stacks.synthesis import synthesise

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stacks.synthesis import Templates

IN_SHARDS = {"front": ["colorgateway"], "back": ["colorteller"]}


@pytest.mark.parametrize("shards", [{}, IN_SHARDS], ids=["one stack", "shards"])
@pytest.mark.parametrize(
    ("numbers", "admitted"),
    [((1, 1), ["own"]), ((0, 1), ["own", "shared"]), ((0, 0), ["shared"])],
    ids=["few", "more", "many"],
)
def test_many_callers_are_let_in_by_the_group_that_they_share(
    numbers: tuple[int, int],
    admitted: list[str],
    shards: dict[str, list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They have it from before their own rules go; and the stacks' resources are counted so."""
    for module in (service_groups, caller_rules):
        for name, number in zip(("JOINED_FROM", "MOST_ONE_BY_ONE"), numbers, strict=True):
            monkeypatch.setattr(module, name, number)
    monkeypatch.setattr(limits, "JOINED_FROM", numbers[0])
    file = tmp_path / "mesh.yaml"
    file.write_bytes(changed(("shards", shards)))

    templates = synthesise(tmp_path / "out", mesh=str(file), numbers=[*numbers])

    groups = {
        each.properties["ServiceName"]: len(
            each.properties["NetworkConfiguration"]["AwsvpcConfiguration"]["SecurityGroups"]
        )
        for each in templates.resources("AWS::ECS::Service")
    }
    assert groups == {"colorgateway": 1 + ("shared" in admitted), "colorteller": 1}
    assert sorted(_admitted(templates)) == admitted
    mesh = read_mesh(file.read_bytes()).mesh
    assert mesh
    for stack, counted in limits.resources(mesh).items():
        assert len(templates.by_stack[stack]["Resources"]) == counted, stack


def test_for_one_deploy_they_get_the_group_and_their_rules_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that no caller is shut out, whichever shard is deployed first."""
    monkeypatch.setattr(service_groups, "JOINED_FROM", 0)
    monkeypatch.setattr(service_groups, "MOST_ONE_BY_ONE", 0)

    templates = synthesise(tmp_path / "out", callers_one_by_one="colorteller", numbers=[0, 0])

    (gateway,) = (
        each for each in templates.resources("AWS::ECS::Service") if each.properties["ServiceName"] == "colorgateway"
    )
    assert len(gateway.properties["NetworkConfiguration"]["AwsvpcConfiguration"]["SecurityGroups"]) == 2
    assert _admitted(templates) == ["own"]


def test_rules_have_room_in_a_group() -> None:
    """For those that are not for callers, too; and whoever joins has time to, before the rules of each one go."""
    assert callers.JOINED_FROM + 1 <= callers.MOST_ONE_BY_ONE < 60


def _admitted(templates: Templates) -> list[str]:
    """Who is let in by the teller's group, as each rule names it."""
    rules = [
        rule
        for rule in templates.resources("AWS::EC2::SecurityGroupIngress")
        if rule.properties["Description"] == "A caller in the mesh"
    ]
    return ["shared" if "allers" in str(rule.properties["SourceSecurityGroupId"]) else "own" for rule in rules]
