"""What a mesh costs: the figures that others came to, and where each line comes from."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from meshcert.cli.costs.issuing import (
    IssuedAlike,
    IssuingWay,
    certificate_dollars,
    issuing_cost,
    issuing_costs,
    short_lived_until,
)
from meshcert.cli.costs.month import (
    FEDERATION_ALARMS,
    METRICS,
    OWN_BUNDLE_ALARMS,
    QUEUES,
    BilledParts,
    Poll,
    alarms,
    estimate,
    metrics,
)
from meshcert.identity import IssuerName
from meshcert.issuing.private_ca import PRIVATE_CA
from meshcert.lifecycle.doing.measures import measures
from stacks import runbook
from stacks.federation_alarms import federation_alarms, own_bundle_alarms
from tests.meshcert.lifecycle.world import LifecycleWorld


@pytest.mark.parametrize(("services", "dollars"), [(10, 805), (100, 847), (1_000, 1_268)])
def test_cas_certificates_and_secrets_cost_what_the_comparison_says(services: int, dollars: int) -> None:
    """Two general-purpose CAs, a secret and an exported certificate for each service: a table made independently."""
    found = estimate(BilledParts(authorities=2, identities=services, trust_bundles=0))
    compared = {"private CAs", "certificates, issued and renewed", "secrets"}

    assert round(sum(line.dollars for line in found.lines if line.what in compared)) == dollars


def test_a_poll_interval_of_a_second_costs_what_it_costs() -> None:
    """Two tasks with two secrets each: fifty dollars at one second, under one at sixty."""
    hasty = BilledParts(authorities=0, identities=0, trust_bundles=0, polls=(Poll(tasks=2, secrets=2, interval_s=1.0),))
    patient = BilledParts(
        authorities=0, identities=0, trust_bundles=0, polls=(Poll(tasks=2, secrets=2, interval_s=60.0),)
    )

    polls = [
        next(line.dollars for line in estimate(usage).lines if "looks for new" in line.what)
        for usage in (hasty, patient)
    ]

    assert [round(dollars, 2) for dollars in polls] == [58.4, 0.97]


def test_certificates_get_cheaper_by_the_thousand() -> None:
    """The first thousand of a month cost more than the next nine thousand, and those more than the rest."""
    assert certificate_dollars(1_000) == 750
    assert certificate_dollars(10_000) == 750 + 9_000 * 0.35
    assert certificate_dollars(20_000) == 750 + 9_000 * 0.35 + 10


def test_the_sum_is_that_of_the_lines() -> None:
    """No line is left out of the total."""
    found = estimate(BilledParts(authorities=3, identities=2, trust_bundles=2, polls=(Poll(2, 2, 60.0),), alarms=20))

    assert found.dollars == pytest.approx(sum(line.dollars for line in found.lines))
    assert found.dollars > 1_200


def test_alarms_and_queues_are_counted_as_the_renewal_stack_makes_them() -> None:
    """The runbook is the stack's own list; ``tests/stacks/test_issuing_promises.py`` counts them in templates."""
    assert len(runbook.alarms("color", 0)) == alarms(set())
    assert len(runbook.alarms("color")) == alarms({IssuerName.ACM})
    assert len(runbook.QUEUES) == QUEUES
    assert len(federation_alarms("color")) == FEDERATION_ALARMS
    assert len(own_bundle_alarms("color")) == OWN_BUNDLE_ALARMS


def test_metrics_are_those_that_a_healthy_mesh_writes_every_hour() -> None:
    """Those of a look that finds everything in order, and the dispatch function's four."""
    world = LifecycleWorld()
    written = set(measures(world.look(), world.policy)) | {"Ticks", "Unsettled", "Sweeps", "Identities"}

    assert len(written) == METRICS == metrics({IssuerName.ACM}) == metrics({IssuerName.PRIVATE_CA})


