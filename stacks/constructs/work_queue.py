"""A queue that feeds a function, and the queue for messages that the function failed on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from meshcert import naming
from stacks.constructs.dead_letters import dead_letter_queue

if TYPE_CHECKING:
    from aws_cdk import Duration

    from stacks.constructs.python_function import PythonFunction


class WorkQueue(Construct):
    """
    A queue with its dead-letter queue.

    Args:
        name: The queue and its dead-letter queue are named after it.
        visibility: How long a received message stays hidden; it is tried again after that.
        tries: How often a message is received before it goes to the dead-letter queue.
        kept: How long an unreceived message is kept.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        mesh: str,
        name: str,
        visibility: Duration,
        tries: int,
        kept: Duration,
    ) -> None:
        super().__init__(scope, construct_id)
        self.dead_letters = dead_letter_queue(self, mesh=mesh, name=name)
        self.queue = sqs.Queue(
            self,
            "Queue",
            queue_name=naming.queue(mesh, name),
            visibility_timeout=visibility,
            retention_period=kept,
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead_letters, max_receive_count=tries),
            enforce_ssl=True,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
        )

    def feed(self, function: PythonFunction, *, batch_size: int, at_once: int) -> None:
        """
        Have a function called with the messages; the ones it reports as failed come again, the others are deleted.

        Args:
            function: Its role must be allowed to receive from the queue.
            batch_size: Most messages in one call.
            at_once: Most calls at the same time.
        """
        lambda_.EventSourceMapping(
            self,
            "Mapping",
            target=function.function,
            event_source_arn=self.queue.queue_arn,
            batch_size=batch_size,
            max_concurrency=at_once,
            report_batch_item_failures=True,
        )
