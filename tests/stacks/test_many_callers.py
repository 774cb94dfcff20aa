"""A service with more callers than its security group has rules: they share a group, and that one is let in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from meshcert.errors import MeshInvalid
from meshcert.mesh import read_mesh
from meshcert.mesh.checks import limits
from meshcert.mesh.checks.stacks import caller_rules
from meshcert.mesh.edges import callers
from meshcert.mesh.stacks.shards import SHARDED
from tests.meshcert.mesh.mesh_slips import changed
from tests.stacks.synthesis import synthesise
from tools.moves.made import Made
from tools.moves.refused_moves import refused_moves

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stacks.synthesis import Templates

IN_SHARDS = {"front": ["colorgateway"], "back": ["colorteller"]}
FEW, MORE, MANY = (1, 1), (0, 1), (0, 0)
"""After how many callers they share a group, and after how many it alone is let in; the example has one."""


@dataclass(frozen=True)
class Step:
    """
    What a deploy can make of the example's one caller.

    Args:
        numbers: Of the three above.
        is_one_by_one: Whether the deploy lets in each caller.
    """

    numbers: tuple[int, int]
    is_one_by_one: bool = False

    @property
    def context(self) -> dict[str, str]:
        """That of the CDK."""
        return {"callers_one_by_one": "colorteller"} if self.is_one_by_one else {}

    def hold(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let the numbers hold."""
        for name, number in zip(("JOINED_FROM", "MOST_ONE_BY_ONE"), self.numbers, strict=True):
            monkeypatch.setattr(callers, name, number)

    def templates(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> Templates:
        """What it deploys."""
        self.hold(monkeypatch)
        return synthesise(file.parent / "out", mesh=str(file), numbers=[*self.numbers], **self.context)


STEPS = {
    "few": Step(FEW),
    "more": Step(MORE),
    "many": Step(MANY),
    "one by one": Step(FEW, is_one_by_one=True),
}


@pytest.mark.parametrize("shards", [{}, IN_SHARDS], ids=["one stack", "shards"])
@pytest.mark.parametrize(("step", "admitted"), [("few", ["own"]), ("more", ["own", "shared"]), ("many", ["shared"])])
def test_many_callers_are_let_in_by_the_group_that_they_share(
    step: str, admitted: list[str], shards: dict[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They have it from before their own rules go; and the stacks' resources are counted so."""
    file = tmp_path / "mesh.yaml"
    file.write_bytes(changed(("shards", shards)))

    templates = STEPS[step].templates(file, monkeypatch)

    assert _groups(templates) == {"colorgateway": 1 + ("shared" in admitted), "colorteller": 1}
    assert sorted(_admitted(templates)) == admitted
    mesh = read_mesh(file.read_bytes()).mesh
    assert mesh
    for stack, counted in limits.resources(mesh).items():
        assert len(templates.by_stack[stack]["Resources"]) == counted, stack


def test_for_one_deploy_they_have_the_group_and_a_rule_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However few or many they are; so that no caller is shut out, whichever shard is deployed first."""
    file = tmp_path / "mesh.yaml"
    file.write_bytes(changed(("shards", IN_SHARDS)))

    templates = STEPS["one by one"].templates(file, monkeypatch)

    assert _groups(templates) == {"colorgateway": 2, "colorteller": 1}
    assert _admitted(templates) == ["own"]
    assert callers.admission(1, is_one_by_one=True) == callers.admission(51, is_one_by_one=True)


@pytest.mark.parametrize("after", STEPS)
@pytest.mark.parametrize("before", STEPS)
def test_a_deploy_that_would_shut_callers_out_is_refused_and_no_other(
    before: str, after: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two stacks either may be the first: the templates say whether a caller of then and a callee of now meet."""
    file = tmp_path / "mesh.yaml"
    file.write_bytes(changed(("shards", IN_SHARDS)))
    mesh = read_mesh(file.read_bytes()).mesh
    assert mesh
    deployed, wanted = (STEPS[each].templates(file, monkeypatch) for each in (before, after))
    made = Made.of(
        deployed.by_stack["services"],
        frozenset(deployed.by_stack["pki"]["Outputs"]),
        others={name: each for name, each in deployed.by_stack.items() if name.startswith(SHARDED)},
    )

    moves = list(refused_moves(mesh, made, frozenset(STEPS[after].context.values())))

    meet = [_meet(caller, callee) for caller in (deployed, wanted) for callee in (deployed, wanted)]
    assert [move.startswith("services.colorteller: 1 services call it") for move in moves] == [True] * (not all(meet))
    assert all('ARGS="-c callers_one_by_one=colorteller"' in move for move in moves)
    if moves:
        assert {before, after} == {"few", "many"}


def test_rules_have_room_in_a_group() -> None:
    """For those that are not for callers, too; and whoever joins has time to, before the rules of each one go."""
    assert callers.JOINED_FROM + 1 <= callers.MOST_ONE_BY_ONE < 60


@pytest.mark.parametrize(
    ("count", "others", "told"),
    [(60, [], None), (61, [], "would have 61 rules"), (60, ["colortelle"], "no service calls a service 'colortelle'")],
)
def test_a_deploy_that_aws_would_refuse_half_way_does_not_begin(
    count: int, others: list[str], told: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Callers are let in one by one while there is room for them, by a service that exists."""
    mesh = read_mesh(changed()).mesh
    assert mesh
    rule = next(iter(caller_rules.caller_rules(mesh)))
    rules = {rule._replace(caller=f"caller-{number}"): "colorteller" for number in range(count)}
    monkeypatch.setattr(caller_rules, "caller_rules", lambda *_: rules)

    faults = list(caller_rules.one_by_one_faults(mesh, ["colorteller", *others]))

    assert [fault.place for fault in faults] == ["callers_one_by_one"] * bool(told)
    assert (told or "") in "".join(map(str, faults))


def test_a_slip_in_the_context_is_told_by_whichever_way_it_is_deployed(tmp_path: Path) -> None:
    """Else a deploy would do nothing of what it was made for."""
    with pytest.raises(MeshInvalid, match="no service calls a service 'colortelle'"):
        synthesise(tmp_path / "out", callers_one_by_one="colortelle")


def _groups(templates: Templates) -> dict[str, int]:
    """How many security groups each service's tasks have."""
    return {
        each.properties["ServiceName"]: len(
            each.properties["NetworkConfiguration"]["AwsvpcConfiguration"]["SecurityGroups"]
        )
        for each in templates.resources("AWS::ECS::Service")
    }


def _meet(caller: Templates, callee: Templates) -> bool:
    """Whether a caller as one deploy has made it is let in by a callee as another one has."""
    has = {"own"} | ({"shared"} if _groups(caller)["colorgateway"] > 1 else set())
    return bool(has & set(_admitted(callee)))


def _admitted(templates: Templates) -> list[str]:
    """Who is let in by the teller's group, as each rule names it."""
    rules = [
        rule
        for rule in templates.resources("AWS::EC2::SecurityGroupIngress")
        if rule.properties["Description"] == "A caller in the mesh"
    ]
    return ["shared" if "allers" in str(rule.properties["SourceSecurityGroupId"]) else "own" for rule in rules]
