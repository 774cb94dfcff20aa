"""An application's container as the template has it, and the role with which ECS starts its tasks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from meshcert import naming
from meshcert.mesh.mesh import LONGEST_MESH_NAME, LONGEST_NAME
from tests.meshcert.mesh.test_applications import KEY, PARAMETER, SECRET
from tests.stacks.synthesis import ROOT, Templates, synthesise
from tests.stacks.test_volumes import FILE_SYSTEM

if TYPE_CHECKING:
    from pathlib import Path

LONGEST_ROLE = 64
"""Characters (iam:CreateRole)."""
GIVEN = {
    "entry_point": ["/bin/server"],
    "command": ["--workers", "4"],
    "working_directory": "/srv",
    "environment": {"LOG_LEVEL": "info"},
    "secrets": {"PASSWORD": f"{SECRET}:password::", "USER": f"{SECRET}:user::", "LEVEL": PARAMETER},
    "secret_keys": [KEY],
    "task_policies": {
        "statements": [
            {
                "actions": ["s3:GetObject"],
                "resources": ["arn:aws:s3:::shop-orders/*"],
                "conditions": {"Bool": {"aws:SecureTransport": ["true"]}},
            }
        ]
    },
    "user": "1000:1000",
    "cpu": 128,
    "memory_mib": 256,
    "stop_timeout_s": 90,
    "health_check": {"command": ["CMD", "/bin/check"], "retries": 2, "grace_period_s": 60},
    "volumes": [
        {"container_path": "/tmp", "tmpfs_mib": 64},  # noqa: S108  in the container
        {"container_path": "/var/cache"},
        {"container_path": "/data", "efs": {"file_system_id": FILE_SYSTEM}},
        {"container_path": "/shared", "read_only": True, "efs": {"file_system_id": FILE_SYSTEM}},
    ],
}
DEPLOYED = {"minimum_healthy_percent": 50, "maximum_percent": 150, "tags": {"team": "orders"}}


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """Yelb, whose application server is given everything, and whose page has a scaler."""
    mesh: dict[str, Any] = yaml.safe_load((ROOT / "examples/yelb.yaml").read_text())
    mesh["services"]["appserver"]["application"] |= GIVEN
    mesh["services"]["appserver"] |= DEPLOYED
    mesh["services"]["ui"]["scaler"] = True
    folder = tmp_path_factory.mktemp("applications")
    (folder / "mesh.yaml").write_text(yaml.safe_dump(mesh, sort_keys=False))
    return synthesise(folder / "out", mesh=str(folder / "mesh.yaml"))


def _task(templates: Templates, service: str) -> dict[str, Any]:
    (task,) = (
        each.properties
        for each in templates.resources("AWS::ECS::TaskDefinition")
        if each.properties["Family"].endswith(f"-{service}")
    )
    return task


def _containers(templates: Templates, service: str) -> dict[str, dict[str, Any]]:
    return {each["Name"]: each for each in _task(templates, service)["ContainerDefinitions"]}


def test_the_container_has_what_the_mesh_file_says(templates: Templates) -> None:
    """Words without a shell, variables in clear, and references of ECS's own form; nobody else's container has any."""
    containers = _containers(templates, "appserver")
    application = containers["application"]

    assert application["EntryPoint"] == ["/bin/server"]
    assert application["Command"] == ["--workers", "4"]
    assert application["WorkingDirectory"] == "/srv"
    assert {each["Name"]: each["Value"] for each in application["Environment"]} == {"LOG_LEVEL": "info", "PORT": "8080"}
    assert (application["User"], application["Cpu"], application["Memory"]) == ("1000:1000", 128, 256)
    assert {each["Name"]: each["ValueFrom"] for each in application["Secrets"]} == GIVEN["secrets"]
    assert not [name for name in containers if name != "application" and "Secrets" in containers[name]]


def test_a_service_without_them_has_nothing_of_them(templates: Templates) -> None:
    """Its task definition is that of before: the one execution role, and the image's own words."""
    application = _containers(templates, "redis")["application"]

    assert set(application) == {
        *("DependsOn", "Environment", "Essential", "Image", "LinuxParameters", "LogConfiguration", "Name"),
        *("ReadonlyRootFilesystem", "StopTimeout"),
    }
    assert application["Environment"] == [{"Name": "PORT", "Value": "6380"}]
    assert json.dumps(_task(templates, "redis")["ExecutionRoleArn"]).startswith('{"Fn::GetAtt": ["ExecutionRole')


