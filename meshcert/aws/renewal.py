"""The renewal function's ports on AWS."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
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
from meshcert.aws.tables.routes import RouteTableRows
from meshcert.clock import SystemClock
from meshcert.identity import IssuerName
from meshcert.issuing.acm import AcmIssuer
from meshcert.issuing.private_ca import PrivateCaIssuer
from meshcert.lifecycle.ports import Ports

if TYPE_CHECKING:
    from meshcert.settings import RenewalSettings

EXPORT_WITHIN_S = 55
"""Longest wait for an export, seconds: most of the 60 that the export function may run."""


def renewal_ports(settings: RenewalSettings, stream: str) -> Ports:
    """
    The ports of one process; creating them makes no call to AWS.

    Args:
        stream: Name of the log stream that this process writes in the audit log.
    """
    # A call that hangs must leave time for the others: the function has 120 seconds.
    config = Config(connect_timeout=5, read_timeout=10)
    # ACM answers ten calls a second for a whole account, and a lease that is not given back blocks until it ends:
    # calls to ACM and DynamoDB get more than the usual three attempts before a look gives up.
    retried = Config(connect_timeout=5, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 6})
    # A second export during the first would only race with it. If an export fails, the next look repeats it.
    single_attempt = Config(connect_timeout=5, read_timeout=EXPORT_WITHIN_S, retries={"total_max_attempts": 1})
    tables = boto3.resource("dynamodb", config=retried)
    clock = SystemClock()
    authorities = PrivateCa(boto3.client("acm-pca", config=config), clock)
    exporter = ExportFunction(boto3.client("lambda", config=single_attempt), settings.export_function)
    return Ports(
        issuers={
            IssuerName.ACM: AcmIssuer(AcmRenewals(boto3.client("acm", config=retried))),
            IssuerName.PRIVATE_CA: PrivateCaIssuer(authorities, exporter),
        },
        labels=SecretsManager(boto3.client("secretsmanager", config=config)),
        platform=EcsServices(boto3.client("ecs", config=config), settings.cluster),
        acknowledgements=AcknowledgementRows(tables, settings.acknowledgements_table, clock),
        authorities=authorities,
        settings=RouteTableRows(tables.Table(naming.routes_table(settings.mesh))),
        clock=clock,
        exporter=exporter,
        declared=Identities(tables.Table(settings.identities_table), settings.mesh),
        table=LifecycleRows(tables.Table(settings.lifecycle_table)),
        audit=AuditLog(boto3.client("logs", config=config), settings.audit_log_group, stream),
        policy=settings.policy,
        lease_s=settings.lease_s,
    )
