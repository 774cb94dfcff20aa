"""When steps are due. Thresholds are fractions of a lifetime, intervals are seconds; tests shorten both."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from meshcert.contract.environment import POLICY_PREFIX
from meshcert.issuing.acm import ACM

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshcert.issuing.issuer import Abilities, ValidityPeriod


@dataclass(frozen=True)
class Policy:
    """
    The lifecycle's settings for the certificates of one issuer; the defaults are those for ACM.

    Args:
        back_dating_s: How far NotBefore lies before the time of issue (AWS Private CA: 60 minutes).
        renew_at: Elapsed fraction of the lifetime at which we ask for a renewal that did not come by itself.
        renewal_patience_s: A renewal request without effect is made again after this (ACM gives up after 72 hours:
            ACM user guide, "Check a certificate's renewal status").
        shortest_between_renewals_s: Ordered renewals closer together are done as one. Secrets Manager keeps every
            version of the last 24 hours, up to 100 (secretsmanager:PutSecretValue); this allows 96 at most.
        acknowledge_within_s: Time for running instances to serve a new version, beyond their poll interval.
        silent_after_s: A running instance that has acknowledged nothing for so long is reported; all acknowledge every
            five minutes.
        pause_between_services_s: Rest between the deployments of two services.
        deployment_within_s: A service that needs longer to take a version over is reported, and no longer holds up the
            identity's other services.
        ended_within_s: Once every instance serves another key than a compromised one, those with the old key have this
            long to end; then its certificate is revoked nevertheless. ECS may take six minutes and a half for a task
            of ours: two for the load balancer, two each for readiness and Envoy, half a minute for the application.
        retry_first_s: Wait before the second renewal after a quarantine, the second repetition of a refused step, and
            the repetition of a failed deployment of a good version; doubles each time. The first renewal after a
            quarantine and the first repetition do not wait.
        retry_longest_s: Longest of these waits.
        look_again_s: Time until an unsettled identity is looked at again.
        ca_margin: A CA must outlive the end of the certificate renewed next by this fraction of a leaf's lifetime.
    """

    back_dating_s: float = 3600.0
    renew_at: float = ACM.fractions.own_renewal
    renewal_patience_s: float = 72 * 3600.0
    shortest_between_renewals_s: float = 900.0
    acknowledge_within_s: float = 240.0
    silent_after_s: float = 900.0
    pause_between_services_s: float = 0.0
    deployment_within_s: float = 1800.0
    ended_within_s: float = 600.0
    retry_first_s: float = 3600.0
    retry_longest_s: float = 86400.0
    look_again_s: float = 55.0
    ca_margin: float = 0.1

    @classmethod
    def of(cls, issuer: Abilities) -> Policy:
        """The defaults for an issuer."""
        return cls(renew_at=issuer.fractions.own_renewal)

    def issued_at(self, validity: ValidityPeriod) -> dt.datetime:
        """When a certificate was issued. CAs set NotBefore to an earlier time."""
        return validity.not_before + dt.timedelta(seconds=self.back_dating_s)

    def lifetime(self, validity: ValidityPeriod) -> dt.timedelta:
        """Time from issue to end; at least a microsecond, so that it can be divided."""
        return max(validity.not_after - self.issued_at(validity), dt.timedelta(microseconds=1))

    def fraction_gone(self, validity: ValidityPeriod, now: dt.datetime) -> float:
        """The elapsed fraction of the lifetime: 0 at issue, 1 at the end, more after it."""
        return (now - self.issued_at(validity)) / self.lifetime(validity)

    def at(self, validity: ValidityPeriod, fraction: float) -> dt.datetime:
        """The time at which a fraction of the lifetime has elapsed."""
        return self.issued_at(validity) + self.lifetime(validity) * fraction

    def retry_after_s(self, tries: int) -> float:
        """How long to wait after a number of failures, seconds: 0 after none, then doubling."""
        return 0.0 if tries < 1 else min(self.retry_longest_s, self.retry_first_s * 2.0 ** min(tries - 1, 32))

    def to_environ(self) -> dict[str, str]:
        """The variables that :meth:`from_environ` reads, for each setting that differs from its default."""
        default = Policy()
        return {
            _variable(field.name): f"{getattr(self, field.name):g}"
            for field in fields(self)
            if getattr(self, field.name) != getattr(default, field.name)
        }

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Policy:
        """
        Read the settings from ``MESHCERT_POLICY_…`` variables; a variable that is not set leaves the default.

        Raises:
            ValueError: If a value is negative or not a number; the message names the variable.
        """
        values: dict[str, float] = {}
        for field in fields(cls):
            text = environ.get(_variable(field.name))
            if text is None:
                continue
            try:
                values[field.name] = float(text)
            except ValueError:
                values[field.name] = -1.0
            if not 0 <= values[field.name] < float("inf"):
                raise ValueError(f"{_variable(field.name)} is {text!r}, no number from 0 on")
        return cls(**values)


def _variable(setting: str) -> str:
    return f"{POLICY_PREFIX}{setting.upper()}"
