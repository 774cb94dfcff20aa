"""The export function: brings one identity, or one trust bundle, in line."""

from __future__ import annotations

import logging
import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import boto3  # noqa: TID251  the handler plugs the adapters in
from aws_lambda_powertools import Logger, Metrics  # noqa: TID251  only handlers know Powertools
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers  # noqa: TID251  as above
from aws_lambda_powertools.metrics import MetricUnit  # noqa: TID251  as above

from meshcert.aws.acm import Acm
from meshcert.aws.cloudformation import send_answer
from meshcert.aws.identities import Identities
from meshcert.aws.private_ca import PrivateCa
from meshcert.aws.secrets_manager import SecretsManager
from meshcert.clock import SystemClock
from meshcert.custom_resource import Deployment, answer
from meshcert.errors import IdentityMissing, MeshcertError, Rejected
from meshcert.export import Sources, export_identity
from meshcert.settings import ExportSettings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext  # noqa: TID251  as above

    from meshcert.ports import Identity, IdentityTable

SERVICE = "meshcert-export"

logger = Logger(service=SERVICE)
metrics = Metrics(namespace="meshcert", service=SERVICE)
# The core logs through the standard library; its loggers write as this one does.
logging.getLogger("meshcert")
copy_config_to_registered_loggers(source_logger=logger, include={"meshcert"})


@lru_cache(maxsize=1)
def build() -> Deployment:
    """The use cases' ports on AWS, as the environment says; made on first use, so that importing needs none."""
    settings = ExportSettings.from_environ(os.environ)
    metrics.set_default_dimensions(mesh=settings.mesh)
    sources = Sources(
        certificates=Acm(boto3.client("acm")),
        authorities=PrivateCa(boto3.client("acm-pca")),
        vault=SecretsManager(boto3.client("secretsmanager")),
        clock=SystemClock(),
    )
    table = boto3.resource("dynamodb").Table(settings.identities_table)
    return Deployment(mesh=settings.mesh, sources=sources, table=Identities(table))


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, str]:
    """
    Bring an identity or a trust bundle in line.

    Triggers: CloudFormation's custom resources; EventBridge's ``ACM Certificate Available`` with action ``RENEWAL``;
    ``{"identity": NAME}`` from whoever may invoke it. Events about certificates that are nobody's are ignored.

    Args:
        event: One of the three.
        context: Lambda's.

    Returns:
        ``outcome`` and public facts; for CloudFormation the status it was sent.

    Raises:
        MeshcertError: Except for CloudFormation, which is always answered. Invoked asynchronously (CloudFormation,
            EventBridge), AWS runs the function twice more, after one and two minutes, and then gives the event to the
            dead-letter queue; a direct caller sees the error.
    """
    if "ResponseURL" in event:
        body = answer(event, build, f"log stream {context.log_stream_name}, request {context.aws_request_id}")
        send_answer(event["ResponseURL"], body)
        logger.info("answered CloudFormation", extra={"status": body["Status"], "resource": body["PhysicalResourceId"]})
        _count("Deployed" if body["Status"] == "SUCCESS" else "Rejected")
        return {"outcome": body["Status"]}
    try:
        deployment = build()
        identity = _find(event, deployment.table)
        if identity is None:
            logger.debug("nothing to do: the event names no certificate of this mesh")
            _count("Ignored")
            return {"outcome": "ignored"}
        published = export_identity(identity, deployment.sources)
    except MeshcertError as error:
        _count("Rejected" if isinstance(error, Rejected) else "NotReady")
        raise
    _count("".join(word.title() for word in published.outcome.split("_")))
    logger.info("in line", extra=published.summary())
    return published.summary()


def _find(event: dict[str, Any], table: IdentityTable) -> Identity | None:
    match event:
        case {"source": "aws.acm", "detail": {"Action": "RENEWAL"}, "resources": [str(certificate_arn), *_]}:
            return table.find_by_certificate(certificate_arn)
        case {"identity": str(name)}:
            identity = table.find(name)
            if identity is None:
                raise IdentityMissing(f"identity {name}", "Deploy the mesh file that declares it")
            return identity
    return None


def _count(name: str) -> None:
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=1)
