"""The table ``lifecycle`` in DynamoDB: leases, and what is remembered of each identity."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from meshcert.aws.errors import aws_errors, error_code
from meshcert.aws.tables.rows import every_row
from meshcert.errors import LeaseLost
from meshcert.lifecycle.memory import Memory
from meshcert.lifecycle.ports import Lease
from meshcert.naming import LIFECYCLE_UNSETTLED

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping

_UNSETTLED, _DUE = "yes", "due"
"""Partitions of the index: something is to be done or waited for, or all is well until a moment that is known."""
_NAMES = {f"#{name}": name for name in ("owner", "until", "began", "wanted", "unsettled", "look_at", "memory", "name")}
_MINE = "#owner = :owner"
# A value of another type fails every comparison: without the last condition, a broken row could never be taken again.
_FREE = "attribute_not_exists(#owner) OR #until <= :now OR NOT attribute_type(#until, :number)"
_STILL_WANTED_AS_MUCH = "(#wanted = :wanted OR NOT attribute_type(#wanted, :number))"


class LifecycleRows:
    """
    :class:`meshcert.lifecycle.ports.LifecycleTable`.

    Times are epoch seconds. A row has ``owner`` and ``until`` while a run holds its lease; ``began`` is when the latest
    lease was taken. It has ``unsettled`` and ``look_at`` while a tick has to look at that time: ``yes``, or ``due`` if
    all is well until then. ``wanted`` counts the requests that found the lease taken; ``memory`` is JSON.

    Args:
        table: boto3's DynamoDB ``Table``; partition key ``name``, sparse index ``unsettled`` on ``unsettled`` and
            ``look_at``.
    """

    def __init__(self, table: Any) -> None:
        self._table = table

    def take(self, identity: str, owner: str, now: dt.datetime, until: dt.datetime) -> Lease | None:
        """See :meth:`meshcert.lifecycle.ports.LifecycleTable.take`."""
        # If the owner dies, the first tick after the end of the lease looks.
        row = self._update(
            identity,
            "SET #owner = :owner, #until = :until, #began = :now, #unsettled = :unsettled, #look_at = :until",
            f"{_MINE} OR {_FREE}",
            {
                ":owner": owner,
                ":until": _seconds(until),
                ":now": _seconds(now),
                ":unsettled": _UNSETTLED,
                ":number": "N",
            },
        )
        if row is None:
            return None
        wanted = row.get("wanted")
        return Lease(identity, owner, int(wanted) if isinstance(wanted, Decimal) else 0, _memory(row))

    def looked_since(self, identity: str, time: dt.datetime) -> bool:
        """See :meth:`meshcert.lifecycle.ports.LifecycleTable.looked_since`."""
        began = self._row(identity).get("began")
        return isinstance(began, Decimal) and began >= _seconds(time)

    def want(self, identity: str, now: dt.datetime) -> None:
        """See :meth:`meshcert.lifecycle.ports.LifecycleTable.want`."""
        # Mark it unsettled here too: the owner may have given the lease back by now.
        mark = "SET #unsettled = :unsettled, #look_at = :now"
        values = {":unsettled": _UNSETTLED, ":now": _seconds(now), ":one": 1, ":number": "N"}
        countable = "attribute_not_exists(#wanted) OR attribute_type(#wanted, :number)"
        if self._update(identity, f"{mark} ADD #wanted :one", countable, values) is None:
            self._update(identity, f"{mark}, #wanted = :one", f"NOT ({countable})", values)

    def save(self, lease: Lease, memory: Memory) -> None:
        """See :meth:`meshcert.lifecycle.ports.LifecycleTable.save`."""
        values = {":owner": lease.owner, ":memory": memory.to_json()}
        if self._update(lease.identity, "SET #memory = :memory", _MINE, values) is None:
            raise LeaseLost(lease.identity)

    def release(self, lease: Lease, memory: Memory, look_at: dt.datetime | None, *, settled: bool = False) -> bool:
        """See :meth:`meshcert.lifecycle.ports.LifecycleTable.release`."""
        values: dict[str, Any] = {":owner": lease.owner, ":memory": memory.to_json()}
        unwanted = {**values, ":wanted": lease.wanted, ":number": "N"}
        if look_at is None:
            change = "SET #memory = :memory REMOVE #owner, #until, #unsettled, #look_at"
        else:
            change = "SET #memory = :memory, #unsettled = :unsettled, #look_at = :look_at REMOVE #owner, #until"
            unwanted |= {":unsettled": _DUE if settled else _UNSETTLED, ":look_at": _seconds(look_at)}
        if self._update(lease.identity, change, f"{_MINE} AND {_STILL_WANTED_AS_MUCH}", unwanted) is not None:
            return False
        # A request that came meanwhile has marked the row unsettled: the mark and its time stay.
        if self._update(lease.identity, "SET #memory = :memory REMOVE #owner, #until", _MINE, values) is None:
            raise LeaseLost(lease.identity)
        return True

    def forget(self, lease: Lease) -> None:
        """See :meth:`meshcert.lifecycle.ports.LifecycleTable.forget`."""
        with aws_errors("dynamodb:DeleteItem", lease.identity):
            try:
                self._table.delete_item(
                    Key={"name": lease.identity},
                    ConditionExpression=_MINE,
                    ExpressionAttributeNames={"#owner": "owner"},
                    ExpressionAttributeValues={":owner": lease.owner},
                )
            except ClientError as exc:
                if error_code(exc) == "ConditionalCheckFailedException":
                    raise LeaseLost(lease.identity) from None
                raise

    def unsettled(self, now: dt.datetime) -> Iterator[str]:
        """See :meth:`meshcert.lifecycle.ports.LifecycleTable.unsettled`."""
        for partition in (_UNSETTLED, _DUE):
            yield from self._waiting(partition, now)

    def _waiting(self, partition: str, now: dt.datetime) -> Iterator[str]:
        question: dict[str, Any] = {
            "IndexName": LIFECYCLE_UNSETTLED,
            "KeyConditionExpression": "#unsettled = :unsettled AND #look_at <= :now",
            "ExpressionAttributeNames": {name: _NAMES[name] for name in ("#unsettled", "#look_at")},
            "ExpressionAttributeValues": {":unsettled": partition, ":now": _seconds(now)},
        }
        while True:
            with aws_errors("dynamodb:Query", LIFECYCLE_UNSETTLED):
                answer = self._table.query(**question)
            yield from (row["name"] for row in answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return
            question["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def memory(self, identity: str) -> Memory:
        """
        The memory of an identity, read without taking its lease.

        Returns:
            An empty memory if there is no row, or if the row cannot be read.
        """
        return _memory(self._row(identity))

    def memories(self) -> dict[str, Memory]:
        """
        The memories of all identities, by name, in a few calls; they may be seconds old.

        Raises:
            MeshcertError: If the table cannot be read.
        """
        rows = every_row(
            self._table,
            "lifecycle",
            ProjectionExpression="#name, #memory",
            ExpressionAttributeNames={name: _NAMES[name] for name in ("#name", "#memory")},
        )
        return {row["name"]: _memory(row) for row in rows}

    def _row(self, identity: str) -> Mapping[str, Any]:
        with aws_errors("dynamodb:GetItem", identity):
            answer: Mapping[str, Any] = self._table.get_item(Key={"name": identity}, ConsistentRead=True)
        return answer.get("Item") or {}

    def _update(
        self, identity: str, change: str, condition: str, values: Mapping[str, Any]
    ) -> Mapping[str, Any] | None:
        """The row after the update; None if the condition does not hold."""
        names = {name: attribute for name, attribute in _NAMES.items() if name in f"{change} {condition}"}
        with aws_errors("dynamodb:UpdateItem", identity):
            try:
                answer = self._table.update_item(
                    Key={"name": identity},
                    UpdateExpression=change,
                    ConditionExpression=condition,
                    ExpressionAttributeNames=names,
                    ExpressionAttributeValues=values,
                    ReturnValues="ALL_NEW",
                )
            except ClientError as exc:
                if error_code(exc) == "ConditionalCheckFailedException":
                    return None
                raise
        row: Mapping[str, Any] = answer["Attributes"]
        return row


def _seconds(time: dt.datetime) -> Decimal:
    """A time as epoch seconds, in the decimals that DynamoDB stores; boto3 refuses floats."""
    return Decimal(str(time.timestamp()))


def _memory(row: Mapping[str, Any]) -> Memory:
    text = row.get("memory")
    return Memory.from_json(text) if isinstance(text, str) else Memory()
