"""AWS's times, scaled: a lifetime of 395 days becomes minutes, its fractions stay what they are."""

from __future__ import annotations

from dataclasses import dataclass

from local.aws.config import LEAF_LIFETIME_DAYS, CertificateTimes
from meshcert.lifecycle.policy import Policy

REAL_LIFETIME_S = LEAF_LIFETIME_DAYS * 86400.0
"""A lifetime as it is on AWS."""

_MANAGED_RENEWAL_DAYS = 60
_WARNING_DAYS = 45
_PATIENCE = 0.06
"""Part of a lifetime that tasks have to take a version over, before a deployment replaces those that are late."""


@dataclass(frozen=True)
class Scale:
    """
    How fast time goes.

    What only waits is scaled with the lifetime. What has to be done takes as long as ever: a process does not start
    faster because certificates live shorter. So the times for tasks and repetitions are what this machine needs.

    Args:
        lifetime_s: Lifetime of a certificate, seconds.
        born_days_ago: Age of the first certificates, in days of 395 a lifetime.
        renewal_takes_s: From a renewal's beginning to the new certificate, seconds. The monitor looks more often, so no
            certificate escapes it.
        tick_s: Pause between two ticks, seconds.
        sweep_s: Pause between two sweeps, seconds.
        acm_comes: Whether ACM's days come by the clock; otherwise it renews nothing by itself.
    """

    lifetime_s: float
    born_days_ago: float = 0.0
    renewal_takes_s: float = 3.0
    tick_s: float = 2.0
    sweep_s: float = 6.0
    acm_comes: bool = True

    @property
    def day_s(self) -> float:
        """A day, seconds."""
        return self.lifetime_s / LEAF_LIFETIME_DAYS

    @property
    def times(self) -> CertificateTimes:
        """Times for the local AWS."""
        return CertificateTimes(
            born_days_ago=self.born_days_ago,
            leaf_lifetime_s=self.lifetime_s,
            managed_renewal_s=_MANAGED_RENEWAL_DAYS * self.day_s,
            warning_s=_WARNING_DAYS * self.day_s,
            back_dating_s=self.back_dating_s,
            renewal_takes_s=self.renewal_takes_s,
            acm_day_s=self.day_s if self.acm_comes else 0.0,
        )

    @property
    def back_dating_s(self) -> float:
        """How far NotBefore lies before the time of issue, seconds; certificates know whole seconds only."""
        return float(round(self.lifetime_s / 10))

    @property
    def policy(self) -> Policy:
        """Policy for the renewal function."""
        return Policy(
            back_dating_s=self.back_dating_s,
            renewal_patience_s=2 * self.renewal_takes_s,
            shortest_between_renewals_s=1.0,
            acknowledge_within_s=max(15.0, _PATIENCE * self.lifetime_s),
            deployment_within_s=60.0,
            retry_first_s=2.0,
            retry_longest_s=8.0,
            look_again_s=1.0,
        )
