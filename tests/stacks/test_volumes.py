"""Volumes of the user's in a task: read-only for Envoy, and what its role and security group may do for them."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import yaml

from tests.stacks.synthesis import ROOT, Templates, synthesise

FILE_SYSTEM, ACCESS_POINT = "fs-0123456789abcdef0", "fsap-0123456789abcdef0"
KEYS = {"container_path": "/keys", "efs": {"file_system_id": FILE_SYSTEM, "access_point_id": ACCESS_POINT}}
PROXY = {
    "volumes": [KEYS, {"container_path": "/run/agent"}],
    "sds_socket_path": "/run/agent/sds.sock",
    "agent": {"image": "registry.example.com/agent:1"},
}
PAIR = {"certificate_chain": "/keys/chain.pem", "private_key": "/keys/key.pem"}


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """The Color app, whose teller has a certificate in files and trusts what an SDS server says."""
    mesh: dict[str, Any] = copy.deepcopy(yaml.safe_load((ROOT / "mesh.yaml").read_text()))
    tls = mesh["virtual_nodes"]["colorteller"]["listeners"][0]["tls"]
    tls["certificate"] = {"file": PAIR}
    tls["validation"] = {"trust": {"sds": {"secret_name": "gateways"}}}
    client = mesh["virtual_gateways"]["colorgateway"]["backends"][0]["client_policy"]["tls"]
    client["validation"] = {"trust": {"file": {"certificate_chain": "/keys/ca.pem"}}}
    mesh["services"]["colorteller"]["proxy"] = PROXY
    mesh["services"]["colorgateway"]["proxy"] = {"volumes": [{**KEYS, "efs": {"file_system_id": FILE_SYSTEM}}]}
    for section in ("identities", "hierarchies"):
        del mesh[section]["colorteller"]
    folder = tmp_path_factory.mktemp("volumes")
    (folder / "mesh.yaml").write_text(yaml.safe_dump(mesh))
    return synthesise(folder / "out", mesh=str(folder / "mesh.yaml"))


def _task(templates: Templates, service: str) -> dict[str, Any]:
    (task,) = (
        each.properties
        for each in templates.resources("AWS::ECS::TaskDefinition")
        if each.properties["Family"].endswith(f"-{service}")
    )
    return task


def test_envoy_sees_each_volume_read_only_and_the_agent_writes_to_the_tasks_own(templates: Templates) -> None:
    """What goes to the file system is encrypted, and shows the task's role."""
    task = _task(templates, "colorteller")

    containers = {each["Name"]: each for each in task["ContainerDefinitions"]}
    mounts = {
        (name, each["ContainerPath"], each["ReadOnly"])
        for name, container in containers.items()
        for each in container.get("MountPoints", ())
    }
    assert mounts == {("envoy", "/keys", True), ("envoy", "/run/agent", True), ("agent", "/run/agent", False)}
    assert task["Volumes"] == [
        {
            "Name": "proxy-0",
            "EFSVolumeConfiguration": {
                "FilesystemId": FILE_SYSTEM,
                "TransitEncryption": "ENABLED",
                "AuthorizationConfig": {"AccessPointId": ACCESS_POINT, "IAM": "ENABLED"},
            },
        },
        {"Name": "proxy-1"},
    ]


def test_the_agent_starts_before_envoy_and_may_end(templates: Templates) -> None:
    """The tmpfs mounts stay where they were, and all containers together stop in time."""
    containers = {each["Name"]: each for each in _task(templates, "colorteller")["ContainerDefinitions"]}

    assert containers["envoy"]["DependsOn"] == [{"ContainerName": "agent", "Condition": "START"}]
    assert not containers["agent"]["Essential"]
    assert [name for name, each in containers.items() if each.get("LinuxParameters", {}).get("Tmpfs")] == [
        "envoy",
        "readiness",
    ]
    assert sum(each["StopTimeout"] for each in containers.values()) <= 120


def test_a_role_may_mount_its_file_system_and_no_more_of_efs(templates: Templates) -> None:
    """By its access point, if there is one; and it acknowledges, although it reads no secret."""
    mounting = [each for each in templates.statements() if any("elasticfilesystem" in it for it in each.actions)]

    assert {each.actions for each in mounting} == {("elasticfilesystem:ClientMount",)}
    assert all(FILE_SYSTEM in each.resources[0] for each in mounting)
    by_point = {ACCESS_POINT in json.dumps(each.conditions) for each in mounting}
    assert by_point == {True, False}
    tellers = [each for each in templates.statements() if "colorteller" in each.role.lower() and each.actions]
    assert any("dynamodb:PutItem" in each.actions for each in tellers)
    assert not any("secretsmanager:GetSecretValue" in each.actions for each in tellers)


def test_a_closed_task_reaches_its_file_system_in_the_network_alone(templates: Templates) -> None:
    """Port 2049, and not of the whole world."""
    rules = [
        rule
        for group in templates.resources("AWS::EC2::SecurityGroup")
        for rule in group.properties.get("SecurityGroupEgress", ())
        if rule.get("FromPort") == 2049
    ]

    assert rules
    assert all(rule["CidrIp"] != "0.0.0.0/0" for rule in rules)
