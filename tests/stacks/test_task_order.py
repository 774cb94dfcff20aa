"""The containers of a virtual node's task: who waits for whom, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.stacks.synthesis import ROOT, synthesise

if TYPE_CHECKING:
    from pathlib import Path

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


@pytest.mark.parametrize(
    ("declared", "start_period", "grace"),
    [({}, 120, None), ({"grace_period_s": 300}, 300, None), ({"grace_period_s": 900, "path": "/healthz"}, 300, 900)],
    ids=["default", "the longest start period", "longer"],
)
def test_a_slow_start_has_its_grace(
    tmp_path: Path, declared: dict[str, Any], start_period: int, grace: int | None
) -> None:
    """Beyond the longest start period of a container, the service's grace takes over."""
    mesh = yaml.safe_load((ROOT / "mesh.yaml").read_text())
    mesh["services"]["colorteller"]["application"]["health_check"] = declared
    templates = _synthesised(mesh, tmp_path)
    readiness = _containers(templates, "colorteller")["readiness"]
    (service,) = (
        each for each in templates.resources("AWS::ECS::Service") if each.properties["ServiceName"] == "colorteller"
    )

    assert readiness["HealthCheck"]["StartPeriod"] == start_period
    assert service.properties.get("HealthCheckGracePeriodSeconds") == grace
    path = {each["Name"]: each["Value"] for each in readiness["Environment"]}["MESHCERT_HEALTH_CHECK_PATH"]
    assert path == declared.get("path", "")


@pytest.mark.parametrize(
    ("drain_s", "said", "timeouts"),
    [(None, None, (40, 30, 25)), (20.0, "20", (40, 30, 30)), (109.5, "109.5", (120, 30, 120))],
    ids=["default", "longer", "about the longest"],
)
def test_a_drain_is_told_to_who_drains_and_fits_into_what_ecs_gives(
    tmp_path: Path, drain_s: float | None, said: str | None, timeouts: tuple[int, int, int]
) -> None:
    """Stop timeouts of Envoy, application, readiness; by default the task definition stays as it was."""
    mesh = yaml.safe_load((ROOT / "mesh.yaml").read_text())
    if drain_s:
        for service in mesh["services"].values():
            service["drain_s"] = drain_s
    templates = _synthesised(mesh, tmp_path)
    containers = _containers(templates, "colorteller")
    (gateway,) = _containers(templates, "colorgateway").values()

    assert tuple(containers[name]["StopTimeout"] for name in ("envoy", "application", "readiness")) == timeouts
    assert [_told(each) for each in (*containers.values(), gateway)] == [said, None, said, said]
    assert gateway["StopTimeout"] == timeouts[0]


def _told(container: dict[str, Any]) -> str | None:
    value: str | None = {each["Name"]: each["Value"] for each in container["Environment"]}.get("MESHCERT_DRAIN_S")
    return value


def _synthesised(mesh: dict[str, Any], folder: Path) -> Templates:
    file = folder / "mesh.yaml"
    file.write_text(yaml.safe_dump(mesh))
    return synthesise(folder / "out", mesh=str(file))
