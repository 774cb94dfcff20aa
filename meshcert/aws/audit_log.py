"""The audit log of actions in CloudWatch Logs: functions write a line for each action, the CLI reads them."""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from meshcert.aws.errors import aws_errors, error_code
from meshcert.bounded_json import read_json
from meshcert.clock import believed
from meshcert.errors import AwsRefused
from meshcert.lifecycle.audit import AuditEntry

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger(__name__)

_LONGEST_TEXT = 4096

_FIELDS = frozenset(field.name for field in fields(AuditEntry)) - {"at"}


class AuditLog:
    """
    :class:`meshcert.lifecycle.ports.Audit`.

    Args:
        client: boto3's ``logs`` client.
        stream: Name of the log stream, created on first use. Each writer needs its own.
    """

    def __init__(self, client: Any, log_group: str, stream: str) -> None:
        self._client = client
        self._log_group = log_group
        self._stream = stream
        self._begun = False

    def record(self, entry: AuditEntry) -> None:
        """See :meth:`meshcert.lifecycle.ports.Audit.record`."""
        self._begin()
        with aws_errors("logs:PutLogEvents", self._log_group):
            answer = self._client.put_log_events(
                logGroupName=self._log_group,
                logStreamName=self._stream,
                logEvents=[{"timestamp": _milliseconds(entry.at), "message": entry.to_json()}],
            )
        rejected = answer.get("rejectedLogEventsInfo")
        if rejected:
            # No line in spite of status 200: CloudWatch refuses times 14 days old or 2 hours ahead of its clock.
            raise AwsRefused("logs:PutLogEvents", self._log_group, "RejectedLogEvents", ", ".join(sorted(rejected)))

    def _begin(self) -> None:
        if self._begun:
            return
        with aws_errors("logs:CreateLogStream", self._log_group):
            try:
                self._client.create_log_stream(logGroupName=self._log_group, logStreamName=self._stream)
            except ClientError as exc:
                if error_code(exc) != "ResourceAlreadyExistsException":
                    raise
        self._begun = True


def history(client: Any, log_group: str, identity: str, since: dt.datetime) -> Iterator[AuditEntry]:
    """
    The actions taken for an identity, oldest first.

    Args:
        client: boto3's ``logs`` client.
        since: The time from which on actions count.

    Yields:
        Entries, page by page. Lines that are not entries are left out.

    Raises:
        IdentityMissing: If there is no such log group.
    """
    question = {
        "logGroupName": log_group,
        "startTime": _milliseconds(since),
        "filterPattern": f'{{ $.identity = "{identity}" }}',
    }
    while True:
        with aws_errors("logs:FilterLogEvents", log_group):
            answer = client.filter_log_events(**question)
        for event in answer.get("events", []):
            entry = _read(event.get("message", ""))
            # In the filter pattern, a * in the name would stand for any text.
            if entry is not None and entry.identity == identity:
                yield entry
        if not answer.get("nextToken"):
            return
        question["nextToken"] = answer["nextToken"]


def _read(line: str) -> AuditEntry | None:
    try:
        document = read_json(line)
        at = believed(dt.datetime.fromisoformat(document["at"]))
        # A later version may write more fields.
        known = {name: str(value)[:_LONGEST_TEXT] for name, value in document.items() if name in _FIELDS}
        return AuditEntry(at=at, **known)
    except (AttributeError, KeyError, TypeError, ValueError):
        logger.debug("a line of the audit log that is no entry: %.200s", line)
        return None


def _milliseconds(time: dt.datetime) -> int:
    return int(time.timestamp() * 1000)
