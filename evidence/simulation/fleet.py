"""
A fleet whose certificates are due at once, or not at all, with AWS in memory.

Dispatch, looks, plans, steps, exports and pre-flight are the real ones.

Lambda's and SQS's part is what the stacks say: a look is a call of the renewal function, so many of them at a time; the
export function is called and waited for. Identities have no services: ECS has quotas of its own, and the goal speaks of
ACM's and Secrets Manager's. A CA's end is cached by the renewal function, so asking for it is no call; all else that a
program asks is one.
"""

from __future__ import annotations

import datetime as dt
import heapq
import json
import random
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

from evidence.simulation.certificates import LIFETIME, CertificateManager
from evidence.simulation.passing_time import PassingTime
from evidence.simulation.quotas import Bucket, Sdk
from evidence.simulation.renewed import NEEDED, Renewed, Swept
from evidence.simulation.tables import InMemoryAudit, InMemoryIdentities, InMemoryLifecycle
from evidence.simulation.vault import InMemoryVault
from meshcert.contract.staging_labels import CURRENT
from meshcert.errors import ExportFailed, MeshcertError, NotReady
from meshcert.identity import Identity, IssuerName
from meshcert.issuing.acm import ACM, AcmIssuer
from meshcert.lifecycle.asking.dispatch import SWEEP_S, TICK_S, DispatchPorts, dispatch, sweep_parts
from meshcert.lifecycle.asking.looks import SWEEP, TICK, Look
from meshcert.lifecycle.asking.triggers import Scope, looks
from meshcert.lifecycle.doing.reconcile import reconcile
from meshcert.lifecycle.policy import Policy
from meshcert.lifecycle.ports import Ports
from meshcert.publishing.export import Sources, export_issued
from meshcert.publishing.publication import version_labelled
from meshcert.san import Dns

if TYPE_CHECKING:
    from collections.abc import Mapping

ISSUED = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
SCOPE = Scope("color", "111122223333", "eu-west-1")
ROOT = "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/root"
OTHERS = {"acm-pca:GetCertificateAuthorityCertificate": 20.0}
"""Quotas of calls that the least time does not count (AWS Private CA user guide, "Quotas")."""
LEASE_S = 135.0
_RENEWAL_TAKES_S = (2.0, 8.0)
_EVENT_TAKES_S = (0.2, 1.0)
_PRE_FLIGHT_TAKES_S = 0.1
_ACM = {"describe": "acm:DescribeCertificate", "held": "acm:GetCertificate", "renew": "acm:RenewCertificate"}
_EXPORTED = {
    "owner": "acm:ListTagsForCertificate",
    "export": "acm:ExportCertificate",
    "certificate": "acm-pca:GetCertificateAuthorityCertificate",
}
_VAULT = {
    "labels": "secretsmanager:DescribeSecret",
    "current_value": "secretsmanager:GetSecretValue",
    "put_pending": "secretsmanager:PutSecretValue",
    "move_label": "secretsmanager:PutSecretValue",
}
_TABLE = dict.fromkeys(("take", "looked_since", "want", "save", "release", "forget", "unsettled"), "dynamodb:lifecycle")
_IDENTITIES = dict.fromkeys(("find", "find_by_certificate", "names"), "dynamodb:identities")


def at_once(identities: int) -> int:
    """How many looks the event source mapping of the queue ``looks`` has at a time."""
    return min(10, 2 + identities // 20)


class NoServices:
    """A platform on which nothing runs."""

    def news(self, event: Mapping[str, Any]) -> tuple[str, ...]:
        """No event is about a service."""
        del event
        return ()

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)


