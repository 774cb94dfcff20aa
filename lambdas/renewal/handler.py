"""The renewal function: looks at identities, one message after the other, and takes the steps that are missing."""

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

logger = Logger(service=SERVICE)
# No service: the mesh is the only dimension, and each further one would be paid for.
metrics = EphemeralMetrics(namespace="meshcert", service="")
# A whole batch that comes again (an order whose identity is being worked on) is no failure of the function.
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
# The core logs through the standard library; its loggers write as this one does.
logging.getLogger("meshcert")
copy_config_to_registered_loggers(source_logger=logger, include={"meshcert"})


@lru_cache(maxsize=1)
def build() -> tuple[RenewalSettings, Ports]:
    """Settings, and ports on AWS; made on first use, so that importing needs no environment."""
    settings = RenewalSettings.from_environ(os.environ)
    metrics.set_default_dimensions(mesh=settings.mesh)
    # Lambda's name for this process's own log stream: an action is found in both logs.
    return settings, renewal_ports(settings, os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME", SERVICE))


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """
    Look at the identities that a batch of messages is about.

    Triggers: the queues ``looks`` (EventBridge's events, the dispatch function) and ``orders`` (operators).

    Returns:
        The messages that have to come again: SQS shows them once more after their visibility timeout, and gives them
        to the queue's dead letters after too many tries. What AWS answered to a step is no reason for it: the identity
        stays unsettled, and the next tick looks again.

    Raises:
        SettingsInvalid: If the environment is wrong; all messages come again.
    """
    build()
    response: PartialItemFailureResponse = process_partial_response(
        event=event, record_handler=_work, processor=processor, context=context
    )
    return response


def _work(record: SQSRecord, lambda_context: LambdaContext) -> None:
    """One message; an error has it come again."""
    settings, ports = build()
    scope = Scope.around(lambda_context.invoked_function_arn, settings.mesh, settings.cluster)

    def left_s() -> float:
        return lambda_context.get_remaining_time_in_millis() / 1000

    try:
        for look, until in asked(_message(record), ports, scope, left_s):
            _tell(look, reconcile(look, lambda_context.aws_request_id, ports, until), ports.policy)
    except MeshcertError as error:
        logger.warning("the message comes again", extra={"message_id": record.message_id, "why": str(error)})
        raise
    except Exception:
        # The batch goes on, and after its last try the message is among the dead letters: the reason stands here.
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
    # A property, not a dimension: each identity's own metrics would be paid for.
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
