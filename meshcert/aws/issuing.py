"""What the two functions of the export role issue and export with, on AWS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import boto3

from meshcert import naming
from meshcert.aws.acm import Acm
from meshcert.aws.issuance_parameters import IssuanceParameters
from meshcert.aws.private_ca import PrivateCa
from meshcert.aws.secrets_manager import SecretsManager
from meshcert.aws.tables.identities import Identities
from meshcert.aws.tables.issuances import Issuances
from meshcert.clock import SystemClock
from meshcert.issuing.issuing_once import Issuing
from meshcert.issuing.own_material import OwnMaterial
from meshcert.issuing.sources import MaterialSources
from meshcert.publishing.declared_roots import DeclaredRoots
from meshcert.publishing.export import Sources

if TYPE_CHECKING:
    from botocore.config import Config

    from meshcert.identity import IdentityTable
    from meshcert.publishing.ports import PublishedValues
    from meshcert.settings import DeploySettings, ExportSettings


class ExportPorts(NamedTuple):
    """
    The ports.

    Args:
        sources: What is exported, and where it is published.
        issuing: What has certificates of AWS Private CA issued.
        values: Reads current values, so that an older certificate does not replace a newer one.
        table: The identities.
        authorities: CAs, looked at as their owners keep them.
    """

    sources: Sources
    issuing: Issuing
    values: PublishedValues
    table: IdentityTable
    authorities: PrivateCa


def export_ports(settings: ExportSettings | DeploySettings, tables: Any, config: Config, acm: Config) -> ExportPorts:
    """
    The ports of one process; creating them makes no call to AWS.

    Args:
        tables: boto3's ``dynamodb`` resource.
        acm: How ACM is called.
    """
    mesh = settings.mesh
    clock, vault = SystemClock(), SecretsManager(boto3.client("secretsmanager", config=config))
    authorities = PrivateCa(boto3.client("acm-pca", config=config), clock, DeclaredRoots(settings.roots))
    requests = Issuances(
        tables.Table(naming.issuances_table(mesh)), boto3.client("kms", config=config), naming.key_alias(mesh)
    )
    issuing = Issuing(mesh, IssuanceParameters(boto3.client("ssm", config=config), mesh), requests, authorities, clock)
    certificates = MaterialSources(Acm(boto3.client("acm", config=acm)), OwnMaterial(authorities, issuing))
    table = Identities(tables.Table(settings.identities_table), mesh)
    return ExportPorts(Sources(certificates, authorities, vault, clock), issuing, vault, table, authorities)
