"""The Workload API in a task: who sees its socket, who may ask, and which secrets the task may read for it."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from meshcert.contract.container import USER_ID
from tests.stacks.synthesis import ROOT, Templates, synthesise


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """Yelb under one trust domain, whose application server asks for its identities."""
    mesh: dict[str, Any] = yaml.safe_load((ROOT / "examples/spiffe.yaml").read_text())
    mesh["services"]["appserver"] |= {"workload_api": True, "workload_api_users": [1000, 0]}
    folder = tmp_path_factory.mktemp("workload")
    (folder / "mesh.yaml").write_text(yaml.safe_dump(mesh, sort_keys=False))
    return synthesise(folder / "out", mesh=str(folder / "mesh.yaml"))


def _task(templates: Templates, service: str) -> dict[str, Any]:
    (task,) = (
        each.properties
        for each in templates.resources("AWS::ECS::TaskDefinition")
        if each.properties["Family"].endswith(f"-{service}")
    )
    return task


def _environment(container: dict[str, Any]) -> dict[str, str]:
    return {each["Name"]: each["Value"] for each in container["Environment"]}


def test_envoys_container_and_the_applications_share_a_volume_and_nobody_else(templates: Templates) -> None:
    """The application cannot put a socket of its own there."""
    task = _task(templates, "appserver")
    containers = {each["Name"]: each for each in task["ContainerDefinitions"]}

    mounts = {
        (name, each["SourceVolume"], each["ContainerPath"], each["ReadOnly"])
        for name, container in containers.items()
        for each in container.get("MountPoints", ())
    }

    assert task["Volumes"] == [{"Name": "workload-api"}]
    assert mounts == {
        ("envoy", "workload-api", "/run/spiffe", False),
        ("application", "workload-api", "/run/spiffe", True),
    }


def test_the_application_is_told_where_to_ask_and_envoys_container_whom_to_answer(templates: Templates) -> None:
    """By the variable that every SPIFFE library reads; the application starts when the socket has long been bound."""
    containers = {each["Name"]: each for each in _task(templates, "appserver")["ContainerDefinitions"]}

    envoy = _environment(containers["envoy"])
    path = envoy["MESHCERT_WORKLOAD_API_SOCKET"]
    assert _environment(containers["application"])["SPIFFE_ENDPOINT_SOCKET"] == f"unix://{path}"
    assert path == "/run/spiffe/workload.sock"
    assert envoy["MESHCERT_WORKLOAD_API_USERS"] == "1000,0"
    assert {"ContainerName": "envoy", "Condition": "HEALTHY"} in containers["application"]["DependsOn"]
    assert not any("MESHCERT_WORKLOAD" in name for name in _environment(containers["readiness"]))


def test_a_service_that_does_not_ask_for_it_has_nothing_of_it(templates: Templates) -> None:
    """Its task definition is that of before."""
    task = _task(templates, "ui")

    assert "Volumes" not in task
    assert not re.search("spiffe/workload|WORKLOAD_API|SPIFFE_ENDPOINT|trust_domain_bundles", str(task))


def test_the_image_declares_the_folder_its_owner_and_a_volume() -> None:
    """Fargate makes a bind mount root's, unless the image says otherwise (ECS guide, "Bind mounts")."""
    dockerfile = (ROOT / "envoy-image/Dockerfile").read_text().replace("\\\n", " ")
    *_, final = re.split(r"^FROM ", dockerfile, flags=re.MULTILINE)
    (made,) = re.findall(r"install -d -m (\d+) -o (\d+) -g (\d+) (\S+)", final)

    assert made == ("0755", str(USER_ID), str(USER_ID), "/run/spiffe")
    # What is done to a volume's folder after its declaration is lost.
    assert final.index("install -d") < final.index('VOLUME ["/run/spiffe"]') < final.index("USER ")
    assert final.index("install -d") < final.index("find /usr/bin")
