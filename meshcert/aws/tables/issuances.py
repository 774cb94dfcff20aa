"""The table ``issuances`` in DynamoDB: requests to AWS Private CA, with their keys encrypted by KMS."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Key
from botocore.exceptions import ClientError

from meshcert.aws.errors import aws_errors, error_code
from meshcert.contract.issuances import CONTEXT, EXPIRES, IDENTITY, REPLACES
from meshcert.errors import CertificateRequestInvalid, Fault
from meshcert.issuing.certificate_request import CertificateRequest, read_stored_request
from meshcert.issuing.epochs import Epoch
from meshcert.material import PrivateKey

if TYPE_CHECKING:
    from collections.abc import Mapping

_KEPT = dt.timedelta(hours=25)
"""A row counts in the budget of a day."""


class Issuances:
    """
    :class:`meshcert.issuing.epochs.Epochs`.

    A key is encrypted with the identity's name and the epoch as context, so that nobody can have the key of one row
    opened as that of another.

    Args:
        table: boto3's DynamoDB ``Table``.
        kms: boto3's ``kms`` client.
        key_id: The mesh's key: id, ARN or alias.
    """

    def __init__(self, table: Any, kms: Any, key_id: str) -> None:
        self._table = table
        self._kms = kms
        self._key_id = key_id

    def of(self, identity: str) -> tuple[Epoch, ...]:
        """See :meth:`meshcert.issuing.epochs.Epochs.of`."""
        question: dict[str, Any] = {"KeyConditionExpression": Key(IDENTITY).eq(identity), "ConsistentRead": True}
        epochs: list[Epoch] = []
        while True:
            with aws_errors("dynamodb:Query", identity):
                answer = self._table.query(**question)
            epochs += [_epoch(row) for row in answer["Items"]]
            if "LastEvaluatedKey" not in answer:
                return tuple(epochs)
            question["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def begin(self, request: CertificateRequest, epoch: Epoch, dropping: int) -> bool:
        """See :meth:`meshcert.issuing.epochs.Epochs.begin`."""
        row = {
            IDENTITY: epoch.identity,
            REPLACES: epoch.replaces,
            "number": epoch.number,
            "asked": epoch.asked,
            "asked_at": _seconds(epoch.asked_at),
            "epoch": request.epoch,
            "request": request.to_json(),
            "private_key": self._encrypt(request),
            EXPIRES: int(max(request.not_after, request.made_at + _KEPT).timestamp()),
        }
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(#number)"}
        if dropping:
            condition = {
                "ConditionExpression": "#number = :dropped",
                "ExpressionAttributeValues": {":dropped": dropping},
            }
        return self._changed(
            self._table.put_item, epoch, Item=row, ExpressionAttributeNames={"#number": "number"}, **condition
        )

    def request(self, epoch: Epoch) -> CertificateRequest:
        """See :meth:`meshcert.issuing.epochs.Epochs.request`."""
        with aws_errors("dynamodb:GetItem", epoch.identity):
            row = self._table.get_item(Key=_key(epoch), ConsistentRead=True).get("Item", {})
        name, text, encrypted = row.get("epoch"), row.get("request"), row.get("private_key")
        if not isinstance(name, str) or not isinstance(text, str) or encrypted is None:
            faults = (Fault("stored request", "it is not stored any more", "Nothing: another one is made"),)
            raise CertificateRequestInvalid(f"request for identity {epoch.identity}", faults)
        return read_stored_request(text, self._decrypt(epoch.identity, name, bytes(encrypted)), epoch.identity, name)

    def ask_again(self, epoch: Epoch, now: dt.datetime) -> bool:
        """See :meth:`meshcert.issuing.epochs.Epochs.ask_again`."""
        return self._update(
            epoch,
            "SET #asked = :more, #asked_at = :now",
            "#number = :number AND #asked = :asked",
            {":more": epoch.asked + 1, ":now": _seconds(now), ":number": epoch.number, ":asked": epoch.asked},
        )

    def not_issued(self, epoch: Epoch, asked_at: dt.datetime) -> None:
        """See :meth:`meshcert.issuing.epochs.Epochs.not_issued`."""
        # Another run's request, under the same token, may have come through meanwhile.
        self._update(
            epoch,
            "SET #asked = :fewer, #asked_at = :before",
            "#number = :number AND #asked = :asked AND attribute_not_exists(#certificate_arn)",
            {
                ":fewer": epoch.asked - 1,
                ":before": _seconds(asked_at),
                ":number": epoch.number,
                ":asked": epoch.asked,
            },
        )

    def issued(self, epoch: Epoch, certificate_arn: str) -> None:
        """See :meth:`meshcert.issuing.epochs.Epochs.issued`."""
        # A request that was dropped meanwhile must not get the certificate of this one.
        self._update(
            epoch,
            "SET #certificate_arn = :arn",
            "#number = :number",
            {":arn": certificate_arn, ":number": epoch.number},
        )

    def forget_request(self, epoch: Epoch) -> None:
        """See :meth:`meshcert.issuing.epochs.Epochs.forget_request`."""
        self._update(
            epoch,
            "SET #published = :yes REMOVE #request, #private_key",
            "#number = :number",
            {":yes": True, ":number": epoch.number},
        )

    def _update(self, epoch: Epoch, change: str, condition: str, values: Mapping[str, Any]) -> bool:
        names = ("number", "asked", "asked_at", "certificate_arn", "published", "request", "private_key")
        spoken = re.findall(r"#\w+", f"{change} {condition}")
        return self._changed(
            self._table.update_item,
            epoch,
            Key=_key(epoch),
            UpdateExpression=change,
            ConditionExpression=condition,
            ExpressionAttributeNames={f"#{name}": name for name in names if f"#{name}" in spoken},
            ExpressionAttributeValues=dict(values),
        )

    @staticmethod
    def _changed(write: Any, epoch: Epoch, **parameters: Any) -> bool:
        """Whether a conditional write was done."""
        with aws_errors("dynamodb:PutItem, UpdateItem", epoch.identity, carries_material=True):
            try:
                write(**parameters)
            except ClientError as exc:
                if error_code(exc) == "ConditionalCheckFailedException":
                    return False
                raise
        return True

    def _encrypt(self, request: CertificateRequest) -> bytes:
        with aws_errors("kms:Encrypt", self._key_id, carries_material=True):
            answer = self._kms.encrypt(
                KeyId=self._key_id,
                Plaintext=request.private_key.reveal().encode(),
                EncryptionContext=_context(request.identity, request.epoch),
            )
        return bytes(answer["CiphertextBlob"])

    def _decrypt(self, identity: str, epoch: str, encrypted: bytes) -> PrivateKey:
        with aws_errors("kms:Decrypt", self._key_id):
            try:
                answer = self._kms.decrypt(
                    KeyId=self._key_id, CiphertextBlob=encrypted, EncryptionContext=_context(identity, epoch)
                )
            except ClientError as exc:
                if error_code(exc) not in {"InvalidCiphertextException", "IncorrectKeyException"}:
                    raise
                faults = (Fault("stored request", "its key is not its own", "Look who wrote the row"),)
                raise CertificateRequestInvalid(f"request for identity {identity}", faults) from None
        return PrivateKey(answer["Plaintext"].decode(errors="replace"))


def _context(identity: str, epoch: str) -> dict[str, str]:
    return dict(zip(CONTEXT, (identity, epoch), strict=True))


def _key(epoch: Epoch) -> dict[str, str]:
    return {IDENTITY: epoch.identity, REPLACES: epoch.replaces}


def _epoch(row: Mapping[str, Any]) -> Epoch:
    return Epoch(
        identity=str(row[IDENTITY]),
        replaces=str(row[REPLACES]),
        number=int(row["number"]),
        asked_at=_time(row["asked_at"]),
        asked=int(row["asked"]),
        certificate_arn=str(row.get("certificate_arn", "")),
        published=row.get("published") is True,
    )


def _seconds(time: dt.datetime) -> Decimal:
    return Decimal(str(time.timestamp()))


def _time(seconds: Decimal) -> dt.datetime:
    return dt.datetime.fromtimestamp(float(seconds), dt.UTC)
