"""An issuer of the tests' own, unlike ACM: its certificates live a day, are renewed only on order, taken out once."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from meshcert.errors import IdentityMissing
from meshcert.issuing.issuer import Abilities, Fractions, Issuance, IssuanceState, News, Remedies, ValidityPeriod
from meshcert.lifecycle.policy import Policy
from tests.meshcert.lifecycle.acm import Issued, version_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshcert.clock import Clock

OWN = Abilities(
    name="the mint",
    renews_on_order=True,
    exports_again=False,
    revokes=True,
    fractions=Fractions(renews_itself=None, own_renewal=0.66, warning=0.8, page=0.9),
    looks_per_second=100.0,
    remedies=Remedies(missing="Strike another", unusable="Melt it down", failing="Feed the mint"),
)
OWN_POLICY = Policy.of(OWN)
LIFETIME = dt.timedelta(days=1)


class OwnIssuer:
    """:class:`meshcert.issuing.issuer.Issuer`, and the taking-out of material."""

    can = OWN

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.certificates: dict[str, Issued] = {}
        self.authorities: dict[str, dt.datetime] = {}
        self.serial_numbers: list[str] = []
        self.renewals_asked = 0
        self.revoked: list[str] = []

    def issue(self, reference: str) -> Issued:
        """A new certificate and key."""
        now, number = self._clock.now(), f"{0xB0000001 + len(self.serial_numbers):x}"
        self.serial_numbers.append(number)
        self.certificates[reference] = Issued(number, ValidityPeriod(now - dt.timedelta(hours=1), now + LIFETIME))
        return self.certificates[reference]

    def advance(self) -> None:
        """Nothing happens by itself."""

    def news(self, event: Mapping[str, Any]) -> News:
        """It sends no events."""
        del event
        return News()

    def observe(self, reference: str, known: Mapping[str, str]) -> Issuance:
        """See :meth:`meshcert.issuing.issuer.IssuanceView.observe`."""
        del known
        if reference not in self.certificates:
            raise IdentityMissing(reference, OWN.remedies.missing)
        issued = self.certificates[reference]
        return Issuance(
            reference,
            IssuanceState.ISSUED,
            "struck",
            serial_number=issued.serial_number,
            validity=issued.validity,
            version=version_of(issued.serial_number),
            renewable=True,
        )

    def renew(self, identity: str, issued: Issuance) -> None:
        """See :meth:`meshcert.issuing.issuer.Issuer.renew`."""
        del identity
        self.renewals_asked += 1
        self.issue(issued.reference)

    def export(self, reference: str) -> str:
        """Take it out, once: the version."""
        issued = self.certificates[reference]
        assert not issued.exported, "it cannot be taken out again"
        issued.exported = True
        return version_of(issued.serial_number)

    def not_after(self, certificate_authority_arn: str) -> dt.datetime:
        """End of a CA certificate's validity."""
        return self.authorities[certificate_authority_arn]

    def revoke(self, certificate_authority_arn: str, serial_number: str) -> None:
        """Nobody is to believe it any more."""
        assert certificate_authority_arn in self.authorities
        assert serial_number in self.serial_numbers
        if serial_number not in self.revoked:
            self.revoked.append(serial_number)
