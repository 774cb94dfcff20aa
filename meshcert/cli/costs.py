"""
An estimate of what a mesh costs a month in AWS; each line says how it comes about.

It covers only what meshcert causes: the services' own tasks, NAT gateways and load balancers run anyway.
"""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from meshcert.contract.discovery import POLL_INTERVAL_S
from meshcert.contract.lifetimes import CERTIFICATE_DAYS
from meshcert.issuing.acm import ACM
from meshcert.issuing.private_ca_lives import LONGEST_SHORT_LIVED, RENEWED_ON_AVERAGE
from meshcert.proxy import ACKNOWLEDGE_EVERY_S

if TYPE_CHECKING:
    from collections.abc import Sequence

PRICES_OF = dt.date(2026, 11, 21)
"""Date of the prices: list prices of us-east-1, as far as they were known then."""

ALARMS = 43
"""Alarms of the renewal stack (``stacks/runbook.py``)."""
METRICS = 9
"""Metrics that a healthy mesh writes every hour; the others cost something only in hours in which they happen."""
QUEUES = 3
"""Queues at which Lambda listens: looks, orders, dispatch."""

HOURS = 730
"""Hours in a month, as AWS counts."""
SECONDS = HOURS * 3600

CERTIFICATE_AUTHORITY = 400.0
"""A general-purpose private CA, a month (aws.amazon.com/private-ca/pricing)."""
SHORT_LIVED_AUTHORITY = 50.0
"""A private CA of usage mode SHORT_LIVED_CERTIFICATE, a month (aws.amazon.com/private-ca/pricing)."""
SHORT_LIVED_CERTIFICATE = 0.058
"""Each certificate that it issues, however many (aws.amazon.com/private-ca/pricing)."""
CERTIFICATE_TIERS = ((1_000, 0.75), (10_000, 0.35), (float("inf"), 0.001))
"""Price of each certificate up to a number a month (not confirmed by AWS's own page)."""
SECRET = 0.40
"""A secret, a month; the same for Secrets Manager calls by 10,000."""
SECRET_CALLS = 0.05 / 10_000
KEY = 1.0
"""A customer-managed KMS key, a month."""
INSIGHTS_METRICS = 24
"""Metrics of CloudWatch Container Insights for a service and its task family (ECS developer guide, "Container Insights
metrics"; not confirmed by a bill)."""
ALARM = 0.10
METRIC = 0.30
DASHBOARD = 3.0
QUEUE_REQUEST = 0.40 / 1_000_000
"""One request to SQS (not confirmed by AWS's own page)."""
LISTENING = 657_000
"""Requests a month with which Lambda listens at one queue: five at a time, each of 20 seconds (Lambda developer guide,
"Using Lambda with Amazon SQS")."""
TICK = 3e-6
"""One tick: a Lambda run of a tenth of a second with 512 MB, Scheduler, one query."""
LOOK = 5e-6
"""One look: a Lambda run of half a second with 512 MB, one message, some ten DynamoDB units."""
DISCOVERY = 1.0 / 1_000_000
"""One question to Cloud Map's data API (not confirmed by AWS's own page)."""
ACKNOWLEDGEMENT = 1.25e-6
"""One DynamoDB write."""


@dataclass(frozen=True)
class Poll:
    """
    A service that looks for new versions.

    Args:
        secrets: Number of secrets that each task watches.
        interval_s: Longest time between two looks, seconds; a task waits nine tenths of it on average.
        backends: Number of backends whose tasks each task finds by Cloud Map's API; None where that is not known.
    """

    tasks: int
    secrets: int
    interval_s: float
    backends: int | None = None


@dataclass(frozen=True)
class BilledParts:
    """
    The parts of a mesh that cost money.

    Args:
        identities: Number of identities, with one certificate and one secret each.
        trust_bundles: Number of hierarchies, with one secret each.
        polls: The services that look for new versions.
    """

    authorities: int
    identities: int
    trust_bundles: int
    polls: tuple[Poll, ...] = ()
    alarms: int = 0
    metrics: int = 0


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
class Line:
    """
    One line of an estimate.

    Args:
        what: The thing that is paid for.
        quantity: Its quantity, shown to people.
        dollars: US dollars a month.
    """

    what: str
    quantity: str
    dollars: float


@dataclass(frozen=True)
class Estimate:
    """
    The costs and calls of a mesh in a month.

    Args:
        certificates: Number of certificates issued.
        api_calls: Number of calls to ACM and Secrets Manager.
        lines: The costs.
    """

    certificates: float
    api_calls: int
    lines: tuple[Line, ...]

    @property
    def dollars(self) -> float:
        """The sum of all costs, US dollars a month."""
        return sum(line.dollars for line in self.lines)

    def document(self) -> dict[str, Any]:
        """The estimate for scripts."""
        lines = [asdict(line) for line in self.lines]
        totals = {"certificates": self.certificates, "api_calls": self.api_calls, "dollars": self.dollars}
        return {**totals, "lines": lines}


