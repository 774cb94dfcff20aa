"""
A fleet of identities of AWS Private CA, deployed at once, over days of an injected clock.

Looks, plans, requests, certificates and pre-flights are real; AWS and the tables are in memory, and every call is
answered at once.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field
from itertools import count, pairwise
from typing import TYPE_CHECKING, Any

from evidence.simulation.fleet import NoServices
from evidence.simulation.private_ca import AUTHORITY, InMemoryDeclarations, InMemoryEpochs, SimulatedPrivateCa
from evidence.simulation.tables import InMemoryAudit, InMemoryIdentities, InMemoryLifecycle
from evidence.simulation.vault import InMemoryVault
from meshcert.errors import ExportFailed, MeshcertError, NotReady
from meshcert.identity import Identity, IssuerName
from meshcert.issuing.issuance_terms import IssuanceTerms
from meshcert.issuing.issuing_once import Issuing
from meshcert.issuing.own_material import OwnMaterial
from meshcert.issuing.private_ca import PrivateCaIssuer
from meshcert.lifecycle.asking.looks import TICK, Look
from meshcert.lifecycle.doing.reconcile import reconcile
from meshcert.lifecycle.policy import Policy
from meshcert.lifecycle.ports import Ports
from meshcert.publishing.export import Sources, export_identity, export_issued
from meshcert.publishing.replacement import certificate_declared, replace_certificate
from meshcert.san import Uri

if TYPE_CHECKING:
    from collections.abc import Callable

DEPLOYED = dt.datetime(2026, 11, 30, tzinfo=dt.UTC)
HOUR, DAY, MINUTE = dt.timedelta(hours=1), dt.timedelta(days=1), dt.timedelta(minutes=1)
LEASE_S = 135.0


@dataclass
class _Clock:
    time: dt.datetime = DEPLOYED

    def now(self) -> dt.datetime:
        """The time."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Nobody sleeps here."""
        raise AssertionError(seconds)


