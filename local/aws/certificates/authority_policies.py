"""
Resource policies of CAs: who of other accounts may do what with a CA, by PutPolicy or by a share of RAM.

Source: Private CA guide, "Resource-based policies" and "Attach a policy for cross-account access". "The structure of
the JSON resource-based policies ... must be followed precisely": principals and the CA's ARN alone may vary.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id, get_region

from local.aws.certificates.x509_signing import DEFAULT_TEMPLATE
from local.aws.json_service import ServiceError
from local.aws.sharing.permissions import AUTHORITY_READ, ISSUE, REVOKE, SHAREABLE_TEMPLATES, template_arn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from local.aws.certificates.authority import CertificateAuthority
    from local.aws.sharing.permissions import Statement

_ELEMENTS = {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}


class AuthorityPolicies:
    """
    The resource policies of every CA.

    Args:
        find: The CA that an ARN names, of whichever account; raises ServiceError if there is none.
        shared: The statements by which RAM shares a resource.
    """

    def __init__(self, find: Callable[[str], CertificateAuthority], shared: Callable[[str], list[Statement]]) -> None:
        self._find = find
        self._shared = shared

    def document(self, arn: str) -> dict[str, Any] | None:
        """The policy of a CA, RAM's statements included; None if it has none, or there is no such CA."""
        try:
            ca = self._find(arn)
        except ServiceError:
            return None
        own = json.loads(ca.policy)["Statement"] if ca.policy else []
        statements = [*own, *self._shared(ca.arn)]
        return {"Version": "2012-10-17", "Statement": statements} if statements else None

    def permits(self, account: str, arn: str, action: str, keys: Mapping[str, str] | None = None) -> bool:
        """
        Whether a CA is the account's own, or its policy lets the account do something.

        Args:
            action: For example ``acm-pca:IssueCertificate``.
            keys: Condition keys.
        """
        if owner(arn) == account:
            return True
        context = iam_evaluator.EvalContext(
            principal_arn=f"arn:aws:iam::{account}:root",
            principal_type="Root",
            principal_account=account,
            action=action,
            resource_arn=arn,
            region=get_region(),
            service_context={name.lower(): value for name, value in (keys or {}).items()},
        )
        return bool(iam_evaluator.evaluate_resource_policy(self.document(arn), context).decision == "Allow")

    def usable(self, arn: str, action: str, keys: Mapping[str, str] | None = None) -> CertificateAuthority:
        """
        The CA that an ARN names, for something that the account in force does.

        Raises:
            ServiceError: If there is none, or AccessDeniedException if it is another account's and not shared for that.
        """
        return self._usable(get_account_id(), arn, action, keys)

    def issuer(self, account: str, arn: str) -> CertificateAuthority:
        """The same for ACM of an account, which issues from the CA."""
        return self._usable(account, arn, ISSUE, {"acm-pca:TemplateArn": DEFAULT_TEMPLATE})

    def _usable(
        self, account: str, arn: str, action: str, keys: Mapping[str, str] | None = None
    ) -> CertificateAuthority:
        if not self.permits(account, arn, action, keys):
            raise ServiceError(
                "AccessDeniedException",
                f"account {account} is not authorized to perform: {action} on resource: {arn} because no "
                f"resource-based policy allows the {action} action",
            )
        return self._find(arn)


def owner(arn: str) -> str:
    """The account of a CA's ARN; empty if it is no ARN."""
    return (arn.split(":") + [""] * 5)[4]


def put(ca: CertificateAuthority, policy: str) -> None:
    """
    PutPolicy: it takes the place of the one before.

    Raises:
        ServiceError: InvalidPolicyException if it is not of the published form; InvalidStateException if the CA is
            deleted.
    """
    if ca.state == "DELETED":
        raise ServiceError("InvalidStateException", f"{ca.arn} is {ca.state}")
    try:
        document = json.loads(policy)
    except ValueError as error:
        raise ServiceError("InvalidPolicyException", f"the policy is no JSON: {error}") from error
    statements = document.get("Statement") if isinstance(document, dict) else None
    if not isinstance(statements, list) or not statements:
        raise ServiceError("InvalidPolicyException", "the policy has no list of statements")
    for statement in statements:
        if fault := _fault_of(statement, ca.arn):
            raise ServiceError("InvalidPolicyException", f"a statement of the policy {fault}: {json.dumps(statement)}")
    ca.policy = policy


def _fault_of(statement: Any, arn: str) -> str:
    """What is not as published in one statement of a CA's policy; empty if nothing."""
    if not isinstance(statement, dict) or not set(statement) <= _ELEMENTS:
        return f"has other elements than {sorted(_ELEMENTS)}"
    actions = _listed(statement.get("Action"))
    conditions = statement.get("Condition") or {}
    principal = statement.get("Principal")
    templates = _listed(conditions.get("StringEquals", {}).get("acm-pca:TemplateArn"))
    faults = {
        "allows nothing": statement.get("Effect") != "Allow" or not actions,
        "names another resource than the CA": _listed(statement.get("Resource")) != [arn],
        "names no principal": not principal or not (isinstance(principal, str) or set(principal) == {"AWS"}),
        "allows more than a share can": not set(actions) <= {*AUTHORITY_READ, ISSUE, REVOKE},
        "allows to issue without naming a template that may be shared": ISSUE in actions
        and (not templates or not set(templates) <= {template_arn(name) for name in SHAREABLE_TEMPLATES}),
        "allows to issue together with something else": ISSUE in actions and actions != [ISSUE],
    }
    return next((fault for fault, there in faults.items() if there), "")


def _listed(value: Any) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)
