"""
Plan the next step for one identity, with its reason. Pure: from an observation and the memory.

Concerns are checked in order of urgency: a bad version is rolled back first, then the newest certificate is published,
then services take it over, then it is renewed, then those with a compromised key are revoked. The first concern that
can act does; one that has to wait does not keep others from acting. The table of cases in
``tests/meshcert/lifecycle/deciding/test_plan.py`` documents this module.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from meshcert.issuing.issuer import Issuance, IssuanceState
from meshcert.lifecycle.deciding import ageing, renewing, revoking, rollback, rollout
from meshcert.lifecycle.deciding.cut_off import cut_off
from meshcert.lifecycle.deciding.failing import held_back
from meshcert.lifecycle.deciding.findings import Finding, Kind
from meshcert.lifecycle.deciding.steps import Action, Concern, Step, waiting
from meshcert.lifecycle.observation import Missing, Unknown

if TYPE_CHECKING:
    import datetime as dt

    from meshcert.lifecycle.memory import CurrentVersion, Memory
    from meshcert.lifecycle.observation import Observation
    from meshcert.lifecycle.policy import Policy


@dataclass(frozen=True)
class Plan:
    """
    The next step for an identity.

    Args:
        step: The step to take now; ``wait`` or ``nothing`` if there is none.
        waits: Steps that only wait for something to happen by itself.
        findings: Faults that a person should know of.
        failing: Names of the steps that are wanted and have failed before.
        due_at: When the certificate is to be renewed, if that is a moment of the identity's own; None if a sweep is
            soon enough to see it.
    """

    step: Step
    waits: tuple[Step, ...] = ()
    findings: tuple[Finding, ...] = field(default_factory=tuple)
    failing: frozenset[str] = frozenset()
    due_at: dt.datetime | None = None

    @property
    def settled(self) -> bool:
        """True if there is nothing to do and nothing to wait for: the next sweep is soon enough."""
        return self.step.action is Action.NOTHING and not self.waits


def plan(seen: Observation, memory: Memory, policy: Policy) -> Plan:
    """The next step for an identity, the steps that wait, and the findings for a person."""
    wanted = (
        rollback.go_back(seen, memory, policy),
        _publish(seen, memory, policy),
        cut_off(seen, policy),
        rollout.take_over(seen, memory, policy),
        rollout.prove(seen, memory),
        renewing.renew(seen, memory, policy),
        revoking.revoke(seen, memory, policy),
        ageing.authorities(seen, policy),
    )
    concerns = [held_back(concern, memory, seen, policy) for concern in wanted]
    acting = next((concern.step for concern in concerns if concern.step and concern.step.acts), None)
    waits = tuple(concern.step for concern in concerns if concern.step and not concern.step.acts)
    findings = tuple(finding for concern in concerns for finding in concern.findings)
    if acting is None:
        acting = waits[0] if waits else Step(Action.NOTHING, "published, served and issued are one")
    failing = frozenset(name for concern in concerns for name in concern.failing)
    return Plan(acting, waits, findings, failing, renewing.due_at(seen, policy))


def _publish(seen: Observation, memory: Memory, policy: Policy) -> Concern:
    """The step that makes the issuer's newest certificate the current version, exported so that it can be renewed."""
    if isinstance(seen.labels, Missing):
        return Concern(findings=(Finding(Kind.SECRET_MISSING, seen.labels.what),))
    if isinstance(seen.labels, Unknown):
        return _blocked("the secret", seen.labels)
    return _publish_newest(seen, memory, policy)


def _publish_newest(seen: Observation, memory: Memory, policy: Policy) -> Concern:
    issued, issuer = seen.issuance, seen.issuer
    if isinstance(issued, Missing):
        return Concern(findings=(Finding(Kind.CERTIFICATE_MISSING, issued.what, issuer.remedies.missing),))
    if isinstance(issued, Unknown):
        return _blocked("the certificate", issued)
    if issued.state is IssuanceState.PENDING:
        return Concern(waiting(f"{issuer.name} is issuing the certificate"))
    if memory.is_compromised(issued.version) and issued.version not in {seen.current, seen.quarantined}:
        detail = f"{issued.reference}: its key is compromised"
        return Concern(findings=(Finding(Kind.CERTIFICATE_UNUSABLE, detail, issuer.remedies.unusable),))
    if renewing.is_valid(seen, issued):
        step = _publish_issued(seen, memory, issued)
        given_up = step and step.name in memory.failures and renewing.is_stale(seen, issued, policy)
        return Concern(None if given_up else step)
    reason = f": {issued.reason}" if issued.reason else ""
    status = "EXPIRED" if issued.state is IssuanceState.ISSUED else issued.status
    detail = f"{issued.reference} is {status}{reason}"
    return Concern(findings=(Finding(Kind.CERTIFICATE_UNUSABLE, detail, issuer.remedies.unusable),))


def _publish_issued(seen: Observation, memory: Memory, issued: Issuance) -> Step | None:
    issuer = seen.issuer.name
    if issued.version in {seen.current, seen.quarantined}:
        if not issued.to_take_out:
            return None
        if issued.renewing and not issued.trouble:
            return waiting(f"{issuer} is renewing the certificate")
        return Step(Action.EXPORT, f"{issuer} renews only what was exported since", version=issued.version)
    before = memory.publication
    if before and before.certificate_arn == issued.reference and _is_older(issued, before):
        return waiting(f"{issuer} still shows an older certificate than the published one")
    return Step(Action.EXPORT, f"{issuer} holds a newer certificate than is published", version=issued.version)


def _is_older(issued: Issuance, before: CurrentVersion) -> bool:
    return bool(issued.validity and before.not_before and issued.validity.not_before < before.not_before)


def _blocked(what: str, unknown: Unknown) -> Concern:
    kind = Kind.AWS_DENIED if unknown.denied else Kind.AWS_UNAVAILABLE
    return Concern(waiting(f"{what} cannot be looked at: {unknown.reason}"), (Finding(kind, unknown.reason),))
