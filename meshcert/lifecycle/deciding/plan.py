"""
Plan the next step for one identity, with its reason. Pure: from an observation and the memory.

Concerns are checked in order of urgency: a bad version is rolled back first, then the newest certificate is published,
then services take it over, then it is renewed. The first concern that can act does; one that has to wait does not keep
others from acting. The table of cases in ``tests/meshcert/lifecycle/deciding/test_plan.py`` documents this module.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from meshcert.issuing.issuer import Issuance, IssuanceState
from meshcert.lifecycle.deciding import ageing, rollback, rollout
from meshcert.lifecycle.deciding.failing import held_back
from meshcert.lifecycle.deciding.findings import Finding, Kind
from meshcert.lifecycle.deciding.steps import Action, Concern, Step, waiting
from meshcert.lifecycle.memory import RENEW
from meshcert.lifecycle.observation import Missing, Unknown

if TYPE_CHECKING:
    from meshcert.issuing.issuer import ValidityPeriod
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
    """

    step: Step
    waits: tuple[Step, ...] = ()
    findings: tuple[Finding, ...] = field(default_factory=tuple)
    failing: frozenset[str] = frozenset()

    @property
    def settled(self) -> bool:
        """True if there is nothing to do and nothing to wait for: the next sweep is soon enough."""
        return self.step.action is Action.NOTHING and not self.waits


def plan(seen: Observation, memory: Memory, policy: Policy) -> Plan:
    """The next step for an identity, the steps that wait, and the findings for a person."""
    wanted = (
        rollback.go_back(seen, memory, policy),
        _publish(seen, memory),
        rollout.take_over(seen, memory, policy),
        rollout.prove(seen, memory),
        _renew(seen, memory, policy),
        ageing.authorities(seen, policy),
    )
    concerns = [held_back(concern, memory, seen.now, policy) for concern in wanted]
    acting = next((concern.step for concern in concerns if concern.step and concern.step.acts), None)
    waits = tuple(concern.step for concern in concerns if concern.step and not concern.step.acts)
    findings = tuple(finding for concern in concerns for finding in concern.findings)
    if acting is None:
        acting = waits[0] if waits else Step(Action.NOTHING, "published, served and issued are one")
    return Plan(acting, waits, findings, frozenset(name for concern in concerns for name in concern.failing))


def _publish(seen: Observation, memory: Memory) -> Concern:
    """The step that makes the issuer's newest certificate the current version, exported so that it can be renewed."""
    if isinstance(seen.labels, Missing):
        return Concern(findings=(Finding(Kind.SECRET_MISSING, seen.labels.what),))
    if isinstance(seen.labels, Unknown):
        return _blocked("the secret", seen.labels)
    return _publish_newest(seen, memory)


def _publish_newest(seen: Observation, memory: Memory) -> Concern:
    issued, issuer = seen.issuance, seen.issuer
    if isinstance(issued, Missing):
        return Concern(findings=(Finding(Kind.CERTIFICATE_MISSING, issued.what, issuer.remedies.missing),))
    if isinstance(issued, Unknown):
        return _blocked("the certificate", issued)
    if issued.state is IssuanceState.PENDING:
        return Concern(waiting(f"{issuer.name} is issuing the certificate"))
    if _is_valid(seen, issued):
        return Concern(_publish_issued(seen, memory, issued))
    reason = f": {issued.reason}" if issued.reason else ""
    status = "EXPIRED" if issued.state is IssuanceState.ISSUED else issued.status
    detail = f"{issued.reference} is {status}{reason}"
    return Concern(findings=(Finding(Kind.CERTIFICATE_UNUSABLE, detail, issuer.remedies.unusable),))


def _is_valid(seen: Observation, issued: Issuance) -> bool:
    is_issued = issued.state is IssuanceState.ISSUED
    return is_issued and issued.validity is not None and seen.now < issued.validity.not_after


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


