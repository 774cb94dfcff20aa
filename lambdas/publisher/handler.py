"""The publisher function: puts this mesh's own SPIFFE bundle where partners fetch it."""

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

from meshcert.aws.bundle_object import S3BundleObject
from meshcert.aws.secrets_manager import SecretsManager
from meshcert.clock import SystemClock
from meshcert.federation.own_publication import OwnOutcome, OwnPublication, publish_own_bundle
from meshcert.printable import json_line
from meshcert.settings import PublisherSettings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

SERVICE = "meshcert-publisher"

logger = Logger(service=SERVICE, json_serializer=json_line)
# No service name: the mesh is the only dimension, because every further one costs money.
metrics = EphemeralMetrics(namespace="meshcert", service="")
# meshcert logs through the standard library; its loggers get this one's format.
logging.getLogger("meshcert")
copy_config_to_registered_loggers(source_logger=logger, include={"meshcert"})


@lru_cache(maxsize=1)
def build() -> OwnPublication:
    """The ports, from the environment; made on first use, so that importing needs no environment."""
    settings = PublisherSettings.from_environ(os.environ)
    metrics.set_default_dimensions(mesh=settings.mesh)
    config = Config(connect_timeout=3, read_timeout=5)
    return OwnPublication(
        mesh=settings.mesh,
        trust_domain=settings.trust_domain,
        hierarchies=tuple(settings.published_hierarchies.split()),
        refresh_hint_s=int(settings.refresh_hint_s),
        values=SecretsManager(boto3.client("secretsmanager", config=config)),
        place=S3BundleObject(boto3.client("s3", config=config), settings.bundle_bucket),
        clock=SystemClock(),
    )


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """
    Have partners find the roots of now.

    Trigger: a schedule, every five minutes. The event is not read: the environment, which CloudFormation alone writes,
    says what is published, and the trust bundles that proxies read say the roots.

    Returns:
        What came of it, and the bundle's ``spiffe_sequence``.

    Raises:
        MeshcertError: If the bundle is not there. The next run comes in any case, and an alarm tells when several have
            failed.
    """
    del event, context
    own = build()
    in_place = False
    try:
        outcome, bundle = publish_own_bundle(own)
        in_place = True
    finally:
        # Of every run, so that the alarm lasts as long as its cause.
        metrics.add_metric(name="OwnBundleInPlace", unit=MetricUnit.Count, value=int(in_place))
    if outcome is OwnOutcome.PUBLISHED:
        logger.info("published", extra={"sequence": bundle.sequence, "roots": len(bundle.usable)})
    return {"outcome": str(outcome), "sequence": bundle.sequence}
