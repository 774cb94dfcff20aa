"""
The table ``acknowledgements`` in DynamoDB, read only: tasks write it.

A task may write as many rows under its service's key as it likes. Only those of instances that the platform lists are
read, each by its key.
"""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from meshcert.aws.errors import aws_errors
from meshcert.clock import believed
from meshcert.contract import acknowledgements as field
from meshcert.errors import AwsUnavailable
from meshcert.lifecycle.observation import Acknowledgement, FileServed, RequestsTaken, RoutesServed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from meshcert.clock import Clock

logger = logging.getLogger(__name__)

_LONGEST_TEXT = 256
_MOST_SECRETS = 100
"""Identities in a row: a task has one, and a few more to come."""
_MOST_FILES = 100
_MOST_LISTENERS, _LAST_PORT = 50, 65_535
_MOST_REQUESTS = (1 << 64) - 1
"""Envoy counts in 64 bits."""
_ROWS_AT_ONCE = 25
"""Of 400 KB at most, so that an answer, of 16 MB at most, has room for all (DynamoDB guide, BatchGetItem)."""
_TRIES = 3


class AcknowledgementRows:
    """
    :class:`meshcert.lifecycle.ports.AcknowledgementTable`.

    Args:
        dynamodb: boto3's DynamoDB resource.
        table: The table's name; partition key ``service``, sort key ``task``.
    """

    def __init__(self, dynamodb: Any, table: str, clock: Clock) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._clock = clock

    def of(self, service: str, instances: Collection[str]) -> Mapping[str, Mapping[str, Acknowledgement]]:
        """See :meth:`meshcert.lifecycle.ports.AcknowledgementTable.of`."""
        said: dict[str, Mapping[str, Acknowledgement]] = {}
        now = self._clock.now()
        # DynamoDB refuses a key that is asked for twice (BatchGetItem).
        listed = list(dict.fromkeys(instances))
        for begin in range(0, len(listed), _ROWS_AT_ONCE):
            for row in self._rows(service, listed[begin : begin + _ROWS_AT_ONCE]):
                acknowledgements = _read(row, now)
                if acknowledgements is None:
                    task = row.get(field.TASK)
                    logger.debug("an acknowledgement of %s that makes no sense: task %.200r", service, task)
                else:
                    said[row[field.TASK]] = acknowledgements
        return said

    def files_of(self, service: str, instances: Collection[str]) -> Mapping[str, tuple[FileServed, ...]]:
        """
        What instances of a service report of files of the user's, whether they present an identity or not.

        Raises:
            MeshcertError: If the table cannot be read.
        """
        told: dict[str, tuple[FileServed, ...]] = {}
        listed = list(dict.fromkeys(instances))
        for begin in range(0, len(listed), _ROWS_AT_ONCE):
            for row in self._rows(service, listed[begin : begin + _ROWS_AT_ONCE]):
                try:
                    told[str(row[field.TASK])] = _files(row.get(field.FILES, {}))
                except (ArithmeticError, AttributeError, KeyError, OSError, TypeError, ValueError):
                    logger.debug("files of %s that make no sense: task %.200r", service, row.get(field.TASK))
        return told

    def _rows(self, service: str, instances: Sequence[str]) -> Iterator[dict[str, Any]]:
        keys = [{field.SERVICE: service, field.TASK: instance} for instance in instances]
        wanted: dict[str, Any] = {self._table: {"Keys": keys, "ConsistentRead": True}}
        for _ in range(_TRIES):
            with aws_errors("dynamodb:BatchGetItem", service):
                answer = self._dynamodb.batch_get_item(RequestItems=wanted)
            yield from answer["Responses"].get(self._table, ())
            wanted = answer.get("UnprocessedKeys") or {}
            if not wanted:
                return
        # Part of the keys is left when the table is throttled or the answer is full (DynamoDB guide, BatchGetItem).
        raise AwsUnavailable("dynamodb:BatchGetItem", service, "UnprocessedKeys")