def test_readiness_waits_for_a_command_that_says_so_and_envoy_outlasts_the_application(templates: Templates) -> None:
    """A task whose command has not succeeded yet takes no connection; the last container to stop is Envoy's."""
    containers = _containers(templates, "appserver")
    check = containers["application"]["HealthCheck"]

    assert (check["Command"], check["Retries"], check["StartPeriod"]) == (["CMD", "/bin/check"], 2, 60)
    assert {"ContainerName": "application", "Condition": "HEALTHY"} in containers["readiness"]["DependsOn"]
    assert containers["application"]["StartTimeout"] == 120  # without, ECS has readiness wait for hours
    assert (containers["application"]["StopTimeout"], containers["envoy"]["StopTimeout"]) == (90, 100)
    assert {"ContainerName": "application", "Condition": "START"} in _containers(templates, "redis")["readiness"][
        "DependsOn"
    ]


def test_an_application_writes_where_the_file_says_and_its_root_stays_read_only(templates: Templates) -> None:
    """In memory for every user, on the task's disk, and on a file system with the right to write or none."""
    task, application = _task(templates, "appserver"), _containers(templates, "appserver")["application"]
    role = task["TaskRoleArn"]["Fn::GetAtt"][0]
    mounts = {each["ContainerPath"]: each["ReadOnly"] for each in application["MountPoints"]}
    (tmpfs,) = application["LinuxParameters"]["Tmpfs"]
    rights = [each.actions for each in templates.statements() if each.role == role and "elasticfile" in each.actions[0]]

    assert application["ReadonlyRootFilesystem"] is True
    assert mounts == {"/var/cache": False, "/data": False, "/shared": True}
    assert (tmpfs["ContainerPath"], tmpfs["Size"]) == ("/tmp", 64)  # noqa: S108  in the container
    assert "mode=1777" in tmpfs["MountOptions"]
    assert rights == [
        ("elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"),
        ("elasticfilesystem:ClientMount",),
    ]
    assert [volume.get("EFSVolumeConfiguration", {}).get("TransitEncryption") for volume in task["Volumes"]] == [
        None,
        "ENABLED",
        "ENABLED",
    ]


def test_a_service_is_replaced_and_tagged_as_the_file_says(templates: Templates) -> None:
    """Tasks have their service's tags; a task definition is not registered anew for one."""
    services = {each.properties["ServiceName"]: each.properties for each in templates.resources("AWS::ECS::Service")}
    replaced = {name: each["DeploymentConfiguration"] for name, each in services.items()}

    assert (replaced["appserver"]["MinimumHealthyPercent"], replaced["appserver"]["MaximumPercent"]) == (50, 150)
    assert (replaced["redis"]["MinimumHealthyPercent"], replaced["redis"]["MaximumPercent"]) == (100, 200)
    assert {"Key": "team", "Value": "orders"} in services["appserver"]["Tags"]
    assert services["appserver"]["PropagateTags"] == "SERVICE"
    assert "team" not in json.dumps([services["redis"], _task(templates, "appserver")])


def test_the_execution_role_of_a_service_with_secrets_reads_exactly_those(templates: Templates) -> None:
    """A role of its own: no other service's tasks are started with it. The key answers through the services alone."""
    role = _task(templates, "appserver")["ExecutionRoleArn"]["Fn::GetAtt"][0]
    reading = {
        action: (statement.resources, statement.conditions)
        for statement in templates.statements()
        if statement.role == role
        for action in statement.actions
        if action.startswith(("secretsmanager:", "ssm:", "kms:"))
    }

    via = reading.pop("kms:Decrypt")
    assert reading == {"secretsmanager:GetSecretValue": ((SECRET,), {}), "ssm:GetParameters": ((PARAMETER,), {})}
    assert via[0] == (KEY,)
    assert [service.partition(".")[0] for service in _texts(via[1])] == ["secretsmanager", "ssm"]
    starts = [
        each.properties["Family"]
        for each in templates.resources("AWS::ECS::TaskDefinition")
        if each.properties["ExecutionRoleArn"] == {"Fn::GetAtt": [role, "Arn"]}
    ]
    assert starts == ["meshcert-yelb-appserver"]


