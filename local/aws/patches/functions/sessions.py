"""
The user id of a function's session.

MiniStack 1.5.33 begins a function's ``aws:userid`` with the name of its role.

AWS begins it with the role's unique id (IAM user guide, "IAM identifiers"): ``AROA...:FUNCTION``, which SQS tells as
SenderId.

It can go when GetCallerIdentity in a function answers such a UserId.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ministack.core import lambda_runtime
from ministack.services import sts

from local.aws import hooks
from local.aws.iam import service_roles

if TYPE_CHECKING:
    from collections.abc import Callable


def install() -> None:
    """Put the role's id into the sessions that functions get."""
    hooks.require(sts, "_sessions")
    hooks.wrap(lambda_runtime, "execution_credentials", _known_by_role_id)


def _known_by_role_id(inner: Callable[[dict[str, Any]], dict[str, str]]) -> Callable[[dict[str, Any]], dict[str, str]]:
    def credentials(config: dict[str, Any]) -> dict[str, str]:
        session = inner(config)
        record = sts._sessions[session["AWS_ACCESS_KEY_ID"]]
        record["UserId"] = service_roles.user_id_of(record["Arn"]) or record["UserId"]
        return session

    return credentials
