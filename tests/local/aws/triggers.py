"""Queues, functions and what connects them, made through the API."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.local.aws.hierarchies import eventually
from tests.local.aws.roles import new_role

if TYPE_CHECKING:
    from local.running_aws import LocalAws
    from tests.local.aws.roles import Clients

CONSUME = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]


@dataclass(frozen=True)
class Queue:
    """A queue."""

    aws: Clients
    url: str
    arn: str

    def messages(self) -> list[dict[str, Any]]:
        """What is in it, taken out."""
        sqs = self.aws.client("sqs")
        found = sqs.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
        ).get("Messages", [])
        for message in found:
            sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return list(found)

    def take(self, number: int, within_s: float = 15) -> list[dict[str, Any]]:
        """Its next messages, as soon as there are so many."""
        taken: list[dict[str, Any]] = []

        def enough() -> bool:
            taken.extend(self.messages())
            return len(taken) >= number

        eventually(enough, f"{number} messages", within_s=within_s)
        return taken

    def first(self) -> dict[str, Any]:
        """Its first message, as soon as there is one."""
        return self.take(1)[0]

    def send(self, body: str) -> None:
        """Put a message into it, as the account's administrator."""
        self.aws.client("sqs").send_message(QueueUrl=self.url, MessageBody=body)


def new_queue(aws: Clients, name: str, source_arn: str | None = None, **attributes: str) -> Queue:
    """A queue whose policy lets EventBridge send, from one rule only if ``source_arn`` is given."""
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage"}
    condition = {"Condition": {"ArnEquals": {"aws:SourceArn": source_arn}}} if source_arn else {}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [{**allow, "Resource": arn, **condition}]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    return Queue(aws, url, arn)


def redrive(dead_letters: Queue, after: int) -> dict[str, str]:
    """The attribute of a queue whose messages end in another one after so many receives."""
    return {"RedrivePolicy": json.dumps({"deadLetterTargetArn": dead_letters.arn, "maxReceiveCount": after})}


def new_function(
    aws: LocalAws,
    code: str,
    *,
    name: str = "function",
    dead_letters: Queue | None = None,
    rights: tuple[str, ...] = ("sqs:SendMessage", *CONSUME),
    timeout_s: int = 20,
) -> str:
    """A function with these rights on everything; its ARN."""
    statements = [{"Effect": "Allow", "Action": list(rights), "Resource": "*"}]
    bundle = io.BytesIO()
    with zipfile.ZipFile(bundle, "w") as archive:
        archive.writestr("handler.py", code)
    more = {"DeadLetterConfig": {"TargetArn": dead_letters.arn}} if dead_letters else {}
    created = aws.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.13",
        Handler="handler.handler",
        Role=new_role(aws, name, statements, "lambda.amazonaws.com"),
        Code={"ZipFile": bundle.getvalue()},
        Timeout=timeout_s,
        **more,
    )
    return str(created["FunctionArn"])


def new_mapping(aws: LocalAws, queue: Queue, function: str, **more: Any) -> str:
    """A mapping from a queue to a function; its UUID."""
    mapping = {"EventSourceArn": queue.arn, "FunctionName": function, **more}
    return str(aws.client("lambda").create_event_source_mapping(**mapping)["UUID"])


def reporting(queue: Queue, then: str = "") -> str:
    """Code of a function that sends its event to a queue, and then does something else."""
    return (
        "import boto3, json, os, time\n"
        "sqs = boto3.client('sqs')\n"
        "def handler(event, context):\n"
        f"    sqs.send_message(QueueUrl={queue.url!r}, MessageBody=json.dumps(event))\n"
        f"    {then}\n"
    )