def _renew(seen: Observation, memory: Memory, policy: Policy) -> Concern:
    """
    The step that asks the issuer for a renewal.

    It is due when the issuer has not renewed by our threshold, when a renewal was ordered, or when the issued version
    is bad.
    """
    issued = seen.issuance
    if not isinstance(issued, Issuance) or not issued.validity or not _is_valid(seen, issued):
        return Concern()
    step = None
    can_be_asked = issued.renewable and seen.issuer.renews_on_order
    if seen.current and issued.version in {seen.current, seen.quarantined} and can_be_asked:
        step = _renewal(seen, memory, issued, issued.validity, policy)
    return Concern(step, _renewal_findings(seen, issued))


def _renewal(
    seen: Observation, memory: Memory, issued: Issuance, validity: ValidityPeriod, policy: Policy
) -> Step | None:
    why = _why_renew(seen, memory, issued, validity, policy)
    ordered = memory.order is not None and memory.order.kind == RENEW
    left_s = _too_soon_s(seen, memory, issued, policy, ordered=ordered)
    if left_s > 0 and (ordered or why):
        return waiting(f"{why}, but the last renewal is too short ago", again_s=left_s)
    asked = memory.renewal
    if asked and asked.version == issued.version and not ordered:
        waited_s = (seen.now - asked.at).total_seconds()
        left_s = policy.renewal_patience_s - waited_s
        if left_s > 0:
            text = f"{seen.issuer.name} was asked for a renewal {asked.at:%Y-%m-%d %H:%M} UTC"
            return waiting(text, again_s=min(left_s, max(policy.look_again_s, waited_s / 2)))
    if why:
        return Step(Action.RENEW, why, version=issued.version)
    if issued.renewing:
        # The issuer's own renewal may take weeks. An event tells when it is done; if that is lost, a sweep sees it.
        return waiting(f"{seen.issuer.name} is renewing the certificate", again_s=policy.retry_first_s)
    return None


def _why_renew(seen: Observation, memory: Memory, issued: Issuance, validity: ValidityPeriod, policy: Policy) -> str:
    order = memory.order
    if order and order.kind == RENEW:
        return f"ordered: {order.reason}" if order.reason else "ordered"
    if issued.version == seen.quarantined:
        return "the issued version is quarantined"
    gone = policy.fraction_gone(validity, seen.now)
    if gone < policy.renew_at:
        return ""
    itself = "" if seen.issuer.fractions.renews_itself is None else f" and {seen.issuer.name} has not renewed it"
    return f"{gone:.0%} of its lifetime is gone{itself}"


def _too_soon_s(seen: Observation, memory: Memory, issued: Issuance, policy: Policy, *, ordered: bool) -> float:
    """
    How long a renewal has to wait after the one before, seconds.

    Orders that come close together are one renewal. After one bad version the next is requested at once, after several
    in a row ever later.
    """
    published, quarantine = memory.publication, memory.quarantine
    if ordered:
        since_s = (seen.now - published.since).total_seconds() if published else 0.0
        return policy.shortest_between_renewals_s - since_s
    if issued.version != seen.quarantined or quarantine is None:
        return 0.0
    return policy.retry_after_s(quarantine.count - 1) - (seen.now - quarantine.at).total_seconds()


def _renewal_findings(seen: Observation, issued: Issuance) -> tuple[Finding, ...]:
    if not issued.trouble:
        return ()
    detail = f"{seen.issuer.name} could not renew {issued.reference}: {issued.trouble}"
    return (Finding(Kind.RENEWAL_FAILING, detail, seen.issuer.remedies.failing),)


def _blocked(what: str, unknown: Unknown) -> Concern:
    kind = Kind.AWS_DENIED if unknown.denied else Kind.AWS_UNAVAILABLE
    return Concern(waiting(f"{what} cannot be looked at: {unknown.reason}"), (Finding(kind, unknown.reason),))
