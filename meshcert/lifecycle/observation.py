"""
What is: all that one look at an identity has found, as plain values.

A part that could not be looked at is :class:`Unknown`, one that does not exist is :class:`Missing`: a plan goes on with
the others. Times are aware, UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from meshcert.contract.staging_labels import CURRENT, LAST_GOOD, PREVIOUS, QUARANTINED
from meshcert.publishing.publication import version_labelled

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from meshcert.identity import Identity
    from meshcert.issuing.issuer import Abilities, Issuance


@dataclass(frozen=True)
class Unknown:
    """
    AWS could not say now, or would not.

    Args:
        reason: Why, for people.
        denied: Whether AWS refused; otherwise it may answer later.
    """

    reason: str
    denied: bool = False


@dataclass(frozen=True)
class Missing:
    """
    It does not exist.

    Args:
        what: What is missing, and how it comes back.
    """

    what: str


class RolloutState(StrEnum):
    """How far a rollout is; the values are shown to people and scripts."""

    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


class Words(NamedTuple):
    """
    How a platform calls things, in sentences for people.

    Args:
        platform: Itself.
        instance: An instance of a workload.
    """

    platform: str
    instance: str


@dataclass(frozen=True)
class Rollout:
    """
    A service's newest rollout: instances that start one after the other and take the place of those before.

    Args:
        id: The platform's own name for it.
        state: How far it is. One that was stopped or taken back counts as failed.
        failed: Instances of it that failed, one after the other; a healthy one takes this back to 0.
        reason: The platform's own sentence.
    """

    id: str
    state: RolloutState
    failed: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Instance:
    """
    An instance of a workload that the platform wants to run: a task of ECS's.

    Args:
        id: The platform's own name for it.
        rollout: The rollout that started it.
        running: It has started and is not being stopped.
        started_at: When it was running first; None before that.
    """

    id: str
    rollout: str
    running: bool = True
    started_at: dt.datetime | None = None


@dataclass(frozen=True)
class Workload:
    """
    A workload as the platform shows it.

    Args:
        name: Its name.
        desired_count: Number of instances it should have.
        instances: Those that the platform wants to run.
        rollout: The newest rollout.
        words: How the platform calls things.
        failures: How instances of that rollout ended that failed on what they were to serve: Envoy ended by itself, or
            a health check failed. In the platform's words.
        excused: How instances of that rollout ended that failed and say nothing about what they were to serve: an image
            that cannot be pulled, no capacity, AWS out of reach or refusing, the application's own end.
    """

    name: str
    desired_count: int
    instances: tuple[Instance, ...]
    rollout: Rollout
    words: Words
    failures: tuple[str, ...] = ()
    excused: tuple[str, ...] = ()

    @property
    def rolling_out(self) -> bool:
        """Its newest rollout is still under way."""
        return self.rollout.state is RolloutState.IN_PROGRESS

    @property
    def steady(self) -> bool:
        """It runs what it should: nothing is being started, stopped or rolled out."""
        running = sum(instance.running for instance in self.instances)
        return not self.rolling_out and running == len(self.instances) == self.desired_count


@dataclass(frozen=True)
class Acknowledgement:
    """
    The version of one identity that an instance says it serves.

    Args:
        at: When it said so.
        version: The version its Envoy serves.
        serial_number: That of the certificate its Envoy serves, lower-case hex.
        not_after: End of that certificate's validity; None if it did not say.
        refused: A version it would not take over.
        error: Why.
    """

    at: dt.datetime
    version: str
    serial_number: str = ""
    not_after: dt.datetime | None = None
    refused: str = ""
    error: str = ""


@dataclass(frozen=True)
class Authority:
    """
    A CA of the identity's hierarchy.

    Args:
        arn: Its ARN.
        not_after: End of its certificate's validity.
    """

    arn: str
    not_after: dt.datetime


@dataclass(frozen=True)
class Observation:
    """
    One look at one identity.

    Args:
        identity: What is declared.
        now: When the look was.
        issuer: What the issuer of its certificate can.
        issuance: What the issuer says.
        labels: The secret's staging labels by version.
        services: What the platform says, by service; None for a service that does not exist.
        acknowledgements: What running instances said of the identity, by instance.
        authorities: The hierarchy's CAs, the one that signs the identity's certificate first.
    """

    identity: Identity
    now: dt.datetime
    issuer: Abilities
    issuance: Issuance | Missing | Unknown
    labels: Mapping[str, frozenset[str]] | Missing | Unknown
    services: Mapping[str, Workload | None] | Unknown = field(default_factory=dict)
    acknowledgements: Mapping[str, Acknowledgement] | Unknown = field(default_factory=dict)
    authorities: tuple[Authority, ...] | Missing | Unknown = ()

    @property
    def whole(self) -> bool:
        """Every part could be looked at."""
        parts = (self.issuance, self.labels, self.services, self.acknowledgements, self.authorities)
        return not any(isinstance(part, Unknown) for part in parts)

    @property
    def current(self) -> str:
        """The version that proxies read; empty if none, or if that is not known."""
        return self._labelled(CURRENT)

    @property
    def last_good(self) -> str:
        """The version that was served and proven last."""
        return self._labelled(LAST_GOOD)

    @property
    def previous(self) -> str:
        """The version that was current before."""
        return self._labelled(PREVIOUS)

    @property
    def quarantined(self) -> str:
        """The version whose rollout failed last."""
        return self._labelled(QUARANTINED)

    def _labelled(self, label: str) -> str:
        if isinstance(self.labels, Missing | Unknown):
            return ""
        return version_labelled(self.labels, label) or ""
