"""The federate function: asks the bundle endpoints of foreign trust domains, and publishes what they give."""

from __future__ import annotations

import logging
import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit
from botocore.config import Config

from meshcert.aws.secrets_manager import SecretsManager
from meshcert.aws.tables.bundle_fetches import BundleFetches
from meshcert.clock import SystemClock
from meshcert.federation.endpoints import read_endpoints
from meshcert.federation.https_web import HttpsWebEndpoints
from meshcert.federation.refreshing import FederationPorts, Refreshed, refresh
from meshcert.printable import json_line
from meshcert.settings import FederateSettings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from meshcert.federation.endpoints import DeclaredEndpoint

SERVICE = "meshcert-federate"

logger = Logger(service=SERVICE, json_serializer=json_line)
# No service name: the mesh is the only dimension, because every further one costs money.
metrics = EphemeralMetrics(namespace="meshcert", service="")
# meshcert logs through the standard library; its loggers get this one's format.
logging.getLogger("meshcert")
copy_config_to_registered_loggers(source_logger=logger, include={"meshcert"})


@lru_cache(maxsize=1)
def build() -> tuple[tuple[DeclaredEndpoint, ...], FederationPorts]:
    """The endpoints and the ports, from the environment; made on first use, so that importing needs no environment."""
    settings = FederateSettings.from_environ(os.environ)
    metrics.set_default_dimensions(mesh=settings.mesh)
    config = Config(connect_timeout=3, read_timeout=5)
    table = boto3.resource("dynamodb", config=config).Table(settings.bundle_fetches_table)
    return read_endpoints(settings.bundle_endpoints), FederationPorts(
        mesh=settings.mesh,
        endpoints=HttpsWebEndpoints(),
        vault=(secrets := SecretsManager(boto3.client("secretsmanager", config=config))),
        values=secrets,
        notes=BundleFetches(table),
        clock=SystemClock(),
    )


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, str]:
    """
    Ask the bundle endpoints that are due, and publish what is new.

    Trigger: a schedule, every five minutes. The event is not read: the environment, which CloudFormation alone writes,
    says whom to ask.

    Returns:
        What came of each endpoint, by trust domain.

    Raises:
        MeshcertError: If it cannot be found out which are due. What an endpoint does wrong is logged and counted.
    """
    del event, context
    endpoints, ports = build()
    results = refresh(endpoints, ports)
    now = ports.clock.now()
    for result in results:
        if result.refreshed is Refreshed.NOT_DUE:
            continue
        about = {"trust_domain": result.endpoint.trust_domain, "outcome": str(result.refreshed)}
        logger.info("asked", extra=about | {"sequence": result.note.sequence, "remarks": list(result.remarks)})
        if result.refreshed is Refreshed.PUBLISHED:
            metrics.add_metric(name="BundlesPublished", unit=MetricUnit.Count, value=1)
    # Figures of every run, also about endpoints that were not due: an alarm lasts as long as its cause.
    overdue = max((result.note.hints_without(now) for result in results), default=0.0)
    metrics.add_metric(name="BundleHintsMissed", unit=MetricUnit.Count, value=int(max(overdue, 0)))
    metrics.add_metric(name="BundlesRefused", unit=MetricUnit.Count, value=sum(each.is_refused for each in results))
    return {result.endpoint.trust_domain: str(result.refreshed) for result in results}
