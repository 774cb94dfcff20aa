"""
The present state of an identity, as one look has found it, in plain values.

A part that could not be looked at is :class:`Unknown`, one that does not exist is :class:`Missing`: a plan is made from
the other parts. Times are aware, UTC.
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
    A part that could not be looked at: AWS did not answer, or denied the call.

    Args:
        reason: The reason, shown to people.
        denied: Whether AWS denied the call; otherwise it may answer later.
    """

    reason: str
    denied: bool = False


@dataclass(frozen=True)
class Missing:
    """
    A part that does not exist.

    Args:
        what: What is missing, and how to bring it back.
    """

    what: str


class RolloutState(StrEnum):
    """The state of a rollout; the values are shown to people and scripts."""

    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


class Words(NamedTuple):
    """
    A platform's own words, for sentences shown to people.

    Args:
        platform: The platform's name.
        instance: Its word for an instance of a workload.
    """

    platform: str
    instance: str


@dataclass(frozen=True)
class Rollout:
    """
    A service's newest rollout: new instances start one after the other and replace the earlier ones.

    Args:
        id: The platform's own name for it.
        state: A rollout that was stopped or rolled back counts as failed.
        failed: Number of instances of it that failed in a row; a healthy one resets it to 0.
        reason: The platform's own sentence.
        taken_back: Whether it failed, and the platform brings back the one before it: what begins now starts instances
            as that one did, which came to its end.
    """

    id: str
    state: RolloutState
    failed: int = 0
    reason: str = ""
    taken_back: bool = False


@dataclass(frozen=True)
class Instance:
    """
    An instance of a workload that the platform wants to run: on ECS, a task.

    Args:
        id: The platform's own name for it.
        rollout: The rollout that started it.
        running: It has started and is not being stopped.
        started_at: When it first ran; None before that.
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
        desired_count: Number of instances it should have.
        instances: The instances that the platform wants to run.
        failures: How instances of the newest rollout failed because of the material they were to serve, in the
            platform's words: Envoy ended by itself, or a health check failed.
        excused: How instances of the newest rollout failed for other reasons: an image that cannot be pulled, no
            capacity, AWS unreachable or refusing, an application that ended by itself.
        excused_code: Exit code of Envoy's container in the last of these (:mod:`meshcert.contract.exit_codes`); 0 if it
            has none.
        refusal: Why no rollout of ours may begin, in the platform's words; empty if one may.
    """

    name: str
    desired_count: int
    instances: tuple[Instance, ...]
    rollout: Rollout
    words: Words
    failures: tuple[str, ...] = ()
    excused: tuple[str, ...] = ()
    excused_code: int = 0
    refusal: str = ""

    @property
    def rolling_out(self) -> bool:
        """True if the newest rollout is still under way."""
        return self.rollout.state is RolloutState.IN_PROGRESS

    @property
    def steady(self) -> bool:
        """True if it runs as it should: no instance is being started, stopped or rolled out."""
        running = sum(instance.running for instance in self.instances)
        return not self.rolling_out and running == len(self.instances) == self.desired_count


@dataclass(frozen=True)
class RoutesServed:
    """
    The route table that an instance reports to serve.

    Args:
        version: SHA-256 of the document; empty if it serves none.
        refused: A version that it refused to take over.
        error: Why it refused that version, or what is in the way of a newer one.
    """

    version: str
    refused: str = ""
    error: str = ""


@dataclass(frozen=True)
class RequestsTaken:
    """
    The requests that an instance reports of one PERMISSIVE listener since it has started; of ``tcp``, the connections.

    Args:
        port: The listener's.
        tls: How many came over TLS.
        plain: How many came in plain text.
        last_plain_at: The latest time at which the last of those can have come; None if there is none.
    """

    port: int
    tls: int
    plain: int
    last_plain_at: dt.datetime | None = None


