"""
The memory of an identity between two looks: only facts that cannot be read elsewhere.

Issuer, secret labels and platform show the present state; the memory adds what meshcert asked for, and when. If it is
lost, it is built anew; at worst, a wait begins again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from meshcert.bounded_json import read_json
from meshcert.lifecycle.compromise import CompromisedCertificate, KeyCompromise
from meshcert.lifecycle.last_look import LastLook, read_last_look
from meshcert.lifecycle.orders import RENEW, ROLL_BACK, Order
from meshcert.lifecycle.stored_values import plain, read_named, read_optional, read_record, read_texts, read_time

if TYPE_CHECKING:
    import datetime as dt

SCHEMA = 1
_CERTIFICATES_KEPT = 8
_MESSAGES_KEPT = 8


@dataclass(frozen=True)
class KnownCertificate:
    """
    A certificate that its issuer has shown.

    Args:
        version: The secret version that holds it.
        certificate_arn: The issuer's name for it; the field's name dates from when ACM was the only issuer.
    """

    version: str
    certificate_arn: str
    not_before: dt.datetime
    not_after: dt.datetime


@dataclass(frozen=True)
class CurrentVersion:
    """
    The version that proxies read.

    Args:
        since: When it was first seen as the current version.
        certificate_arn: The issuer's name for the certificate in it; empty if the issuer has never shown it to us.
    """

    version: str
    since: dt.datetime
    certificate_arn: str = ""
    not_before: dt.datetime | None = None
    not_after: dt.datetime | None = None


@dataclass(frozen=True)
class RenewalRequest:
    """
    A renewal that was asked for.

    Args:
        version: The version that was to be renewed.
        tries: Number of requests so far for this version.
    """

    version: str
    at: dt.datetime
    tries: int = 1


@dataclass(frozen=True)
class BegunRollout:
    """
    A deployment that we began, or were about to begin.

    Args:
        version: The version that it brings to the service.
        replaces: The service's newest deployment before it. Any newer one began after the version became current.
        deployment: The deployment's id; empty if the run ended before it was known.
        tries: Number of deployments so far for this version.
        after_failure: Whether the deployment before it had failed for a reason other than this version. If so, failures
            of this deployment say nothing about the version.
        settings: The settings that it was begun for, of an attached service; empty if it was begun for the version.
    """

    version: str
    replaces: str
    at: dt.datetime
    deployment: str = ""
    tries: int = 1
    after_failure: bool = False
    settings: str = ""


@dataclass(frozen=True)
class Quarantine:
    """
    The latest roll back.

    Args:
        version: The version that was rolled back.
        reason: Why it is bad, shown to people.
        at: When the version was found to be bad.
        count: Number of bad versions in a row.
    """

    version: str
    reason: str
    at: dt.datetime
    count: int = 1


@dataclass(frozen=True)
class Failure:
    """
    A step that failed, and has not succeeded since.

    Args:
        why: The last error's text.
        since: When it first failed.
        at: When it last failed.
        count: Number of failures.
        refused: Whether the last error needs a person.
    """

    version: str
    why: str
    since: dt.datetime
    at: dt.datetime
    count: int = 1
    refused: bool = False


@dataclass(frozen=True)
class Memory:
    """
    Everything that is remembered about one identity.

    Args:
        publication: The version that was current at the last look.
        renewal: The last renewal asked for.
        rollouts: The last deployment of each service.
        quarantine: The last roll back.
        order: An operator's order that has not been carried out yet.
        messages: SQS's ids of the latest orders, by which a repeated message is recognised.
        certificates: The latest certificates that the issuer has shown, by serial number, so that it is not asked
            again.
        looked_at: When everything was last seen in one look.
        failures: Steps that failed last time, by name.
        compromise: What is known of a compromised key; None if nobody ever said so.
        waiting: Further orders about compromised keys, which come after ``order``: each may be about other versions.
        authorities: The CA of each ACM certificate that ``certificates`` names; Private CA's own names say theirs.
        last_look: What the latest look ended with; None if none has told, as before this was written.
    """

    publication: CurrentVersion | None = None
    renewal: RenewalRequest | None = None
    rollouts: dict[str, BegunRollout] = field(default_factory=dict)
    quarantine: Quarantine | None = None
    order: Order | None = None
    messages: tuple[str, ...] = ()
    certificates: dict[str, KnownCertificate] = field(default_factory=dict)
    looked_at: dt.datetime | None = None
    failures: dict[str, Failure] = field(default_factory=dict)
    compromise: KeyCompromise | None = None
    waiting: tuple[Order, ...] = ()
    authorities: dict[str, str] = field(default_factory=dict)
    last_look: LastLook | None = None

    def knowing(
        self, serial_number: str, certificate: KnownCertificate, labelled: Collection[str] = (), authority: str = ""
    ) -> Memory:
        """A copy with the certificate of a serial number added; those of versions with a label are always kept."""
        others = {serial: known for serial, known in self.certificates.items() if serial != serial_number}
        latest = list(others)[-(_CERTIFICATES_KEPT - 1) :]
        kept = {serial: known for serial, known in others.items() if serial in latest or known.version in labelled}
        kept |= {serial_number: certificate}
        authorities = self.authorities | ({certificate.certificate_arn: authority} if authority else {})
        named = {known.certificate_arn for known in kept.values()}
        authorities = {arn: authority for arn, authority in authorities.items() if arn in named}
        return replace(self, certificates=kept, authorities=authorities)

    def holding(self, version: str) -> KnownCertificate | None:
        """The certificate that a version holds; None if it is not known."""
        return next((known for known in self.certificates.values() if known.version == version), None)

    def ordered(self, order: Order, message: str) -> Memory:
        """
        A copy with an order that came with a message; it replaces any earlier order.

        Failures are forgotten: an operator who orders something has fixed the cause, or wants to see it tried again.
        """
        return replace(self, order=order, messages=(*self.messages, message)[-_MESSAGES_KEPT:], failures={})

    def next_order(self) -> Memory:
        """A copy whose order is the next of those that wait; the same one if none does, or an order is open."""
        if self.order or not self.waiting:
            return self
        return replace(self, order=self.waiting[0], waiting=self.waiting[1:])

    def renewing(self, version: str, at: dt.datetime) -> Memory:
        """A copy with a renewal that was asked for; an order to renew is thereby carried out."""
        before = self.renewal
        tries = before.tries + 1 if before and before.version == version else 1
        return replace(self._without_order(RENEW), renewal=RenewalRequest(version, at, tries))

    def quarantining(self, version: str, reason: str, at: dt.datetime) -> Memory:
        """A copy with a bad version; one that is quarantined already is not changed."""
        before = self.quarantine
        if before and before.version == version:
            return self
        return replace(self, quarantine=Quarantine(version, reason, at, before.count + 1 if before else 1))

    def rolled_back(self) -> Memory:
        """A copy in which an order to roll back has been carried out."""
        return self._without_order(ROLL_BACK)

    def proving(self) -> Memory:
        """A copy with a version proven good: the next bad version is the first in a row."""
        return replace(self, quarantine=replace(self.quarantine, count=0) if self.quarantine else None)

    def deploying(self, service: str, rollout: BegunRollout) -> Memory:
        """
        A copy with a deployment of a service that is about to begin; it has no id yet.

        A further deployment of the same version counts as one more try, unless the one before never began.
        """
        before = self.rollouts.get(service)
        if before and (before.version, before.settings) == (rollout.version, rollout.settings):
            never_begun = before.replaces == rollout.replaces and not before.deployment
            tries = before.tries if never_begun else before.tries + 1
            rollout = replace(rollout, tries=tries, after_failure=before.after_failure)
        return replace(self, rollouts=self.rollouts | {service: rollout})

    def deployed(self, service: str, deployment: str) -> Memory:
        """A copy with the id of the deployment that was about to begin."""
        begun = replace(self.rollouts[service], deployment=deployment)
        return replace(self, rollouts=self.rollouts | {service: begun})

    def is_compromised(self, version: str) -> bool:
        """True if somebody else may have the key of a version."""
        return self.compromise is not None and self.compromise.has(version)

    def revoking(self, serial_number: str, at: dt.datetime) -> Memory:
        """A copy in which a certificate with a compromised key is revoked."""
        return replace(self, compromise=self.compromise.revoked(serial_number, at) if self.compromise else None)

    def _without_order(self, kind: str) -> Memory:
        return replace(self, order=None) if self.order and self.order.kind == kind else self

    def to_json(self) -> str:
        """Compact JSON that :meth:`from_json` reads back."""
        return json.dumps({"schema": SCHEMA, **vars(self)}, default=_plain, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Memory:
        """
        Read what :meth:`to_json` wrote.

        A text of another schema, or one that cannot be read, gives an empty memory: no look may fail because of its
        memory.
        """
        try:
            document = read_json(text)
            if document.pop("schema") != SCHEMA:
                return cls()
            authorities, compromise = document.get("authorities", {}), document.get("compromise")
            if compromise:
                certificates = [read_record(CompromisedCertificate, each) for each in compromise["certificates"]]
                compromise |= {"certificates": tuple(certificates)}
            return cls(
                publication=read_optional(CurrentVersion, document["publication"]),
                renewal=read_optional(RenewalRequest, document["renewal"]),
                rollouts=read_named(BegunRollout, document["rollouts"]),
                quarantine=read_optional(Quarantine, document["quarantine"]),
                order=read_optional(Order, document["order"]),
                messages=read_texts(document["messages"]),
                certificates=read_named(KnownCertificate, document["certificates"]),
                looked_at=read_time(document["looked_at"]) if document["looked_at"] else None,
                failures=read_named(Failure, document["failures"]),
                compromise=read_optional(KeyCompromise, compromise),
                waiting=tuple(read_record(Order, order) for order in document.get("waiting", ())),
                authorities=dict(zip(authorities, read_texts(authorities.values()), strict=True)),
                last_look=read_last_look(document.get("last_look")),
            )
        except (AttributeError, KeyError, TypeError, ValueError):
            return cls()


Change = Callable[[Memory], Memory]
"""
A change of the memory: a function from the present memory to the new one.

A run has one memory, with one owner. Other code describes how the memory changes and holds no copy of it, so nothing
that was forgotten meanwhile comes back.
"""


def _plain(value: Any) -> Any:
    if isinstance(value, BegunRollout) and not value.settings:
        # The version before reads a field that it does not know as no memory at all.
        return {name: entry for name, entry in vars(value).items() if name != "settings"}
    return plain(value)
