"""Findings about an identity for a person, each with a remedy. Alarms and the runbook are made from them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshcert.issuing.issuer import Abilities


class Kind(StrEnum):
    """The kind of a finding. Its value is the name of a metric, counted once for each look that has the finding."""

    CERTIFICATE_MISSING = "CertificateMissing"
    CERTIFICATE_UNUSABLE = "CertificateUnusable"
    SECRET_MISSING = "SecretMissing"  # noqa: S105  the name of a metric
    RENEWAL_FAILING = "RenewalFailing"
    SERVED_BEHIND = "ServedBehind"
    ROLLED_BACK = "RolledBack"
    ROLLED_BACK_AGAIN = "RolledBackAgain"
    DOUBTED = "Doubted"
    NOTHING_TO_GO_BACK_TO = "NothingToGoBackTo"
    DEPLOYMENT_FAILING = "DeploymentFailing"
    DEPLOYMENT_SLOW = "DeploymentSlow"
    SERVICE_MISSING = "ServiceMissing"
    CA_AGEING = "CaAgeing"
    CA_TOO_SHORT = "CaTooShort"
    CA_MISSING = "CaMissing"
    STEP_FAILING = "StepFailing"
    AWS_DENIED = "AwsDenied"
    AWS_UNAVAILABLE = "AwsUnavailable"


REMEDIES: dict[Kind, str] = {
    Kind.SECRET_MISSING: "Take it back with secretsmanager:RestoreSecret, or deploy the identities stack again",
    Kind.SERVED_BEHIND: "Read the task's log (event rotation-waits; of one that is silent, acknowledgement-waits): it "
    "says why",
    Kind.ROLLED_BACK: "Nothing at once: proxies go back to the last good version, a fresh renewal follows. Read why",
    Kind.ROLLED_BACK_AGAIN: "Mend or replace the task or the upstream that the finding names, then `meshcert renew`: "
    "the next version may fail like the last ones",
    Kind.DOUBTED: "Replace the task or the upstream that is named, if it is wrong, by a new deployment of its service: "
    "its successor is asked again. If the version is wrong: `meshcert rollback`",
    Kind.NOTHING_TO_GO_BACK_TO: "No good version lives long enough, so this one stays: read the tasks' logs, then "
    "`meshcert renew`",
    Kind.DEPLOYMENT_FAILING: "Read why the service's tasks fail: with a proven version it is not the certificate",
    Kind.DEPLOYMENT_SLOW: "Look at the service's events in ECS: tasks may be unhealthy or not end, or there is no "
    "capacity",
    Kind.SERVICE_MISSING: "Deploy the services stack, or remove the service from the mesh file",
    Kind.CA_AGEING: "Raise the hierarchy's `reissue` in the mesh file and deploy: same key, nothing else changes. Of a "
    "CA of yours, its owner reissues the certificate",
    Kind.CA_TOO_SHORT: "Raise the hierarchy's `reissue` and deploy now: no certificate can be renewed any more. Of a "
    "CA of yours, its owner reissues the certificate",
    Kind.CA_MISSING: "Take it back with acm-pca:RestoreCertificateAuthority, or declare a new hierarchy",
    Kind.STEP_FAILING: "Mend what the error names; it is tried again ever later, and at once with `meshcert renew`",
    Kind.AWS_DENIED: "Deploy the stacks again; if it stays, a policy of your account denies the call",
    Kind.AWS_UNAVAILABLE: "Nothing: it is tried again every minute",
}
"""The remedy for each kind; for findings about the issuer, the issuer gives its own."""


def remedies(issuer: Abilities) -> dict[Kind, str]:
    """The remedy for each kind of finding, for certificates of this issuer."""
    theirs = issuer.remedies
    return {
        Kind.CERTIFICATE_MISSING: theirs.missing,
        Kind.CERTIFICATE_UNUSABLE: theirs.unusable,
        Kind.RENEWAL_FAILING: theirs.failing,
        **REMEDIES,
    }


@dataclass(frozen=True)
class Finding:
    """
    A fault that a person should know of.

    Args:
        detail: What is at fault, and why.
        issuer: The issuer's own remedy, or that of a CA's owner; empty for that of the kind.
    """

    kind: Kind
    detail: str
    issuer: str = ""

    @property
    def remedy(self) -> str:
        """The next step for a person."""
        return self.issuer or REMEDIES[self.kind]