@dataclass(frozen=True)
class FileServed:
    """
    What an instance reports of one source of the user's in files; no renewal is decided by it.

    Args:
        name: ``certificate_file`` or ``trust_file`` with its path.
        version: What identifies the content that its Envoy serves.
        not_after: End of the certificate's validity, or of the last root's; None if not reported.
        refused: Content that it would not take over.
        error: Why, or what else is wrong.
    """

    name: str
    version: str
    not_after: dt.datetime | None = None
    refused: str = ""
    error: str = ""


@dataclass(frozen=True)
class Acknowledgement:
    """
    The version of one identity that an instance reports to serve.

    Args:
        at: When it reported this.
        version: The version its Envoy serves.
        serial_number: Serial number of the certificate its Envoy serves, lower-case hex.
        not_after: End of that certificate's validity; None if not reported.
        refused: A version that it refused to take over.
        refused_by: The upstream hosts (``NAME@ADDRESS``) that refused that version in a trial; empty if it is the
            instance's own judgement, or if the instance does not name them.
        error: Why it refused that version.
        routes: What it reports of its routes; None if its proxy has no route table.
        requests: What it reports of its PERMISSIVE listeners; empty if it has none, or does not count.
        files: What it reports of files of the user's; empty if it has none.
        settings: The version of the settings that it has read from a row; empty if they are in its task definition.
    """

    at: dt.datetime
    version: str
    serial_number: str = ""
    not_after: dt.datetime | None = None
    refused: str = ""
    error: str = ""
    refused_by: tuple[str, ...] = ()
    routes: RoutesServed | None = None
    requests: tuple[RequestsTaken, ...] = ()
    files: tuple[FileServed, ...] = ()
    settings: str = ""


@dataclass(frozen=True)
class Authority:
    """
    A CA of the identity's hierarchy.

    Args:
        not_after: End of its certificate's validity.
    """

    arn: str
    not_after: dt.datetime


@dataclass(frozen=True)
class Observation:
    """
    The state of one identity at one look.

    Args:
        identity: The identity as declared.
        now: The time of the look.
        issuer: The abilities of its issuer.
        issuance: Its certificate, as the issuer has it.
        labels: The secret's staging labels by version.
        services: Its services as the platform shows them, by name; None for a service that does not exist.
        acknowledgements: The latest acknowledgement of the identity, by running instance.
        authorities: The hierarchy's CAs, the one that signs the identity's certificate first.
        settings: The version of the settings that new instances of attached services read, by service.
        ending: The instances that are told to end and whose containers may still run, with the version that each says
            it serves, or none; empty as well if nothing is to be revoked, for then nobody asks.
    """

    identity: Identity
    now: dt.datetime
    issuer: Abilities
    issuance: Issuance | Missing | Unknown
    labels: Mapping[str, frozenset[str]] | Missing | Unknown
    services: Mapping[str, Workload | None] | Unknown = field(default_factory=dict)
    acknowledgements: Mapping[str, Acknowledgement] | Unknown = field(default_factory=dict)
    authorities: tuple[Authority, ...] | Missing | Unknown = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    ending: Mapping[str, str] | Unknown = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """True if every part could be looked at."""
        parts = (self.issuance, self.labels, self.services, self.acknowledgements, self.authorities, self.ending)
        return not any(isinstance(part, Unknown) for part in parts)

    @property
    def current(self) -> str:
        """The version that proxies read; empty if there is none, or if it is not known."""
        return self._labelled(CURRENT)

    @property
    def last_good(self) -> str:
        """The version that was last proven good."""
        return self._labelled(LAST_GOOD)

    @property
    def previous(self) -> str:
        """The version that was current before."""
        return self._labelled(PREVIOUS)

    @property
    def quarantined(self) -> str:
        """The version that was rolled back last."""
        return self._labelled(QUARANTINED)

    def _labelled(self, label: str) -> str:
        if isinstance(self.labels, Missing | Unknown):
            return ""
        return version_labelled(self.labels, label) or ""
