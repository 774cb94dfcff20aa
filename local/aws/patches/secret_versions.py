"""How many versions a secret may have, which of them AWS keeps, and versions written past every rule for a test."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ministack.services import secretsmanager

from local.aws.json_service import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable

VERSION_LIMIT = 100
_KEPT_FOR_S = 24 * 3600
_CURRENT = "AWSCURRENT"

Secret = dict[str, Any]


def require_room(secret: Secret) -> None:
    """
    Make room for one version more: outdated ones go when they are a day old, the oldest first.

    Source: Secrets Manager user guide, "Quotas", and the note on versions at PutSecretValue.

    Raises:
        ServiceError: LimitExceededException if the rest is younger or has labels.
    """
    versions, a_day_ago = secret["Versions"], time.time() - _KEPT_FOR_S
    outdated = [name for name, version in versions.items() if not version["Stages"]]
    for name in sorted(outdated, key=lambda name: versions[name]["CreatedDate"]):
        if len(versions) < VERSION_LIMIT or versions[name]["CreatedDate"] > a_day_ago:
            break
        del versions[name]
    if len(versions) >= VERSION_LIMIT:
        message = f"secret {secret['Name']} has {len(versions)} versions, none of them outdated for a day"
        raise ServiceError("LimitExceededException", message)


def keep_outdated(inner: Callable[[Secret, str], None]) -> Callable[[Secret, str], None]:
    """A version that loses its last label becomes outdated; MiniStack deletes it at once."""

    def promote(secret: Secret, version_id: str) -> None:
        before = dict(secret["Versions"])
        inner(secret, version_id)
        for name, version in before.items():
            secret["Versions"].setdefault(name, version)

    return promote


def plant(secret: Secret, value: dict[str, Any]) -> dict[str, Any]:
    """
    Write a version past IAM, policies and immutability; its labels move to it.

    Args:
        secret: MiniStack's record of it.
        value: ``version_id``, ``secret_string``, and if wanted ``stages`` and ``age_s``, how old it is in seconds.

    Returns:
        What PutSecretValue answers.

    Raises:
        KeyError: If the id or the text is missing.
    """
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
