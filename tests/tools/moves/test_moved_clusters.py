"""Services stay in their ECS cluster: told before a deploy begins, because CloudFormation would take it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from meshcert.mesh import read_mesh
from tests.local.aws.stacks import deploy, reasons_of
from tests.meshcert.mesh.mesh_slips import changed
from tests.stacks.synthesis import synthesise
from tools import first_deploy
from tools.moves.moved_clusters import moved_clusters

if TYPE_CHECKING:
    from pathlib import Path

    from local.running_aws import LocalAws
    from tests.stacks.synthesis import Templates

YOURS, OTHER = {"existing": "shop"}, {"existing": "arn:aws:ecs:us-west-1:111122223333:cluster/other"}
SHARD = ("shards", {"one": ["colorteller"]})
MADE, SHOP = "a cluster that a deploy makes", "the cluster shop of yours"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """A mesh in a cluster of its own."""
    return synthesise(tmp_path_factory.mktemp("own"))


@pytest.fixture(scope="module")
def yours(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """A mesh in a cluster of somebody's, a service in a shard."""
    folder = tmp_path_factory.mktemp("cluster")
    file = folder / "mesh.yaml"
    file.write_bytes(changed(("cluster", YOURS), SHARD))
    return synthesise(folder / "out", mesh=str(file))


def told(deployed: Templates, *changes: tuple[str, object]) -> list[str]:
    """What a deploy of the file with changes is told."""
    mesh = read_mesh(changed(*changes)).mesh
    assert mesh
    return list(moved_clusters(mesh, deployed.by_stack))


def test_services_stay_in_their_cluster(own: Templates, yours: Templates) -> None:
    """From a made one to one of yours, back, and from one of yours to another."""
    both = "cluster.existing: colorgateway, colorteller run in"

    assert told(own) == told(yours, ("cluster", YOURS), SHARD) == []
    for deployed, changes, words in (
        (own, [("cluster", YOURS)], f"{both} {MADE}, and this has them in {SHOP}."),
        (yours, [SHARD], f"{both} {SHOP}, and this has them in {MADE}."),
        (yours, [SHARD, ("cluster", OTHER)], f"{both} {SHOP}, and this has them in the cluster other of yours."),
    ):
        (move,) = told(deployed, *changes)
        assert move.startswith(words)


def test_a_cluster_of_yours_may_be_named_either_way(yours: Templates) -> None:
    """By name or by ARN, it is the same."""
    assert told(yours, ("cluster", {"existing": OTHER["existing"].replace("other", "shop")}), SHARD) == []


def test_cloudformation_makes_no_named_service_anew(fresh_aws: LocalAws) -> None:
    """What such a deploy would come to: the update is taken back."""

    def service(cluster: str) -> dict[str, Any]:
        container = {"Name": "it", "Image": "it"}
        place = {"Cluster": {"Ref": cluster}, "TaskDefinition": {"Ref": "Task"}}
        return {
            **{name: {"Type": "AWS::ECS::Cluster", "Properties": {"ClusterName": name}} for name in ("one", "other")},
            "Task": {
                "Type": "AWS::ECS::TaskDefinition",
                "Properties": {"Family": "it", "ContainerDefinitions": [container]},
            },
            "It": {"Type": "AWS::ECS::Service", "Properties": {"ServiceName": "it", "DesiredCount": 0, **place}},
        }

    assert deploy(fresh_aws, "ecs", service("one")) == "CREATE_COMPLETE"

    assert deploy(fresh_aws, "ecs", service("other")) == "UPDATE_ROLLBACK_COMPLETE"
    assert "custom-named resource requires replacing" in reasons_of(fresh_aws, "ecs")


def test_a_deploy_does_not_begin(
    own: Templates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """With what to do instead."""
    file = tmp_path / "mesh.yaml"
    file.write_bytes(changed(("cluster", YOURS)))
    answers = own.by_stack

    class CloudFormation:
        """What is deployed."""

        def describe_stacks(self, **_: str) -> dict[str, Any]:
            """The mesh's stacks."""
            stack = {"StackStatus": "CREATE_COMPLETE", "Tags": [{"Key": "meshcert:mesh", "Value": "color"}]}
            return {"Stacks": [stack | {"StackName": "color-services"}]}

        def get_template(self, *, StackName: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
            """One of them."""
            return {"TemplateBody": answers[StackName.removeprefix("color-")]}

        def get_paginator(self, _: str) -> CloudFormation:
            """One page."""
            return self

        def paginate(self) -> list[dict[str, Any]]:
            """The page."""
            return [self.describe_stacks()]

    monkeypatch.setattr("tools.first_deploy.KnownDeploy.client", lambda *_: CloudFormation())

    code = first_deploy.main(["false", "-c", f"mesh={file}"])

    said = capfd.readouterr().err
    assert code == 1
    assert said.startswith("Nothing was deployed:\n- cluster.existing: ")
    assert "make a second mesh beside it" in said
