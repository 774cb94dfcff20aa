"""The queue of looks in SQS."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from meshcert.aws.errors import aws_errors
from meshcert.errors import AwsUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

_OPERATION = "sqs:SendMessageBatch"
_BATCH = 10
_LONGEST_DELAY_S = 900


class LooksQueue:
    """
    :class:`meshcert.lifecycle.ports.Messages`.

    Args:
        client: boto3's ``sqs`` client.
    """

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._url = url

    def send(self, messages: Mapping[str, int], because: str) -> None:
        """
        See :meth:`meshcert.lifecycle.ports.Messages.send`.

        Raises:
            AwsUnavailable: If SQS refused some messages twice; all others are in the queue.
        """
        entries = [
            {
                "Id": str(number),
                "MessageBody": json.dumps({"look": identity, "because": because}),
                "DelaySeconds": max(0, min(delay_s, _LONGEST_DELAY_S)),
            }
            for number, (identity, delay_s) in enumerate(messages.items())
        ]
        refused = self._send(entries)
        again = [entry for entry in entries if entry["Id"] in refused]
        still_refused = self._send(again)
        if still_refused:
            codes = ", ".join(sorted(set(still_refused.values())))
            raise AwsUnavailable(_OPERATION, self._url, f"{len(still_refused)} of {len(entries)} not taken: {codes}")

    def _send(self, entries: list[dict[str, Any]]) -> dict[str, str]:
        """The error codes of the entries that SQS refused, by their ids."""
        refused: dict[str, str] = {}
        for start in range(0, len(entries), _BATCH):
            with aws_errors(_OPERATION, self._url):
                answer = self._client.send_message_batch(QueueUrl=self._url, Entries=entries[start : start + _BATCH])
            refused |= {entry["Id"]: entry["Code"] for entry in answer.get("Failed", [])}
        return refused