def _read(row: Mapping[str, Any], now: dt.datetime) -> Mapping[str, Acknowledgement] | None:
    """
    The acknowledgements in a row; None if it makes no sense.

    Tasks write these rows, and a task may run anybody's code, so every field is checked. A row of the future was
    written at the latest now, by a task whose clock is ahead.
    """
    try:
        secrets = row[field.SECRETS]
        if row[field.SCHEMA] != field.SCHEMA_VERSION or not isinstance(row[field.TASK], str):
            return None
        if len(secrets) > _MOST_SECRETS:
            return None
        at = min(_time(row[field.AT]), now)
        routes = _routes(row[field.ROUTES]) if field.ROUTES in row else None
        requests = _requests(row.get(field.LISTENERS, {}), now)
        files, settings = _files(row.get(field.FILES, {})), _text(row.get(field.SETTINGS, ""))
        return {
            name: replace(_acknowledgement(at, secret, routes, requests), files=files, settings=settings)
            for name, secret in secrets.items()
        }
    except (ArithmeticError, AttributeError, KeyError, OSError, TypeError, ValueError):
        return None


def _routes(told: Mapping[str, Any]) -> RoutesServed:
    return RoutesServed(_text(told[field.VERSION]), _text(told[field.REFUSED]), _text(told[field.ERROR]))


def _requests(told: Mapping[str, Mapping[str, Any]], now: dt.datetime) -> tuple[RequestsTaken, ...]:
    """Raises ValueError for more listeners than a proxy has, and for what are no numbers of requests."""
    if len(told) > _MOST_LISTENERS:
        raise ValueError("more listeners than a proxy has")
    return tuple(
        RequestsTaken(
            port=_number(port, _LAST_PORT),
            tls=_number(counts[field.OVER_TLS]),
            plain=_number(counts[field.IN_PLAIN_TEXT]),
            last_plain_at=min(_time(last), now) if (last := counts[field.LAST_IN_PLAIN_TEXT]) else None,
        )
        for port, counts in told.items()
    )


def _files(told: Mapping[str, Mapping[str, Any]]) -> tuple[FileServed, ...]:
    """Raises ValueError for more files than a proxy has."""
    if len(told) > _MOST_FILES:
        raise ValueError("more files than a proxy has")
    return tuple(
        FileServed(
            name=_text(name),
            version=_text(file[field.VERSION]),
            not_after=_time(end) if (end := file[field.NOT_AFTER]) else None,
            refused=_text(file[field.REFUSED]),
            error=_text(file[field.ERROR]),
        )
        for name, file in told.items()
    )


def _acknowledgement(
    at: dt.datetime, secret: Mapping[str, Any], routes: RoutesServed | None, requests: tuple[RequestsTaken, ...]
) -> Acknowledgement:
    not_after = secret.get(field.NOT_AFTER)
    return Acknowledgement(
        at=at,
        version=_text(secret[field.VERSION]),
        serial_number=_text(secret.get(field.SERIAL_NUMBER, "")),
        not_after=_time(not_after) if not_after else None,
        refused=_text(secret.get(field.REFUSED, "")),
        error=_text(secret.get(field.ERROR, "")),
        refused_by=_hosts(secret.get(field.REFUSED_BY, "")),
        routes=routes,
        requests=requests,
    )


def _number(value: Any, most: int = _MOST_REQUESTS) -> int:
    number = int(value)
    if not 0 <= number <= most:
        raise ValueError("it is out of range")
    return number


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} is no text")
    return value[:_LONGEST_TEXT]


def _hosts(value: Any) -> tuple[str, ...]:
    """Whole hosts only: a part of an address would pass for another host."""
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} is no text")
    text = value if len(value) <= _LONGEST_TEXT else value[: _LONGEST_TEXT + 1].rpartition(" ")[0]
    return tuple(host for host in text.split() if host.rpartition("@")[2] not in {"", host})


def _time(value: Any) -> dt.datetime:
    return believed(dt.datetime.fromtimestamp(float(value), dt.UTC))
