"""The two calls that this container makes to AWS Secrets Manager: the versions' labels, and the current value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrypoint.aws.json_api import JsonService
from meshcert.contract.staging_labels import CURRENT, QUARANTINED
from meshcert.errors import AwsUnavailable
from meshcert.values.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrypoint.aws.json_api import JsonConnection

_SERVICE = JsonService("secretsmanager", "secretsmanager", "1.1")


class SecretVersion(NamedTuple):
    """
    One version of a secret.

    Args:
        version_id: Its VersionId.
        text: Its SecretString; not shown by ``repr``.
        quarantined: True if its rollout failed.
    """

    version_id: str
    text: str
    quarantined: bool = False

    def __repr__(self) -> str:
        return f"<SecretVersion {self.version_id}>"


class SecretLabels(NamedTuple):
    """
    The versions that a secret's staging labels are attached to.

    Args:
        current: VersionId that is labelled AWSCURRENT; empty if there is none.
        quarantined: VersionIds whose rollout failed.
    """

    current: str
    quarantined: frozenset[str] = frozenset()


class SecretsReader:
    """
    Reads secrets, without retries; for those see :mod:`entrypoint.aws.retrying`.

    Args:
        connection: To Secrets Manager's endpoint in this region.
    """

    def __init__(self, connection: JsonConnection) -> None:
        self._connection = connection

    def labels(self, secret: str) -> SecretLabels:
        """
        The versions that its labels are attached to (secretsmanager:DescribeSecret); the value is not read.

        Args:
            secret: ARN or name.

        Raises:
            AwsUnavailable: If AWS cannot answer now.
            AwsRefused: If AWS refuses.
            IdentityMissing: If there is no such secret.
        """
        answer = _SERVICE.call(self._connection, "DescribeSecret", secret, {"SecretId": secret})
        stages: dict[str, Sequence[str]] = answer.get("VersionIdsToStages") or {}
        return SecretLabels(
            next((version for version, labels in stages.items() if CURRENT in labels), ""),
            frozenset(version for version, labels in stages.items() if QUARANTINED in labels),
        )

    def current_value(self, secret: str) -> SecretVersion:
        """
        The version that is labelled AWSCURRENT (secretsmanager:GetSecretValue).

        Args:
            secret: ARN or name.

        Raises:
            AwsUnavailable: If AWS cannot answer now.
            AwsRefused: If AWS refuses.
            IdentityMissing: If there is no such secret, or no current version.
        """
        question = {"SecretId": secret, "VersionStage": CURRENT}
        answer = _SERVICE.call(self._connection, "GetSecretValue", secret, question)
        version, text = answer.get("VersionId"), answer.get("SecretString")
        if not isinstance(version, str) or not isinstance(text, str):
            raise AwsUnavailable("secretsmanager:GetSecretValue", secret, "the answer has no SecretString")
        labels = answer.get("VersionStages")
        return SecretVersion(version, text, isinstance(labels, list) and QUARANTINED in labels)