def _texts(conditions: dict[str, Any]) -> list[str]:
    return [each["Fn::Join"][1][0] for each in conditions["StringEquals"]["kms:ViaService"]]


def test_the_service_waits_for_that_right_and_the_task_role_has_none_of_it(templates: Templates) -> None:
    """The application gets values, and no way to others."""
    (service,) = (
        each for each in templates.resources("AWS::ECS::Service") if each.properties.get("ServiceName") == "appserver"
    )
    (policy,) = (each for each in templates.resources("AWS::IAM::Policy") if SECRET in json.dumps(each.properties))
    task_role = _task(templates, "appserver")["TaskRoleArn"]["Fn::GetAtt"][0]

    assert policy.logical_id in service.definition["DependsOn"]
    assert task_role not in {role["Ref"] for role in policy.properties["Roles"]}


def test_the_task_role_gets_the_users_statements_and_the_execution_role_none(templates: Templates) -> None:
    """Beside what the task itself needs."""
    role = _task(templates, "appserver")["TaskRoleArn"]["Fn::GetAtt"][0]
    having = [each for each in templates.statements() if "shop-orders" in str(each.resources)]

    assert [(each.role, each.actions, each.conditions) for each in having] == [
        (role, ("s3:GetObject",), {"Bool": {"aws:SecureTransport": ["true"]}})
    ]


def test_a_managed_policy_is_attached_to_the_task_role(tmp_path: Path) -> None:
    """And to no other."""
    arn = "arn:aws:iam::111122223333:policy/orders"
    mesh: dict[str, Any] = yaml.safe_load((ROOT / "mesh.yaml").read_text())
    mesh["services"]["colorteller"]["application"]["task_policies"] = {"managed": [arn]}
    (tmp_path / "mesh.yaml").write_text(yaml.safe_dump(mesh, sort_keys=False))
    templates = synthesise(tmp_path / "out", mesh=str(tmp_path / "mesh.yaml"))

    having = {each.logical_id for each in templates.resources("AWS::IAM::Role") if arn in str(each.properties)}

    assert having == {_task(templates, "colorteller")["TaskRoleArn"]["Fn::GetAtt"][0]}


def test_other_secrets_are_another_policy(templates: Templates, tmp_path: Path) -> None:
    """CloudFormation takes the right to the old ones away last, when no task needs them any more."""
    mesh: dict[str, Any] = yaml.safe_load((ROOT / "examples/yelb.yaml").read_text())
    mesh["services"]["appserver"]["application"] |= {"secrets": {"LEVEL": PARAMETER}}
    (tmp_path / "mesh.yaml").write_text(yaml.safe_dump(mesh, sort_keys=False))

    def policies(of: Templates) -> set[str]:
        found = of.resources("AWS::IAM::Policy")
        return {each.logical_id for each in found if PARAMETER in json.dumps(each.properties)}

    assert not policies(templates) & policies(synthesise(tmp_path / "out", mesh=str(tmp_path / "mesh.yaml")))


def test_the_template_names_no_number_of_tasks_for_a_scalers_service(templates: Templates) -> None:
    """So no deploy and no rollback of ours sets it."""
    counts = {
        each.properties["ServiceName"]: each.properties.get("DesiredCount")
        for each in templates.resources("AWS::ECS::Service")
    }

    assert counts == {"gateway": 1, "ui": None, "appserver": 2, "redis": 1, "postgres": 1}


def test_the_longest_name_of_such_a_role_fits() -> None:
    """Of the region with the longest name."""
    name = naming.own_execution_role("m" * LONGEST_MESH_NAME, "ap-southeast-1", "s" * LONGEST_NAME)

    assert len(name) <= LONGEST_ROLE
