"""
A CDK cloud assembly deployed through the API: assets first, then the stacks in their order.

The CDK CLI (``cdk.py``) does the same in 60 and 105 seconds, bootstrap included, where this takes 24 and 55: the Color
mesh with mutual TLS on two busy cores, two rounds in turn. The CLI looks every five seconds only, and is a Node process
of its own. The demo and the end-to-end tests deploy with the CLI, as users do. Experiments and the soak, which deploy
many times, deploy with this.
"""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from pathlib import Path

_POLL_S = 0.2
_DEPLOY_S = 300.0
_BOOTSTRAP_VERSION = "30"
_QUALIFIER = "hnb659fds"
_NO_CHANGE = "No updates are to be performed"

Client = Callable[[str], Any]


class DeploymentFailed(Exception):
    """
    A stack or an asset did not get there.

    Args:
        name: The stack or asset.
        reasons: What failed, the first failure first.
    """

    def __init__(self, name: str, reasons: list[str]) -> None:
        self.name = name
        self.reasons = reasons
        super().__init__(f"{name} was not deployed: " + "; ".join(reasons))


@dataclass(frozen=True)
class Stack:
    """
    One stack of an assembly.

    Args:
        name: Its name in CloudFormation.
        assets: The files and images it needs, as ``*.assets.json`` lists them.
        place: Where its template will lie, ``s3://BUCKET/KEY`` with placeholders; empty if it is no asset.
    """

    name: str
    template: Path
    assets: Path | None
    tags: Mapping[str, str]
    place: str = ""


def deploy_assembly(assembly: Path, client: Client, environment: Mapping[str, str]) -> None:
    """
    Deploy every stack of ``assembly``, creating or updating.

    Args:
        assembly: The folder that ``cdk synth`` wrote.
        client: Makes a boto3 client for a service.
        environment: As for the CDK CLI; names the region, the account and the ``docker`` stand-in.

    Raises:
        DeploymentFailed: If a stack ends in another state than complete, or an image cannot be published.
    """
    account, region = environment["CDK_DEFAULT_ACCOUNT"], environment["CDK_DEFAULT_REGION"]
    _bootstrap(client, account, region)
    for stack in read_stacks(assembly):
        if stack.assets:
            _publish(json.loads(stack.assets.read_text()), assembly, client, environment)
        _deploy(stack, client("cloudformation"), _values(environment))


def read_stacks(assembly: Path) -> list[Stack]:
    """The stacks of an assembly, each after those it depends on."""
    artifacts = json.loads((assembly / "manifest.json").read_text())["artifacts"]
    stacks: dict[str, Stack] = {}

    def visit(name: str) -> None:
        artifact = artifacts[name]
        for dependency in artifact.get("dependencies", []):
            if dependency not in stacks:
                visit(dependency)
        if artifact["type"] != "aws:cloudformation:stack" or name in stacks:
            return
        properties = artifact["properties"]
        assets = assembly / f"{name}.assets.json"
        stacks[name] = Stack(
            name=properties.get("stackName", name),
            template=assembly / properties["templateFile"],
            assets=assets if assets.exists() else None,
            tags=properties.get("tags", {}),
            place=properties.get("stackTemplateAssetObjectUrl", ""),
        )

    for name in artifacts:
        visit(name)
    return list(stacks.values())


def _bootstrap(client: Client, account: str, region: str) -> None:
    """The parts of the CDK's bootstrap that a deployment by an administrator needs; existing ones are kept."""
    suffix = f"assets-{account}-{region}"
    place = {"LocationConstraint": region}
    version = f"/cdk-bootstrap/{_QUALIFIER}/version"
    _unless_there(client("s3").create_bucket, Bucket=f"cdk-{_QUALIFIER}-{suffix}", CreateBucketConfiguration=place)
    _unless_there(client("ecr").create_repository, repositoryName=f"cdk-{_QUALIFIER}-container-{suffix}")
    _unless_there(client("ssm").put_parameter, Name=version, Value=_BOOTSTRAP_VERSION, Type="String")


def _unless_there(operation: Callable[..., Any], **arguments: Any) -> None:
    try:
        operation(**arguments)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if "AlreadyExists" not in code and "AlreadyOwned" not in code:
            raise


def _publish(assets: dict[str, Any], assembly: Path, client: Client, environment: Mapping[str, str]) -> None:
    values = _values(environment)
    for file in assets.get("files", {}).values():
        source = assembly / file["source"]["path"]
        content = _zipped(source) if file["source"]["packaging"] == "zip" else source.read_bytes()
        for place in file["destinations"].values():
            bucket = _filled(place["bucketName"], values)
            client("s3").put_object(Bucket=bucket, Key=_filled(place["objectKey"], values), Body=content)
    for image in assets.get("dockerImages", {}).values():
        for place in image["destinations"].values():
            tag = _filled(place["imageTag"], values)
            repository = _filled(place["repositoryName"], values)
            folder = assembly / image["source"]["directory"]
            _publish_image(folder, image["source"], f"{repository}:{tag}", client, environment)


