"""A mesh as an operator reaches it: the lifecycle's own ports on AWS, read only, and two ways to ask for something."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

import boto3
from botocore.config import Config

from meshcert import naming
from meshcert.aws.audit_log import history
from meshcert.aws.ecs.services import EcsServices
from meshcert.aws.errors import aws_errors
from meshcert.aws.functions.verify import VerifyFunction
from meshcert.aws.private_ca import PrivateCa
from meshcert.aws.queues.orders import OrdersQueue
from meshcert.aws.renewals import AcmRenewals
from meshcert.aws.secrets_manager import SecretsManager
from meshcert.aws.tables.acknowledgements import AcknowledgementRows
from meshcert.aws.tables.identities import Identities
from meshcert.aws.tables.lifecycle import LifecycleRows
from meshcert.clock import SystemClock
from meshcert.contract.environment import POLICY_PREFIX
from meshcert.errors import AwsRefused, Fault, SettingsInvalid
from meshcert.issuing.acm import AcmIssuer
from meshcert.lifecycle.policy import Policy
from meshcert.lifecycle.ports import Observers

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping

    from meshcert.identity import Declared
    from meshcert.lifecycle.audit import AuditEntry
    from meshcert.lifecycle.memory import Memory

_LOOKS = Config(retries={"mode": "standard", "total_max_attempts": 5}, connect_timeout=5, read_timeout=20)
# The verify function may run for 60 seconds, and is not to be called twice.
_CALLS = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=70)


class Remembered(Protocol):
    """The table ``lifecycle``, read only."""

    def memory(self, identity: str) -> Memory:
        """What is remembered of an identity; nothing for one that was never looked at."""
        ...


class Orders(Protocol):
    """The orders queue."""

    def send(self, order: str, identity: str, reason: str) -> str:
        """
        Have something done.

        Args:
            order: ``renew`` or ``rollback``.
            identity: For which identity.
            reason: In the operator's own words; it goes into the audit log.

        Returns:
            The message's id.
        """
        ...


class Verifier(Protocol):
    """The verify function."""

    def verify(self, identity: str) -> dict[str, Any]:
        """The pre-flight of an identity's current version: public facts and ``faults``."""
        ...


class History(Protocol):
    """The audit log."""

    def __call__(self, identity: str, since: dt.datetime) -> Iterator[AuditEntry]:
        """An identity's actions since then, the oldest first."""
        ...


class Pauses(Protocol):
    """Time that is waited."""

    def monotonic(self) -> float:
        """Seconds since some moment."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let some pass."""
        ...


@dataclass(frozen=True)
class Account:
    """
    What the commands work with.

    Args:
        mesh: Name of the mesh.
        region: Where it is.
        declared: What is declared.
        observers: Where to look.
        remembered: What looks have remembered.
        orders: For ``renew`` and ``rollback``.
        verifier: For ``verify``.
        history: For ``history``.
        policy: When things are due; as the renewal function has it, unless that was given other settings.
        pauses: For waits.
    """

    mesh: str
    region: str
    declared: Declared
    observers: Observers
    remembered: Remembered
    orders: Orders
    verifier: Verifier
    history: History
    policy: Policy = field(default_factory=Policy)
    pauses: Pauses = time


def connect(mesh: str, environ: Mapping[str, str]) -> Account:
    """
    A mesh in the account and region of the environment's credentials; asks AWS nothing yet.

    Args:
        mesh: Its name in the mesh file.
        environ: ``AWS_REGION``, which boto3 itself does not read; and the ``MESHCERT_POLICY_…`` variables of the
            renewal function, where those were changed.

    Raises:
        SettingsInvalid: If one of these is no number.
        AwsRefused: If the environment has no region, or names a profile that does not exist.
    """
    try:
        policy = Policy.from_environ(environ)
    except ValueError as error:
        fault = Fault(POLICY_PREFIX.removesuffix("_"), str(error), "Unset it")
        raise SettingsInvalid("the environment", (fault,)) from error
    with aws_errors("sign in", mesh):
        session = boto3.Session(region_name=environ.get("AWS_REGION") or None)
        if not session.region_name:
            raise AwsRefused("sign in", mesh, "NoRegionError")
        return _connect(mesh, session, policy)


def _connect(mesh: str, session: Any, policy: Policy) -> Account:
    def client(service: str) -> Any:
        return session.client(service, config=_LOOKS)

    dynamodb = session.resource("dynamodb", config=_LOOKS)

    def table(name: str) -> Any:
        return _Shared(dynamodb.Table(name))

    clock = SystemClock()
    logs = client("logs")
    log_group = naming.log_group(mesh, naming.AUDIT)
    return Account(
        mesh=mesh,
        region=session.region_name,
        declared=Identities(table(naming.identities_table(mesh))),
        observers=Observers(
            issuer=AcmIssuer(AcmRenewals(client("acm"))),
            labels=SecretsManager(client("secretsmanager")),
            platform=EcsServices(client("ecs"), naming.cluster(mesh)),
            acknowledgements=AcknowledgementRows(table(naming.acknowledgements_table(mesh))),
            authorities=PrivateCa(client("acm-pca"), clock),
            clock=clock,
        ),
        remembered=LifecycleRows(table(naming.lifecycle_table(mesh))),
        orders=OrdersQueue(client("sqs"), naming.queue(mesh, "orders")),
        verifier=VerifyFunction(session.client("lambda", config=_CALLS), naming.function(mesh, "verify")),
        history=lambda identity, since: history(logs, log_group, identity, since),
        policy=policy,
    )


class _Shared:
    """A DynamoDB ``Table`` for several threads: boto3 promises that of clients alone."""

    def __init__(self, table: Any) -> None:
        self._table = table
        self._lock = Lock()

    def __getattr__(self, operation: str) -> Any:
        def call(**question: Any) -> Any:
            with self._lock:
                return getattr(self._table, operation)(**question)

        return call
