"""What IAM reads from requests to AWS Cloud Map (Service Authorization Reference, "AWS Cloud Map")."""

from __future__ import annotations

from typing import Any

from ministack.core.responses import get_account_id, get_region


def condition_keys(action: str, request: dict[str, Any]) -> dict[str, Any]:
    """The condition keys of the data API; its actions have no resource."""
    if not action.startswith("DiscoverInstances"):
        return {}
    return {f"servicediscovery:{key}": request[key] for key in ("NamespaceName", "ServiceName") if key in request}


def resources(action: str, request: dict[str, Any]) -> list[str]:
    """The Cloud Map service of GetService; MiniStack asks for a right on ``*``."""
    if action != "GetService":
        return []
    named = str(request["Id"])
    own = f"arn:aws:servicediscovery:{get_region()}:{get_account_id()}:service/{named}"
    return [named if named.startswith("arn:") else own]
