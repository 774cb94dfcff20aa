"""
Verdicts about versions: bad, doubtful, and alive enough to go back to. Pure.

No step goes back onto what ends. With a version near its end, a service could neither scale nor heal for long, so the
fresh version stays, whatever is said against it, and a person is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.contract.lifetimes import GO_BACK_UNTIL
from meshcert.issuing.issuer import ValidityPeriod
from meshcert.lifecycle.deciding import acknowledgements
from meshcert.lifecycle.deciding.findings import Finding, Kind

if TYPE_CHECKING:
    import datetime as dt

    from meshcert.lifecycle.memory import Memory
    from meshcert.lifecycle.observation import Observation
    from meshcert.lifecycle.policy import Policy


def go_back_until(seen: Observation, memory: Memory, policy: Policy, version: str) -> dt.datetime | None:
    """
    When it is too late to go back to a version: at 95 % of its lifetime, or when the issuer's last alarm is due.

    Returns:
        None if its certificate is not remembered; then nothing is known against it.
    """
    known = memory.holding(version)
    if known is None:
        return None
    until = min(GO_BACK_UNTIL, seen.issuer.fractions.page)
    return policy.at(ValidityPeriod(known.not_before, known.not_after), until)


def lives(seen: Observation, memory: Memory, policy: Policy, version: str) -> bool:
    """True if a version lives long enough to go back to it, or to stay with it, and nobody else may have its key."""
    if memory.is_compromised(version):
        return False
    until = go_back_until(seen, memory, policy, version)
    return until is None or seen.now < until


def ended(seen: Observation, memory: Memory, version: str) -> bool:
    """True if a version's certificate is known to have expired."""
    known = memory.holding(version)
    return known is not None and known.not_after <= seen.now


def doubts(seen: Observation) -> tuple[Finding, ...]:
    """A finding if instances refuse the current version, which is not proven, and do not prove it bad."""
    if not seen.current or seen.current in {seen.last_good, seen.quarantined}:
        return ()
    said = acknowledgements.refusals(seen, seen.current)
    if not said or acknowledgements.proof(seen, said):
        return ()
    return (Finding(Kind.DOUBTED, acknowledgements.as_doubt(seen.current, said)),)


def holds_out(seen: Observation, memory: Memory, policy: Policy, service: str) -> frozenset[str]:
    """
    The instances of a service that stay with an older version because an upstream refuses the current one.

    They are left alone: a new instance would take the current version without a trial, and meet the same upstream. Once
    the version that they serve nears its end, they are replaced like any others that are late.
    """
    return frozenset(
        each.instance
        for each in acknowledgements.refusals(seen, seen.current)
        if each.service == service and each.upstreams and lives(seen, memory, policy, each.serves)
    )
