"""Which deployments of ECS's somebody else may begin: by controller and strategy. A table, and no calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

ROLLING = "ROLLING"
REFUSED: Mapping[str, str] = {
    "CODE_DEPLOY": "its deployment controller is CODE_DEPLOY, and ECS takes no deployment from anybody else",
    "EXTERNAL": "its deployment controller is EXTERNAL, and there is no deployment that ECS could repeat",
    "BLUE_GREEN": "its strategy is BLUE_GREEN, and a deployment would shift its traffic",
    "LINEAR": "its strategy is LINEAR, and a deployment would shift its traffic",
    "CANARY": "its strategy is CANARY, and a deployment would shift its traffic",
}
"""Why a deployment of ours does not begin there (Amazon ECS API, DeploymentController and DeploymentConfiguration)."""


def refusal(service: Mapping[str, Any]) -> str:
    """
    Why no deployment of ours may begin; empty if one may.

    Args:
        service: From DescribeServices.
    """
    controller = service.get("deploymentController", {}).get("type", "ECS")
    strategy = service.get("deploymentConfiguration", {}).get("strategy", ROLLING)
    said = REFUSED.get(controller) or REFUSED.get(strategy)
    return f"{said}: deploy it yourself, or let tasks reload (rotation: reload)" if said else ""
