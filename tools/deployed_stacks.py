"""Stacks as CloudFormation describes them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from meshcert import naming
from meshcert.mesh.stacks.shards import SHARDED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshcert.mesh import Mesh

GONE = {"DELETE_COMPLETE", "REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"}
"""States of a stack that has never been there as a whole, or is no more."""


def described_stack(cloudformation: Any, name: str) -> Mapping[str, Any] | None:
    """
    A stack, or None if there is none of this name.

    Args:
        cloudformation: A boto3 client of CloudFormation.

    Raises:
        ClientError: If AWS refuses.
    """
    try:
        found: list[Mapping[str, Any]] = cloudformation.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        # CloudFormation has no error code of its own for a stack that does not exist.
        if error.response["Error"]["Code"] == "ValidationError":
            return None
        raise
    return found[0]


def sharded_templates(cloudformation: Any, mesh: Mesh, prefix: str) -> dict[str, Any]:
    """
    The templates of a mesh's stacks that hold services or identities, by their names without the mesh's.

    Args:
        cloudformation: A boto3 client of CloudFormation.
        prefix: What their names begin with.

    Returns:
        As many as AWS says.
    """
    templates = {}
    with suppress(ClientError, BotoCoreError):
        for page in cloudformation.get_paginator("describe_stacks").paginate():
            for stack in page["Stacks"]:
                before, _, part = stack["StackName"].partition(prefix)
                tags = {each["Key"]: each["Value"] for each in stack.get("Tags", [])}
                # A stack with services in a shared namespace has no tags: they would be put on those services.
                told = stack.get("Description", "").startswith(f"meshcert {mesh.name}: ")
                ours = tags.get(naming.TAG, mesh.name * told) == mesh.name and not before
                if ours and part.partition("-")[0] in SHARDED and stack["StackStatus"] not in GONE:
                    templates[part] = cloudformation.get_template(StackName=stack["StackName"])["TemplateBody"]
    return templates


def written_logs(templates: Mapping[str, Mapping[str, Any]], mesh: Mesh) -> set[str]:
    """
    The log groups of yours that tasks of shards write to, and the mesh file does not name.

    Args:
        templates: Those of all stacks that hold services or identities, by the stacks' names without the mesh's.
    """
    written = (
        container.get("LogConfiguration", {}).get("Options", {}).get("awslogs-group")
        for stack, template in templates.items()
        if stack != "services"
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::ECS::TaskDefinition"
        for container in resource["Properties"]["ContainerDefinitions"]
    )
    made = naming.tasks_log_group(mesh.name)
    return {
        name
        for name in written
        if isinstance(name, str) and name != mesh.logs.existing_name and not f"{name}/".startswith(f"{made}/")
    }