def test_lifetimes_are_told_under_two_names_in_a_mesh_with_both_issuers() -> None:
    """Lives of hours are judged by other fractions."""
    world = LifecycleWorld()
    look = world.look()
    assert look.seen
    of_private_ca = replace(look, seen=replace(look.seen, issuer=PRIVATE_CA))

    found = [set(measures(each, world.policy)) for each in (look, of_private_ca)]

    assert metrics(set(IssuerName)) - METRICS == len(found[1] - found[0])


def test_each_task_asks_about_each_of_its_backends() -> None:
    """Every five seconds at most: under sixty cents a month for a pair."""
    usage = BilledParts(authorities=0, identities=0, trust_bundles=0, polls=(Poll(2, 2, 60.0, 3), Poll(4, 2, 60.0, 0)))

    (line,) = (line for line in estimate(usage).lines if "Cloud Map" in line.what)

    assert line.quantity == "3,504,000"
    assert line.dollars == pytest.approx(3.504)


def test_what_is_not_known_is_said_and_not_counted_as_nothing() -> None:
    """Rows name no backends: without the mesh file the sum would look complete."""
    usage = BilledParts(authorities=0, identities=0, trust_bundles=0, polls=(Poll(4, 2, 60.0),))

    (line,) = (line for line in estimate(usage).lines if "Cloud Map" in line.what)

    assert (line.quantity, line.dollars) == ("not known without --mesh FILE", 0.0)


HOUR = dt.timedelta(hours=1)
DAY = 24 * HOUR


@pytest.mark.parametrize(
    ("life", "at_half"), [(HOUR, 84.7), (6 * HOUR, 14.1), (DAY, 3.53), (2 * DAY, 1.76), (7 * DAY, 0.504)]
)
def test_short_lived_certificates_cost_what_a_table_made_independently_says(life: dt.timedelta, at_half: float) -> None:
    """The table counts with renewals at half of a life; at 7/12 of it there are six for each seven. Within 1 %."""
    found = issuing_cost(IssuingWay.SHORT_LIVED, 1, life)

    assert found.certificate_dollars == pytest.approx(at_half * 6 / 7, rel=0.01)
    assert found.authority_dollars == 50


@pytest.mark.parametrize(
    ("way", "identities", "life", "certificates", "dollars"),
    [
        # 730 h / (24 h x 7/12) = 52.14 certificates an identity and month.
        (IssuingWay.SHORT_LIVED, 100, DAY, 5_214, 50 + 302.4),
        (IssuingWay.SHORT_LIVED, 1_000, HOUR, 1_251_429, 50 + 72_583),
        (IssuingWay.GENERAL_PURPOSE, 100, DAY, 5_214, 400 + 750 + 4_214 * 0.35),
        (IssuingWay.GENERAL_PURPOSE, 1_000, HOUR, 1_251_429, 400 + 750 + 3_150 + 1_241_429 * 0.001),
        (IssuingWay.GENERAL_PURPOSE, 10, 365 * DAY, 1.4286, 400 + 1.07),
        # ACM renews after 335 days: 730 h / 8,040 h.
        (IssuingWay.ACM, 1_000, DAY, 90.8, 400 + 68.1),
    ],
)
def test_each_way_costs_its_cas_and_its_certificates(
    way: IssuingWay, identities: int, life: dt.timedelta, certificates: float, dollars: float
) -> None:
    """By the list prices: $50 and $0.058, or $400 and three tiers. Within 1 %."""
    found = issuing_cost(way, identities, life)

    assert found.certificates == pytest.approx(certificates, rel=0.01)
    assert found.dollars == pytest.approx(dollars, rel=0.01)


