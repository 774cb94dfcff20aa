"""The table ``acknowledgements`` in DynamoDB, read only: tasks write it."""

from __future__ import annotations

import datetime as dt
import logging
from typing import TYPE_CHECKING, Any

from meshcert.aws.errors import aws_errors
from meshcert.contract import acknowledgements as field
from meshcert.lifecycle.observation import Acknowledgement

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

logger = logging.getLogger(__name__)

_LONGEST_TEXT = 256


class AcknowledgementRows:
    """
    :class:`meshcert.lifecycle.ports.AcknowledgementTable`.

    Args:
        table: boto3's DynamoDB ``Table``; partition key ``service``, sort key ``task``.
    """

    def __init__(self, table: Any) -> None:
        self._table = table

    def of(self, service: str) -> Mapping[str, Mapping[str, Acknowledgement]]:
        """See :meth:`meshcert.lifecycle.ports.AcknowledgementTable.of`."""
        said: dict[str, Mapping[str, Acknowledgement]] = {}
        for row in self._rows(service):
            acknowledgements = _read(row)
            if acknowledgements is None:
                logger.debug("an acknowledgement of %s that makes no sense: task %.200r", service, row.get(field.TASK))
            else:
                said[row[field.TASK]] = acknowledgements
        return said

    def _rows(self, service: str) -> Iterator[dict[str, Any]]:
        question: dict[str, Any] = {
            "KeyConditionExpression": "#service = :service",
            "ExpressionAttributeNames": {"#service": field.SERVICE},
            "ExpressionAttributeValues": {":service": service},
            "ConsistentRead": True,
        }
        while True:
            with aws_errors("dynamodb:Query", service):
                answer = self._table.query(**question)
            yield from answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            question["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def _read(row: Mapping[str, Any]) -> Mapping[str, Acknowledgement] | None:
    """
    The acknowledgements in a row; None if it makes no sense.

    Tasks write these rows, and a task may run anybody's code, so every field is checked.
    """
    try:
        if row[field.SCHEMA] != field.SCHEMA_VERSION or not isinstance(row[field.TASK], str):
            return None
        at = _time(row[field.AT])
        return {name: _acknowledgement(at, secret) for name, secret in row[field.SECRETS].items()}
    except (ArithmeticError, AttributeError, KeyError, OSError, TypeError, ValueError):
        return None


def _acknowledgement(at: dt.datetime, secret: Mapping[str, Any]) -> Acknowledgement:
    not_after = secret.get(field.NOT_AFTER)
    return Acknowledgement(
        at=at,
        version=_text(secret[field.VERSION]),
        serial_number=_text(secret.get(field.SERIAL_NUMBER, "")),
        not_after=_time(not_after) if not_after else None,
        refused=_text(secret.get(field.REFUSED, "")),
        error=_text(secret.get(field.ERROR, "")),
        refused_by=tuple(_text(secret.get(field.REFUSED_BY, "")).split()),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} is no text")
    return value[:_LONGEST_TEXT]


def _time(value: Any) -> dt.datetime:
    return dt.datetime.fromtimestamp(float(value), dt.UTC)
