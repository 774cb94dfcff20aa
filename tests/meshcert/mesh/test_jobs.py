"""Jobs in the mesh file: tasks of the user's that end, with certificates of the mesh and without a listener."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from meshcert.cli.__main__ import cli
from meshcert.mesh import Mesh, load_mesh, proxy_settings, read_mesh, services_by_identity, sidecar
from meshcert.mesh.checks.findings import findings_of
from meshcert.mesh.rendering.sidecar import container_definition
from meshcert.proxy import ProxySettings
from tests.stacks.synthesis import ROOT

FILE = ROOT / "examples" / "own-cdk-app" / "mesh.yaml"


def document() -> dict[str, Any]:
    """The example's mesh file, whose job ``report`` calls ``stock`` at port 15100 of its own loopback."""
    found: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return found


def faults(found: dict[str, Any]) -> dict[str, str]:
    """Problems by their places."""
    return {fault.place: fault.problem for fault in read_mesh(yaml.safe_dump(found).encode()).faults}


def mesh() -> Mesh:
    """The mesh of :func:`document`."""
    return load_mesh(FILE)


def test_a_jobs_proxy_has_its_ways_out_and_nothing_else() -> None:
    """It presents its identity to whom it calls; nobody calls it, and no ECS service runs it."""
    found = proxy_settings(mesh(), "report")

    assert (found.listeners, found.application_port, found.awaits_application, found.is_gateway) == (
        (),
        0,
        False,
        False,
    )
    assert ([*found.identities], [way.local_port for way in found.ways_out]) == (["report"], [15100])
    assert ProxySettings.from_json(found.to_json()) == found
    assert "report" not in mesh().ecs_places
    assert services_by_identity(mesh())["report"] == ["report"]


def test_the_task_ends_with_the_application_and_not_with_envoy() -> None:
    """Envoy is not essential, has no ports and no drain; the application starts when it is healthy."""
    found = sidecar(mesh(), "report")
    (envoy,) = (container_definition(found, each, "envoy:1", "eu-west-1") for each in found.containers)

    assert (envoy["name"], envoy["essential"], envoy["stopTimeout"]) == ("envoy", False, 10)
    assert envoy["startTimeout"] == 120  # Fargate's maximum; without it ECS waits for hours
    assert {"name": "MESHCERT_AWAITS_STOP", "value": "true"} in envoy["environment"]
    assert {"name": "MESHCERT_DRAIN_S", "value": "0"} in envoy["environment"]
    assert "portMappings" not in envoy
    assert (found.application_after, found.tags, found.is_registered) == ({"envoy": "HEALTHY"}, {}, False)


def test_the_command_prints_what_a_job_gets() -> None:
    """No registration, no tags; the application's container is essential."""

    def printed(*options: str) -> str:
        result = CliRunner().invoke(cli, ["sidecar", "report", "--mesh", str(FILE), *options])
        assert result.exit_code == 0, result.output
        return result.output

    found = json.loads(printed("--json", "--region", "eu-west-1"))
    assert found["application"] == {
        "name": "app",
        "dependsOn": [{"containerName": "envoy", "condition": "HEALTHY"}],
        "essential": True,
    }
    assert (found["registry_parameter"], found["tags"]) == (None, [])
    template = printed("--cloudformation")
    assert "Essential: false" in template
    assert "StartTimeout: 120" in template
    assert "# Properties of the service" not in template
    steps = printed()
    assert steps.startswith("job nightly-report joins mesh shop as report:")
    assert "its exit code is the task's" in steps


@pytest.mark.parametrize(
    ("change", "place", "problem"),
    [
        ({"attached": {"service": "report"}}, "services.report.attached.service", "a job is no ECS service"),
        ({"attached": {"cluster": "own"}}, "services.report.attached.cluster", "a job is no ECS service"),
        ({"attached": {"cloud_map_service": "x"}}, "services.report.attached.cloud_map_service", "nobody finds it"),
        ({"attached": {"task_definition": ""}}, "services.report.attached.task_definition", "it is missing"),
        ({"attached": {"container": ""}}, "services.report.attached.container", "it is missing"),
        ({"rotation": "redeploy"}, "services.report.rotation", "nothing but its next task"),
        ({"drain_s": 20}, "services.report.drain_s", "takes no requests"),
        ({"application": {"port": 8080}}, "services.report.application", "takes no requests"),
        ({"desired_count": 1}, "services.report.desired_count", "so is its task definition"),
    ],
)
def test_what_a_job_cannot_have_is_told_at_its_place(change: dict[str, Any], place: str, problem: str) -> None:
    """Each with the field to take away, or to write."""
    found = document()
    service = found["services"]["report"]
    for field, value in change.items():
        service[field] = {**service[field], **value} if field == "attached" else value

    (told,) = faults(found).items()

    assert told[0] == place
    assert problem in told[1]


def test_a_job_takes_no_requests() -> None:
    """Neither a listener nor a caller; and without backends there is nothing for its Envoy to do."""
    listening, called, idle = document(), document(), document()
    listening["virtual_nodes"]["report"]["listeners"] = listening["virtual_nodes"]["stock"]["listeners"]
    called["virtual_gateways"]["edge"]["backends"].append({"virtual_node": "report"})
    del idle["virtual_nodes"]["report"]["backends"]

    assert "takes no requests" in faults(listening)["virtual_nodes.report.listeners"]
    assert "takes no requests" in faults(called)["virtual_gateways.edge.backends[2]"]
    assert "nothing for its Envoy to do" in faults(idle)["virtual_nodes.report.backends"]


def test_a_node_without_a_listener_is_a_jobs() -> None:
    """What else runs it would have no port that anybody could call."""
    found = document()
    del found["virtual_nodes"]["orders"]["listeners"]

    assert faults(found) == {"virtual_nodes.orders.listeners": "there is none, and callers would have no port to call"}


def test_two_jobs_do_not_share_a_task_definition() -> None:
    """A task runs one proxy."""
    found = document()
    found["virtual_nodes"]["second"] = found["virtual_nodes"]["report"]
    found["services"]["second"] = {**found["services"]["report"], "virtual_node": "second"}

    assert faults(found) == {"services.second.attached": "task definition nightly-report is service report already"}


def test_a_job_that_nobody_calls_is_no_finding() -> None:
    """Nobody can."""
    assert [each for each in findings_of(mesh(), Path()) if "report" in each.place] == []


@pytest.mark.parametrize(
    ("jobs", "groups", "is_refused"), [(57, 57, False), (58, 58, True), (71, 71, True), (71, 9, False)]
)
def test_a_group_takes_sixty_rules_for_callers_of_yours(jobs: int, groups: int, *, is_refused: bool) -> None:
    """AWS would refuse the 61st in mid-deploy, and three are others'; jobs that share a group have one rule."""
    found = document()
    for number in range(jobs):
        name = f"job-{number}"
        attached = {
            **found["services"]["report"]["attached"],
            "task_definition": name,
            "security_group": f"sg-{number % groups:08x}",
        }
        found["virtual_nodes"][name] = found["virtual_nodes"]["report"]
        found["services"][name] = {**found["services"]["report"], "virtual_node": name, "attached": attached}

    told = faults(found)

    assert list(told) == (["services.stock"] if is_refused else [])
    assert not is_refused or f"would have {groups + 3} rules" in told["services.stock"]