def test_general_purpose_is_cheaper_from_seventy_four_thousand_certificates_on() -> None:
    """The crossing of the two usage modes, 74,400 a month: with a life of an hour at some sixty identities."""
    below, above = (issuing_costs(identities, HOUR) for identities in (59, 60))
    ways = [[cost.way for cost in costs if cost.way is not IssuingWay.ACM] for costs in (below, above)]

    assert [each[0] for each in ways] == [IssuingWay.SHORT_LIVED, IssuingWay.GENERAL_PURPOSE]
    assert below[-1].certificates == pytest.approx(74_000, rel=0.01)


@pytest.mark.parametrize(("life", "identities"), [(HOUR, 4), (DAY, 118), (7 * DAY, 961)])
def test_a_short_lived_ca_is_cheaper_than_acm_up_to_a_number_of_identities(life: dt.timedelta, identities: int) -> None:
    """With one more, ACM's way is."""
    assert short_lived_until(life) == identities
    for number, cheapest in ((identities, IssuingWay.SHORT_LIVED), (identities + 1, IssuingWay.ACM)):
        costs = {cost.way: cost.dollars for cost in issuing_costs(number, life)}
        assert min(IssuingWay.SHORT_LIVED, IssuingWay.ACM, key=costs.__getitem__) is cheapest


def test_a_short_lived_ca_issues_for_seven_days_at_most() -> None:
    """Longer lives are for the other ways; the cheapest stands first."""
    with pytest.raises(ValueError, match=r"^acm-pca, short-lived issues no certificates of 8 days"):
        issuing_cost(IssuingWay.SHORT_LIVED, 1, 8 * DAY)

    assert [cost.way for cost in issuing_costs(1, 8 * DAY)] == [IssuingWay.ACM, IssuingWay.GENERAL_PURPOSE]
    assert issuing_costs(1, 7 * DAY)[0].way is IssuingWay.SHORT_LIVED


def test_a_short_lived_ca_under_a_root_costs_the_root_too() -> None:
    """The root is a general-purpose CA: $400 more than a short-lived root that issues directly."""
    under_root = issuing_cost(IssuingWay.SHORT_LIVED, 10, DAY, general_purpose_parents=1)

    assert under_root.dollars - issuing_cost(IssuingWay.SHORT_LIVED, 10, DAY).dollars == pytest.approx(400)


@pytest.mark.parametrize("life", [HOUR, 6 * HOUR, DAY, 7 * DAY])
def test_an_estimate_counts_short_lived_cas_and_their_certificates(life: dt.timedelta) -> None:
    """Beside a CA and three identities of ACM's, whose lines are as ever."""
    acm = BilledParts(authorities=1, identities=3, trust_bundles=0)
    both = BilledParts(
        authorities=1,
        identities=13,
        trust_bundles=0,
        short_lived_authorities=1,
        issued=(IssuedAlike(IssuingWay.SHORT_LIVED, life, 10),),
    )
    alone, found = ({line.what: line for line in estimate(parts).lines} for parts in (acm, both))
    expected = issuing_cost(IssuingWay.SHORT_LIVED, 10, life)

    assert found["short-lived private CAs"].dollars == 50
    assert found["certificates of short-lived CAs"].dollars == pytest.approx(expected.certificate_dollars)
    for what in ("private CAs", "certificates, issued and renewed"):
        assert found[what] == alone[what]
    assert "short-lived private CAs" not in alone
    assert estimate(both).certificates == pytest.approx(estimate(acm).certificates + expected.certificates)


def test_certificates_of_general_purpose_cas_share_the_steps_of_the_price() -> None:
    """Whoever asked for them, ACM or we."""
    issued = (IssuedAlike(IssuingWay.GENERAL_PURPOSE, DAY, 100),)
    found = estimate(BilledParts(authorities=1, identities=1_100, trust_bundles=0, issued=issued))
    renewed = 90.8 + 5_214

    (line,) = [line for line in found.lines if line.what.startswith("certificates")]
    assert found.certificates == pytest.approx(renewed, rel=0.01)
    assert line.dollars == pytest.approx(750 + (renewed - 1_000) * 0.35, rel=0.01)
