"""A secret version written past IAM, policies and immutability: what no API would take, a test can plant."""

from __future__ import annotations

import time
from typing import Any

from ministack.services import secretsmanager

from local.aws import control, hooks
from local.aws.patches import secrets_manager

_CURRENT = "AWSCURRENT"


def install() -> None:
    """Serve ``/_local/secrets/plant``."""
    for name in ("_apply_current_promotion", "_remove_stage_everywhere", "_add_stage", "_sync_replicas"):
        hooks.require(secretsmanager, name)
    control.route("/_local/secrets/plant", _plant)


def _plant(value: Any) -> dict[str, Any]:
    """
    Write a version; its labels move to it.

    Args:
        value: ``secret_id``, ``version_id``, ``secret_string``, and if wanted ``stages`` and ``age_s`` (how old it is).

    Returns:
        What PutSecretValue answers.

    Raises:
        ValueError: If there is no such secret.
        KeyError: If the id or the text is missing.
    """
    secret = secrets_manager.find(value["secret_id"])
    if secret is None:
        raise ValueError(f"there is no secret {value['secret_id']}")
    name, stages = value["version_id"], list(value.get("stages") or [])
    secret["Versions"][name] = {
        "SecretString": value["secret_string"],
        "SecretBinary": None,
        "CreatedDate": int(time.time() - float(value.get("age_s", 0))),
        "Stages": [],
    }
    if _CURRENT in stages:
        secretsmanager._apply_current_promotion(secret, name)
    for label in stages:
        if label != _CURRENT:
            secretsmanager._remove_stage_everywhere(secret, label)
            secretsmanager._add_stage(secret, name, label)
    secretsmanager._sync_replicas(secret)
    return {"ARN": secret["ARN"], "VersionId": name, "VersionStages": list(secret["Versions"][name]["Stages"])}
