"""The export function: exports an identity's certificate and publishes it; has those of Private CA issued."""

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

from meshcert.aws.issuing import export_ports
from meshcert.errors import (
    CertificateNotAsRequested,
    CertificateUnusable,
    Fault,
    IdentityMissing,
    MaterialRejected,
    MeshcertError,
    NotReady,
    RequestInvalid,
    SecretMalformed,
    VersionQuarantined,
)
from meshcert.printable import json_line
from meshcert.publishing.export import export_identity, export_issued
from meshcert.publishing.replacement import replace_certificate
from meshcert.settings import ExportSettings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from meshcert.aws.issuing import ExportPorts
    from meshcert.identity import Identity, IdentityTable

SERVICE = "meshcert-export"
_ABOUT_MATERIAL = (
    CertificateNotAsRequested,
    CertificateUnusable,
    MaterialRejected,
    SecretMalformed,
    VersionQuarantined,
)
"""Errors about a certificate or a key; other refusals are about AWS, or about the call itself."""

logger = Logger(service=SERVICE, json_serializer=json_line)
# No service name: the mesh is the only dimension, because every further one costs money.
metrics = EphemeralMetrics(namespace="meshcert", service="")
# meshcert logs through the standard library; its loggers get this one's format.
logging.getLogger("meshcert")
copy_config_to_registered_loggers(source_logger=logger, include={"meshcert"})


@lru_cache(maxsize=1)
def build() -> ExportPorts:
    """The ports on AWS, from the environment; made on first use, so that importing needs no environment."""
    settings = ExportSettings.from_environ(os.environ)
    metrics.set_default_dimensions(mesh=settings.mesh)
    # A call that hangs must leave time for another: the function has 60 seconds.
    config = Config(connect_timeout=5, read_timeout=10)
    # ACM answers ten calls a second for a whole account: its calls get more than the usual three attempts.
    retried = Config(connect_timeout=5, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 6})
    return export_ports(settings, boto3.resource("dynamodb", config=config), config, retried)


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """
    Publish the certificate that its issuer holds for an identity, or have Private CA issue the next one.

    Triggers: only direct calls. ``{"identity": NAME, "version": VERSION}`` from the renewal function, which has seen
    that version at the issuer; ``{"identity": NAME, "replaces": ARN}`` from the same, when a certificate of Private CA
    is due; ``{"identity": NAME}`` from an administrator of the account. Whoever calls, it acts only on identities in
    the table ``identities``, and has nothing issued but what CloudFormation declares.

    Args:
        event: One of these three.

    Returns:
        ``outcome``, and public facts about the certificate, or the ARN of the one that was asked for.

    Raises:
        MeshcertError: The caller gets the error; AWS does not run the function again.
    """
    del context
    try:
        return _answer(event)
    except MeshcertError as error:
        _count(_kind(error))
        raise


def _kind(error: MeshcertError) -> str:
    """
    The kind of an error, by who has to act.

    It is for nobody yet, for a person who knows the certificate, or for a person who knows the account.
    """
    if isinstance(error, NotReady):
        return "NotReady"
    return "Rejected" if isinstance(error, _ABOUT_MATERIAL) else "Refused"


def _answer(event: dict[str, Any]) -> dict[str, Any]:
    match event:
        case {"identity": str(name), "version": str(version), **more} if name and version and not more:
            ports = build()
            published = export_issued(_find(name, ports.table), version, ports.sources, ports.values)
        case {"identity": str(name), "replaces": str(certificate_arn), **more} if name and certificate_arn and not more:
            return _replace(name, certificate_arn, build())
        case {"identity": str(name), **more} if name and not more:
            ports = build()
            published = export_identity(_find(name, ports.table), ports.sources, ports.values)
        case _:
            remedy = 'Send {"identity": NAME}, with "version": VERSION or "replaces": ARN beside it or not'
            raise RequestInvalid("a direct call", (Fault("event", "it is none of the three", remedy),))
    _count("".join(word.title() for word in published.outcome.split("_")))
    logger.info("in line", extra=published.summary())
    return published.summary()


def _replace(name: str, certificate_arn: str, ports: ExportPorts) -> dict[str, Any]:
    asked = replace_certificate(_find(name, ports.table), certificate_arn, ports.issuing, ports.table)
    if asked is None:
        return {"subject": name, "outcome": "already_replaced"}
    _count("Issued")
    if asked.paid_again:
        _count("MayBePaidAgain")
    if asked.dropped:
        _count("RequestsDropped")
    summary = {"subject": name, "outcome": "asked", "certificate_arn": asked.certificate_arn}
    logger.info("asked for a certificate", extra=summary)
    return summary


def _find(name: str, table: IdentityTable) -> Identity:
    # A property and not a dimension: metrics of each identity would cost money.
    metrics.add_metadata("identity", name)
    identity = table.find(name)
    if identity is None:
        raise IdentityMissing(f"identity {name}", "Deploy the mesh file that declares it")
    return identity


def _count(name: str) -> None:
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=1)
