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

_OF_YOURS = {
    Kind.CA_AGEING: "Have its owner reissue the certificate that ends, on the same key: nothing else changes",
    Kind.CA_TOO_SHORT: "Have its owner reissue the certificate that ends, on the same key, now: no certificate can be "
    "renewed any more",
    Kind.CA_MISSING: "Have its owner take it back with acm-pca:RestoreCertificateAuthority, or declare a new hierarchy",
    Kind.AWS_DENIED: "If another account owns the CA, have it share the CA by AWS RAM again; else deploy the stacks "
    "again: a policy of your account may deny the call",
}
"""The remedies for a CA of the user's, which no deploy changes."""


def authorities(seen: Observation, policy: Policy) -> Concern:
    """
    A finding for each CA that may expire before the certificate that is renewed next.

    No certificate may end after its CA's (AWS Private CA user guide, "CA lifecycle"): with less than a leaf's lifetime
    left, a CA stops all renewals. The finding comes one whole renewal earlier, so a person has most of a leaf's
    lifetime to act.
    """
    if isinstance(seen.authorities, Missing):
        return Concern(findings=(_finding(seen, Kind.CA_MISSING, seen.authorities.what),))
    if isinstance(seen.authorities, Unknown):
        denied, reason = seen.authorities.denied, seen.authorities.reason
        kind = Kind.AWS_DENIED if denied else Kind.AWS_UNAVAILABLE
        # A share that has ended may stay so, and looks have a quota that all identities under the CA would use up.
        again_s = policy.retry_first_s if denied else 0.0
        step = waiting(f"the CA cannot be looked at: {reason}", again_s=again_s)
        return Concern(step, (_finding(seen, kind, reason),))
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
        whose = ", which is yours, or a CA above it" if seen.identity.has_existing_authority else ""
        detail = f"{authority.arn}{whose} ends {authority.not_after:%Y-%m-%d}, in {left.days} days"
        if left < lifetime:
            findings.append(_finding(seen, Kind.CA_TOO_SHORT, f"{detail}: less than the lifetime of a certificate"))
        elif authority.not_after < renewed_next_at + lifetime * (1 + policy.ca_margin):
            findings.append(
                _finding(seen, Kind.CA_AGEING, f"{detail}: before the certificate that is renewed next would")
            )
    return Concern(findings=tuple(findings))


def _finding(seen: Observation, kind: Kind, detail: str) -> Finding:
    return Finding(kind, detail, _OF_YOURS.get(kind, "") if seen.identity.has_existing_authority else "")
