"""
How many versions a secret may have, and which of them are kept.

MiniStack 1.5.33 deletes a version that loses its last label at once, and keeps any number of versions.

AWS keeps it as outdated, deletes outdated ones when they are more than 100 and a day old, and refuses a version more
with LimitExceededException if none of them is (Secrets Manager user guide, "AWS Secrets Manager quotas"; API reference,
"PutSecretValue").

It can go when ListSecretVersionIds with IncludeDeprecated shows a version that has lost its last label.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from local.aws.json_service import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable

VERSION_LIMIT = 100
_KEPT_FOR_S = 24 * 3600

Secret = dict[str, Any]


def require_room(secret: Secret) -> None:
    """
    Make room for one version more: outdated ones go when they are a day old, the oldest first.

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
    """Wrap MiniStack's promotion of a version to AWSCURRENT: one that loses its last label by it is kept."""

    def promote(secret: Secret, version_id: str) -> None:
        before = dict(secret["Versions"])
        inner(secret, version_id)
        for name, version in before.items():
            secret["Versions"].setdefault(name, version)

    return promote
