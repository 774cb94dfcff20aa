"""
When a certificate is renewed, and why. Pure.

There are two kinds of issuers. One keeps a certificate under one name for ever and renews what is good and published;
it is asked when it has not done so by itself. The other issues a new certificate for a new key, each at a moment of its
own, whatever has become of the one before: so no outage of any length leaves an identity without one.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from meshcert.issuing.issuer import Issuance, IssuanceState
from meshcert.issuing.private_ca_lives import RENEWED_FROM
from meshcert.lifecycle.deciding.findings import Finding, Kind
from meshcert.lifecycle.deciding.renewal_times import first_renewal_fraction, renewal_fraction
from meshcert.lifecycle.deciding.steps import Action, Concern, Step, waiting
from meshcert.lifecycle.observation import Missing
from meshcert.lifecycle.orders import RENEW

if TYPE_CHECKING:
    from meshcert.issuing.issuer import ValidityPeriod
    from meshcert.lifecycle.memory import Memory
    from meshcert.lifecycle.observation import Observation
    from meshcert.lifecycle.policy import Policy

_DAY = dt.timedelta(days=1)
ISSUED_WITHIN = dt.timedelta(hours=1)
"""A certificate that is still not issued after this is asked for anew, or sooner:"""
ISSUED_WITHIN_FRACTION = 1 / 24
"""after this part of the life of the published one, which leaves time for several tries."""


def renew(seen: Observation, memory: Memory, policy: Policy) -> Concern:
    """
    The step that asks the issuer for a renewal.

    It is due when the issuer has not renewed by our threshold, when a renewal was ordered, or when the issued version
    is bad.
    """
    issued = seen.issuance
    if seen.issuer.renews_anew:
        return Concern(_anew(seen, memory, policy))
    if not isinstance(issued, Issuance) or not issued.validity or not is_valid(seen, issued):
        return Concern()
    step = None
    can_be_asked = issued.renewable and seen.issuer.renews_on_order
    is_known = issued.version in {seen.current, seen.quarantined} or memory.is_compromised(issued.version)
    if seen.current and is_known and can_be_asked:
        step = _renewal(seen, memory, issued, issued.validity, policy)
    return Concern(step, _findings(seen, issued))


def is_valid(seen: Observation, issued: Issuance) -> bool:
    """True if a certificate is issued and has not expired."""
    is_issued = issued.state is IssuanceState.ISSUED
    return is_issued and issued.validity is not None and seen.now < issued.validity.not_after


def due_fraction(seen: Observation, issued: Issuance, policy: Policy) -> float:
    """The elapsed fraction of its life at which a certificate is renewed."""
    if not seen.issuer.renews_anew:
        return policy.renew_at
    # The ARN of the secret ends with six random characters, and stands for mesh, account and region.
    draw = first_renewal_fraction if seen.identity.issued_by_deploy else renewal_fraction
    return draw(seen.identity.secret_id.encode(), seen.identity.name, issued.serial_number)


def due_at(seen: Observation, policy: Policy) -> dt.datetime | None:
    """When the certificate is due, if that is a moment of its own; None otherwise, or if nothing is issued."""
    issued = seen.issuance
    if not seen.issuer.renews_anew or not isinstance(issued, Issuance) or not issued.validity:
        return None
    return policy.at(issued.validity, due_fraction(seen, issued, policy))


def is_stale(seen: Observation, issued: Issuance, policy: Policy) -> bool:
    """True if a certificate that was never published has lost so much of its life that another one is better."""
    gone = policy.fraction_gone(issued.validity, seen.now) if issued.validity else 0.0
    return seen.issuer.renews_anew and issued.version != seen.current and gone >= float(RENEWED_FROM)


def _anew(seen: Observation, memory: Memory, policy: Policy) -> Step | None:
    """The renewal at an issuer that needs nothing of the certificate before."""
    issued = seen.issuance
    if not isinstance(issued, Issuance):
        gone = isinstance(issued, Missing)
        return Step(Action.RENEW, "there is none", version=seen.identity.certificate_arn) if gone else None
    if issued.state is IssuanceState.PENDING:
        return _pending(seen, memory, issued)
    if issued.validity is None or not is_valid(seen, issued):
        why = "it has expired" if issued.state is IssuanceState.ISSUED else f"it is {issued.status}"
        return Step(Action.RENEW, why, version=issued.version or issued.reference)
    if issued.version in {seen.current, seen.quarantined} or memory.is_compromised(issued.version):
        return _renewal(seen, memory, issued, issued.validity, policy)
    if is_stale(seen, issued, policy):
        return Step(Action.RENEW, "half of its life is gone, and it was never published", version=issued.version)
    return None


def _pending(seen: Observation, memory: Memory, issued: Issuance) -> Step | None:
    asked, published = memory.renewal, memory.publication
    if asked is None:
        return None
    patience = ISSUED_WITHIN
    if published and published.not_before and published.not_after:
        patience = min(patience, (published.not_after - published.not_before) * ISSUED_WITHIN_FRACTION)
    if seen.now - asked.at < patience:
        return None
    return Step(Action.RENEW, f"asked for {asked.at:%Y-%m-%d %H:%M} UTC, and not issued yet", version=issued.reference)


def _renewal(
    seen: Observation, memory: Memory, issued: Issuance, validity: ValidityPeriod, policy: Policy
) -> Step | None:
    why = _why_renew(seen, memory, issued, validity, policy)
    ordered = memory.order is not None and memory.order.kind == RENEW
    left_s = _too_soon_s(seen, memory, issued, policy, ordered=ordered)
    if left_s > 0 and (ordered or why):
        return waiting(f"{why}, but the last renewal is too short ago", again_s=left_s)
    asked, compromise = memory.renewal, memory.compromise
    # A renewal that was asked for before the key leaked may never come: it is asked for once more.
    again = compromise and asked and compromise.has(issued.version) and asked.at < compromise.at
    if asked and asked.version == issued.version and not (ordered or again):
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
    order, compromise = memory.order, memory.compromise
    if compromise and compromise.has(issued.version):
        return f"its key is compromised: {compromise.reason}" if compromise.reason else "its key is compromised"
    if order and order.kind == RENEW:
        return f"ordered: {order.reason}" if order.reason else "ordered"
    if issued.version == seen.quarantined:
        return "the issued version is quarantined"
    gone = policy.fraction_gone(validity, seen.now)
    if gone < due_fraction(seen, issued, policy):
        return ""
    itself = "" if seen.issuer.fractions.renews_itself is None else f" and {seen.issuer.name} has not renewed it"
    return f"{gone:.0%} of its lifetime is gone{itself}"


def _too_soon_s(seen: Observation, memory: Memory, issued: Issuance, policy: Policy, *, ordered: bool) -> float:
    """
    How long a renewal has to wait after the one before, seconds.

    Orders that come close together are one renewal. After one bad version the next is requested at once, after several
    in a row ever later. One for a compromised key waits for nothing, unless there was another such within a day.
    """
    published, quarantine, compromise = memory.publication, memory.quarantine, memory.compromise
    if compromise and compromise.has(issued.version):
        # At once, but the first time in a day only: a secret has room for a hundred versions of a day.
        earlier = compromise.earlier_at
        ordered = earlier is not None and seen.now - earlier < _DAY
        if not ordered:
            return 0.0
    if ordered:
        since_s = (seen.now - published.since).total_seconds() if published else 0.0
        return policy.shortest_between_renewals_s - since_s
    if issued.version != seen.quarantined or quarantine is None:
        return 0.0
    return policy.retry_after_s(quarantine.count - 1) - (seen.now - quarantine.at).total_seconds()


def _findings(seen: Observation, issued: Issuance) -> tuple[Finding, ...]:
    if not issued.trouble:
        return ()
    detail = f"{seen.issuer.name} could not renew {issued.reference}: {issued.trouble}"
    return (Finding(Kind.RENEWAL_FAILING, detail, seen.issuer.remedies.failing),)
