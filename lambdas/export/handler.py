"""The export function: exports an identity's certificate from ACM and publishes it."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit
from botocore.config import Config

from meshcert.aws.acm import Acm
from meshcert.aws.private_ca import PrivateCa
from meshcert.aws.secrets_manager import SecretsManager
from meshcert.aws.tables.identities import Identities
from meshcert.clock import SystemClock
from meshcert.errors import (
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
from meshcert.publishing.export import Sources, export_identity, export_issued
from meshcert.settings import ExportSettings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from meshcert.identity import Identity, IdentityTable
    from meshcert.publishing.ports import PublishedValues

SERVICE = "meshcert-export"
_ABOUT_MATERIAL = (CertificateUnusable, MaterialRejected, SecretMalformed, VersionQuarantined)
"""Errors about a certificate or a key; other refusals are about AWS, or about the call itself."""

logger = Logger(service=SERVICE, json_serializer=json_line)
# No service name: the mesh is the only dimension, because every further one costs money.
metrics = EphemeralMetrics(namespace="meshcert", service="")
# meshcert logs through the standard library; its loggers get this one's format.
logging.getLogger("meshcert")
copy_config_to_registered_loggers(source_logger=logger, include={"meshcert"})


@dataclass(frozen=True)
class ExportPorts:
    """
    The ports that a call needs.

    Args:
        values: Reads current values, so that an older certificate does not replace a newer one.
    """

    sources: Sources
    values: PublishedValues
    table: IdentityTable


@lru_cache(maxsize=1)
def build() -> ExportPorts:
    """The ports on AWS, from the environment; made on first use, so that importing needs no environment."""
    settings = ExportSettings.from_environ(os.environ)
    metrics.set_default_dimensions(mesh=settings.mesh)
    # A call that hangs must leave time for another: the function has 60 seconds.
    config = Config(connect_timeout=5, read_timeout=10)
    # ACM answers ten calls a second for a whole account: its calls get more than the usual three attempts.
    retried = Config(connect_timeout=5, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 6})
    vault = SecretsManager(boto3.client("secretsmanager", config=config))
    sources = Sources(
        certificates=Acm(boto3.client("acm", config=retried)),
        authorities=PrivateCa(boto3.client("acm-pca", config=config)),
        vault=vault,
        clock=SystemClock(),
    )
    table = boto3.resource("dynamodb", config=config).Table(settings.identities_table)
    return ExportPorts(sources, vault, Identities(table, settings.mesh))


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """
    Publish the certificate that ACM holds for an identity.

    Triggers: only direct calls. ``{"identity": NAME, "version": VERSION}`` from the renewal function, which has seen
    that version in ACM; ``{"identity": NAME}`` from an administrator of the account. Whoever calls, it acts only on
    identities in the table ``identities``.

    Args:
        event: One of these two.

    Returns:
        ``outcome`` and public facts about the certificate.

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
            parts = build()
            published = export_issued(_find(name, parts.table), version, parts.sources, parts.values)
        case {"identity": str(name), **more} if name and not more:
            parts = build()
            published = export_identity(_find(name, parts.table), parts.sources, parts.values)
        case _:
            remedy = 'Send {"identity": NAME} or {"identity": NAME, "version": VERSION}'
            raise RequestInvalid("a direct call", (Fault("event", "it is neither of the two", remedy),))
    _count("".join(word.title() for word in published.outcome.split("_")))
    logger.info("in line", extra=published.summary())
    return published.summary()


def _find(name: str, table: IdentityTable) -> Identity:
    # A property and not a dimension: metrics of each identity would cost money.
    metrics.add_metadata("identity", name)
    identity = table.find(name)
    if identity is None:
        raise IdentityMissing(f"identity {name}", "Deploy the mesh file that declares it")
    return identity


def _count(name: str) -> None:
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=1)
