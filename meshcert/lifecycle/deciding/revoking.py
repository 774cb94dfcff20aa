"""When certificates with a compromised key are revoked. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.lifecycle.deciding.failing import held_back
from meshcert.lifecycle.deciding.findings import Finding, Kind
from meshcert.lifecycle.deciding.steps import Action, Concern, Step, waiting
from meshcert.lifecycle.observation import Unknown

if TYPE_CHECKING:
    from meshcert.lifecycle.compromise import KeyCompromise
    from meshcert.lifecycle.memory import Memory
    from meshcert.lifecycle.observation import Observation
    from meshcert.lifecycle.policy import Policy


TOLD_FROM = 0.75
"""The part of the time in which instances have to end after which a person is told that one does not."""


def revoke(seen: Observation, memory: Memory, policy: Policy) -> Concern:
    """
    The step that revokes the next certificate with a compromised key.

    None is revoked before every instance has taken over another key, and those with the old one have ended: its peers
    would refuse them, while they still serve what was sent to them. Instances that do not end in time keep nothing
    valid: a person is told, and then the certificate is revoked.
    """
    compromise = memory.compromise
    outstanding = compromise.outstanding(seen.now) if compromise else ()
    if compromise is None or not outstanding:
        return Concern()
    count = f"{len(outstanding)} certificate{'s' if len(outstanding) > 1 else ''} to be revoked once"
    if compromise.left_at is None:
        return Concern(waiting(f"{count} every service serves another key"))
    ending = _still_ending(seen, compromise)
    left_s = policy.ended_within_s - (seen.now - compromise.left_at).total_seconds()
    if ending and left_s > 0:
        told_in_s = left_s - policy.ended_within_s * (1 - TOLD_FROM)
        slow = () if told_in_s > 0 else _slow(f"{ending} not ended; revoked in {left_s:.0f} s whatever they do")
        step = waiting(f"{count} {ending} ended", again_s=min(left_s, policy.look_again_s))
        return Concern(step, (*_unknown(seen), *slow))
    although = f"; {ending} not been seen to end within {policy.ended_within_s:g} s" if ending else ""
    reason = f"its key is compromised{f': {compromise.reason}' if compromise.reason else ''}"
    concerns = [
        held_back(
            Concern(
                Step(
                    Action.REVOKE,
                    f"{reason}; serial number {each.serial_number}{although}",
                    version=each.version,
                    serial_number=each.serial_number,
                    certificate_authority_arn=each.certificate_authority_arn,
                )
            ),
            memory,
            seen,
            policy,
        )
        for each in outstanding
    ]
    # For each certificate, not for all together: one whose CA is gone does not keep the others from being revoked.
    steps = [concern.step for concern in concerns if concern.step]
    fresh = [concern.step for concern in concerns if concern.step and concern.step.acts and not concern.failing]
    acting = [step for step in steps if step.acts]
    findings = tuple(finding for concern in concerns for finding in concern.findings)
    failing = tuple(name for concern in concerns for name in concern.failing)
    return Concern((fresh or acting or steps)[0], findings, failing)


def _still_ending(seen: Observation, compromise: KeyCompromise) -> str:
    """The subject of a sentence: the instances that may serve a compromised key yet, and its verb; empty if none."""
    services = {} if isinstance(seen.services, Unknown) else seen.services
    word = next((service.words.instance for service in services.values() if service), "instance")
    if isinstance(seen.ending, Unknown):
        return f"the {word}s with the old key, which cannot be looked at, have"
    # One that reports another key has left the old one; one that reports nothing may be anything.
    old = [instance for instance, version in seen.ending.items() if not version or compromise.has(version)]
    if not old:
        return ""
    return f"{old[0]} with the old key has" if len(old) == 1 else f"{len(old)} {word}s with the old key have"


def _slow(detail: str) -> tuple[Finding, ...]:
    return (Finding(Kind.DEPLOYMENT_SLOW, detail),)


def _unknown(seen: Observation) -> tuple[Finding, ...]:
    if not isinstance(seen.ending, Unknown):
        return ()
    kind = Kind.AWS_DENIED if seen.ending.denied else Kind.AWS_UNAVAILABLE
    return (Finding(kind, seen.ending.reason),)
