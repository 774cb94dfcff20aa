"""The steps that plans are made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshcert.lifecycle.deciding.findings import Finding


class Action(StrEnum):
    """Everything that can be done for an identity."""

    RENEW = "renew"
    """Ask the issuer for a new certificate."""
    EXPORT = "export"
    """Have the export function take the material out of its issuer and publish it, if it is not current already."""
    ROLL_BACK = "roll back"
    """Quarantine the current version and make the last good one current."""
    REDEPLOY = "redeploy"
    """Begin a new rollout of a service."""
    REVOKE = "revoke"
    """Have the CA revoke a certificate whose key is compromised."""
    PROVE = "prove"
    """Label the current version, which every instance serves, as the one to go back to."""
    WAIT = "wait"
    """Something is expected to happen by itself."""
    NOTHING = "nothing"
    """Published, served and issued are one."""


@dataclass(frozen=True)
class Step:
    """
    A step for an identity.

    Args:
        why: The reason, shown to people.
        version: The secret version it is about.
        away_from: The version that loses its label.
        replaces: The service's newest rollout before this step begins another.
        serial_number: The certificate that is revoked, lower-case hex.
        certificate_authority_arn: The CA that has signed it.
        settings: The settings that a rollout brings; empty if they are not what it is for.
        again_s: For a wait, when to look again, seconds from now; 0 leaves it to the policy.
    """

    action: Action
    why: str
    version: str = ""
    away_from: str = ""
    service: str = ""
    replaces: str = ""
    serial_number: str = ""
    certificate_authority_arn: str = ""
    again_s: float = 0.0
    settings: str = ""

    @property
    def name(self) -> str:
        """The action, with the service or the certificate that it is about."""
        return " ".join(filter(None, (self.action, self.service, self.serial_number)))

    @property
    def acts(self) -> bool:
        """True if the step changes something."""
        return self.action not in {Action.WAIT, Action.NOTHING}


def waiting(why: str, *, service: str = "", again_s: float = 0.0) -> Step:
    """A step that only waits."""
    return Step(Action.WAIT, why, service=service, again_s=again_s)


@dataclass(frozen=True)
class Concern:
    """
    One concern of a plan, and the step it wants.

    Args:
        step: The step to take, or a wait; None if all is well.
        findings: Faults that a person should know of.
        failing: Names of wanted steps that have failed before.
    """

    step: Step | None = None
    findings: tuple[Finding, ...] = field(default_factory=tuple)
    failing: tuple[str, ...] = ()
