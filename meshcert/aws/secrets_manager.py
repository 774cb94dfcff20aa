"""Secrets in Secrets Manager."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from meshcert.aws.errors import aws_errors, error_code
from meshcert.contract.staging_labels import PENDING
from meshcert.errors import IdentityMissing, PublicationRaced
from meshcert.publishing.ports import CurrentValue

if TYPE_CHECKING:
    from collections.abc import Mapping

_TAKE_IT_BACK = "It is scheduled for deletion: take it back with RestoreSecret"


class SecretsManager:
    """
    :class:`meshcert.publishing.ports.SecretVault` and :class:`meshcert.publishing.ports.PublishedValues`.

    Args:
        client: boto3's ``secretsmanager`` client.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def labels(self, secret_id: str) -> Mapping[str, frozenset[str]]:
        """See :meth:`meshcert.publishing.ports.Labels.labels`."""
        with aws_errors("secretsmanager:DescribeSecret", secret_id):
            answer = self._client.describe_secret(SecretId=secret_id)
        if answer.get("DeletedDate"):
            raise IdentityMissing(secret_id, _TAKE_IT_BACK)
        return {version: frozenset(labels) for version, labels in answer.get("VersionIdsToStages", {}).items()}

    def put_pending(self, secret_id: str, version_id: str, value: str) -> None:
        """See :meth:`meshcert.publishing.ports.SecretVault.put_pending`."""
        with aws_errors("secretsmanager:PutSecretValue", secret_id, carries_material=True):
            try:
                self._client.put_secret_value(
                    SecretId=secret_id, ClientRequestToken=version_id, SecretString=value, VersionStages=[PENDING]
                )
            except ClientError as exc:
                if error_code(exc) != "ResourceExistsException":
                    raise

    def move_label(self, secret_id: str, label: str, *, to: str | None, away_from: str | None) -> None:
        """See :meth:`meshcert.publishing.ports.Labels.move_label`."""
        versions = {"MoveToVersionId": to, "RemoveFromVersionId": away_from}
        with aws_errors("secretsmanager:UpdateSecretVersionStage", secret_id):
            try:
                self._client.update_secret_version_stage(
                    SecretId=secret_id,
                    VersionStage=label,
                    **{name: version for name, version in versions.items() if version is not None},
                )
            except ClientError as exc:
                # AWS answers so if the label is not on RemoveFromVersionId; nothing else in this request can be wrong.
                if error_code(exc) == "InvalidParameterException":
                    raise PublicationRaced(secret_id, label) from exc
                raise

    def current_value(self, secret_id: str) -> CurrentValue:
        """See :meth:`meshcert.publishing.ports.PublishedValues.current_value`."""
        with aws_errors("secretsmanager:GetSecretValue", secret_id, carries_material=True):
            try:
                answer = self._client.get_secret_value(SecretId=secret_id)
            except ClientError as exc:
                if error_code(exc) == "InvalidRequestException":
                    raise IdentityMissing(secret_id, _TAKE_IT_BACK) from None
                raise
        return CurrentValue(answer["VersionId"], answer.get("SecretString", ""))

    def labelled_value(self, secret_id: str, label: str) -> str:
        """See :meth:`meshcert.deploying.published_authorities.LabelledValues.labelled_value`."""
        with aws_errors("secretsmanager:GetSecretValue", secret_id, carries_material=True):
            answer = self._client.get_secret_value(SecretId=secret_id, VersionStage=label)
        return str(answer.get("SecretString", ""))
