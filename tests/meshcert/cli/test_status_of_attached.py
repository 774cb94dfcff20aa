"""``meshcert status`` of attached services: is STRICT effective, and what keeps their tasks from starting."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from meshcert.cli import exit_codes
from meshcert.contract.exit_codes import AWS_REFUSED
from meshcert.errors import AccessDenied, AwsUnavailable, IdentityMissing, MeshcertError
from meshcert.identity import ServiceUse
from meshcert.mesh import load_mesh
from meshcert.proxy import RotationMode
from tests.meshcert.aws.test_ways_past import CLOSED, offering, with_service
from tests.meshcert.cli.cli_account import Terminal
from tests.meshcert.lifecycle.world import LifecycleWorld
from tests.stacks.synthesis import ROOT

if TYPE_CHECKING:
    from meshcert.aws.ecs.ways_past import WaysPast

MESH = load_mesh(ROOT / "examples" / "own-cdk-app" / "mesh.yaml")
OPEN = replace(
    CLOSED, service={**CLOSED.service, "loadBalancers": [{"containerPort": 8080, "targetGroupArn": "tg/old"}]}
)
UNREAD = replace(with_service(deployments=offering("web")), definition=None)


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """An operator's, with the mesh file at hand; ``stock`` is STRICT in it, ``orders`` PERMISSIVE."""
    monkeypatch.setattr("meshcert.cli.options.ChosenMesh.declared", lambda _: MESH)
    uses = [ServiceUse(name, RotationMode.RELOAD, 60.0, f"own/{name}", attached=True) for name in ("orders", "stock")]
    return Terminal(capsys, LifecycleWorld(services=tuple(uses)))


def says(terminal: Terminal, answer: WaysPast | MeshcertError) -> list[tuple[str, int, str]]:
    """Have AWS say this of every service; gives what it is asked."""
    asked: list[tuple[str, int, str]] = []

    def ways(*question: Any) -> WaysPast:
        asked.append(question)
        if isinstance(answer, MeshcertError):
            raise answer
        return answer

    terminal.breaks(ways_past=ways)
    return asked


@pytest.mark.parametrize(
    ("answer", "effective", "words"),
    [
        (CLOSED, True, ("effective: nothing reaches port 8080",)),
        (OPEN, False, ("not effective: target group tg/old to port 8080", "do Take these away: port 8080")),
        (UNREAD, None, ("not known: Service Connect's web may lead to port 8080", "make verify-aws")),
        (
            AccessDenied("ec2:DescribeSecurityGroups", "own/stock", "UnauthorizedOperation"),
            None,
            ("not known: ec2:DescribeSecurityGroups is denied to you", "OperatorRole", "older meshcert"),
        ),
        (AwsUnavailable("ecs:DescribeServices", "own/stock", "503"), None, ("not known: ", "ecs:DescribeServices")),
        (IdentityMissing("Service stock of cluster own", "Deploy it"), None, ("not known: Service stock",)),
    ],
    ids=["closed", "open", "Service Connect", "denied", "unavailable", "gone"],
)
@pytest.mark.parametrize("name", [(), ("colorteller",)], ids=["mesh", "NAME"])
def test_whether_strict_is_effective_is_told_or_why_it_is_not_known(
    terminal: Terminal,
    answer: WaysPast | MeshcertError,
    effective: bool | None,  # noqa: FBT001 - a column of the table
    words: tuple[str, ...],
    name: tuple[str, ...],
) -> None:
    """Of services that are STRICT alone; what cannot be seen ends no command, and is no other exit code."""
    asked = says(terminal, answer)

    ended = terminal.run("status", *name)
    (told,) = terminal.run("status", *name, "--json").document["strict"]

    assert ended.code == 0, ended.err
    text = " ".join(ended.out.split())
    assert [each for each in words if each not in text] == []
    assert "stock" in text
    assert (told["service"], told["port"], told["effective"]) == ("stock", 8080, effective)
    assert (told["problem"] is None) == (effective is not None)
    assert asked == 2 * [("own/stock", 8080, "stock")]


def test_the_view_from_the_tables_says_that_it_did_not_ask(terminal: Terminal) -> None:
    """A mesh of 1,000 identities is told in five calls."""
    asked = says(terminal, CLOSED)

    assert "not known: the tables do not say; --live asks" in " ".join(terminal.run("status", "--recorded").out.split())
    (told,) = terminal.run("status", "--recorded", "--json").document["strict"]
    assert (told["effective"], told["ways_past"]) == (None, [])
    assert asked == []


def test_without_a_mesh_file_nothing_is_known(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tables do not say who is STRICT."""
    monkeypatch.setattr("meshcert.cli.options.ChosenMesh.declared", lambda _: None)
    asked = says(terminal, CLOSED)

    assert "STRICT" not in terminal.run("status").out
    assert terminal.run("status", "--json").document["strict"] is None
    assert asked == []


@pytest.mark.parametrize("view", ["--live", "--recorded"])
def test_a_task_role_that_lacks_the_policy_is_told_with_the_next_step(terminal: Terminal, view: str) -> None:
    """Tasks with the sidecar end with exit code 77 before they could acknowledge anything; others have none."""
    world = terminal.world
    stock = world.ecs.services["stock"]
    for task in stock.tasks:
        task.mute = True
    world.ecs._deploy(stock)
    stock.newest.starts_at = None
    stock.newest.excused.append(f"Essential container in task exited; envoy exited with {AWS_REFUSED}")
    stock.newest.excused_code = AWS_REFUSED
    world.look()

    ended = terminal.run("status", view)
    (seen,) = terminal.run("status", "--live", "--json").document["identities"]

    assert ended.code == exit_codes.NEEDS_A_PERSON
    text = " ".join(ended.out.split())
    assert f"DeploymentFailing: stock: Essential container in task exited; envoy exited with {AWS_REFUSED}" in text
    assert "its task role lacks the policy that meshcert sidecar stock names" in text
    assert "attach it" in text
    said = {each["service"]: [task["said_at"] for task in each["tasks"]] for each in seen["services"]}
    assert set(said["stock"]) == {None}
    assert None not in said["orders"]


def test_an_attached_service_that_nobody_can_call_is_not_strict() -> None:
    """It has no listener that could be, and its application's port may be as open as its owner wants it."""
    mesh = load_mesh(ROOT / "examples" / "own-cdk-app" / "mesh.yaml")
    node = mesh.services["stock"].virtual_node
    deaf = mesh.virtual_nodes[node].model_copy(update={"listeners": ()})

    without = mesh.model_copy(update={"virtual_nodes": {**mesh.virtual_nodes, node: deaf}})

    assert (set(MESH.strict_attached), set(without.strict_attached)) == ({"stock"}, set())
