"""
An estimate of what a mesh costs a month in AWS; each line says how it comes about.

It covers only what meshcert causes: the services' own tasks, NAT gateways and load balancers run anyway.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from meshcert.cli.costs.issuing import (
    CERTIFICATE_AUTHORITY,
    HOURS,
    SHORT_LIVED_AUTHORITY,
    SHORT_LIVED_CERTIFICATE,
    IssuingWay,
    certificate_dollars,
    certificates_a_month,
    certificates_by_price,
)
from meshcert.contract.discovery import POLL_INTERVAL_S
from meshcert.identity import IssuerName
from meshcert.proxy import ACKNOWLEDGE_EVERY_S

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from meshcert.cli.costs.issuing import IssuedAlike

PRICES_OF = dt.date(2026, 11, 21)
"""Date of the prices: list prices of us-east-1, as far as they were known then."""

FEDERATION_ALARMS, FEDERATION_METRICS = 3, 2
"""What a mesh that asks bundle endpoints has besides; its 8,640 short runs a month cost some cents."""
OWN_BUNDLE_ALARMS, OWN_BUNDLE_METRICS = 1, 1
"""What a mesh that publishes its own bundle has besides; its runs cost as little, and so do partners' requests."""
ALARMS = 43
"""Alarms of the renewal stack (``stacks/runbook.py``) of a mesh with identities."""
ALARMS_ABOUT_IDENTITIES = 2
"""Those of them that a mesh without any lacks."""
ALARMS_ABOUT_PRIVATE_CA = 6
"""Alarms besides, if AWS Private CA issues for any (``stacks/private_ca_alarms.py``)."""
METRICS = 9
"""Metrics that a healthy mesh writes every hour; the others cost something only in hours in which they happen."""
METRICS_OF_LIFETIMES = 3
"""Those of them that have other names for certificates of AWS Private CA: a mesh with both issuers has both."""
QUEUES = 3
"""Queues at which Lambda listens: looks, orders, dispatch."""

SECONDS = HOURS * 3600

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
USUAL_INTERVAL_S = 60.0
ACKNOWLEDGEMENT = 1.25e-6
"""One DynamoDB write."""


def alarms(issuers: Collection[IssuerName]) -> int:
    """The number of alarms of a mesh whose identities have these issuers."""
    if not issuers:
        return ALARMS - ALARMS_ABOUT_IDENTITIES
    return ALARMS + (ALARMS_ABOUT_PRIVATE_CA if IssuerName.PRIVATE_CA in issuers else 0)


def metrics(issuers: Collection[IssuerName]) -> int:
    """The number of metrics that a healthy mesh writes every hour if its identities have these issuers."""
    return METRICS + METRICS_OF_LIFETIMES * (len(set(issuers)) > 1)


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
        authorities: Number of general-purpose CAs.
        identities: Number of identities, with one secret each.
        trust_bundles: Number of hierarchies and foreign trust domains, with one secret each.
        polls: The services that look for new versions.
        short_lived_authorities: Number of CAs of usage mode SHORT_LIVED_CERTIFICATE.
        issued: How the identities' certificates are issued; those that it leaves out are ACM's.
        keys: Number of KMS keys: that of the alarms, and that of the secrets if it is not yours; of each deployment.
        deployments: Number of cells that have functions, queues and a dashboard of their own.
    """

    authorities: int
    identities: int
    trust_bundles: int
    polls: tuple[Poll, ...] = ()
    short_lived_authorities: int = 0
    issued: tuple[IssuedAlike, ...] = ()
    alarms: int = 0
    metrics: int = 0
    keys: int = 2
    deployments: int = 1


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
    certificates, issuing = _issuing(usage)
    secrets = usage.identities + usage.trust_bundles
    polls = round(sum(poll.tasks * poll.secrets * SECONDS / (poll.interval_s * 0.9) for poll in usage.polls))
    looks = usage.identities * HOURS
    reports = sum(poll.tasks for poll in usage.polls) * SECONDS // int(ACKNOWLEDGE_EVERY_S)
    ticks, queues = HOURS * 60 * usage.deployments, QUEUES * usage.deployments
    keys_for = "secrets and alarms" if usage.keys > usage.deployments else "alarms"
    lines = (
        *issuing,
        Line("secrets", f"{secrets} at ${SECRET:.2f}", secrets * SECRET),
        Line("looks for new versions by tasks", f"{polls:,} DescribeSecret{_pace(usage.polls)}", polls * SECRET_CALLS),
        *_discovering(usage.polls),
        Line("KMS keys", f"{usage.keys}, {keys_for}", usage.keys * KEY),
        Line("sweeps: one look an hour at each identity", f"{looks:,} looks", looks * LOOK),
        Line(
            "ticks, and Lambda listening at the queues",
            f"{ticks:,} ticks, {queues} queues",
            ticks * TICK + queues * LISTENING * QUEUE_REQUEST,
        ),
        Line("what tasks say they serve", f"{reports:,} DynamoDB writes", reports * ACKNOWLEDGEMENT),
        Line(
            "alarms, metrics, dashboard", f"{usage.alarms}, {usage.metrics} and {usage.deployments}", _watching(usage)
        ),
    )
    return Estimate(certificates, polls + 2 * looks + round(7 * certificates), lines)


def _issuing(usage: BilledParts) -> tuple[float, list[Line]]:
    """The number of certificates a month, and what CAs and certificates cost."""
    of_pca = [each for each in usage.issued if each.way is not IssuingWay.ACM]
    by_acm = max(usage.identities - sum(each.identities for each in of_pca), 0)
    general, short = certificates_by_price(of_pca)
    general += by_acm * certificates_a_month(IssuingWay.ACM, dt.timedelta(0))
    lines = []
    if usage.authorities or not usage.short_lived_authorities:
        quantity = f"{usage.authorities} at ${CERTIFICATE_AUTHORITY:.0f}"
        lines.append(Line("private CAs", quantity, usage.authorities * CERTIFICATE_AUTHORITY))
    if number := usage.short_lived_authorities:
        quantity = f"{number} at ${SHORT_LIVED_AUTHORITY:.0f}"
        lines.append(Line("short-lived private CAs", quantity, number * SHORT_LIVED_AUTHORITY))
    if general or not short:
        lines.append(Line("certificates, issued and renewed", f"{general:,.2f}", certificate_dollars(general)))
    if short:
        quantity = f"{short:,.2f} at ${SHORT_LIVED_CERTIFICATE}"
        lines.append(Line("certificates of short-lived CAs", quantity, short * SHORT_LIVED_CERTIFICATE))
    return general + short, lines


def _discovering(polls: Sequence[Poll]) -> list[Line]:
    what = "questions to Cloud Map for backends' tasks"
    if polls and all(poll.backends is None for poll in polls):
        return [Line(what, "not known without --mesh FILE", 0.0)]
    pairs = sum(poll.tasks * (poll.backends or 0) for poll in polls)
    questions = round(pairs * SECONDS / (POLL_INTERVAL_S * 0.9))
    return [Line(what, f"{questions:,}", questions * DISCOVERY)] if questions else []


def _pace(polls: Sequence[Poll]) -> str:
    """How seldom they come, if that is less often than each minute."""
    longest_s = max((poll.interval_s for poll in polls), default=0.0)
    return f", every {longest_s:g} s" if longest_s > USUAL_INTERVAL_S else ""


def _watching(usage: BilledParts) -> float:
    return usage.alarms * ALARM + usage.metrics * METRIC + usage.deployments * DASHBOARD
