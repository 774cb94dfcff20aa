"""Which stacks are a mesh's, and what the tasks of its shards still need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshcert import naming
from tests.local.aws.stacks import deploy
from tests.meshcert.mesh.mesh_slips import changed
from tests.tools.moves.test_refused_moves import declared
from tools import first_deploy
from tools.deployed_stacks import sharded_templates

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from local.running_aws import LocalAws

HANDLE = {"Type": "AWS::CloudFormation::WaitConditionHandle"}
TAGS = {naming.TAG: "color"}


def test_a_stack_is_the_meshs_by_its_tag_or_without_one_by_what_it_says_of_itself(fresh_aws: LocalAws) -> None:
    """Neither that of a mesh whose name begins so, nor what anybody calls services."""
    ours, others = "meshcert color: services of the shard back", "meshcert color-services: services behind Envoy"
    for name, description, tags in (
        ("color-services", ours, TAGS),
        ("color-services-back", ours, {}),
        ("color-identities-front", "", TAGS),
        ("color-services-services", others, {}),
        ("color-services-identities", "", {naming.TAG: "color-services"}),
        ("color-services-shop", "The shop", {}),
        ("services-color-services", ours, {}),
        ("services", "", {}),
        ("color-renewal", "", TAGS),
    ):
        deploy(fresh_aws, name, {"It": HANDLE}, tags=tags, description=description)

    found = sharded_templates(fresh_aws.client("cloudformation"), declared(), "color-")

    assert set(found) == {"services", "services-back", "identities-front"}


def test_a_deploy_says_where_tasks_of_shards_still_write(
    fresh_aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until the stack of the shard is deployed, however often the first one has been."""
    for name, value in fresh_aws.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("tools.verify_aws.main", lambda _: 0)
    vpc = {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}}
    named = {"Name": "a.local", "Vpc": {"Ref": "Vpc"}}
    zone = {"Type": "AWS::ServiceDiscovery::PrivateDnsNamespace", "Properties": named}
    deploy(fresh_aws, "color-pki", {"It": HANDLE})
    deploy(fresh_aws, "color-services", {"Vpc": vpc, "Zone": zone}, tags=TAGS)
    file, mark = tmp_path / "mesh.yaml", tmp_path / "deployed"
    file.write_bytes(
        changed(("shards", {"back": ["colorteller"]}), ("logs", {"existing": "/other", "keep_made": True}))
    )
    command = ["sh", "-c", 'echo "$@" > "$1"', "sh", str(mark), "-c", f"mesh={file}"]

    def deployed(*groups: str) -> str:
        containers: list[dict[str, Any]] = [
            {
                "Name": f"c{number}",
                "Image": "i",
                "LogConfiguration": {"LogDriver": "awslogs", "Options": {"awslogs-group": group}},
            }
            for number, group in enumerate(groups)
        ]
        task = {"Type": "AWS::ECS::TaskDefinition", "Properties": {"Family": "f", "ContainerDefinitions": containers}}
        deploy(fresh_aws, "color-services-back", {"Task": task}, tags=TAGS)
        assert first_deploy.main(command, tmp_path / "kept") == 0
        return mark.read_text()

    assert "logs_of_before=/one,/two\n" in deployed("/two", "/one", "/meshcert/color", "/other")
    assert "logs_of_before" not in deployed("/meshcert/color/colorteller", "/other")
