"""An operator's access to a mesh: the lifecycle's ports on AWS, read only, the orders queue and the verify function."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import NoCredentialsError
from botocore.session import Session

from meshcert import naming
from meshcert.aws.audit_log import history
from meshcert.aws.bundle_object import S3BundleObject
from meshcert.aws.ecs.services import EcsServices
from meshcert.aws.ecs.ways_past import AskedWaysPast
from meshcert.aws.errors import aws_errors
from meshcert.aws.functions.verify import VerifyFunction
from meshcert.aws.private_ca import PrivateCa
from meshcert.aws.queues.orders import OrdersQueue
from meshcert.aws.renewals import AcmRenewals
from meshcert.aws.secrets_manager import SecretsManager
from meshcert.aws.tables.acknowledgements import AcknowledgementRows
from meshcert.aws.tables.bundle_fetches import BundleFetches
from meshcert.aws.tables.identities import Identities
from meshcert.aws.tables.lifecycle import LifecycleRows
from meshcert.aws.tables.routes import RouteTableRows
from meshcert.clock import SystemClock
from meshcert.contract.environment import POLICY_PREFIX
from meshcert.errors import AwsRefused, Fault, SettingsInvalid
from meshcert.identity import IssuerName
from meshcert.issuing.acm import AcmIssuer
from meshcert.issuing.private_ca import PrivateCaView
from meshcert.lifecycle.policy import Policy
from meshcert.lifecycle.ports import Observers

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Collection, Iterator, Mapping

    from botocore.credentials import ReadOnlyCredentials

    from meshcert.aws.ecs.ways_past import WaysPast
    from meshcert.federation.ports import FetchNote, StoredBundle
    from meshcert.identity import DeclaredAtOnce
    from meshcert.lifecycle.audit import AuditEntry
    from meshcert.lifecycle.memory import Memory
    from meshcert.lifecycle.observation import FileServed
    from meshcert.publishing.ports import PublishedValues

_LOOKS = Config(retries={"mode": "standard", "total_max_attempts": 5}, connect_timeout=5, read_timeout=20)
# The verify function may run for 60 seconds, and must not be called twice.
_CALLS = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=70)
_SIGN_INS = Config(retries={"mode": "standard", "total_max_attempts": 2}, connect_timeout=5, read_timeout=10)


class Remembered(Protocol):
    """The table ``lifecycle``, read only."""

    def memory(self, identity: str) -> Memory:
        """The memory of an identity; empty for one that was never looked at."""
        ...

    def memories(self) -> Mapping[str, Memory]:
        """The memories of all identities, by name, in a few calls."""
        ...


class Orders(Protocol):
    """The orders queue."""

    def send(self, order: str, identity: str, reason: str, version: str = "") -> str:
        """
        Send an order to the renewal function.

        Args:
            order: One of :data:`meshcert.lifecycle.orders.ORDERS`.
            reason: In the operator's own words; it goes into the audit log.
            version: The version that it is about; empty if it names none.

        Returns:
            The id of the SQS message.
        """
        ...


class Verifier(Protocol):
    """The verify function."""

    def verify(self, identity: str) -> dict[str, Any]:
        """The result of the pre-flight of an identity's current version: public facts and ``faults``."""
        ...


class History(Protocol):
    """The audit log."""

    def __call__(self, identity: str, since: dt.datetime) -> Iterator[AuditEntry]:
        """An identity's actions since a time, oldest first."""
        ...


