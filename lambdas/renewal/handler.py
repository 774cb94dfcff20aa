"""The renewal function: looks at identities, message by message, and takes the steps that are missing."""

from __future__ import annotations

import datetime as dt
import logging
import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers
from aws_lambda_powertools.metrics import EphemeralMetrics
from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)

from meshcert.aws.renewal import renewal_ports
from meshcert.errors import MeshcertError
from meshcert.lifecycle.asking.messages import Message, asked
from meshcert.lifecycle.asking.triggers import Scope
from meshcert.lifecycle.doing.measures import measures
from meshcert.lifecycle.doing.reconcile import reconcile
from meshcert.printable import json_line
from meshcert.settings import RenewalSettings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from meshcert.lifecycle.asking.looks import Look
    from meshcert.lifecycle.doing.reconcile import Reconciled
    from meshcert.lifecycle.policy import Policy
    from meshcert.lifecycle.ports import Ports

SERVICE = "meshcert-renewal"

logger = Logger(service=SERVICE, json_serializer=json_line)
# No service name: the mesh is the only dimension, because every further one costs money.
metrics = EphemeralMetrics(namespace="meshcert", service="")
# A whole batch that comes again, for example an order for a leased identity, is not a failure of the function.
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
# meshcert logs through the standard library; its loggers get this one's format.
logging.getLogger("meshcert")
copy_config_to_registered_loggers(source_logger=logger, include={"meshcert"})


@lru_cache(maxsize=1)
def build() -> tuple[RenewalSettings, Ports]:
    """The settings, and the ports on AWS; made on first use, so that importing needs no environment."""
    settings = RenewalSettings.from_environ(os.environ)
    metrics.set_default_dimensions(mesh=settings.mesh)
    # The audit log's stream has the name of this process's own log stream, so an action can be found in both.
    return settings, renewal_ports(settings, os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME", SERVICE))


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """
    Look at the identities that a batch of messages is about, and take their next steps.

    Triggers: the queues ``looks`` (events of EventBridge, and the dispatch function) and ``orders`` (operators).

    Returns:
        The messages that must come again: SQS delivers them again after their visibility timeout, and moves them to the
        dead-letter queue after too many attempts. An error of AWS about a step is not a reason: the identity stays
        unsettled, and the next tick looks again.

    Raises:
        SettingsInvalid: If the environment is wrong; all messages come again.
    """
    build()
    response: PartialItemFailureResponse = process_partial_response(
        event=event, record_handler=_work, processor=processor, context=context
    )
    return response


def _work(record: SQSRecord, lambda_context: LambdaContext) -> None:
    """Carry out one message; after an error it comes again."""
    settings, ports = build()
    scope = Scope.around(lambda_context.invoked_function_arn, settings.mesh)

    def left_s() -> float:
        return lambda_context.get_remaining_time_in_millis() / 1000

    try:
        for look, until in asked(_message(record), ports, scope, left_s):
            _tell(look, reconcile(look, lambda_context.aws_request_id, ports, until), ports.policy)
    except MeshcertError as error:
        logger.warning("the message comes again", extra={"message_id": record.message_id, "why": str(error)})
        raise
    except Exception:
        # The batch goes on. After the last attempt the message is a dead letter, and the reason is only in this log.
        logger.exception("the message failed unexpectedly", extra={"message_id": record.message_id})
        raise


def _message(record: SQSRecord) -> Message:
    sent_ms = record.attributes.get("SentTimestamp")
    return Message(
        id=record.message_id,
        body=record.body,
        queue=record.event_source_arn.rpartition(":")[2],
        sender=record.attributes.get("SenderId") or "unknown",
        sent=dt.datetime.fromtimestamp(int(sent_ms) / 1000, dt.UTC) if sent_ms else None,
    )


def _tell(look: Look, result: Reconciled, policy: Policy) -> None:
    for name, measure in measures(result, policy).items():
        metrics.add_metric(name=name, unit=measure.unit, value=measure.value)
    # A property and not a dimension: metrics of each identity would cost money.
    metrics.add_metadata("identity", result.identity)
    metrics.flush_metrics()
    logger.info(
        "looked",
        extra={
            "identity": result.identity,
            "by": look.by,
            "deeds": [f"{taken.step.action}: {taken.outcome}" for taken in result.steps],
            "next": f"{result.plan.step.action}: {result.plan.step.why}" if result.plan else "another look sees to it",
        },
    )
    for finding in result.plan.findings if result.plan else ():
        logger.warning(
            str(finding.kind),
            extra={"identity": result.identity, "detail": finding.detail, "remedy": finding.remedy},
        )
