"""Small stacks deployed through CloudFormation's API, straight from a dictionary of resources."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.local.aws.hierarchies import eventually
from tests.local.aws.refusals import ClientError

if TYPE_CHECKING:
    from tests.local.aws.roles import Clients

_IN_A_REQUEST = 51_200
_SETTLED = ("_COMPLETE", "_FAILED")


def deploy(
    aws: Clients,
    name: str,
    resources: dict[str, Any],
    outputs: dict[str, Any] | None = None,
    *,
    exports: dict[str, Any] | None = None,
    tags: dict[str, str] | None = None,
    parameters: dict[str, Any] | None = None,
    description: str = "",
) -> str:
    """
    Create or update a stack and wait for its end.

    Args:
        aws: Where.
        name: The stack's name.
        resources: The template's resources.
        outputs: Values of the template's outputs, by name.
        exports: Values that other stacks may import, by name.
        tags: The stack's.
        parameters: Those of the template, each with its default.
        description: The template's.

    Returns:
        The stack's status.
    """
    cloudformation = aws.client("cloudformation")
    told = {key: {"Value": value} for key, value in (outputs or {}).items()}
    for number, (key, value) in enumerate((exports or {}).items()):
        told[f"Exported{number}"] = {"Value": value, "Export": {"Name": key}}
    template = {"Resources": resources, "Outputs": told, "Parameters": parameters or {}, "Description": description}
    call = {
        "StackName": name,
        **_source(aws, json.dumps(template)),
        "Capabilities": ["CAPABILITY_NAMED_IAM"],
        **({"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]} if tags else {}),
    }
    try:
        cloudformation.describe_stacks(StackName=name)
    except ClientError:
        cloudformation.create_stack(**call)
    else:
        cloudformation.update_stack(**call)
    return str(eventually(lambda: _settled(cloudformation, name), f"stack {name}", within_s=300))


def delete(aws: Clients, name: str) -> str:
    """Delete a stack and wait for its end; returns its status."""
    cloudformation = aws.client("cloudformation")
    stack_id = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackId"]
    cloudformation.delete_stack(StackName=name)
    return str(eventually(lambda: _settled(cloudformation, stack_id), f"deletion of {name}", within_s=300))


def outputs_of(aws: Clients, name: str) -> dict[str, str]:
    """The stack's outputs by name."""
    stack = aws.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def reasons_of(aws: Clients, name: str) -> str:
    """Every failure reason among the stack's events."""
    events = aws.client("cloudformation").describe_stack_events(StackName=name)["StackEvents"]
    failed = [event for event in events if event["ResourceStatus"].endswith("_FAILED")]
    return "\n".join(f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}" for event in failed)


def _source(aws: Clients, template: str) -> dict[str, str]:
    """How a template is handed over: in the request, or in a bucket if it is larger than a request may be."""
    if len(template) <= _IN_A_REQUEST:
        return {"TemplateBody": template}
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="templates", CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name})
    s3.put_object(Bucket="templates", Key="template", Body=template)
    return {"TemplateURL": f"{s3.meta.endpoint_url}/templates/template"}


def _settled(cloudformation: Any, name: str) -> str:
    status = str(cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])
    return status if status.endswith(_SETTLED) else ""
