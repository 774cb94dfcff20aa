"""
What to do next for one identity, and why: pure, from an observation and the memory.

Concerns are asked in their order of urgency: a bad version goes back first, then the newest certificate is published,
then services take it over, then it is renewed. The first concern that can act does; one that has to wait keeps no other
from acting. The table of cases in ``tests/meshcert/lifecycle/deciding/test_plan.py`` is this module's documentation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from meshcert.lifecycle.asking.looks import RENEW
from meshcert.lifecycle.deciding import ageing, rollback, rollout
from meshcert.lifecycle.deciding.failing import held_back
from meshcert.lifecycle.deciding.findings import RENEWAL_REMEDIES, Finding, Kind
from meshcert.lifecycle.deciding.steps import Action, Concern, Step, waiting
from meshcert.lifecycle.observing.observation import Certificate, Missing, Unknown

if TYPE_CHECKING:
    from meshcert.lifecycle.memory import CurrentVersion, Memory
    from meshcert.lifecycle.observing.observation import Observation
    from meshcert.lifecycle.policy import Policy, Validity

_PENDING = "PENDING_AUTO_RENEWAL"


@dataclass(frozen=True)
class Plan:
    """
    The next step of one identity.

    Args:
        step: What to do now; ``wait`` or ``nothing`` if there is nothing to do.
        waits: What is expected to happen by itself.
        findings: What a person should know.
        failing: Names of the steps that are wanted and have failed before.
    """

    step: Step
    waits: tuple[Step, ...] = ()
    findings: tuple[Finding, ...] = field(default_factory=tuple)
    failing: frozenset[str] = frozenset()

    @property
    def settled(self) -> bool:
        """Whether there is nothing to do and nothing to wait for: the next sweep is soon enough."""
        return self.step.action is Action.NOTHING and not self.waits


def plan(seen: Observation, memory: Memory, policy: Policy) -> Plan:
    """
    What to do next.

    Args:
        seen: One look.
        memory: What earlier looks remembered, and what an operator wants.
        policy: When things are due.

    Returns:
        The step, what is waited for, and what a person should know.
    """
    wanted = (
        rollback.go_back(seen, memory),
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
    """The newest certificate of ACM's is the current version, and ACM may renew it again."""
    if isinstance(seen.labels, Missing):
        return Concern(findings=(Finding(Kind.SECRET_MISSING, seen.labels.what),))
    if isinstance(seen.labels, Unknown):
        return _blocked("the secret", seen.labels)
    return _publish_newest(seen, memory)


def _publish_newest(seen: Observation, memory: Memory) -> Concern:
    issued = seen.certificate
    if isinstance(issued, Missing):
        return Concern(findings=(Finding(Kind.CERTIFICATE_MISSING, issued.what),))
    if isinstance(issued, Unknown):
        return _blocked("the certificate", issued)
    if issued.status == "PENDING_VALIDATION":
        return Concern(waiting("ACM is issuing the certificate"))
    if _is_valid(seen, issued):
        return Concern(_publish_issued(seen, memory, issued))
    reason = f": {issued.failure_reason}" if issued.failure_reason else ""
    status = "EXPIRED" if issued.status == "ISSUED" else issued.status
    return Concern(findings=(Finding(Kind.CERTIFICATE_UNUSABLE, f"{issued.arn} is {status}{reason}"),))


def _is_valid(seen: Observation, issued: Certificate) -> bool:
    return issued.status == "ISSUED" and issued.validity is not None and seen.now < issued.validity.not_after


def _publish_issued(seen: Observation, memory: Memory, issued: Certificate) -> Step | None:
    if issued.version in {seen.current, seen.quarantined}:
        if issued.renewable:
            return None
        if issued.renewal_status == _PENDING and not issued.renewal_reason:
            return waiting("ACM is renewing the certificate")
        return Step(Action.EXPORT, "ACM renews only what was exported since", version=issued.version)
    before = memory.publication
    if before and before.certificate_arn == issued.arn and _is_older(issued, before):
        return waiting("ACM still shows an older certificate than the published one")
    return Step(Action.EXPORT, "ACM holds a newer certificate than is published", version=issued.version)


def _is_older(issued: Certificate, before: CurrentVersion) -> bool:
    return bool(issued.validity and before.not_before and issued.validity.not_before < before.not_before)


def _renew(seen: Observation, memory: Memory, policy: Policy) -> Concern:
    """ACM renews by itself; when it has not by our threshold, on order, or when a version is bad, it is asked to."""
    issued = seen.certificate
    if not isinstance(issued, Certificate) or not issued.validity or not _is_valid(seen, issued):
        return Concern()
    step = None
    if seen.current and issued.version in {seen.current, seen.quarantined} and issued.renewable:
        step = _renewal(seen, memory, issued, issued.validity, policy)
    return Concern(step, _renewal_findings(issued))


def _renewal(seen: Observation, memory: Memory, issued: Certificate, validity: Validity, policy: Policy) -> Step | None:
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
            text = f"ACM was asked for a renewal {asked.at:%Y-%m-%d %H:%M} UTC"
            return waiting(text, again_s=min(left_s, max(policy.look_again_s, waited_s / 2)))
    if why:
        return Step(Action.RENEW, why, version=issued.version)
    if issued.renewal_status == _PENDING:
        # Its own renewal has weeks to come, an event tells when it has, and a sweep sees it without one.
        return waiting("ACM is renewing the certificate", again_s=policy.retry_first_s)
    return None


def _why_renew(seen: Observation, memory: Memory, issued: Certificate, validity: Validity, policy: Policy) -> str:
    order = memory.order
    if order and order.kind == RENEW:
        return f"ordered: {order.reason}" if order.reason else "ordered"
    if issued.version == seen.quarantined:
        return "the issued version is quarantined"
    gone = validity.fraction_gone(seen.now, policy)
    return f"{gone:.0%} of its lifetime is gone and ACM has not renewed it" if gone >= policy.renew_at else ""


def _too_soon_s(seen: Observation, memory: Memory, issued: Certificate, policy: Policy, *, ordered: bool) -> float:
    """
    How long a renewal has to wait because of the one before, seconds.

    Orders that come close together are one renewal. After one bad version the next is asked for at once, after several
    in a row ever later.
    """
    published, quarantine = memory.publication, memory.quarantine
    if ordered:
        since_s = (seen.now - published.since).total_seconds() if published else 0.0
        return policy.shortest_between_renewals_s - since_s
    if issued.version != seen.quarantined or quarantine is None:
        return 0.0
    return policy.retry_after_s(quarantine.count - 1) - (seen.now - quarantine.at).total_seconds()


def _renewal_findings(issued: Certificate) -> tuple[Finding, ...]:
    if issued.renewal_status != "FAILED" and (not issued.renewal_reason or issued.renewal_status == "SUCCESS"):
        return ()
    remedy = RENEWAL_REMEDIES.get(issued.renewal_reason)
    reason = issued.renewal_reason or "it gave no reason"
    detail = f"ACM could not renew {issued.arn}: {reason}" + (f" ({remedy})" if remedy else "")
    return (Finding(Kind.RENEWAL_FAILING, detail),)


def _blocked(what: str, unknown: Unknown) -> Concern:
    kind = Kind.AWS_DENIED if unknown.denied else Kind.AWS_UNAVAILABLE
    return Concern(waiting(f"{what} cannot be looked at: {unknown.reason}"), (Finding(kind, unknown.reason),))
