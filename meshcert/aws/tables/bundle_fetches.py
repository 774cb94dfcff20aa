"""The table of bundle fetches in DynamoDB."""

from __future__ import annotations

import datetime as dt
import logging
from typing import Any

from meshcert.aws.errors import aws_errors
from meshcert.clock import believed
from meshcert.contract import bundle_fetches as field
from meshcert.federation.ports import FetchNote
from meshcert.material.foreign_bundle import clamped

logger = logging.getLogger(__name__)


class BundleFetches:
    """
    :class:`meshcert.federation.ports.FetchNotes`.

    Args:
        table: boto3's DynamoDB ``Table``; partition key ``trust_domain``.
    """

    def __init__(self, table: Any) -> None:
        self._table = table

    def find(self, trust_domain: str) -> FetchNote | None:
        """See :meth:`meshcert.federation.ports.FetchNotes.find`."""
        with aws_errors("dynamodb:GetItem", trust_domain):
            row = self._table.get_item(Key={field.TRUST_DOMAIN: trust_domain}, ConsistentRead=True).get("Item")
        if row is None:
            return None
        try:
            return FetchNote(
                trust_domain=trust_domain,
                since=_time(row[field.SINCE]),
                looked_at=_time(row[field.LOOKED_AT]),
                fetched_at=_time(row[field.FETCHED_AT]) if field.FETCHED_AT in row else None,
                refresh_hint_s=clamped(int(row[field.REFRESH_HINT_S])),
                sequence=int(row[field.SEQUENCE]) if field.SEQUENCE in row else None,
                version=str(row[field.VERSION]),
                problem=str(row[field.PROBLEM]),
            )
        except (ArithmeticError, LookupError, TypeError, ValueError, OSError) as error:
            # What it knew is lost and nothing else: the secret has the number of the bundle that is believed.
            logger.warning("the row of %s makes no sense (%s): it begins anew", trust_domain, type(error).__name__)
            return None

    def write(self, note: FetchNote) -> None:
        """See :meth:`meshcert.federation.ports.FetchNotes.write`."""
        row: dict[str, Any] = {
            field.TRUST_DOMAIN: note.trust_domain,
            field.SINCE: int(note.since.timestamp()),
            field.LOOKED_AT: int(note.looked_at.timestamp()),
            field.REFRESH_HINT_S: note.refresh_hint_s,
            field.VERSION: note.version,
            field.PROBLEM: note.problem,
        }
        if note.fetched_at is not None:
            row[field.FETCHED_AT] = int(note.fetched_at.timestamp())
        if note.sequence is not None:
            row[field.SEQUENCE] = note.sequence
        with aws_errors("dynamodb:PutItem", note.trust_domain):
            self._table.put_item(Item=row)


def _time(number: Any) -> dt.datetime:
    return believed(dt.datetime.fromtimestamp(int(number), dt.UTC))
