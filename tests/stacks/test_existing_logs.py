"""A log group of yours: tasks write to it, its lines are counted, and rights are on exactly that group."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from local.aws.log_patterns import compile_pattern
from meshcert.envoy.access_log import REFUSED_EVENT
from meshcert.mesh import read_mesh, sidecar
from meshcert.mesh.stacks.shards import LOGS_OF_BEFORE
from tests.meshcert.mesh.mesh_slips import changed
from tests.meshcert.mesh.test_applications import SECRET
from tests.stacks.synthesis import synthesise
from tools.deployed_stacks import written_logs
from tools.moves.made import Made
from tools.moves.refused_moves import refused_moves

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stacks.synthesis import Templates

NAME = "/shop/tasks"
ARN = f"arn:aws:logs:us-west-1:111122223333:log-group:{NAME}"
WRITES = {"logs:CreateLogStream", "logs:PutLogEvents"}
FETCHING = ("services.colorteller.application.secrets", {"TOKEN": SECRET})


def synthesised(folder: Path, logs: dict[str, Any], *more: tuple[str, object]) -> Templates:
    """The templates of the demo's mesh, whose teller has a secret fetched, with such logs."""
    folder.mkdir()
    file = folder / "mesh.yaml"
    file.write_bytes(changed(("logs", logs), FETCHING, *more))
    return synthesise(folder / "out", mesh=str(file))