@dataclass(frozen=True)
class Issued:
    """
    What happened to a fleet.

    Args:
        renewals: When each certificate after the deploy's own was published.
        certificates: How many were issued after the deploy.
        epochs: How many epochs began after the deploy.
        expired: How often an identity's published certificate ended before another took its place.
        identities: How many there are.
        life: Of each certificate.
        days: How long it was looked at.
    """

    renewals: list[dt.datetime]
    certificates: int
    epochs: int
    expired: int
    identities: int
    life: dt.timedelta
    days: int

    @property
    def amplification(self) -> float:
        """Certificates paid for, for each epoch."""
        return self.certificates / self.epochs

    @property
    def peak_over_mean(self) -> float:
        """The fullest hour over the mean of all."""
        hours = Counter((time - DEPLOYED) // HOUR for time in self.renewals)
        return max(hours.values()) / (len(self.renewals) / (self.days * 24))

    @property
    def spread(self) -> float:
        """The standard deviation of renewals in the first life, over that of an even spread in it."""
        inside = [(time - DEPLOYED) / self.life for time in self.renewals if time < DEPLOYED + self.life]
        mean = sum(inside) / len(inside)
        return float((sum((each - mean) ** 2 for each in inside) / len(inside)) ** 0.5 * 12**0.5)


@dataclass
class OwnFleet:
    """
    The fleet.

    Args:
        identities: How many there are.
        life: Of each certificate.
        around: Put around every port of AWS, to have calls fail.
    """

    identities: int
    life: dt.timedelta = DAY
    around: Callable[[Any], Any] = field(default=lambda port: port)

    def __post_init__(self) -> None:
        self.clock, self.vault, self.epochs = _Clock(), InMemoryVault(), InMemoryEpochs()
        self.declarations, self.table, self.lifecycle = (
            InMemoryDeclarations(),
            InMemoryIdentities(),
            InMemoryLifecycle(),
        )
        self.authority = SimulatedPrivateCa(self.clock)
        self.issuing = Issuing("color", self.declarations, self.epochs, self.authority, self.clock)
        self.sources = Sources(OwnMaterial(self.authority, self.issuing), self.authority, self.vault, self.clock)
        self._requests = count(1)
        self._published: dict[str, list[dt.datetime]] = {}
        nobody: Any = None
        self.ports = Ports(
            issuers={IssuerName.PRIVATE_CA: PrivateCaIssuer(self.authority, self)},
            labels=self.vault,
            platform=NoServices(),
            acknowledgements=nobody,
            authorities=self.authority,
            settings=nobody,
            clock=self.clock,
            exporter=self,
            declared=self.table,
            table=self.lifecycle,
            audit=InMemoryAudit(),
            policy=Policy(),
            lease_s=LEASE_S,
        )

    def replace(self, identity: str, certificate_arn: str) -> None:
        """The export function: :class:`meshcert.issuing.private_ca.Replacer`."""
        found = self.table.find(identity)
        assert found
        self._refusing(identity, lambda: replace_certificate(found, certificate_arn, self.issuing, self.table))

    def export(self, identity: str, version: str) -> str:
        """The export function: :class:`meshcert.lifecycle.ports.Exporter`."""
        found = self.table.find(identity)
        assert found
        published = self._refusing(identity, lambda: export_issued(found, version, self.sources, self.vault))
        self._published[identity].append(self.clock.now())
        return str(published.version_id)

    def live(self, days: int) -> Issued:
        """Deploy it at once, and let days pass: a tick a minute, a sweep an hour."""
        names = [f"service-{number:04d}" for number in range(self.identities)]
        for name in names:
            self._deploy(name)
        first = len(self.authority.issued)
        while self.clock.time < DEPLOYED + days * DAY:
            self.clock.time += MINUTE
            for name in list(self.lifecycle.unsettled(self.clock.time)):
                self._look(name)
        renewals = [time for name in names for time in self._published[name][1:]]
        return Issued(
            renewals=sorted(renewals),
            certificates=len(self.authority.issued) - first,
            epochs=sum(row.epoch.replaces != "first" for row in self.epochs.rows.values()),
            expired=sum(self._ended_between(name) for name in names),
            identities=self.identities,
            life=self.life,
            days=days,
        )

    def _deploy(self, name: str) -> None:
        secret = f"arn:aws:secretsmanager:eu-west-1:111122223333:secret:meshcert/color/identity/{name}-AbCdEf"
        spiffe_id = Uri(f"spiffe://color.example/{name}")
        self.vault.seed(secret)
        self.declarations.declared[name] = IssuanceTerms(
            AUTHORITY,
            "SHA256WITHECDSA",
            "arn:aws:acm-pca:::template/EndEntityCertificate/V1",
            "EC_prime256v1",
            (spiffe_id,),
            self.life,
        )
        identity = Identity(
            name,
            "",
            secret,
            AUTHORITY,
            (spiffe_id,),
            certificate_authority_arns=(AUTHORITY,),
            issuer=IssuerName.PRIVATE_CA,
        )
        declared = certificate_declared(identity, None, self.issuing, self.sources)
        export_identity(declared, self.sources, self.vault)
        self.table.remember(declared, "")
        self._published[name] = [self.clock.now()]
        self._look(name)

    def _look(self, name: str) -> None:
        reconcile(Look(name, TICK), f"request-{next(self._requests)}", self.ports)

    def _ended_between(self, name: str) -> int:
        """How often its certificate, with the declared life, ended before the next was published."""
        times = [*self._published[name], self.clock.now()]
        return sum(later - earlier > self.life for earlier, later in pairwise(times))

    @staticmethod
    def _refusing(identity: str, work: Callable[[], Any]) -> Any:
        """What the renewal function gets of an error."""
        try:
            return work()
        except NotReady:
            raise
        except MeshcertError as error:
            raise ExportFailed(identity, type(error).__name__, str(error)) from error
