"""
Requests for what belongs to another account: the identity's policy and the resource's must both allow them.

MiniStack decides so for the services whose resource policies it knows, if it finds the resource; here Private CA joins
them, and what is looked for is looked for where its ARN says. MiniStack also lets an account's root do everything,
which on AWS is root of its own account alone; and it blames the identity's policy for what a resource's does not allow.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ministack.core import iam_actions, iam_evaluator, responses
from ministack.core.responses import get_account_id, get_region
from ministack.services import dynamodb, s3

from local.aws import hooks
from local.aws.certificates.authority_policies import owner

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.aws.certificates.authority_policies import AuthorityPolicies

_ELSEWHERE = {"dynamodb", "kms", "s3", "secretsmanager", "ssm"}
"""Services whose resources MiniStack looks for in the caller's account, whatever account has them."""
_OF_THEIR_OWN = {"logs", "ssm"}
"""Services whose denials have another form, and a capital Message."""


def install(policies: AuthorityPolicies) -> None:
    """Give the evaluator the policies of CAs and of what other accounts have, and root its limit."""
    for name in ("is_root_access_key", "evaluate_resource_policy", "_account_from_arn"):
        hooks.require(iam_evaluator, name)
    hooks.require(responses, "request_scope")
    hooks.require(dynamodb, "_resource_policies")
    hooks.require(s3, "_bucket_owner_account")
    hooks.wrap(iam_evaluator, "_resource_policy", lambda inner: _with_authorities(inner, policies))
    hooks.wrap(iam_evaluator, "_resource_policy", _with_owners)
    hooks.wrap(iam_evaluator, "enforce", _with_limited_root)
    hooks.wrap(iam_evaluator, "combine_resource_policy", _with_the_resource)
    hooks.wrap(iam_actions, "access_denied_response", _with_the_policy_that_is_missing)


def _with_authorities(inner: Callable[..., Any], policies: AuthorityPolicies) -> Callable[..., Any]:
    def find(service: str, resource_arn: str) -> Any:
        if service == "acm-pca" and resource_arn.startswith("arn:"):
            return policies.document(resource_arn), owner(resource_arn)
        return inner(service, resource_arn)

    return find


def _with_owners(inner: Callable[..., Any]) -> Callable[..., Any]:
    def find(service: str, resource_arn: str) -> Any:
        account = _account_of(resource_arn)
        if service not in _ELSEWHERE or account in {None, get_account_id()}:
            return inner(service, resource_arn)
        with responses.request_scope(account, resource_arn.split(":")[3] or get_region()):
            if service == "dynamodb":
                table = resource_arn.partition("/index/")[0]
                return (dynamodb._resource_policies.get(table) or {}).get("Policy", ""), account
            # Nobody has let anybody in to what is not there.
            return inner(service, resource_arn) or ("", account)

    return find


def _account_of(resource_arn: str) -> str | None:
    """Whose a resource is; a bucket's ARN has no account, since its name is the only one in the world."""
    if resource_arn.startswith("arn:aws:s3:::"):
        owner: str | None = s3._bucket_owner_account(resource_arn.split(":")[5].partition("/")[0])
        return owner
    found: str | None = iam_evaluator._account_from_arn(resource_arn)
    return found


def _with_limited_root(inner: Callable[..., Any]) -> Callable[..., Any]:
    def enforce(access_key_id: str, iam_action: str, service: str, region: str, *of: Any) -> Any:
        # The overlay's own evaluation, which wraps this one, always says of what, and under which condition keys.
        resource_arn, service_context = of
        denied = inner(access_key_id, iam_action, service, region, resource_arn, service_context)
        account = get_account_id()
        if denied is not None or not iam_evaluator.is_root_access_key(access_key_id):
            return denied
        if iam_evaluator._account_from_arn(resource_arn) in {None, account}:
            return None
        found = iam_evaluator._resource_policy(service, resource_arn)
        if found is None:
            return None
        context = iam_evaluator.EvalContext(
            principal_arn=f"arn:aws:iam::{account}:root",
            principal_type="Root",
            principal_account=account,
            action=iam_action,
            resource_arn=resource_arn,
            region=region,
            service_context={key.lower(): value for key, value in service_context.items()},
        )
        result = iam_evaluator.evaluate_resource_policy(found[0], context)
        if result.decision == "Allow":
            return None
        result.principal_arn, result.resource_policy_arn = context.principal_arn, resource_arn
        return result

    return enforce


def _with_the_resource(inner: Callable[..., Any]) -> Callable[..., Any]:
    def combine(identity: Any, ctx: Any, *of: Any, **limits: Any) -> Any:
        result = inner(identity, ctx, *of, **limits)
        if identity.decision == "Allow" and result.decision == "ImplicitDeny":
            result.resource_policy_arn = ctx.resource_arn
        return result

    return combine


def _with_the_policy_that_is_missing(inner: Callable[..., Any]) -> Callable[..., Any]:
    """IAM guide, "Troubleshoot access denied error messages"."""

    def respond(service: str, action: str, principal_arn: str, *of: Any, **said: Any) -> Any:
        resource = said.get("resource_policy_arn")
        if resource and not said.get("explicit_deny") and not said.get("message"):
            said["message"] = (
                f"User: {principal_arn} is not authorized to perform: {action} on resource: {resource} "
                f"because no resource-based policy allows the {action} action"
            )
            if service in _OF_THEIR_OWN and not said.get("error_code"):
                # MiniStack has a form for these two, which always blames the identity's policy.
                document = {"__type": "AccessDeniedException", "Message": said["message"]}
                return 400, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(document).encode()
        return inner(service, action, principal_arn, *of, **said)

    return respond
