"""The age of CA certificates: they expire too, and AWS sends no event about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.issuing.issuer import Issuance
from meshcert.lifecycle.deciding.findings import Finding, Kind
from meshcert.lifecycle.deciding.renewing import due_fraction
from meshcert.lifecycle.deciding.steps import Concern, waiting
from meshcert.lifecycle.observation import Missing, Unknown

if TYPE_CHECKING:
    from meshcert.lifecycle.observation import Observation
    from meshcert.lifecycle.policy import Policy


def authorities(seen: Observation, policy: Policy) -> Concern:
    """
    A finding for each CA that may expire before the certificate that is renewed next.

    No certificate may end after its CA's (AWS Private CA user guide, "CA lifecycle"): with less than a leaf's lifetime
    left, a CA stops all renewals. The finding comes one whole renewal earlier, so a person has most of a leaf's
    lifetime to act.
    """
    if isinstance(seen.authorities, Missing):
        return Concern(findings=(Finding(Kind.CA_MISSING, seen.authorities.what),))
    if isinstance(seen.authorities, Unknown):
        kind = Kind.AWS_DENIED if seen.authorities.denied else Kind.AWS_UNAVAILABLE
        reason = seen.authorities.reason
        return Concern(waiting(f"the CA cannot be looked at: {reason}"), (Finding(kind, reason),))
    if not isinstance(seen.issuance, Issuance) or not seen.issuance.validity:
        return Concern()
    leaf = seen.issuance.validity
    lifetime = policy.lifetime(leaf)
    itself = seen.issuer.fractions.renews_itself
    renewed_next_at = max(
        policy.at(leaf, due_fraction(seen, seen.issuance, policy) if itself is None else itself), seen.now
    )
    findings = []
    for authority in seen.authorities:
        left = authority.not_after - seen.now
        whose = " (yours: its owner reissues its certificate)" if seen.identity.has_existing_authority else ""
        detail = f"{authority.arn}{whose} ends {authority.not_after:%Y-%m-%d}, in {left.days} days"
        if left < lifetime:
            findings.append(Finding(Kind.CA_TOO_SHORT, f"{detail}: less than the lifetime of a certificate"))
        elif authority.not_after < renewed_next_at + lifetime * (1 + policy.ca_margin):
            findings.append(Finding(Kind.CA_AGEING, f"{detail}: before the certificate that is renewed next would"))
    return Concern(findings=tuple(findings))
