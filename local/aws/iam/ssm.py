"""Which parameters a request to Systems Manager is checked on, however it names them."""

from __future__ import annotations

from typing import Any

from ministack.services import ssm

Call = dict[str, Any]

_BY_NAME = frozenset({"GetParameter", "GetParameters", "DeleteParameters"})


def resources(action: str, request: Call) -> list[str]:
    """
    The ARNs of the parameters (Service Authorization Reference for AWS Systems Manager: ``parameter*``).

    A version or label behind the name is no part of it, and an ARN is one already.

    Args:
        action: Without ``ssm:``.

    Returns:
        One ARN or more; empty if MiniStack's own choice stands.
    """
    if action not in _BY_NAME:
        return []
    names = request.get("Names") or [request.get("Name") or ""]
    plain = [ssm._split_selector(str(name))[0] for name in names]
    return [name if name.startswith("arn:") else str(ssm._param_arn(name)) for name in plain if name]
