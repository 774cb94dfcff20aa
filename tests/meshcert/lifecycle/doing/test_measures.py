"""What one run is measured by."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from meshcert.lifecycle.deciding.findings import Finding, Kind
from meshcert.lifecycle.deciding.plan import Plan, plan
from meshcert.lifecycle.deciding.steps import Action, Step
from meshcert.lifecycle.doing.apply import TakenStep
from meshcert.lifecycle.doing.measures import COUNTED, Measure, measures
from meshcert.lifecycle.doing.reconcile import Reconciled
from meshcert.lifecycle.memory import Memory
from meshcert.lifecycle.observation import Acknowledgement
from meshcert.lifecycle.observing.observe import remembered
from tests.meshcert.lifecycle.observations import (
    DAY,
    LIFETIME,
    NOW,
    POLICY,
    UNAVAILABLE,
    V1,
    V2,
    certificate,
    labels,
    look,
    says,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.meshcert.lifecycle.observations import Looked


def measured(looked: Looked, *steps: TakenStep) -> Mapping[str, Measure]:
    """The metrics of a run that saw this last."""
    seen, memory = looked.seen, knowing(looked)
    result = Reconciled("colorteller", steps, plan(seen, memory, POLICY), seen, memory)
    return measures(result, POLICY)


def knowing(looked: Looked) -> Memory:
    """What is remembered after a look."""
    return remembered(looked.memory, looked.seen)


def did(action: Action, *, done: bool = True) -> TakenStep:
    """A step that was taken."""
    return TakenStep(Step(action, "because"), done=done)


class TestLifetimes:
    """Percent of a lifetime that is gone, as issued, as published, and as served."""

    def test_all_is_one(self) -> None:
        """A third of the lifetime is gone, everywhere; the look saw everything."""
        assert measured(look(certificate=certificate(gone=0.3))) == {
            "Looks": (1, "Count"),
            "IssuedLifetimeGone": (30, "Percent"),
            "PublishedLifetimeGone": (30, "Percent"),
            "ServedLifetimeGone": (30, "Percent"),
            "SecondsSinceLook": (0, "Seconds"),
        }

    def test_published_falls_behind_issued(self) -> None:
        """ACM has renewed, and the old one is still what proxies read."""
        memory = knowing(look(certificate=certificate(V1, 0.85)))

        values = measured(look(certificate=certificate(V2, 0.0), memory=memory))

        assert values["IssuedLifetimeGone"] == (0, "Percent")
        assert values["PublishedLifetimeGone"] == values["ServedLifetimeGone"] == (85, "Percent")

    def test_the_oldest_that_a_task_serves_counts(self) -> None:
        """One task of four still has the version before, of which it says the end."""
        end = NOW + LIFETIME * 0.1
        said = {**says(V2, V2), "teller/1": Acknowledgement(NOW, V1, not_after=end)}

        values = measured(look(certificate=certificate(V2, 0.05), labels=labels(V2, V1), said=said))

        assert values["PublishedLifetimeGone"] == (5, "Percent")
        assert values["ServedLifetimeGone"] == (90, "Percent")

    def test_after_a_roll_back_the_older_certificates_age_is_known(self) -> None:
        """ACM shows only the bad one, but it had shown the good one before."""
        good = knowing(look(certificate=certificate(V1, 0.9)))
        rolled_back = look(
            certificate=certificate(V2, 0.0), labels=labels(V1, V1, previous=V2, quarantined=V2), memory=good
        )

        assert measured(rolled_back)["PublishedLifetimeGone"] == (90, "Percent")

    def test_an_expired_certificate_is_more_than_gone(self) -> None:
        """So that an alarm at 100 sees it."""
        assert measured(look(certificate=certificate(gone=1.1)))["ServedLifetimeGone"] == (110, "Percent")

    def test_acknowledgements_of_tasks_that_ecs_does_not_list_do_not_count(self) -> None:
        """A forged row makes no alarm."""
        forged = says() | {"nobody": Acknowledgement(NOW, V2, not_after=NOW)}

        assert measured(look(certificate=certificate(gone=0.3), said=forged))["ServedLifetimeGone"] == (30, "Percent")

    @pytest.mark.parametrize(
        ("looked", "missing"),
        [
            (look(certificate=UNAVAILABLE), {"IssuedLifetimeGone", "PublishedLifetimeGone", "ServedLifetimeGone"}),
            (look(labels=UNAVAILABLE), {"PublishedLifetimeGone", "ServedLifetimeGone"}),
            (look(services=UNAVAILABLE), {"ServedLifetimeGone"}),
            (look(said=UNAVAILABLE), {"ServedLifetimeGone"}),
            (look(said={}), {"ServedLifetimeGone"}),
        ],
    )
    def test_what_is_not_known_has_no_value(self, looked: Looked, missing: set[str]) -> None:
        """It is no zero: zero is a new certificate."""
        values = measured(looked._replace(memory=Memory()))

        assert {"IssuedLifetimeGone", "PublishedLifetimeGone", "ServedLifetimeGone"} - set(values) == missing

    def test_the_age_of_the_last_complete_look_grows(self) -> None:
        """While something cannot be looked at."""
        memory = replace(knowing(look()), looked_at=NOW - DAY)

        assert measured(look(labels=UNAVAILABLE, memory=memory))["SecondsSinceLook"] == (86400, "Seconds")


class TestCounts:
    """What was done and what was found."""

    def test_every_step_is_counted_by_its_name(self) -> None:
        """One that failed is counted as that."""
        values = measured(look(), did(Action.REDEPLOY), did(Action.REDEPLOY), did(Action.RENEW, done=False))

        assert values["Redeployments"] == (2, "Count")
        assert values["StepsFailed"] == (1, "Count")
        assert "Renewals" not in values

    def test_every_action_that_acts_has_a_metric(self) -> None:
        """A new one cannot be forgotten."""
        assert set(COUNTED) == {action for action in Action if Step(action, "").acts}

    def test_every_finding_is_counted_by_its_kind(self) -> None:
        """Two of a kind are two."""
        findings = (Finding(Kind.CA_AGEING, "one"), Finding(Kind.CA_AGEING, "two"), Finding(Kind.AWS_DENIED, "three"))
        result = Reconciled("colorteller", (), Plan(Step(Action.NOTHING, ""), (), findings))

        values = measures(result, POLICY)

        assert (values["CaAgeing"].value, values["AwsDenied"].value) == (2, 1)

    def test_who_found_somebody_else_at_work_has_looked(self) -> None:
        """And measured nothing."""
        assert dict(measures(Reconciled("colorteller"), POLICY)) == {"Looks": (1, "Count")}

    def test_names_of_findings_and_counts_differ(self) -> None:
        """Each metric is one thing."""
        others = {*COUNTED.values(), "Looks", "StepsFailed", "SecondsSinceLook"}

        assert others.isdisjoint({str(kind) for kind in Kind})
