"""
What ECS fetches into a container's environment, asked for as on AWS: by the execution role, at the API itself.

So its rights, the key's, and the version that a reference names are judged where those of any caller are. MiniStack
reads the value past all of them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from botocore.session import Session

from local.aws.fargate.tasks.credentials import ECS_TASKS
from local.aws.iam import evaluation as iam
from local.aws.iam import service_roles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.aws.config import Config

_WHOLE_ARN = 7
"""Parts of a secret's ARN; behind it stand JSON key, version stage and version id."""


class SecretNotFetchedError(ValueError):
    """
    A task cannot start, because something for its environment was not to be had.

    Args:
        reason: As ECS's stoppedReason has it, without a value.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"unable to pull secrets or registry auth: execution resource retrieval failed: {reason}")


def fetched_secrets(config: Config, container: Mapping[str, Any], role_arn: str, task_arn: str) -> dict[str, str]:
    """
    The values of a container definition's ``secrets``, by variable.

    Args:
        role_arn: The task definition's execution role; empty if it has none.

    Raises:
        SecretNotFetchedError: If one is missing, or the role may not have it.
    """
    references = container.get("secrets") or ()
    if not references:
        return {}
    session = _session(role_arn, task_arn)
    return {each["name"]: _value(config, session, each["valueFrom"]) for each in references}


def _session(role_arn: str, task_arn: str) -> Session:
    keys = {"aws:SourceAccount": task_arn.split(":")[4], "aws:SourceArn": task_arn}
    if not role_arn or not service_roles.trusts(role_arn, ECS_TASKS, keys):
        raise SecretNotFetchedError(f"{ECS_TASKS} was unable to assume the execution role {role_arn or '(none)'}")
    keys = iam.role_session(role_arn, task_arn.rsplit("/", 1)[-1])
    session = Session()
    session.set_credentials(keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"], keys["AWS_SESSION_TOKEN"])
    return session


def _value(config: Config, session: Session, value_from: str) -> str:
    parts = value_from.split(":")
    service, region = parts[2:4] if value_from.startswith("arn:") else ("ssm", config.region)
    client = session.create_client(service, region_name=region, endpoint_url=config.endpoint)
    try:
        if service == "secretsmanager":
            return _of_secret(client, ":".join(parts[:_WHOLE_ARN]), *[*parts[_WHOLE_ARN:], "", "", ""][:3])
        name = value_from.partition(":parameter")[2] if value_from.startswith("arn:") else value_from
        found = client.get_parameters(Names=[name], WithDecryption=True)["Parameters"]
    except ClientError as error:
        raise SecretNotFetchedError(f"failed to fetch {value_from}: {error}") from error
    if not found:
        raise SecretNotFetchedError(f"invalid ssm parameters: {name}")
    return str(found[0]["Value"])


def _of_secret(client: Any, arn: str, json_key: str, stage: str, version: str) -> str:
    wanted = {"VersionStage": stage, "VersionId": version}
    text = str(
        client.get_secret_value(SecretId=arn, **{key: value for key, value in wanted.items() if value})["SecretString"]
    )
    if not json_key:
        return text
    try:
        value = json.loads(text)[json_key]
    except (ValueError, KeyError, TypeError):
        raise SecretNotFetchedError(
            f"retrieved secret from Secrets Manager did not contain json key {json_key}"
        ) from None
    return value if isinstance(value, str) else json.dumps(value)
