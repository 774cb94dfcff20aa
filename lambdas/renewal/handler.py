"""The renewal function: looks at identities, one message after the other, and takes the steps that are missing."""

from __future__ import annotations

import datetime as dt
import logging
import os
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers
from aws_lambda_powertools.metrics import EphemeralMetrics
from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from botocore.config import Config

from meshcert import naming
from meshcert.aws.audit_log import AuditLog
from meshcert.aws.ecs.services import EcsServices
from meshcert.aws.functions.export import ExportFunction
from meshcert.aws.private_ca import PrivateCa
from meshcert.aws.renewals import AcmRenewals
from meshcert.aws.secrets_manager import SecretsManager
from meshcert.aws.tables.acknowledgements import AcknowledgementRows
from meshcert.aws.tables.identities import Identities
from meshcert.aws.tables.lifecycle import LifecycleRows
from meshcert.clock import SystemClock
from meshcert.errors import MeshcertError, NotReady
from meshcert.lifecycle.asking.looks import TICK
from meshcert.lifecycle.asking.triggers import Directory, Home, looks, ordered
from meshcert.lifecycle.doing.apply import Hands
from meshcert.lifecycle.doing.measures import measures
from meshcert.lifecycle.doing.reconcile import Workshop, reconcile
from meshcert.lifecycle.observing.observe import Views
from meshcert.settings import RenewalSettings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from meshcert.lifecycle.asking.looks import Look
    from meshcert.lifecycle.doing.reconcile import Reconciled

SERVICE = "meshcert-renewal"
LEAST_LEFT = 1 / 7
"""With less time left than this part of a lease, no further look is begun: its message comes again."""
TICK_OF_USE_S = 180
"""A tick's look that was sent longer ago is of no use, seconds: its delay was 60 at most, others have come since."""
EXPORT_WITHIN_S = 55
"""How long an export is waited for, seconds: most of the 60 that the export function has."""

logger = Logger(service=SERVICE)
# No service: the mesh is the only dimension, and each further one would be paid for.
metrics = EphemeralMetrics(namespace="meshcert", service="")
# A whole batch that comes again (an order whose identity is being worked on) is no failure of the function.
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
# The core logs through the standard library; its loggers write as this one does.
logging.getLogger("meshcert")
copy_config_to_registered_loggers(source_logger=logger, include={"meshcert"})


class TimeIsUp(NotReady):
    """Lambda is about to end this run: what it has not begun comes again."""


@dataclass(frozen=True)
class Parts:
    """
    What messages are worked on with.

    Args:
        mesh: Name of the mesh.
        cluster: Name of its ECS cluster.
        workshop: Looks and steps.
    """

    mesh: str
    cluster: str
    workshop: Workshop


@lru_cache(maxsize=1)
def build() -> Parts:
    """The use cases' ports on AWS, as the environment says; made on first use, so that importing needs none."""
    settings = RenewalSettings.from_environ(os.environ)
    metrics.set_default_dimensions(mesh=settings.mesh)
    # A call that hangs must leave time for the others: the function has 120 seconds.
    config = Config(connect_timeout=5, read_timeout=10)
    # ACM answers ten questions a second for a whole account, and a lease that is not given back costs its whole length:
    # these two are asked more often than the usual three times before a look gives up.
    stubborn = Config(connect_timeout=5, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 6})
    # An export that is repeated while the first one still runs would only race with it: the next look repeats it.
    patient = Config(connect_timeout=5, read_timeout=EXPORT_WITHIN_S, retries={"total_max_attempts": 1})
    tables = boto3.resource("dynamodb", config=stubborn)
    clock = SystemClock()
    renewals = AcmRenewals(boto3.client("acm", config=stubborn))
    secrets = SecretsManager(boto3.client("secretsmanager", config=config))
    services = EcsServices(boto3.client("ecs", config=config), settings.cluster)
    exporter = ExportFunction(boto3.client("lambda", config=patient), settings.export_function)
    # Lambda's name for this process's own log stream: an action is found in both logs.
    stream = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME", SERVICE)
    workshop = Workshop(
        views=Views(
            renewals=renewals,
            labels=secrets,
            services=services,
            acknowledgements=AcknowledgementRows(tables.Table(settings.acknowledgements_table)),
            authorities=PrivateCa(boto3.client("acm-pca", config=config), clock),
            clock=clock,
        ),
        hands=Hands(renewals=renewals, labels=secrets, services=services, exporter=exporter),
        declared=Identities(tables.Table(settings.identities_table)),
        table=LifecycleRows(tables.Table(settings.lifecycle_table)),
        audit=AuditLog(boto3.client("logs", config=config), settings.audit_log_group, stream),
        policy=settings.policy,
        lease_s=settings.lease_s,
    )
    return Parts(settings.mesh, settings.cluster, workshop)


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """
    Look at the identities that a batch of messages is about.

    Triggers: the queues ``looks`` (EventBridge's events, the dispatch function) and ``orders`` (operators).

    Args:
        event: A batch of SQS's.
        context: Lambda's.

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
    parts = build()
    try:
        _require_time(lambda_context)
        for look in _wanted(record, parts, lambda_context):
            until = _require_time(lambda_context)
            _tell(look, reconcile(look, lambda_context.aws_request_id, parts.workshop, until), parts)
    except MeshcertError as error:
        logger.warning("the message comes again", extra={"message_id": record.message_id, "why": str(error)})
        raise
    except Exception:
        # The batch goes on, and after its last try the message is among the dead letters: the reason stands here.
        logger.exception("the message failed unexpectedly", extra={"message_id": record.message_id})
        raise


def _require_time(context: LambdaContext) -> dt.datetime:
    """Until when a look may be begun."""
    workshop = build().workshop
    left_s = context.get_remaining_time_in_millis() / 1000
    spare_s = left_s - workshop.lease_s * LEAST_LEFT
    if spare_s < 0:
        raise TimeIsUp(f"{left_s:.1f} s are left, too few to begin a look")
    return workshop.views.clock.now() + dt.timedelta(seconds=spare_s)


def _wanted(record: SQSRecord, parts: Parts, context: LambdaContext) -> tuple[Look, ...]:
    """An order counts only from its own queue, which few may send to."""
    workshop = parts.workshop
    directory = Directory(
        home=Home.around(context.invoked_function_arn, parts.cluster),
        declared=workshop.declared,
        services=workshop.hands.services,
        audit=workshop.audit,
        clock=workshop.views.clock,
    )
    if record.event_source_arn.rpartition(":")[2] == naming.queue(parts.mesh, "orders"):
        return ordered(record.body, record.attributes.get("SenderId") or "unknown", record.message_id, directory)
    sent = _sent(record)
    found = looks(record.body, directory, sent)
    if sent is None or (workshop.views.clock.now() - sent).total_seconds() <= TICK_OF_USE_S:
        return found
    # After hours of outage thousands of them would stand before the first real event.
    stale = [look.identity for look in found if look.by == TICK]
    if stale:
        logger.debug("a tick of long ago: another has come since", extra={"identities": stale})
    return tuple(look for look in found if look.by != TICK)


def _sent(record: SQSRecord) -> dt.datetime | None:
    """When SQS took a message."""
    sent_ms = record.attributes.get("SentTimestamp")
    return dt.datetime.fromtimestamp(int(sent_ms) / 1000, dt.UTC) if sent_ms else None


def _tell(look: Look, result: Reconciled, parts: Parts) -> None:
    for name, measure in measures(result, parts.workshop.policy).items():
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
