"""One mesh in memory whose certificate lives: a gateway that reloads and a teller that is redeployed share it."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

from evidence.simulation.tables import InMemoryAudit, InMemoryIdentities, InMemoryLifecycle
from evidence.simulation.vault import InMemoryVault
from meshcert.contract.staging_labels import CURRENT, LAST_GOOD, QUARANTINED
from meshcert.errors import MeshcertError
from meshcert.identity import Identity, IssuerName, ServiceUse
from meshcert.issuing.acm import AcmIssuer
from meshcert.lifecycle.asking.looks import Look
from meshcert.lifecycle.doing.reconcile import Reconciled, reconcile
from meshcert.lifecycle.policy import Policy
from meshcert.lifecycle.ports import Observers, Ports
from meshcert.proxy import RotationMode
from meshcert.publishing.publication import version_labelled
from meshcert.san import Dns
from tests.meshcert.lifecycle.acm import ModelledExporter, SimulatedAcm, version_of
from tests.meshcert.lifecycle.ecs import SimulatedEcs
from tests.meshcert.publishing.fakes import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshcert.lifecycle.memory import Memory

T0 = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)

CERTIFICATE = "arn:aws:acm:eu-west-1:111122223333:certificate/teller"
SECRET = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:meshcert/color/identity/colorteller-AbCdEf"
ROOT = "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/root"
GATEWAY = ServiceUse("gateway", RotationMode.RELOAD, 60.0)
TELLER = ServiceUse("teller", RotationMode.REDEPLOY, 60.0)
IDENTITY = Identity(
    "colorteller",
    CERTIFICATE,
    SECRET,
    ROOT,
    (Dns("colorteller.mtls.svc.cluster.local"),),
    certificate_authority_arns=(ROOT,),
    services=(GATEWAY, TELLER),
)
LEASE_S = 135.0


def around_nothing(port: Any) -> Any:
    """A port as it is."""
    return port


class LifecycleWorld:
    """
    A mesh after its deploy: the first certificate is published, proven and served.

    Args:
        services: The services of the identity.
        policy: When things are due.
        issuer: Who issues; ACM unless told.
        platform: Where services run; ECS unless told.

    ``served_revoked`` is for tests to note which versions were served when they were revoked.
    """

    def __init__(
        self,
        services: tuple[ServiceUse, ...] = (GATEWAY, TELLER),
        policy: Policy | None = None,
        issuer: Callable[[FakeClock], Any] = SimulatedAcm,
        platform: Callable[[FakeClock, InMemoryVault], SimulatedEcs] = SimulatedEcs,
    ) -> None:
        self.clock = FakeClock(T0)
        self.policy = policy or Policy()
        self.vault = InMemoryVault()
        self.acm: Any = issuer(self.clock)
        self.acm.authorities[ROOT] = T0 + 3650 * DAY
        self.ecs = platform(self.clock, self.vault)
        self.table = InMemoryLifecycle()
        self.declared = InMemoryIdentities()
        self.audit = InMemoryAudit()
        self.exporter = ModelledExporter(self.acm, self.vault, self.declared)
        self.identity = replace(IDENTITY, services=services)
        self.served_revoked: set[str] = set()
        self._runs = count(1)
        self.declared.remember(self.identity)
        self.vault.seed(SECRET)
        self.acm.issue(CERTIFICATE)
        self.exporter.export(IDENTITY.name, "")
        for use in services:
            self.ecs.create(self.identity, use)
        self.look()
        self.pass_time(5 * MINUTE)
        self.look()

    def observers(self, around: Callable[[Any], Any] = around_nothing) -> Observers:
        """Where a look looks."""
        acm, vault, ecs = around(self.acm), around(self.vault), around(self.ecs)
        return Observers(
            issuers={IssuerName.ACM: AcmIssuer(acm) if isinstance(self.acm, SimulatedAcm) else acm},
            labels=vault,
            platform=ecs,
            acknowledgements=ecs,
            authorities=acm,
            settings=ecs,
            clock=self.clock,
        )

    def ports(self, around: Callable[[Any], Any] = around_nothing) -> Ports:
        """What a run works with; every port but the clock is passed through ``around``."""
        return Ports(
            **vars(self.observers(around)),
            exporter=around(self.exporter),
            declared=around(self.declared),
            table=around(self.table),
            audit=around(self.audit),
            policy=self.policy,
            lease_s=LEASE_S,
        )

    def look(
        self,
        order: str = "",
        *,
        message: str = "",
        reason: str = "",
        identity: str = IDENTITY.name,
        around: Callable[[Any], Any] = around_nothing,
        by: str = "",
        seen_since: dt.datetime | None = None,
        version: str = "",
    ) -> Reconciled:
        """One run of the renewal function, because of an event unless it says otherwise."""
        by = by or ("AROAOPERATOR:alice" if order else "event event-1 ACM Certificate Available")
        look = Look(identity, by, order, reason, message, seen_since, version)
        return reconcile(look, f"request-{next(self._runs)}", self.ports(around))

    def pass_time(self, time: dt.timedelta) -> None:
        """Nobody looks for a while."""
        self.clock.time += time
        self.acm.advance()
        self.ecs.advance()

    def tick(self, around: Callable[[Any], Any] = around_nothing) -> list[Reconciled]:
        """A minute passes, and what is unsettled is looked at; what fails comes again with a later tick."""
        self.pass_time(MINUTE)
        results = []
        for name in list(self.table.unsettled(self.clock.now())):
            try:
                results.append(self.look(identity=name, around=around, by="tick"))
            except MeshcertError:
                continue
        return results

    def settle(self, within: dt.timedelta = 2 * HOUR, around: Callable[[Any], Any] = around_nothing) -> dt.timedelta:
        """Tick until nothing is unsettled; how long that took."""
        begin = self.clock.now()
        while any(row.look_at for row in self.table.rows.values()):
            assert self.clock.now() - begin < within, self.audit.told()[-6:]
            self.tick(around)
        return self.clock.now() - begin

    def labelled(self, label: str) -> str:
        """The version that has a label."""
        return version_labelled(self.vault.labels(SECRET), label) or ""

    @property
    def current(self) -> str:
        """What proxies read."""
        return self.labelled(CURRENT)

    @property
    def last_good(self) -> str:
        """What is proven."""
        return self.labelled(LAST_GOOD)

    @property
    def quarantined(self) -> str:
        """What is bad."""
        return self.labelled(QUARANTINED)

    @property
    def issued(self) -> str:
        """The version of what ACM holds."""
        return version_of(self.acm.certificates[CERTIFICATE].serial_number)

    @property
    def served(self) -> set[str]:
        """What tasks serve."""
        self.ecs.advance()
        return {task.serves for service in self.ecs.services.values() for task in service.tasks}

    @property
    def reachable(self) -> set[str]:
        """What tasks serve, those that drain included."""
        self.ecs.advance()
        services = self.ecs.services.values()
        return {task.serves for service in services for task in (*service.tasks, *service.ending)}

    @property
    def versions(self) -> int:
        """How many versions were published ever."""
        return len(self.vault.secrets[SECRET].values) - 1

    @property
    def memory(self) -> Memory:
        """What is remembered."""
        return self.table.memory(IDENTITY.name)