@pytest.fixture(scope="module")
def yours(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """All services write to a group of somebody's."""
    return synthesised(tmp_path_factory.mktemp("logs") / "yours", {"existing": f"{ARN}:*"})


def groups(templates: Templates) -> list[str]:
    """The log groups that the services' stack makes."""
    found = templates.resources_if_any("AWS::Logs::LogGroup")
    return [each.properties["LogGroupName"] for each in found if each.stack == "services"]


def options(templates: Templates) -> list[dict[str, Any]]:
    """How each container logs."""
    return [
        container["LogConfiguration"]["Options"]
        for task in templates.resources("AWS::ECS::TaskDefinition")
        for container in task.properties["ContainerDefinitions"]
    ]


def writable(templates: Templates) -> dict[str, set[str]]:
    """The log groups that the execution roles may write to, by role."""
    found: dict[str, set[str]] = {}
    for policy in templates.resources("AWS::IAM::Policy"):
        for statement in policy.properties["PolicyDocument"]["Statement"]:
            if policy.stack == "services" and set(statement["Action"]) == WRITES:
                for role in policy.properties["Roles"]:
                    found.setdefault(role["Ref"], set()).add(json.dumps(statement["Resource"]))
    return found


def test_every_container_writes_there_in_the_streams_of_its_service(yours: Templates) -> None:
    """No log group is made."""
    assert groups(yours) == []
    assert {each["awslogs-group"] for each in options(yours)} == {NAME}
    assert {each["awslogs-stream-prefix"] for each in options(yours)} == {"colorgateway", "colorteller"}


def test_lines_about_refused_peers_are_counted_there(yours: Templates) -> None:
    """By one filter, and not again by that of another mesh which writes there."""
    (counted,) = yours.resources("AWS::Logs::MetricFilter")
    matches = compile_pattern(counted.properties["FilterPattern"])

    assert counted.properties["LogGroupName"] == NAME
    assert [matches(json.dumps({"event": REFUSED_EVENT, "mesh": mesh})) for mesh in ("color", "other")] == [True, False]
    assert not matches(json.dumps({"event": "secret-installed", "mesh": "color"}))


def test_whoever_starts_tasks_may_write_to_exactly_that_group(yours: Templates) -> None:
    """The role of all services, and that of the one which has a secret fetched."""
    (shared, own) = writable(yours).values()

    assert shared == own
    (resource,) = shared
    assert resource.endswith(f':log-group:{NAME}:*"]]}}')


def test_services_start_when_their_role_may_write(yours: Templates) -> None:
    """A task that may not begin its stream does not start."""
    policies = yours.resources("AWS::IAM::Policy")
    writing = {each.logical_id for each in policies if "WritesLogs" in each.logical_id}

    awaited = [writing & set(service.definition["DependsOn"]) for service in yours.resources("AWS::ECS::Service")]
    assert {len(each) for each in awaited} == {1}
    assert set.union(*awaited) == writing


def test_what_was_made_stays_while_the_file_says_so(yours: Templates, tmp_path: Path) -> None:
    """With its filter and rights, for tasks of before: nothing of it changes, and what is new stands beside it."""
    of_before = synthesised(tmp_path / "before", {})
    both = synthesised(tmp_path / "both", {"existing": NAME, "keep_made": True})

    kinds = ("AWS::Logs::LogGroup", "AWS::Logs::MetricFilter", "AWS::IAM::Policy")

    def made(templates: Templates) -> dict[str, Any]:
        found = (each for kind in kinds for each in templates.resources_if_any(kind))
        return {each.logical_id: each.definition for each in found if each.stack == "services"}

    assert {each["awslogs-group"] for each in options(both)} == {NAME}
    assert made(of_before).items() <= made(both).items()
    assert made(yours).keys() <= made(both).keys()
    assert all(len(each) == 2 for each in writable(both).values())


def test_no_shard_imports_what_goes_with_the_next_deploy(tmp_path: Path) -> None:
    """The stack of the made group is deployed first, and could not drop what another one imports."""
    shards = ("shards", {"one": ["colorteller"]})
    found = synthesised(tmp_path / "shards", {"existing": NAME, "keep_made": True}, shards)

    shard = json.dumps(found.by_stack["services-one"])

    assert "log-group:/meshcert/color:*" in shard
    assert "ImportValue" in shard
    assert "ExportsOutputFnGetAttLogs" not in shard
    assert "ExportsOutputRefLogs" not in shard


def test_tasks_of_shards_write_to_another_group_of_yours_until_they_go(tmp_path: Path) -> None:
    """The role that starts them is updated first: ``make deploy`` tells it where they still write, and nothing else."""
    shards = ("shards", {"one": ["colorteller"]})
    before = synthesised(tmp_path / "before", {"existing": NAME}, shards)
    after = synthesised(tmp_path / "after", {"existing": "/other"}, shards)
    file = str(tmp_path / "after" / "mesh.yaml")

    def written(logs: dict[str, Any], deployed: Templates) -> set[str]:
        mesh = read_mesh(changed(("logs", logs), shards)).mesh
        assert mesh
        return written_logs({name: deployed.by_stack[name] for name in ("services", "services-one")}, mesh)

    assert written({"existing": "/other"}, before) == written({}, before) == {NAME}
    assert written({"existing": ARN}, before) == written({"existing": "/other"}, after) == set()
    assert written({"existing": NAME}, synthesised(tmp_path / "made", {}, shards)) == set()
    between = synthesise(tmp_path / "between", mesh=file, **{LOGS_OF_BEFORE: NAME})
    had, has, will = (
        {
            each.logical_id: each.properties
            for each in templates.resources("AWS::IAM::Policy")
            if each.stack == "services"
        }
        for templates in (before, between, after)
    )
    (kept,) = has.keys() - will.keys()
    assert has[kept] == had[kept]
    assert between.by_stack["services-one"] == after.by_stack["services-one"]


def test_groups_of_services_stay_likewise(tmp_path: Path) -> None:
    """Each with its logical id."""
    found = synthesised(tmp_path / "each", {"existing": NAME, "group_per_service": True, "keep_made": True})
    both = {each.logical_id: each.properties["LogGroupName"] for each in found.resources("AWS::Logs::LogGroup")}

    assert both["colorgatewayLogs1A5F1681"] == "/meshcert/color/colorgateway"
    assert {each["awslogs-group"] for each in options(found)} == {NAME}
    assert len(found.resources("AWS::Logs::MetricFilter")) == 3


def test_going_over_is_told_to_be_done_in_two_deploys(yours: Templates, templates: Templates) -> None:
    """And neither the second of them, nor another group of yours, nor going back."""

    def moves(deployed: Templates, **logs: Any) -> list[str]:
        mesh = read_mesh(changed(("logs", logs))).mesh
        assert mesh
        made = Made.of(deployed.by_stack["services"], frozenset())
        return [move for move in refused_moves(mesh, made) if move.startswith("logs")]

    (told,) = moves(templates, existing=NAME)

    assert "Add keep_made: true" in told
    assert moves(templates, existing=NAME, keep_made=True) == []
    assert moves(yours, existing=NAME) == moves(yours, existing="/other") == moves(yours) == []


def test_a_sidecar_writes_there() -> None:
    """What `meshcert sidecar` and the CDK construct say comes from there."""
    attached = {"cluster": "own", "service": "orders", "container": "app", "security_group": "sg-0123456789abcdef0"}
    mesh = read_mesh(
        changed(
            ("logs", {"existing": ARN}),
            (
                "services.colorteller",
                {"virtual_node": "colorteller", "attached": attached, "application": {"port": 8080}},
            ),
        )
    )
    assert mesh.faults == ()
    assert mesh.mesh

    found = sidecar(mesh.mesh, "colorteller")

    assert (found.log_group, found.stream_prefix) == (NAME, "colorteller")
