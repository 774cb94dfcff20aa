"""Queues where failed messages wait for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Duration
from aws_cdk import aws_sqs as sqs

from meshcert import naming
from stacks.findings import accept

if TYPE_CHECKING:
    from constructs import Construct

KEPT = Duration.days(14)
"""How long dead letters wait for a person: the longest time that SQS allows."""


def dead_letter_queue(scope: Construct, *, mesh: str, name: str) -> sqs.Queue:
    """
    A queue for failed messages, named ``…-NAME-dead-letters``.

    It is encrypted with SQS's own key, so that any AWS service that the queue's policy admits can send to it.
    """
    return _for_failures(scope, "DeadLetters", naming.queue(mesh, f"{name}-dead-letters"))


def undelivered_queue(scope: Construct, *, mesh: str) -> sqs.Queue:
    """The queue for events that EventBridge could not deliver."""
    return _for_failures(scope, "Undelivered", naming.queue(mesh, "undelivered"))


def _for_failures(scope: Construct, construct_id: str, name: str) -> sqs.Queue:
    queue = sqs.Queue(
        scope,
        construct_id,
        queue_name=name,
        enforce_ssl=True,
        retention_period=KEPT,
        encryption=sqs.QueueEncryption.SQS_MANAGED,
    )
    accept(queue, "AwsSolutions-SQS3", "It is itself the queue for what failed.")
    return queue
