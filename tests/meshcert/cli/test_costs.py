"""What a mesh costs: the figures that others came to, and where each line comes from."""

from __future__ import annotations

import pytest

from meshcert.cli.costs import ALARMS, METRICS, QUEUES, Poll, Usage, certificate_dollars, estimate
from meshcert.lifecycle.doing.measures import measures
from stacks import runbook
from tests.meshcert.lifecycle.world import LifecycleWorld


@pytest.mark.parametrize(("services", "dollars"), [(10, 805), (100, 847), (1_000, 1_268)])
def test_cas_certificates_and_secrets_cost_what_the_comparison_says(services: int, dollars: int) -> None:
    """Two general-purpose CAs, a secret and an exported certificate for each service: a table made independently."""
    found = estimate(Usage(authorities=2, identities=services, trust_bundles=0))
    compared = {"private CAs", "certificates, issued and renewed", "secrets"}

    assert round(sum(line.dollars for line in found.lines if line.what in compared)) == dollars


def test_a_poll_interval_of_a_second_costs_what_it_costs() -> None:
    """Two tasks with two secrets each: fifty dollars at one second, under one at sixty."""
    hasty = Usage(authorities=0, identities=0, trust_bundles=0, polls=(Poll(tasks=2, secrets=2, interval_s=1.0),))
    patient = Usage(authorities=0, identities=0, trust_bundles=0, polls=(Poll(tasks=2, secrets=2, interval_s=60.0),))

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
    found = estimate(Usage(authorities=3, identities=2, trust_bundles=2, polls=(Poll(2, 2, 60.0),), alarms=20))

    assert found.dollars == pytest.approx(sum(line.dollars for line in found.lines))
    assert found.dollars > 1_200


def test_alarms_and_queues_are_counted_as_the_renewal_stack_makes_them() -> None:
    """The runbook is the stack's own list."""
    assert len(runbook.alarms("color")) == ALARMS
    assert len(runbook.QUEUES) == QUEUES


def test_metrics_are_those_that_a_healthy_mesh_writes_every_hour() -> None:
    """Those of a look that finds everything in order, and the dispatch function's four."""
    world = LifecycleWorld()
    written = set(measures(world.look(), world.policy)) | {"Ticks", "Unsettled", "Sweeps", "Identities"}

    assert len(written) == METRICS


def test_each_task_asks_about_each_of_its_backends() -> None:
    """Every five seconds at most: under sixty cents a month for a pair."""
    usage = Usage(authorities=0, identities=0, trust_bundles=0, polls=(Poll(2, 2, 60.0, 3), Poll(4, 2, 60.0, 0)))

    (line,) = (line for line in estimate(usage).lines if "Cloud Map" in line.what)

    assert line.quantity == "3,504,000"
    assert line.dollars == pytest.approx(3.504)


def test_what_is_not_known_is_said_and_not_counted_as_nothing() -> None:
    """Rows name no backends: without the mesh file the sum would look complete."""
    usage = Usage(authorities=0, identities=0, trust_bundles=0, polls=(Poll(4, 2, 60.0),))

    (line,) = (line for line in estimate(usage).lines if "Cloud Map" in line.what)

    assert (line.quantity, line.dollars) == ("not known without --mesh FILE", 0.0)
