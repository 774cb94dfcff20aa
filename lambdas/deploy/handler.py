"""The deploy function: publishes an identity, a bundle of roots or routes on request of CloudFormation."""

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

from meshcert import naming
from meshcert.aws.bundle_object import S3BundleObject
from meshcert.aws.cloudformation import require_response_url, send_answer
from meshcert.aws.issuing import export_ports
from meshcert.aws.list_buckets import S3ListBuckets
from meshcert.aws.secrets_manager import SecretsManager
from meshcert.aws.tables.lifecycle import LifecycleRows
from meshcert.aws.tables.routes import RouteTableRows
from meshcert.deploying.custom_resource import answer
from meshcert.deploying.deployment import Deployment
from meshcert.deploying.published_roots import PublishedRoots
from meshcert.errors import RequestInvalid
from meshcert.printable import json_line
from meshcert.publishing.declared_bundles import read_bundles
from meshcert.publishing.declared_roots import DeclaredRoots
from meshcert.settings import DeploySettings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

SERVICE = "meshcert-deploy"

logger = Logger(service=SERVICE, json_serializer=json_line)
# No service name: the mesh is the only dimension, because every further one costs money.
metrics = EphemeralMetrics(namespace="meshcert", service="")
# meshcert logs through the standard library; its loggers get this one's format.
logging.getLogger("meshcert")
copy_config_to_registered_loggers(source_logger=logger, include={"meshcert"})


@lru_cache(maxsize=1)
def build() -> Deployment:
    """The ports on AWS, from the environment; made on first use, so that importing needs no environment."""
    settings = DeploySettings.from_environ(os.environ)
    metrics.set_default_dimensions(mesh=settings.mesh)
    config = Config(connect_timeout=5, read_timeout=10)
    tables = boto3.resource("dynamodb", config=config)
    ports = export_ports(settings, tables, config, config)
    return Deployment(
        mesh=settings.mesh,
        sources=ports.sources,
        table=ports.table,
        marks=LifecycleRows(tables.Table(settings.lifecycle_table)),
        routes=RouteTableRows(tables.Table(naming.routes_table(settings.mesh))),
        bundles=read_bundles(settings.trust_bundles),
        issuing=ports.issuing,
        authorities=ports.authorities,
        lists=S3ListBuckets(boto3.client("s3", config=config)),
        values=ports.values,
        labelled_values=SecretsManager(boto3.client("secretsmanager", config=config)),
        roots=DeclaredRoots(settings.roots),
        foreign_bundles=settings.foreign_bundles,
        published_roots=PublishedRoots(
            settings.trust_domain,
            tuple(settings.published_hierarchies.split()),
            S3BundleObject(boto3.client("s3", config=config), settings.bundle_bucket),
        )
        if settings.bundle_bucket
        else None,
    )


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, str]:
    """
    Bring an identity, a trust bundle or a service's routes up to date, and answer CloudFormation.

    Trigger: CloudFormation, which waits for the answer. Nobody else should invoke this function, but IAM cannot say so;
    what a request names is therefore checked against what the mesh's and the resource's own names give.

    Args:
        event: A request of CloudFormation.

    Returns:
        The status that was sent to CloudFormation.

    Raises:
        RequestInvalid: If the event is not a request of CloudFormation, so that there is nobody to answer.
        AwsUnavailable: If the answer could not be delivered. AWS runs the function twice more, after one and two
            minutes, and then puts the request into the dead-letter queue.
    """
    try:
        response_url = require_response_url(event.get("ResponseURL"), os.environ)
    except RequestInvalid:
        _count("DeployFailed")
        raise
    body = answer(event, build, f"log stream {context.log_stream_name}, request {context.aws_request_id}")
    send_answer(response_url, body)
    logger.info("answered CloudFormation", extra={"status": body["Status"], "resource": body["PhysicalResourceId"]})
    _count("Deployed" if body["Status"] == "SUCCESS" else "DeployFailed")
    if body["Status"] == "SUCCESS" and "Reason" in body:
        # A CA that had no answer: what is published of it stays.
        _count("CaUnanswered")
    return {"outcome": body["Status"]}


def _count(name: str) -> None:
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=1)
