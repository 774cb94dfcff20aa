"""What CAs and certificates cost a month, by who issues them, and how long a certificate lives."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from meshcert.contract.lifetimes import CERTIFICATE_DAYS
from meshcert.identity import IssuerName
from meshcert.issuing.acm import ACM
from meshcert.issuing.private_ca_lives import LONGEST_SHORT_LIVED, RENEWED_ON_AVERAGE
from meshcert.mesh.issuance import Usage
from meshcert.mesh.part import life_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshcert.mesh import Mesh
    from meshcert.mesh.issuance import DeclaredIdentity

HOURS = 730
"""Hours in a month, as AWS counts."""

CERTIFICATE_AUTHORITY = 400.0
"""A general-purpose private CA, a month (aws.amazon.com/private-ca/pricing)."""
SHORT_LIVED_AUTHORITY = 50.0
"""A private CA of usage mode SHORT_LIVED_CERTIFICATE, a month (aws.amazon.com/private-ca/pricing)."""
SHORT_LIVED_CERTIFICATE = 0.058
"""Each certificate that it issues, however many (aws.amazon.com/private-ca/pricing)."""
CERTIFICATE_TIERS = ((1_000, 0.75), (10_000, 0.35), (float("inf"), 0.001))
"""Price of each certificate up to a number a month (not confirmed by AWS's own page)."""

LIVES = tuple(dt.timedelta(hours=hours) for hours in (1, 6, 24, 7 * 24, 30 * 24, 365 * 24))
"""Lives that are compared, beside those that the mesh file says."""


class IssuingWay(StrEnum):
    """Who issues certificates, and under CAs of which usage mode."""

    ACM = "acm"
    """ACM, under general-purpose CAs: it chooses the life."""
    GENERAL_PURPOSE = "acm-pca, general purpose"
    SHORT_LIVED = "acm-pca, short-lived"


@dataclass(frozen=True)
class IssuingCost:
    """
    What one way of issuing costs.

    Args:
        certificates: Number of certificates a month, renewals alone.
        authority_dollars: The CAs, US dollars a month.
        certificate_dollars: The certificates, US dollars a month.
    """

    way: IssuingWay
    certificates: float
    authority_dollars: float
    certificate_dollars: float

    @property
    def dollars(self) -> float:
        """Both, US dollars a month."""
        return self.authority_dollars + self.certificate_dollars


@dataclass(frozen=True)
class IssuedAlike:
    """
    Identities whose certificates come in one way and live equally long.

    Args:
        identities: Their number.
    """

    way: IssuingWay
    life: dt.timedelta
    identities: int

    @property
    def certificates(self) -> float:
        """Number of certificates a month, renewals alone."""
        return self.identities * certificates_a_month(self.way, self.life)


@dataclass(frozen=True)
class LifeCosts:
    """
    What a mesh would cost with certificates of one life; ACM's stand beside them with the life that they have.

    Args:
        ways: The ways that can give this life, and ACM's; the cheapest first.
        short_lived_until: The most identities of one CA at which a short-lived one costs no more than ACM's way; None
            if it does not give this life.
    """

    life: dt.timedelta
    ways: tuple[IssuingCost, ...]
    short_lived_until: int | None

    def of(self, way: IssuingWay) -> IssuingCost | None:
        """The cost of one way; None if it does not give this life."""
        return next((cost for cost in self.ways if cost.way is way), None)

    def document(self) -> dict[str, Any]:
        """The costs for scripts."""
        return {
            "life": life_text(self.life),
            "cheapest": self.ways[0].way.value,
            "short_lived_until": self.short_lived_until,
            "ways": [_document(cost) for cost in self.ways],
        }


@dataclass(frozen=True)
class IssuingPlan:
    """
    What the CAs and certificates of a mesh file would cost by issuer, usage of the CAs and life.

    Args:
        identities: Number of identities.
        authorities: Number of CAs that sign their certificates.
        parents: Number of roots above those CAs, which are for general purpose in every way.
        lives: The costs by life, the shortest first.
        declared: What the file says, as it is: certificates and US dollars a month.
    """

    identities: int
    authorities: int
    parents: int
    lives: tuple[LifeCosts, ...]
    declared: tuple[float, float]

    @property
    def cheapest(self) -> tuple[LifeCosts, IssuingCost]:
        """The cheapest way of all lives."""
        return min(((each, each.ways[0]) for each in self.lives), key=lambda found: found[1].dollars)

    def document(self) -> dict[str, Any]:
        """The plan for scripts."""
        life, cost = self.cheapest
        certificates, dollars = self.declared
        return {
            "identities": self.identities,
            "authorities": self.authorities,
            "general_purpose_parents": self.parents,
            "declared": {"certificates": certificates, "dollars": dollars},
            "cheapest": {"life": _given_life(life.life, cost.way), **_document(cost)},
            "lives": [each.document() for each in self.lives],
        }


def certificate_dollars(certificates: float) -> float:
    """
    The price of the certificates that general-purpose CAs issue in one month, US dollars.

    Args:
        certificates: Their number; a fraction for a small mesh.
    """
    dollars, before = 0.0, 0.0
    for upto, each in CERTIFICATE_TIERS:
        dollars += max(0.0, min(certificates, upto) - before) * each
        before = upto
    return dollars


def certificates_a_month(way: IssuingWay, life: dt.timedelta) -> float:
    """
    How many certificates an identity gets in a month, its first one not counted.

    Args:
        life: Of each certificate; ACM's is its own.
    """
    if way is IssuingWay.ACM:
        renewed_after = dt.timedelta(days=CERTIFICATE_DAYS) * (ACM.fractions.renews_itself or ACM.fractions.own_renewal)
    else:
        renewed_after = life * float(RENEWED_ON_AVERAGE)
    return dt.timedelta(hours=HOURS) / renewed_after


def issuing_cost(
    way: IssuingWay, identities: int, life: dt.timedelta, authorities: int = 1, general_purpose_parents: int = 0
) -> IssuingCost:
    """
    What CAs and certificates cost a month, issued in one way.

    Args:
        life: Of each certificate; ACM's is its own.
        authorities: Number of CAs of the way's usage mode.
        general_purpose_parents: Number of general-purpose CAs above them.

    Raises:
        ValueError: If the life is longer than a short-lived CA issues, or none.
    """
    if life <= dt.timedelta(0) or (way is IssuingWay.SHORT_LIVED and life > LONGEST_SHORT_LIVED):
        raise ValueError(f"{way} issues no certificates of {life}")
    certificates = identities * certificates_a_month(way, life)
    is_short = way is IssuingWay.SHORT_LIVED
    return IssuingCost(
        way,
        certificates,
        authorities * (SHORT_LIVED_AUTHORITY if is_short else CERTIFICATE_AUTHORITY)
        + general_purpose_parents * CERTIFICATE_AUTHORITY,
        certificates * SHORT_LIVED_CERTIFICATE if is_short else certificate_dollars(certificates),
    )


def issuing_costs(
    identities: int, life: dt.timedelta, authorities: int = 1, general_purpose_parents: int = 0
) -> tuple[IssuingCost, ...]:
    """
    What each way costs that can do it, the cheapest first.

    Args:
        life: The life that acm-pca is to give; ACM's stands beside it, with the life that it has.
        authorities: Number of CAs that sign certificates, the same in every way.
        general_purpose_parents: Number of general-purpose CAs above them.
    """
    ways = [way for way in IssuingWay if way is not IssuingWay.SHORT_LIVED or life <= LONGEST_SHORT_LIVED]
    costs = (issuing_cost(way, identities, life, authorities, general_purpose_parents) for way in ways)
    return tuple(sorted(costs, key=lambda cost: cost.dollars))


def short_lived_until(life: dt.timedelta) -> int:
    """
    The most identities of one short-lived CA at which it costs no more than one CA with ACM.

    Within the first thousand certificates of ACM's a month, which have one price.
    """
    short, acm = (issuing_cost(way, 1, life) for way in (IssuingWay.SHORT_LIVED, IssuingWay.ACM))
    saved = acm.authority_dollars - short.authority_dollars
    return math.floor(saved / (short.certificate_dollars - acm.certificate_dollars))


def declared_issuing(mesh: Mesh) -> tuple[IssuedAlike, ...]:
    """How the certificates of a mesh file's identities are issued."""
    alike = Counter((_way(mesh, identity), identity.life) for identity in mesh.identities.values())
    return tuple(IssuedAlike(way, life, number) for (way, life), number in alike.items())


def short_lived_authorities(mesh: Mesh) -> int:
    """How many CAs that a mesh file has made are short-lived: one of each such hierarchy, which signs certificates."""
    return sum(bool(each.made) and each.usage is Usage.SHORT_LIVED for each in mesh.hierarchies.values())


def issuing_plan(mesh: Mesh) -> IssuingPlan:
    """What the CAs and certificates of a mesh file would cost in each way."""
    declared, short = declared_issuing(mesh), short_lived_authorities(mesh)
    made = [hierarchy.made for hierarchy in mesh.hierarchies.values() if hierarchy.made]
    identities, authorities, parents = len(mesh.identities), len(made), sum(made) - len(made)
    lives = sorted({*LIVES, *(each.life for each in declared if each.way is not IssuingWay.ACM)})
    cas = short * SHORT_LIVED_AUTHORITY + (authorities - short + parents) * CERTIFICATE_AUTHORITY
    return IssuingPlan(
        identities,
        authorities,
        parents,
        tuple(
            LifeCosts(
                life,
                issuing_costs(identities, life, authorities, parents),
                short_lived_until(life) if life <= LONGEST_SHORT_LIVED else None,
            )
            for life in lives
        ),
        (sum(each.certificates for each in declared), cas + issued_dollars(declared)),
    )


def issued_dollars(issued: Iterable[IssuedAlike]) -> float:
    """The price of certificates, US dollars a month: those of general-purpose CAs share the steps of the price."""
    general, short = certificates_by_price(issued)
    return certificate_dollars(general) + short * SHORT_LIVED_CERTIFICATE


def certificates_by_price(issued: Iterable[IssuedAlike]) -> tuple[float, float]:
    """Numbers of certificates a month: of general-purpose CAs, and of short-lived ones."""
    by_price = {True: 0.0, False: 0.0}
    for each in issued:
        by_price[each.way is IssuingWay.SHORT_LIVED] += each.certificates
    return by_price[False], by_price[True]


def _way(mesh: Mesh, identity: DeclaredIdentity) -> IssuingWay:
    if identity.issuer is IssuerName.ACM:
        return IssuingWay.ACM
    is_short = mesh.hierarchies[identity.hierarchy].usage is Usage.SHORT_LIVED
    return IssuingWay.SHORT_LIVED if is_short else IssuingWay.GENERAL_PURPOSE


def _given_life(life: dt.timedelta, way: IssuingWay) -> str:
    return f"{CERTIFICATE_DAYS}d" if way is IssuingWay.ACM else life_text(life)


def _document(cost: IssuingCost) -> dict[str, Any]:
    return {**asdict(cost), "way": cost.way.value, "dollars": cost.dollars}