def estimate(usage: BilledParts) -> Estimate:
    """The costs and calls of a mesh in a month."""
    renewed_at = ACM.fractions.renews_itself or ACM.fractions.own_renewal
    certificates = usage.identities * (HOURS / 24) / (CERTIFICATE_DAYS * renewed_at)
    secrets = usage.identities + usage.trust_bundles
    polls = round(sum(poll.tasks * poll.secrets * SECONDS / (poll.interval_s * 0.9) for poll in usage.polls))
    looks = usage.identities * HOURS
    reports = sum(poll.tasks for poll in usage.polls) * SECONDS // int(ACKNOWLEDGE_EVERY_S)
    lines = (
        Line(
            "private CAs",
            f"{usage.authorities} at ${CERTIFICATE_AUTHORITY:.0f}",
            usage.authorities * CERTIFICATE_AUTHORITY,
        ),
        Line("certificates, issued and renewed", f"{certificates:.2f}", certificate_dollars(certificates)),
        Line("secrets", f"{secrets} at ${SECRET:.2f}", secrets * SECRET),
        Line("looks for new versions by tasks", f"{polls:,} DescribeSecret", polls * SECRET_CALLS),
        *_discovering(usage.polls),
        Line("KMS keys", "2, secrets and alarms", 2 * KEY),
        Line("sweeps: one look an hour at each identity", f"{looks:,} looks", looks * LOOK),
        Line(
            "ticks, and Lambda listening at the queues",
            f"{HOURS * 60:,} ticks, {QUEUES} queues",
            HOURS * 60 * TICK + QUEUES * LISTENING * QUEUE_REQUEST,
        ),
        Line("what tasks say they serve", f"{reports:,} DynamoDB writes", reports * ACKNOWLEDGEMENT),
        Line("alarms, metrics, dashboard", f"{usage.alarms}, {usage.metrics} and 1", _watching(usage)),
    )
    return Estimate(certificates, polls + 2 * looks + round(7 * certificates), lines)


def _discovering(polls: Sequence[Poll]) -> list[Line]:
    what = "questions to Cloud Map for backends' tasks"
    if polls and all(poll.backends is None for poll in polls):
        return [Line(what, "not known without --mesh FILE", 0.0)]
    pairs = sum(poll.tasks * (poll.backends or 0) for poll in polls)
    questions = round(pairs * SECONDS / (POLL_INTERVAL_S * 0.9))
    return [Line(what, f"{questions:,}", questions * DISCOVERY)] if questions else []


def certificate_dollars(certificates: float) -> float:
    """
    The price of the certificates of one month, US dollars.

    Args:
        certificates: Their number; a fraction for a small mesh.
    """
    dollars, before = 0.0, 0.0
    for upto, each in CERTIFICATE_TIERS:
        dollars += max(0.0, min(certificates, upto) - before) * each
        before = upto
    return dollars


def issuing_cost(
    way: IssuingWay, identities: int, life: dt.timedelta, authorities: int = 1, general_purpose_parents: int = 0
) -> IssuingCost:
    """
    What CAs and certificates cost a month, issued in one way.

    Args:
        life: Of each certificate; ACM's is its own.
        authorities: Number of CAs of the way's usage mode.
        general_purpose_parents: Number of general-purpose CAs above short-lived ones.

    Raises:
        ValueError: If the life is longer than a short-lived CA issues, or none.
    """
    if life <= dt.timedelta(0) or (way is IssuingWay.SHORT_LIVED and life > LONGEST_SHORT_LIVED):
        raise ValueError(f"{way} issues no certificates of {life}")
    if way is IssuingWay.ACM:
        renewed_after = dt.timedelta(days=CERTIFICATE_DAYS) * (ACM.fractions.renews_itself or ACM.fractions.own_renewal)
    else:
        renewed_after = life * float(RENEWED_ON_AVERAGE)
    certificates = identities * (dt.timedelta(hours=HOURS) / renewed_after)
    if way is IssuingWay.SHORT_LIVED:
        parents = general_purpose_parents * CERTIFICATE_AUTHORITY
        return IssuingCost(
            way,
            certificates,
            authorities * SHORT_LIVED_AUTHORITY + parents,
            certificates * SHORT_LIVED_CERTIFICATE,
        )
    dollars = (authorities + general_purpose_parents) * CERTIFICATE_AUTHORITY
    return IssuingCost(way, certificates, dollars, certificate_dollars(certificates))


def issuing_costs(identities: int, life: dt.timedelta, authorities: int = 1) -> tuple[IssuingCost, ...]:
    """
    What each way costs that can do it, the cheapest first.

    Args:
        life: The life that acm-pca is to give; ACM's stands beside it, with the life that it has.
        authorities: Number of CAs, the same in every way.
    """
    ways = [way for way in IssuingWay if way is not IssuingWay.SHORT_LIVED or life <= LONGEST_SHORT_LIVED]
    return tuple(
        sorted((issuing_cost(way, identities, life, authorities) for way in ways), key=lambda cost: cost.dollars)
    )


def short_lived_until(life: dt.timedelta) -> int:
    """
    The most identities of one short-lived CA at which it costs no more than one CA with ACM.

    Within the first thousand certificates of ACM's a month, which have one price.
    """
    short, acm = (issuing_cost(way, 1, life) for way in (IssuingWay.SHORT_LIVED, IssuingWay.ACM))
    saved = acm.authority_dollars - short.authority_dollars
    return math.floor(saved / (short.certificate_dollars - acm.certificate_dollars))


def _watching(usage: BilledParts) -> float:
    return usage.alarms * ALARM + usage.metrics * METRIC + DASHBOARD
