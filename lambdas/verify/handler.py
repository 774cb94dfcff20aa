"""The verify function: checks an identity's published material, including its key; it can change nothing."""

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

from meshcert.aws.private_ca import PrivateCa
from meshcert.aws.secrets_manager import SecretsManager
from meshcert.aws.tables.identities import Identities
from meshcert.clock import SystemClock
from meshcert.errors import Fault, IdentityMissing, MeshcertError, RequestInvalid
from meshcert.printable import json_line
from meshcert.publishing.declared_roots import DeclaredRoots
from meshcert.publishing.verify import verify_published
from meshcert.settings import VerifySettings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from meshcert.clock import Clock
    from meshcert.identity import IdentityTable
    from meshcert.publishing.ports import CertificateAuthorities, PublishedValues

SERVICE = "meshcert-verify"

logger = Logger(service=SERVICE, json_serializer=json_line)
# No service name: the mesh is the only dimension, because every further one costs money.
metrics = EphemeralMetrics(namespace="meshcert", service="")
# meshcert logs through the standard library; its loggers get this one's format.
logging.getLogger("meshcert")
copy_config_to_registered_loggers(source_logger=logger, include={"meshcert"})


@dataclass(frozen=True)
class VerifyPorts:
    """The ports that a call needs."""

    table: IdentityTable
    values: PublishedValues
    authorities: CertificateAuthorities
    clock: Clock


@lru_cache(maxsize=1)
def build() -> VerifyPorts:
    """The ports on AWS, from the environment; made on first use, so that importing needs no environment."""
    settings = VerifySettings.from_environ(os.environ)
    metrics.set_default_dimensions(mesh=settings.mesh)
    # A call that hangs must leave time for another: the function has 60 seconds.
    config = Config(connect_timeout=5, read_timeout=10)
    table = boto3.resource("dynamodb", config=config).Table(settings.identities_table)
    return VerifyPorts(
        table=Identities(table, settings.mesh),
        values=SecretsManager(boto3.client("secretsmanager", config=config)),
        authorities=PrivateCa(boto3.client("acm-pca", config=config), roots=DeclaredRoots(settings.roots)),
        clock=SystemClock(),
    )


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """
    Repeat the pre-flight on an identity's published material.

    Trigger: only direct calls, ``{"verify": NAME}``, from operators. It reads the secrets of declared identities, but
    answers only with sentences: its callers see no material and cannot change anything.

    Returns:
        Public facts and ``faults``, a sentence for each; empty if there are none.

    Raises:
        MeshcertError: The caller gets the error; AWS does not run the function again.
    """
    del context
    try:
        return _answer(event)
    except MeshcertError:
        _count("VerifyFailed")
        raise


def _answer(event: dict[str, Any]) -> dict[str, Any]:
    match event:
        case {"verify": str(name), **more} if name and not more:
            return _verify(name)
        case _:
            fault = Fault("event", "it is something else", 'Send {"verify": NAME}')
            raise RequestInvalid("a direct call", (fault,))


def _verify(name: str) -> dict[str, Any]:
    parts = build()
    # A property and not a dimension: metrics of each identity would cost money.
    metrics.add_metadata("identity", name)
    identity = parts.table.find(name)
    if identity is None:
        raise IdentityMissing(f"identity {name}", "Deploy the mesh file that declares it")
    found = verify_published(identity, parts.values, parts.authorities, parts.clock)
    _count("Verified")
    logger.info("verified", extra=found.summary())
    return found.summary()


def _count(name: str) -> None:
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=1)