class Pauses(Protocol):
    """Time for waits, so that tests own it."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


@dataclass(frozen=True)
class Account:
    """
    The ports and settings that the commands work with.

    Args:
        values: Values of secrets, keys among them: only `credentials` reads them, and the operator role may not.
        files: What instances of a service report of files of the user's.
        caller: The account that the credentials are of, twelve digits.
        has_list: Whether a CA, by its ARN, writes a revocation list.
        fetches: What is remembered of a foreign trust domain's bundle endpoint.
        own_bundle: The mesh's own SPIFFE bundle where partners fetch it.
        ways_past: What reaches an attached service's application past its Envoy, by its place on ECS, the application's
            port and the Cloud Map service in which callers find it; None is unknown.
        policy: The defaults and the environment's settings: the same as the renewal function's only if it was given the
            same ones.
    """

    mesh: str
    region: str
    declared: DeclaredAtOnce
    observers: Observers
    remembered: Remembered
    orders: Orders
    verifier: Verifier
    history: History
    values: PublishedValues
    policy: Policy = field(default_factory=Policy)
    pauses: Pauses = time
    caller: Callable[[], str] = lambda: ""
    has_list: Callable[[str], bool] = lambda _authority: False
    fetches: Callable[[str], FetchNote | None] = lambda _trust_domain: None
    own_bundle: Callable[[], StoredBundle | None] = lambda: None
    ways_past: Callable[[str, int, str], WaysPast | None] = lambda _place, _port, _registered_as: None
    files: Callable[[str, Collection[str]], Mapping[str, tuple[FileServed, ...]]] = lambda _service, _instances: {}


def connect(
    mesh: str, environ: Mapping[str, str], profile: str = "", signed_in: dict[str, ReadOnlyCredentials] | None = None
) -> Account:
    """
    Access to a mesh in the account and region of the environment's credentials. Makes no call to AWS but to sign in.

    Args:
        mesh: Name of the mesh.
        environ: ``AWS_REGION``, which boto3 itself does not read; and the renewal function's ``MESHCERT_POLICY_…``
            variables, if they were changed.
        profile: A profile of the AWS configuration, whose credentials come before the environment's; empty for none.
        signed_in: The credentials of each profile so far. They are got here and never change, so a profile that asks
            for an MFA code asks the thread that calls this, once. None: they are got at the first call to AWS, and
            renewed.

    Raises:
        SettingsInvalid: If a ``MESHCERT_POLICY_…`` variable is not a number.
        AwsRefused: If the environment has no region, or names a profile that does not exist; with ``signed_in``, if
            there are no credentials, too.
        AccessDenied: With ``signed_in``, if the profile's role may not be assumed, or the code is wrong.
        AwsUnavailable: With ``signed_in``, if AWS cannot be reached.
    """
    try:
        policy = Policy.from_environ(environ)
    except ValueError as error:
        fault = Fault(POLICY_PREFIX.removesuffix("_"), str(error), "Unset it")
        raise SettingsInvalid("the environment", (fault,)) from error
    with aws_errors("sign in", mesh):
        configured = Session(profile=profile or None)
        session = boto3.Session(region_name=environ.get("AWS_REGION") or None, botocore_session=configured)
        if not session.region_name:
            raise AwsRefused("sign in", mesh, "NoRegionError")
        if signed_in is not None:
            if profile not in signed_in:
                signed_in[profile] = _sign_in(mesh, configured)
            configured.set_credentials(*signed_in[profile][:3])
        return _connect(mesh, session, policy)


def _sign_in(mesh: str, configured: Session) -> ReadOnlyCredentials:
    configured.set_default_client_config(_SIGN_INS)
    try:
        credentials = configured.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        return credentials.get_frozen_credentials()
    except EOFError as error:
        # botocore asks with getpass, and there is no terminal.
        raise AwsRefused("sign in", mesh, "MfaCodeMissing") from error


def _connect(mesh: str, session: Any, policy: Policy) -> Account:
    def client(service: str) -> Any:
        return session.client(service, config=_LOOKS)

    dynamodb = session.resource("dynamodb", config=_LOOKS)

    def table(name: str) -> Any:
        return _Shared(dynamodb.Table(name))

    def caller() -> str:
        with aws_errors("sts:GetCallerIdentity", mesh):
            return str(client("sts").get_caller_identity()["Account"])

    clock, secrets = SystemClock(), SecretsManager(client("secretsmanager"))
    authorities = PrivateCa(client("acm-pca"), clock)
    logs = client("logs")
    rows = AcknowledgementRows(_Shared(dynamodb), naming.acknowledgements_table(mesh), clock)
    log_group = naming.log_group(mesh, naming.AUDIT)
    return Account(
        mesh=mesh,
        region=session.region_name,
        declared=Identities(table(naming.identities_table(mesh)), mesh),
        observers=Observers(
            issuers={
                IssuerName.ACM: AcmIssuer(AcmRenewals(client("acm"))),
                IssuerName.PRIVATE_CA: PrivateCaView(authorities),
            },
            labels=secrets,
            platform=EcsServices(client("ecs"), naming.cluster(mesh)),
            acknowledgements=rows,
            authorities=authorities,
            settings=RouteTableRows(table(naming.routes_table(mesh))),
            clock=clock,
        ),
        remembered=LifecycleRows(table(naming.lifecycle_table(mesh))),
        orders=OrdersQueue(client("sqs"), naming.queue(mesh, "orders")),
        verifier=VerifyFunction(session.client("lambda", config=_CALLS), naming.function(mesh, "verify")),
        values=secrets,
        history=lambda identity, since: history(logs, log_group, identity, since),
        files=rows.files_of,
        caller=caller,
        has_list=authorities.has_list,
        fetches=BundleFetches(table(naming.bundle_fetches_table(mesh))).find,
        # Its bucket's name has the account's number.
        own_bundle=lambda: S3BundleObject(
            client("s3"), naming.bundle_bucket(mesh, caller(), session.region_name)
        ).find(),
        ways_past=AskedWaysPast(client),
        policy=policy,
    )


class _Shared:
    """A DynamoDB resource that several threads may use: boto3 promises thread safety only for clients."""

    def __init__(self, resource: Any) -> None:
        self._resource = resource
        self._lock = Lock()

    def __getattr__(self, operation: str) -> Any:
        def call(**question: Any) -> Any:
            with self._lock:
                return getattr(self._resource, operation)(**question)

        return call
