"""An ECS cluster of yours: services in it, and rules and rights that name them one by one."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.meshcert.mesh.mesh_slips import changed
from tests.stacks.synthesis import synthesise

if TYPE_CHECKING:
    from tests.stacks.synthesis import Templates

ARN = "arn:aws:ecs:us-west-1:111122223333:cluster/shop"
SERVICES = {"colorgateway", "colorteller"}


@pytest.fixture(scope="module")
def yours(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """The templates of the demo's mesh in a cluster of somebody's."""
    folder = tmp_path_factory.mktemp("cluster")
    file = folder / "mesh.yaml"
    file.write_bytes(changed(("cluster", {"existing": ARN})))
    return synthesise(folder / "out", mesh=str(file))


def named(text: str) -> set[str]:
    """The services of the cluster that a text names."""
    return set(re.findall(r"service/shop/([^\"]*)", text))


def test_services_are_made_in_it_and_nothing_else_of_it_is(yours: Templates) -> None:
    """No cluster of the mesh's own either."""
    assert {service.properties["Cluster"] for service in yours.resources("AWS::ECS::Service")} == {"shop"}
    assert yours.resources_if_any("AWS::ECS::Cluster") == []


def test_the_lifecycle_may_deploy_and_see_the_meshs_services_alone(yours: Templates) -> None:
    """Tasks have made-up ids, so those of the whole cluster may be described."""
    ecs = [each for each in yours.statements() if any(action.startswith("ecs:") for action in each.actions)]
    assert ecs
    for statement in ecs:
        resources = " ".join(statement.resources)
        if "ecs:ListTasks" in statement.actions:
            assert json.dumps(statement.conditions["ArnEquals"]).endswith(':cluster/shop"]]}}')
        elif "ecs:DescribeTasks" in statement.actions:
            assert resources.endswith(':task/shop/*"]]}')
        else:
            assert named(resources) == SERVICES
    assert "meshcert-color/" not in json.dumps([each.resources for each in ecs])


def test_rules_hear_of_the_meshs_services_alone(yours: Templates) -> None:
    """Other services of the cluster would each be a message and a run."""
    heard = [rule.properties["EventPattern"] for rule in yours.resources("AWS::Events::Rule")]
    deployments, tasks = (
        [pattern for pattern in heard if pattern["detail-type"] == [kind]]
        for kind in ("ECS Deployment State Change", "ECS Task State Change")
    )

    assert named(json.dumps(deployments)) == SERVICES
    assert [set(pattern["detail"]["group"]) for pattern in tasks] == [{f"service:{name}" for name in SERVICES}]


def test_rows_say_where_a_service_is(yours: Templates) -> None:
    """The operator's command knows the mesh's name alone."""
    identities = yours.resources("Custom::MeshcertIdentity")
    places = {use["Name"]: use["Place"] for each in identities for use in each.properties["Services"]}

    assert places == {name: f"shop/{name}" for name in SERVICES}