class Fleet:
    """
    A fleet after its deploy; :meth:`renew` is its rotation, some weeks before the certificates end.

    Args:
        identities: How many there are.
        seed: Says how long each answer takes.
        events: Whether ACM's events arrive.
        looks_per_second: How fast the dispatch lets looks follow each other.
    """

    def __init__(
        self, identities: int, seed: int = 1, *, events: bool = True, looks_per_second: float = ACM.looks_per_second
    ) -> None:
        self.time = PassingTime(ISSUED)
        self.vault, self.table, self.declared = InMemoryVault(), InMemoryLifecycle(), InMemoryIdentities()
        self._chances, self._events = random.Random(seed), events
        self.acm = CertificateManager(
            self.time, lambda happens: self.time.begin(happens, self._chances.uniform(*_RENEWAL_TAKES_S))
        )
        self.acm.on_renewal = self._tell
        self.sdk = self._under_quotas()
        self.looks = 0
        self.parts = sweep_parts(identities, looks_per_second)
        self._requests = count(1)
        self._waiting: list[tuple[dt.datetime, int, dt.datetime, str]] = []
        self._free, self._looks_per_second = at_once(identities), looks_per_second
        self._published_at: dict[str, dt.datetime] = {}
        self._ports = self._work_with(Sdk(self.time, self._chances, {}, (0.0, 0.0)))
        self.time.begin(lambda: self._deploy(identities))
        self.time.run()
        self._before = {name: self._current(name) for name in self.declared.rows}

    def sweep(self) -> Swept:
        """Let a sweep pass in which nothing is due: the tables are read, and every identity is looked at."""
        sdk, before, began = self._under_quotas(), self.looks, self.time.now()
        self._ports = self._work_with(sdk)
        self._begin_sweep()
        self.time.run()
        return Swept(
            identities=len(self._before),
            parts=self.parts,
            looks=self.looks - before,
            took_s=(self.time.now() - began).total_seconds(),
            calls=dict(sdk.calls),
            refused=dict(sdk.refused),
            throttled=sdk.failed.total(),
        )

    def renew(self) -> Renewed:
        """Let the certificates become due, and everything happen until they are renewed and all is settled."""
        policy = Policy()
        self.time.pass_until(ISSUED + LIFETIME * (policy.renew_at + 0.01))
        began, before = self.time.now(), self.looks
        self._ports = self._work_with(self.sdk)
        self._begin_sweep()
        self.time.begin(self._tick, TICK_S)
        self.time.run()
        last = max(self._published_at.values(), default=began)
        return Renewed(
            identities=len(self._before),
            new_certificates=self.acm.renewed,
            published=sum(self._is_new(name) for name in self._before),
            took_s=(last - began).total_seconds(),
            looks=self.looks - before,
            calls=dict(self.sdk.calls),
            refused=dict(self.sdk.refused),
            throttled=self.sdk.failed.total(),
        )

    def send(self, messages: Mapping[str, int], because: str) -> None:
        """The queue ``looks``: :class:`meshcert.lifecycle.ports.Messages`."""
        for name, delay_s in messages.items():
            self._put(json.dumps({"look": name, "because": because}), float(delay_s))

    def export(self, identity: str, version: str) -> str:
        """The export function: :class:`meshcert.lifecycle.ports.Exporter`."""
        sdk = self._sdk
        vault = sdk.around(self.vault, _VAULT)
        acm = sdk.around(self.acm, _EXPORTED)
        found = sdk.around(self.declared, _IDENTITIES).find(identity)
        try:
            published = export_issued(found, version, Sources(acm, acm, vault, self.time), vault)
        except NotReady:
            raise
        except MeshcertError as error:
            raise ExportFailed(identity, type(error).__name__, str(error)) from error
        self.time.sleep(_PRE_FLIGHT_TAKES_S)
        self._published_at[identity] = self.time.now()
        return published.version_id

    def _work_with(self, sdk: Sdk) -> Ports:
        self._sdk = sdk
        acm, vault = sdk.around(self.acm, _ACM), sdk.around(self.vault, _VAULT)
        exporter = sdk.around(self, {"export": "lambda:Invoke"})
        nobody: Any = None
        return Ports(
            issuers={IssuerName.ACM: AcmIssuer(acm)},
            labels=vault,
            platform=NoServices(),
            acknowledgements=nobody,
            authorities=self.acm,
            settings=nobody,
            clock=self.time,
            exporter=exporter,
            declared=sdk.around(self.declared, _IDENTITIES),
            table=sdk.around(self.table, _TABLE),
            audit=sdk.around(InMemoryAudit(), {"record": "logs:PutLogEvents"}),
            policy=Policy(),
            lease_s=LEASE_S,
        )

    def _deploy(self, identities: int) -> None:
        for number in range(identities):
            name = f"identity-{number:04d}"
            arn = f"arn:aws:acm:{SCOPE.region}:{SCOPE.account}:certificate/{number:04d}"
            dns_name, secret = f"{name}.mtls.svc.cluster.local", f"arn:secret/{name}"
            self.declared.remember(
                Identity(
                    name, arn, secret, ROOT, (Dns(dns_name),), ((Dns(dns_name),),), certificate_authority_arns=(ROOT,)
                )
            )
            self.acm.issue(arn, dns_name)
            self.vault.seed(secret)
            reconcile(Look(name, "deploy"), "deploy", self._ports)

    def _under_quotas(self) -> Sdk:
        rates = {api: rate for api, (_, rate) in NEEDED.items()} | OTHERS
        return Sdk(self.time, self._chances, {api: Bucket(rate, rate) for api, rate in rates.items()})

    def _begin_sweep(self) -> None:
        """As the schedules send it: a large fleet's in parts, over the hour."""
        parts, apart_s = self.parts, SWEEP_S / self.parts
        for part in range(parts):
            message = {"dispatch": SWEEP, "part": part, "parts": parts} if parts > 1 else {"dispatch": SWEEP}
            self.time.begin(partial(self._dispatch, message), part * apart_s)
        self._swept_at = self.time.now() + dt.timedelta(seconds=(parts - 1) * apart_s)

    def _dispatch(self, message: Mapping[str, Any]) -> None:
        declared, table = self._ports.declared, self._ports.table
        dispatch(json.dumps(message), DispatchPorts(table, declared, self, self.time, self._looks_per_second))

    def _tick(self) -> None:
        if self._waiting or self.time.now() < self._swept_at or any(row.look_at for row in self.table.rows.values()):
            self._dispatch({"dispatch": TICK})
            self.time.begin(self._tick, TICK_S)

    def _tell(self, arn: str) -> None:
        """ACM's own event, and AWS Health's about the same."""
        by = {"account": SCOPE.account, "region": SCOPE.region, "resources": [arn]}
        acm = {"detail-type": "ACM Certificate Available", "source": "aws.acm", "detail": {"Action": "RENEWAL"}}
        health = {
            "detail-type": "AWS Health Event",
            "source": "aws.health",
            "detail": {"service": "ACM", "eventTypeCode": "AWS_ACM_RENEWAL_STATE_CHANGE"},
        }
        for event in (acm, health) if self._events else ():
            body = json.dumps({"id": f"event-{self.acm.renewed}", **by, **event})
            self.time.begin(partial(self._put, body), self._chances.uniform(*_EVENT_TAKES_S))

    def _put(self, body: str, delay_s: float = 0.0) -> None:
        sent = self.time.now()
        heapq.heappush(self._waiting, (sent + dt.timedelta(seconds=delay_s), next(self._requests), sent, body))
        self.time.begin(self._poll, delay_s)

    def _poll(self) -> None:
        """A message can be seen by now, or a function is free."""
        if self._free and self._waiting and self._waiting[0][0] <= self.time.now():
            self._free -= 1
            *_, sent, body = heapq.heappop(self._waiting)
            self._run(body, sent)
            self._free += 1
            self.time.begin(self._poll)

    def _run(self, body: str, sent: dt.datetime) -> None:
        """The renewal function."""
        request, ports = f"request-{next(self._requests)}", self._ports
        for look in looks(body, ports, SCOPE, sent):
            taken = reconcile(look, request, ports).plan is not None
            self.looks += taken

    def _current(self, name: str) -> str:
        return version_labelled(self.vault.labels(self.declared.rows[name].secret_id), CURRENT) or ""

    def _is_new(self, name: str) -> bool:
        issued = self.acm.held(self.declared.rows[name].certificate_arn).version
        return self._before[name] != self._current(name) == issued
