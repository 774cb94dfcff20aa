"""When certificates with a compromised key are revoked. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.lifecycle.deciding.failing import held_back
from meshcert.lifecycle.deciding.steps import Action, Concern, Step, waiting
from meshcert.lifecycle.observation import Unknown

if TYPE_CHECKING:
    from meshcert.lifecycle.memory import Memory
    from meshcert.lifecycle.observation import Observation
    from meshcert.lifecycle.policy import Policy


def revoke(seen: Observation, memory: Memory, policy: Policy) -> Concern:
    """
    The step that revokes the next certificate with a compromised key.

    None is revoked before every instance has taken over another key: its peers would refuse the instances that still
    serve it. Where no instance runs, because the services were stopped at once, there is none to wait for. What an
    instance says later keeps nothing from being revoked: it may be the one that was broken into.
    """
    compromise = memory.compromise
    outstanding = compromise.outstanding(seen.now) if compromise else ()
    if compromise is None or not outstanding:
        return Concern()
    reason = f"its key is compromised{f': {compromise.reason}' if compromise.reason else ''}"
    is_left = seen.last_good == seen.current or _nothing_runs(seen)
    if not seen.current or memory.is_compromised(seen.current) or not is_left:
        count = len(outstanding)
        text = f"{count} certificate{'s' if count > 1 else ''} to be revoked once every service serves another key"
        return Concern(waiting(text))
    concerns = [
        held_back(
            Concern(
                Step(
                    Action.REVOKE,
                    f"{reason}; serial number {each.serial_number}",
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


def _nothing_runs(seen: Observation) -> bool:
    """True if no service has an instance; those that start later read the current version."""
    if isinstance(seen.services, Unknown) or not seen.services:
        return False
    services = seen.services.values()
    return all(service is not None and not service.instances and not service.rolling_out for service in services)
