"""
What is remembered of an identity between two looks, and nowhere else to be seen.

The issuer, the secret's labels and the platform are the truth; this only says what we asked for and when. Lost, it is
made anew: at worst a wait begins again.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

SCHEMA = 1
RENEW, ROLL_BACK = "renew", "rollback"
"""What an operator can order."""
_CERTIFICATES_KEPT = 8
_MESSAGES_KEPT = 8
_TIMES = {"at", "since", "not_before", "not_after"}


@dataclass(frozen=True)
class KnownCertificate:
    """
    A certificate that its issuer has shown.

    Args:
        version: The secret version that holds it.
        certificate_arn: What the issuer calls it; stored under this name since ACM was the only one.
        not_before: Start of its validity.
        not_after: Its end.
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
        version: The secret version.
        since: When it was first seen to be the current one.
        certificate_arn: What the issuer calls the certificate that it holds; empty if it has never shown it to us.
        not_before: Start of that certificate's validity.
        not_after: Its end.
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
        version: The version whose certificate was to be renewed.
        at: When.
        tries: How often so far, for this version.
    """

    version: str
    at: dt.datetime
    tries: int = 1


@dataclass(frozen=True)
class BegunRollout:
    """
    A deployment we began, or were about to.

    Args:
        version: The version it takes to the service.
        replaces: The service's newest deployment before it: any newer one began after the version was current.
        at: When.
        deployment: Its id; empty if we ended before we learned it.
        tries: How often so far, for this version.
        after_failure: Whether the deployment before it had failed, not for this version: its own failures then say
            nothing about the version.
    """

    version: str
    replaces: str
    at: dt.datetime
    deployment: str = ""
    tries: int = 1
    after_failure: bool = False


@dataclass(frozen=True)
class Quarantine:
    """
    The latest roll back.

    Args:
        version: The bad version.
        reason: Why it is bad.
        at: When it was found to be.
        count: How many versions in a row were bad.
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
        version: The version it is about.
        why: The last error.
        since: When it failed first.
        at: When it failed last.
        count: How often.
        refused: Whether the last error was one that a person has to mend.
    """

    version: str
    why: str
    since: dt.datetime
    at: dt.datetime
    count: int = 1
    refused: bool = False


@dataclass(frozen=True)
class Order:
    """
    An operator's wish.

    Args:
        kind: ``renew`` or ``rollback``.
        by: Who sent it, as SQS says.
        reason: The operator's own words.
        at: When it was taken up.
        version: What it is about: the issued version that is to be renewed, or the published one that is to be left.
            Once that is another, the order has been carried out. Empty until it was seen.
    """

    kind: str
    by: str
    reason: str
    at: dt.datetime
    version: str = ""


@dataclass(frozen=True)
class Memory:
    """
    Everything that is remembered of one identity.

    Args:
        publication: The version that was current at the last look.
        renewal: The last renewal asked for.
        rollouts: The last deployment of each service.
        quarantine: The last roll back.
        order: What an operator wants and has not got yet.
        messages: SQS's ids of the last orders taken up: the same message coming again is the same order.
        certificates: What the issuer has shown, by serial number, the latest ones: saves asking it again.
        looked_at: The last look that saw everything.
        failures: The steps that fail, by their names.
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

    def knowing(self, serial_number: str, certificate: KnownCertificate) -> Memory:
        """The same, and the certificate with that serial number."""
        others = {serial: known for serial, known in self.certificates.items() if serial != serial_number}
        latest = dict(list(others.items())[-(_CERTIFICATES_KEPT - 1) :])
        return replace(self, certificates=latest | {serial_number: certificate})

    def holding(self, version: str) -> KnownCertificate | None:
        """The certificate that a version holds."""
        return next((known for known in self.certificates.values() if known.version == version), None)

    def ordered(self, order: Order, message: str) -> Memory:
        """
        The same, with an order that came with a message; it takes the place of any before.

        What failed is forgotten: whoever orders something has mended the cause, or wants to see it tried.
        """
        return replace(self, order=order, messages=(*self.messages, message)[-_MESSAGES_KEPT:], failures={})

    def renewing(self, version: str, at: dt.datetime) -> Memory:
        """The same, with a renewal that was asked for; an order to renew has been carried out by it."""
        before = self.renewal
        tries = before.tries + 1 if before and before.version == version else 1
        return replace(self._without_order(RENEW), renewal=RenewalRequest(version, at, tries))

    def quarantining(self, version: str, reason: str, at: dt.datetime) -> Memory:
        """The same, with a bad version; one that is quarantined already stays as it was."""
        before = self.quarantine
        if before and before.version == version:
            return self
        return replace(self, quarantine=Quarantine(version, reason, at, before.count + 1 if before else 1))

    def rolled_back(self) -> Memory:
        """The same, with an order to roll back carried out."""
        return self._without_order(ROLL_BACK)

    def proving(self) -> Memory:
        """The same, with a version proven good: the next bad one is the first in a row."""
        return replace(self, quarantine=replace(self.quarantine, count=0) if self.quarantine else None)

    def deploying(self, service: str, rollout: BegunRollout) -> Memory:
        """
        The same, with a deployment of a service that is about to begin; it has no id yet.

        Another one of the same version is one more try, unless the one before never began.
        """
        before = self.rollouts.get(service)
        if before and before.version == rollout.version:
            never_begun = before.replaces == rollout.replaces and not before.deployment
            tries = before.tries if never_begun else before.tries + 1
            rollout = replace(rollout, tries=tries, after_failure=before.after_failure)
        return replace(self, rollouts=self.rollouts | {service: rollout})

    def deployed(self, service: str, deployment: str) -> Memory:
        """The same, with the id of the deployment that was about to begin."""
        begun = replace(self.rollouts[service], deployment=deployment)
        return replace(self, rollouts=self.rollouts | {service: begun})

    def _without_order(self, kind: str) -> Memory:
        return replace(self, order=None) if self.order and self.order.kind == kind else self

    def to_json(self) -> str:
        """Compact JSON that :meth:`from_json` reads back."""
        return json.dumps({"schema": SCHEMA, **vars(self)}, default=_plain, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Memory:
        """
        Read what :meth:`to_json` wrote.

        What another schema wrote, or cannot be read, is forgotten: memory is never needed, and no look may fail for it.
        """
        try:
            document = json.loads(text)
            if document.pop("schema") != SCHEMA:
                return cls()
            return cls(
                publication=_read(CurrentVersion, document["publication"]),
                renewal=_read(RenewalRequest, document["renewal"]),
                rollouts={name: _read(BegunRollout, rollout) for name, rollout in document["rollouts"].items()},
                quarantine=_read(Quarantine, document["quarantine"]),
                order=_read(Order, document["order"]),
                messages=tuple(document["messages"]),
                certificates={
                    serial: _read(KnownCertificate, known) for serial, known in document["certificates"].items()
                },
                looked_at=dt.datetime.fromisoformat(document["looked_at"]) if document["looked_at"] else None,
                failures={name: _read(Failure, failure) for name, failure in document["failures"].items()},
            )
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
            return cls()


Change = Callable[[Memory], Memory]
"""
What to remember from now on, of what is remembered now.

A run has one memory, and one owner of it. Who only learns something says how the memory changes and holds none himself:
nothing that was forgotten meanwhile comes back.
"""


def _plain(value: Any) -> Any:
    # Not dataclasses.asdict: it copies every time deeply, and a fleet is written down at every look.
    return value.isoformat() if isinstance(value, dt.datetime) else vars(value)


def _read(kind: Any, value: dict[str, Any] | None) -> Any:
    return None if value is None else kind(**{name: _field(name, entry) for name, entry in value.items()})


def _field(name: str, value: Any) -> Any:
    return dt.datetime.fromisoformat(value) if value and name in _TIMES else value
