"""
What is: all that one look at an identity has found, as plain values.

A part that could not be looked at is :class:`Unknown`, one that does not exist is :class:`Missing`: a plan goes on with
the others. Times are aware, UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

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


class DeploymentState(StrEnum):
    """ECS's rolloutState of a deployment."""

    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


@dataclass(frozen=True)
class ServiceDeployment:
    """
    A service's newest deployment (ecs:DescribeServices, the one whose status is PRIMARY).

    Args:
        id: ``ecs-svc/…``.
        state: How far it is. A deployment that was stopped (ecs:DescribeServiceDeployments) counts as FAILED.
        failed_tasks: Tasks of it that failed, one after the other; a healthy one takes this back to 0.
        reason: ECS's own sentence.
    """

    id: str
    state: DeploymentState
    failed_tasks: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Task:
    """
    A task of a service that ECS wants to run.

    Args:
        arn: Its ARN.
        deployment: The deployment that started it.
        running: Whether its last status is RUNNING; otherwise it is being started or stopped.
        started_at: When its containers ran; None before that.
    """

    arn: str
    deployment: str
    running: bool = True
    started_at: dt.datetime | None = None


@dataclass(frozen=True)
class Service:
    """
    What ECS says of a service.

    Args:
        name: Its name.
        desired_count: Number of tasks it should have.
        tasks: The tasks that ECS wants to run.
        deployment: The newest deployment.
        failures: Tasks of that deployment that failed on what they were to serve: Envoy's container ended by itself, or
            a health check failed. With ECS's reason.
        excused: Tasks of that deployment that failed, and say nothing about what they were to serve: an image that
            cannot be pulled, no capacity, AWS out of reach or refusing, the application's own end. With AWS's reason.
    """

    name: str
    desired_count: int
    tasks: tuple[Task, ...]
    deployment: ServiceDeployment
    failures: tuple[str, ...] = ()
    excused: tuple[str, ...] = ()

    @property
    def deploying(self) -> bool:
        """Whether its newest deployment is still under way."""
        return self.deployment.state is DeploymentState.IN_PROGRESS

    @property
    def steady(self) -> bool:
        """Whether it runs what it should: nothing is being started, stopped or deployed."""
        running = sum(task.running for task in self.tasks)
        return not self.deploying and running == len(self.tasks) == self.desired_count


@dataclass(frozen=True)
class Acknowledgement:
    """
    What a task has said of one identity.

    Args:
        at: When it said so.
        version: The version its Envoy serves.
        serial_number: That of the certificate its Envoy serves, lower-case hex.
        not_after: End of that certificate's validity; None if the task did not say.
        refused: A version the task would not take over.
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
        services: What ECS says, by service; None for a service that does not exist.
        acknowledgements: What the identity's running tasks said, by task ARN.
        authorities: The hierarchy's CAs, the one that signs the identity's certificate first.
    """

    identity: Identity
    now: dt.datetime
    issuer: Abilities
    issuance: Issuance | Missing | Unknown
    labels: Mapping[str, frozenset[str]] | Missing | Unknown
    services: Mapping[str, Service | None] | Unknown = field(default_factory=dict)
    acknowledgements: Mapping[str, Acknowledgement] | Unknown = field(default_factory=dict)
    authorities: tuple[Authority, ...] | Missing | Unknown = ()

    @property
    def whole(self) -> bool:
        """Whether every part could be looked at."""
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
