"""The table ``identities`` in DynamoDB."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError  # noqa: TID251  adapters are where botocore lives

from meshcert.aws._errors import aws_errors, error_code
from meshcert.naming import IDENTITIES_BY_CERTIFICATE
from meshcert.ports import Identity

SCHEMA = 1


class Identities:
    """
    :class:`meshcert.ports.IdentityTable`.

    Args:
        table: boto3's DynamoDB ``Table``; partition key ``name``, index ``by-certificate`` on ``certificate_arn``.
    """

    def __init__(self, table: Any) -> None:
        self._table = table

    def remember(self, identity: Identity) -> None:
        """See :meth:`meshcert.ports.IdentityTable.remember`."""
        row: dict[str, Any] = {
            "certificate_arn": identity.certificate_arn,
            "secret_id": identity.secret_id,
            "root_certificate_authority_arn": identity.root_certificate_authority_arn,
            "names": list(identity.names),
            "peer_names": [list(rule) for rule in identity.peer_rules],
            "owner": identity.owner,
            "schema": SCHEMA,
        }
        # UpdateItem, not PutItem: other programs keep attributes of their own in the row.
        with aws_errors("dynamodb:UpdateItem", identity.name):
            self._table.update_item(
                Key={"name": identity.name},
                UpdateExpression="SET " + ", ".join(f"#{attribute} = :{attribute}" for attribute in row),
                ExpressionAttributeNames={f"#{attribute}": attribute for attribute in row},
                ExpressionAttributeValues={f":{attribute}": value for attribute, value in row.items()},
            )

    def forget(self, name: str, owner: str) -> None:
        """See :meth:`meshcert.ports.IdentityTable.forget`."""
        with aws_errors("dynamodb:DeleteItem", name):
            try:
                self._table.delete_item(
                    Key={"name": name},
                    ConditionExpression="#owner = :owner",
                    ExpressionAttributeNames={"#owner": "owner"},
                    ExpressionAttributeValues={":owner": owner},
                )
            except ClientError as exc:
                if error_code(exc) not in {"ConditionalCheckFailedException", "ResourceNotFoundException"}:
                    raise

    def find(self, name: str) -> Identity | None:
        """See :meth:`meshcert.ports.IdentityTable.find`."""
        with aws_errors("dynamodb:GetItem", name):
            row = self._table.get_item(Key={"name": name}, ConsistentRead=True).get("Item")
        if not row or row.get("schema") != SCHEMA:
            return None
        return Identity(
            name=row["name"],
            certificate_arn=row["certificate_arn"],
            secret_id=row["secret_id"],
            root_certificate_authority_arn=row["root_certificate_authority_arn"],
            names=tuple(row["names"]),
            peer_rules=tuple(tuple(rule) for rule in row["peer_names"]),
            owner=row["owner"],
        )

    def find_by_certificate(self, certificate_arn: str) -> Identity | None:
        """See :meth:`meshcert.ports.IdentityTable.find_by_certificate`."""
        with aws_errors("dynamodb:Query", certificate_arn):
            rows = self._table.query(
                IndexName=IDENTITIES_BY_CERTIFICATE,
                KeyConditionExpression="#arn = :arn",
                ExpressionAttributeNames={"#arn": "certificate_arn"},
                ExpressionAttributeValues={":arn": certificate_arn},
            )["Items"]
        # The index lags behind and may carry keys only; the row itself decides.
        found = (self.find(row["name"]) for row in rows)
        return next((row for row in found if row and row.certificate_arn == certificate_arn), None)
