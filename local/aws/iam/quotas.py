"""IAM's quota of characters for trust policies, which MiniStack lets pass."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ministack.services import iam as iam_service

from local.aws import hooks

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_TRUST = 2_048
"""Characters without white space (IAM user guide, "IAM and AWS STS quotas")."""


def install() -> None:
    """
    Refuse longer ones, where a role is made.

    Raises:
        HookMissingError: If MiniStack checks them elsewhere.
    """
    hooks.wrap(iam_service, "_trust_policy_not_principal_error", _measuring)


def _measuring(inner: Callable[[Any], str | None]) -> Callable[[Any], str | None]:
    def fault(document: Any) -> str | None:
        parsed = json.loads(document) if isinstance(document, str) else document
        if len(json.dumps(parsed, separators=(",", ":"))) > LONGEST_TRUST:
            return f"Cannot exceed quota for ACLSizePerRole: {LONGEST_TRUST}"
        return inner(document)

    return fault
