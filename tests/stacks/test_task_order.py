"""The containers of a virtual node's task: who waits for whom, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.stacks.synthesis import ROOT, synthesise

if TYPE_CHECKING:
    from tests.stacks.synthesis import Templates


def _containers(templates: Templates, service: str) -> dict[str, dict[str, Any]]:
    (task,) = (
        each
        for each in templates.resources("AWS::ECS::TaskDefinition")
        if each.properties["Family"].endswith(f"-{service}")
    )
    return {each["Name"]: each for each in task.properties["ContainerDefinitions"]}


def _needs(container: dict[str, Any]) -> dict[str, str]:
    return {each["ContainerName"]: each["Condition"] for each in container.get("DependsOn", ())}


def test_ways_out_stand_first_and_ways_in_open_last(templates: Templates) -> None:
    """ECS starts in this order and stops in the reverse; it follows no dependency through, so both are named."""
    containers = _containers(templates, "colorteller")

    assert {name: _needs(each) for name, each in containers.items()} == {
        "envoy": {},
        "application": {"envoy": "HEALTHY"},
        "readiness": {"application": "START", "envoy": "HEALTHY"},
    }
    assert all(each["Essential"] for each in containers.values())
    assert sum(each["StopTimeout"] for each in containers.values()) <= 120


def test_whoever_waits_for_envoy_does_not_wait_for_hours(templates: Templates) -> None:
    """ECS's scheduler leaves a task alone until all of its containers have started; Fargate takes 120 s at most."""
    for containers in (_containers(templates, name) for name in ("colorteller", "colorgateway")):
        awaited = {
            name for each in containers.values() for name, condition in _needs(each).items() if condition != "START"
        }
        assert all(containers[name]["StartTimeout"] == 120 for name in awaited)


def test_no_container_waits_for_the_health_of_one_that_waits_for_the_application(templates: Templates) -> None:
    """Envoy's check must not look at the application, which starts after it; readiness runs no Python for its own."""
    containers = _containers(templates, "colorteller")

    assert containers["envoy"]["HealthCheck"]["Command"] == ["CMD", "python", "-m", "entrypoint.healthcheck"]
    assert containers["readiness"]["HealthCheck"]["Command"] == ["CMD", "/usr/bin/test", "-e", "/run/meshcert/ready"]
    assert "HealthCheck" not in containers["application"]


def test_a_check_that_starts_python_has_time_on_a_quarter_of_a_cpu(templates: Templates) -> None:
    """A busy task must not be taken for a sick one; readiness, whose check costs nothing, is asked more often."""
    envoy, readiness = (_containers(templates, "colorteller")[name]["HealthCheck"] for name in ("envoy", "readiness"))

    assert (envoy["Interval"], envoy["Timeout"], envoy["Retries"]) == (10, 10, 3)
    assert (readiness["Interval"], readiness["Timeout"], readiness["Retries"]) == (5, 5, 3)


def test_a_gateway_has_no_application_to_wait_for(templates: Templates) -> None:
    """Its Envoy stands alone."""
    assert set(_containers(templates, "colorgateway")) == {"envoy"}


@dataclass(frozen=True)
class SlowService:
    """
    What a mesh file says of a slow service, and what that comes to.

    Args:
        health_check: Of the teller's application.
        drain_s: Of every service.
        start_period: Of its readiness container.
        grace: Of the service.
        told: The drain in the environment of those who drain.
        timeouts: Stop timeouts of Envoy, application, readiness.
    """

    health_check: dict[str, Any] | None
    drain_s: float | None
    start_period: int
    grace: int | None
    told: str | None
    timeouts: tuple[int, int, int]


SLOW = {
    "default": SlowService(None, None, 120, None, None, (40, 30, 25)),
    "longer": SlowService({"grace_period_s": 300}, 20.0, 300, None, "20", (40, 30, 30)),
    "longest": SlowService({"grace_period_s": 900, "path": "/healthz"}, 109.5, 300, 900, "109.5", (120, 30, 120)),
}


@pytest.fixture(scope="module", params=SLOW)
def slow(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[SlowService, Templates]:
    """One, and its templates."""
    said = SLOW[request.param]
    mesh = yaml.safe_load((ROOT / "mesh.yaml").read_text())
    if said.health_check:
        mesh["services"]["colorteller"]["application"]["health_check"] = said.health_check
    if said.drain_s:
        for service in mesh["services"].values():
            service["drain_s"] = said.drain_s
    folder = tmp_path_factory.mktemp("slow")
    (folder / "mesh.yaml").write_text(yaml.safe_dump(mesh))
    return said, synthesise(folder / "out", mesh=str(folder / "mesh.yaml"))


def test_a_slow_start_has_its_grace(slow: tuple[SlowService, Templates]) -> None:
    """Beyond the longest start period of a container, the service's grace takes over."""
    said, templates = slow
    readiness = _containers(templates, "colorteller")["readiness"]
    (service,) = (
        each for each in templates.resources("AWS::ECS::Service") if each.properties["ServiceName"] == "colorteller"
    )

    assert readiness["HealthCheck"]["StartPeriod"] == said.start_period
    assert service.properties.get("HealthCheckGracePeriodSeconds") == said.grace
    path = {each["Name"]: each["Value"] for each in readiness["Environment"]}["MESHCERT_HEALTH_CHECK_PATH"]
    assert path == (said.health_check or {}).get("path", "")


def test_a_drain_is_told_to_who_drains_and_fits_into_what_ecs_gives(slow: tuple[SlowService, Templates]) -> None:
    """By default the task definition stays as it was."""
    said, templates = slow
    containers = _containers(templates, "colorteller")
    (gateway,) = _containers(templates, "colorgateway").values()

    assert tuple(containers[name]["StopTimeout"] for name in ("envoy", "application", "readiness")) == said.timeouts
    assert [_told(each) for each in (*containers.values(), gateway)] == [said.told, None, said.told, said.told]
    assert gateway["StopTimeout"] == said.timeouts[0]


def _told(container: dict[str, Any]) -> str | None:
    value: str | None = {each["Name"]: each["Value"] for each in container["Environment"]}.get("MESHCERT_DRAIN_S")
    return value