def _publish_image(
    folder: Path,
    source: Mapping[str, Any],
    name: str,
    client: Client,
    environment: Mapping[str, str],
) -> None:
    repository, _, tag = name.partition(":")
    uri = client("ecr").describe_repositories(repositoryNames=[repository])["repositories"][0]["repositoryUri"]
    local_name = f"cdkasset-{tag}"
    arguments = [
        *(word for item in source.get("dockerBuildArgs", {}).items() for word in ("--build-arg", "=".join(item))),
        *(("--target", source["dockerBuildTarget"]) if "dockerBuildTarget" in source else ()),
        *(("--platform", source["platform"]) if "platform" in source else ()),
        *(("--file", source["dockerFile"]) if "dockerFile" in source else ()),
    ]
    # A tag is the hash of what the image is built from: who has it needs no build, as the CDK CLI sees it.
    if not _has_image(environment, folder, local_name):
        _docker(environment, folder, "build", "--tag", local_name, *arguments, ".")
    _docker(environment, folder, "tag", local_name, f"{uri}:{tag}")
    _login(uri, folder, client, environment)
    _docker(environment, folder, "push", f"{uri}:{tag}")


def _login(uri: str, folder: Path, client: Client, environment: Mapping[str, str]) -> None:
    """Log in to the registry, as the CDK CLI does before a push."""
    (grant,) = client("ecr").get_authorization_token()["authorizationData"]
    user, _, password = base64.b64decode(grant["authorizationToken"]).decode().partition(":")
    registry = uri.partition("/")[0]
    words = ("login", "--username", user, "--password-stdin", registry)
    _docker(environment, folder, *words, text=password)


def _has_image(environment: Mapping[str, str], folder: Path, name: str) -> bool:
    try:
        _docker(environment, folder, "inspect", name)
    except DeploymentFailed:
        return False
    return True


def _docker(environment: Mapping[str, str], folder: Path, *arguments: str, text: str = "") -> None:
    command = [environment["CDK_DOCKER"], *arguments]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DeploymentFailed(" ".join(command), [done.stdout + done.stderr])


def _zipped(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder))
    return buffer.getvalue()


def _filled(text: str, values: Mapping[str, str]) -> str:
    for placeholder, value in values.items():
        text = text.replace(placeholder, value)
    return text


def _values(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        "${AWS::Partition}": "aws",
        "${AWS::AccountId}": environment["CDK_DEFAULT_ACCOUNT"],
        "${AWS::Region}": environment["CDK_DEFAULT_REGION"],
    }


def _deploy(stack: Stack, cloudformation: Any, values: Mapping[str, str]) -> None:
    # In the request itself a template may have 51,200 bytes, in a bucket a million (cloudformation:CreateStack).
    place = _filled(stack.place, values).removeprefix("s3://")
    template = (
        {"TemplateURL": f"https://s3.amazonaws.com/{place}"} if place else {"TemplateBody": stack.template.read_text()}
    )
    arguments = {
        "StackName": stack.name,
        **template,
        "Capabilities": ["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
        "Tags": [{"Key": key, "Value": value} for key, value in stack.tags.items()],
    }
    try:
        if _status(stack.name, cloudformation) is None:
            cloudformation.create_stack(**arguments)
        else:
            cloudformation.update_stack(**arguments)
    except ClientError as error:
        if _NO_CHANGE in str(error):
            return
        raise DeploymentFailed(stack.name, [str(error)]) from error
    deadline = time.monotonic() + _DEPLOY_S
    while (status := _status(stack.name, cloudformation) or "").endswith("_IN_PROGRESS"):
        if time.monotonic() > deadline:
            raise DeploymentFailed(stack.name, [f"still {status} after {_DEPLOY_S:.0f} s"])
        time.sleep(_POLL_S)
    if status not in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
        raise DeploymentFailed(stack.name, _failures(stack.name, cloudformation) or [status])


def _status(name: str, cloudformation: Any) -> str | None:
    try:
        return str(cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise


def _failures(name: str, cloudformation: Any) -> list[str]:
    events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    failed = [event for event in events if event["ResourceStatus"].endswith("_FAILED")]
    failed.sort(key=lambda event: event["Timestamp"])
    return [f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}" for event in failed]
