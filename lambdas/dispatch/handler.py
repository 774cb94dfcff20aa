"""The dispatch function: sends looks for the unsettled identities at a tick, and for all of them at a sweep."""

from __future__ import annotations

import logging
import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit
from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from botocore.config import Config

from meshcert.aws.queues.looks import LooksQueue
from meshcert.aws.tables.identities import Identities
from meshcert.aws.tables.lifecycle import LifecycleRows
from meshcert.clock import SystemClock
from meshcert.errors import MeshcertError
from meshcert.lifecycle.asking.dispatch import DispatchPorts, dispatch
from meshcert.lifecycle.asking.looks import TICK
from meshcert.printable import json_line
from meshcert.settings import DispatchSettings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
    from aws_lambda_powertools.utilities.typing import LambdaContext

SERVICE = "meshcert-dispatch"

logger = Logger(service=SERVICE, json_serializer=json_line)
# No service name: the mesh is the only dimension, because every further one costs money.
metrics = EphemeralMetrics(namespace="meshcert", service="")
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
# meshcert logs through the standard library; its loggers get this one's format.
logging.getLogger("meshcert")
copy_config_to_registered_loggers(source_logger=logger, include={"meshcert"})


@lru_cache(maxsize=1)
def build() -> DispatchPorts:
    """The ports on AWS, from the environment; made on first use, so that importing needs no environment."""
    settings = DispatchSettings.from_environ(os.environ)
    metrics.set_default_dimensions(mesh=settings.mesh)
    config = Config(connect_timeout=5, read_timeout=10)
    tables = boto3.resource("dynamodb", config=config)
    return DispatchPorts(
        table=LifecycleRows(tables.Table(settings.lifecycle_table)),
        declared=Identities(tables.Table(settings.identities_table), settings.mesh),
        messages=LooksQueue(boto3.client("sqs", config=config), settings.looks_queue_url),
        clock=SystemClock(),
        looks_per_second=settings.looks_per_second,
    )


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """
    Send a look for each identity that is due.

    Trigger: the queue ``dispatch``, to which EventBridge Scheduler sends ``{"dispatch": "tick"}`` every minute and
    ``{"dispatch": "sweep"}`` every hour, for a large fleet in parts.

    Args:
        event: A batch of SQS messages.

    Returns:
        The messages that must come again. Looks that were sent before an error are then sent twice, which does no harm.

    Raises:
        SettingsInvalid: If the environment is wrong; all messages come again.
    """
    build()
    response: PartialItemFailureResponse = process_partial_response(
        event=event, record_handler=_work, processor=processor, context=context
    )
    return response


def _work(record: SQSRecord) -> None:
    """Carry out one message; after an error it comes again."""
    try:
        done = dispatch(record.body, build())
    except MeshcertError as error:
        logger.warning("the message comes again", extra={"message_id": record.message_id, "why": str(error)})
        raise
    except Exception:
        logger.exception("the message failed unexpectedly", extra={"message_id": record.message_id})
        raise
    if done is None:
        return
    counted, found = ("Ticks", "Unsettled") if done.kind == TICK else ("Sweeps", "Identities")
    metrics.add_metric(name=counted, unit=MetricUnit.Count, value=1)
    metrics.add_metric(name=found, unit=MetricUnit.Count, value=done.identities)
    metrics.flush_metrics()
    logger.info("dispatched", extra={"kind": done.kind, "identities": done.identities, "sent": done.sent})
