"""A cloud assembly deployed through the API: assets, order, updates, and failures with their reasons."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from local.assembly import DeploymentFailed, deploy_assembly

if TYPE_CHECKING:
    from pathlib import Path

    from local.running_aws import LocalAws


def write_assembly(folder: Path, queue: str = "second", *, image: bool = False) -> Path:
    """Two stacks, listed in the wrong order: the second imports what the first exports; one asset, maybe an image."""
    templates: dict[str, dict[str, Any]] = {
        "First": {
            "Resources": {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "first"}}},
            "Outputs": {"Topic": {"Value": {"Ref": "Topic"}, "Export": {"Name": "topic"}}},
        },
        "Second": {
            "Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": queue}}},
            "Outputs": {"Topic": {"Value": {"Fn::ImportValue": "topic"}}},
        },
    }
    place = {"bucketName": "cdk-hnb659fds-assets-${AWS::AccountId}-${AWS::Region}", "objectKey": "bundle.zip"}
    file = {"source": {"path": "bundle", "packaging": "zip"}, "destinations": {"here": place}}
    (folder / "bundle").mkdir(parents=True, exist_ok=True)
    (folder / "bundle" / "handler.py").write_text("def handler(event, context): ...")
    assets: dict[str, Any] = {"files": {"bundle": file}, "dockerImages": {}}
    if image:
        place = {"repositoryName": "cdk-hnb659fds-container-assets-${AWS::AccountId}-${AWS::Region}", "imageTag": "abc"}
        source = {"directory": "bundle", "dockerFile": "image/Dockerfile"}
        assets["dockerImages"]["image"] = {"source": source, "destinations": {"here": place}}
    artifacts: dict[str, Any] = {}
    for name, dependencies in (("Second", ["First"]), ("First", [])):
        (folder / f"{name}.template.json").write_text(json.dumps(templates[name]))
        (folder / f"{name}.assets.json").write_text(json.dumps(assets))
        properties = {"templateFile": f"{name}.template.json", "stackName": name.lower(), "tags": {"team": "payments"}}
        artifacts[name] = {
            "type": "aws:cloudformation:stack",
            "properties": properties,
            "dependencies": [*dependencies, f"{name}.assets"],
        }
        artifacts[f"{name}.assets"] = {"type": "cdk:asset-manifest", "properties": {"file": f"{name}.assets.json"}}
    (folder / "manifest.json").write_text(json.dumps({"version": "1", "artifacts": artifacts}))
    return folder


def test_stacks_are_deployed_in_order_and_again_over_themselves(fresh_aws: LocalAws, tmp_path: Path) -> None:
    """Create, update without a change, update with one; the asset is in the CDK's bucket."""
    assembly = write_assembly(tmp_path / "assembly")
    cloudformation, s3 = fresh_aws.client("cloudformation"), fresh_aws.client("s3")

    for queue in ("second", "second", "third"):
        fresh_aws.deploy(write_assembly(assembly, queue))

    stack = cloudformation.describe_stacks(StackName="second")["Stacks"][0]
    assert (stack["StackStatus"], stack["Tags"]) == ("UPDATE_COMPLETE", [{"Key": "team", "Value": "payments"}])
    assert stack["Outputs"][0]["OutputValue"] == "arn:aws:sns:eu-west-1:111122223333:first"
    assert fresh_aws.client("sqs").get_queue_url(QueueName="third")["QueueUrl"]
    stored = s3.get_object(Bucket="cdk-hnb659fds-assets-111122223333-eu-west-1", Key="bundle.zip")["Body"].read()
    assert b"handler.py" in stored


def test_a_stack_that_fails_says_which_resource_and_why(fresh_aws: LocalAws, tmp_path: Path) -> None:
    """What the CDK CLI would print at the end."""
    assembly = write_assembly(tmp_path / "assembly")
    template = {
        "Resources": {
            "Ca": {
                "Type": "AWS::ACMPCA::CertificateAuthority",
                "Properties": {"Type": "ROOT", "KeyAlgorithm": "ML_DSA_44", "SigningAlgorithm": "ML_DSA_44"},
            }
        }
    }
    (assembly / "Second.template.json").write_text(json.dumps(template))

    with pytest.raises(DeploymentFailed, match=r"Ca: .*ML_DSA_44") as error:
        fresh_aws.deploy(assembly)

    assert error.value.name == "second"


def test_an_image_is_built_tagged_and_pushed_by_the_stand_in(fresh_aws: LocalAws, tmp_path: Path) -> None:
    """
    In the asset's folder, with its Dockerfile, to the bootstrap's repository; failures come with their text.

    Two stacks name it: what the first one has built, the second one has not built again.
    """
    calls, built = tmp_path / "calls", tmp_path / "built"
    stand_in = tmp_path / "docker"
    stand_in.write_text(
        f'#!/bin/sh\necho "$(basename "$PWD") $*" >> {calls}\n'
        f"case $1 in build) touch {built} ;; inspect) [ -e {built} ] ;; esac\n"
    )
    stand_in.chmod(0o755)
    assembly = write_assembly(tmp_path / "assembly", image=True)
    environment = {**fresh_aws.environment(), "CDK_DOCKER": str(stand_in)}

    deploy_assembly(assembly, fresh_aws.client, environment)
    stand_in.write_text("#!/bin/sh\necho no such base image >&2\nexit 1\n")
    with pytest.raises(DeploymentFailed, match="no such base image"):
        deploy_assembly(assembly, fresh_aws.client, environment)

    lines = calls.read_text().splitlines()[:9]
    uri = lines[2].rsplit(" ", 1)[1]
    sent = [
        f"bundle tag cdkasset-abc {uri}",
        f"bundle login --username AWS --password-stdin {uri.partition('/')[0]}",
        f"bundle push {uri}",
    ]
    looked = "bundle inspect cdkasset-abc"
    assert lines == [looked, "bundle build --tag cdkasset-abc --file image/Dockerfile .", *sent, looked, *sent]
    assert uri.endswith("/cdk-hnb659fds-container-assets-111122223333-eu-west-1:abc")
