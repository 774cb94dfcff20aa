"""The queue of operators' orders in SQS."""

from __future__ import annotations

import json
from typing import Any

from meshcert.aws.errors import aws_errors


class OrdersQueue:
    """
    Sends orders to the renewal function; SQS adds who sent them.

    Args:
        client: boto3's ``sqs`` client.
    """

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self._name = name

    def send(self, order: str, identity: str, reason: str, version: str = "") -> str:
        """
        Send an order.

        Args:
            order: One of :data:`meshcert.lifecycle.orders.ORDERS`.
            reason: In the operator's own words.
            version: The version that it is about; empty if it names none.

        Returns:
            The id of the SQS message.

        Raises:
            AwsUnavailable: If SQS cannot take the message now.
            AwsRefused: If the caller may not send.
            IdentityMissing: If there is no such queue.
        """
        named = {"version": version} if version else {}
        body = json.dumps({"order": order, "identity": identity, "reason": reason} | named)
        with aws_errors("sqs:SendMessage", self._name):
            url = self._client.get_queue_url(QueueName=self._name)["QueueUrl"]
            return str(self._client.send_message(QueueUrl=url, MessageBody=body)["MessageId"])
