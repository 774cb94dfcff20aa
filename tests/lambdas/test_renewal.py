"""The renewal function's handler: batches of messages, and which of them come again."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import pytest

from lambdas.renewal import handler
from meshcert.errors import AwsUnavailable
from meshcert.lifecycle.doing.reconcile import Reconciled
from meshcert.settings import RenewalSettings
from tests.lambdas.invocation import ACCOUNT, REGION, Invocations, batch, failed
from tests.meshcert.lifecycle.world import CERTIFICATE, DAY, IDENTITY, MINUTE, LifecycleWorld

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshcert.lifecycle.asking.looks import Look

SECOND = dt.timedelta(seconds=1)
LOOKS, ORDERS = "meshcert-color-looks", "meshcert-color-orders"
NAME = IDENTITY.name


@pytest.fixture
def life() -> LifecycleWorld:
    """A mesh whose certificate is published, proven and served."""
    return LifecycleWorld()


@pytest.fixture
def run(life: LifecycleWorld, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Invocations:
    """The handler on that mesh."""
    settings = RenewalSettings(
        mesh="color",
        identities_table="identities",
        lifecycle_table="lifecycle",
        acknowledgements_table="acknowledgements",
        export_function="export",
        cluster="meshcert-color",
        audit_log_group="audit",
    )
    return Invocations(handler, lambda: (settings, life.ports()), monkeypatch, capsys)


def look(identity: str = NAME, because: str = "tick") -> str:
    """A message of the dispatch function's."""
    return json.dumps({"look": identity, "because": because})


def acm_renews(life: LifecycleWorld) -> None:
    """Sixty days before the certificate's end, and it takes a minute."""
    life.pass_time(336 * DAY)
    life.pass_time(2 * MINUTE)


def order(kind: str = "renew", identity: str = NAME) -> str:
    """A message of an operator's."""
    return json.dumps({"order": kind, "identity": identity, "reason": "a drill"})


def renewed(certificate_arn: str = CERTIFICATE) -> str:
    """ACM's event as EventBridge delivers it."""
    return json.dumps(
        {
            "id": "event-1",
            "source": "aws.acm",
            "detail-type": "ACM Certificate Available",
            "account": ACCOUNT,
            "region": REGION,
            "resources": [certificate_arn],
            "detail": {"Action": "RENEWAL", "CertificateType": "PRIVATE"},
        }
    )


class TestLooks:
    """The queue of looks."""

    def test_a_renewed_certificate_is_published_because_of_acms_event(
        self, run: Invocations, life: LifecycleWorld
    ) -> None:
        """Renewal, export, publication: the event only said where to look."""
        before = life.current
        acm_renews(life)

        assert failed(run.invoke(batch(LOOKS, [renewed()]))) == []
        assert life.current == life.issued != before
        assert life.audit.entries[-1].by == "event event-1 ACM Certificate Available"

    def test_several_messages_of_a_batch_are_worked_on(self, run: Invocations, life: LifecycleWorld) -> None:
        """The same identity twice is no trouble: the first run has given its lease back."""
        acm_renews(life)

        assert failed(run.invoke(batch(LOOKS, [look(), renewed(), look()]))) == []
        assert life.versions == 2

    @pytest.mark.parametrize(
        "body", ["", "no JSON", "[]", "{}", '{"look": 5}', renewed("arn:aws:acm:eu-west-1:999999999999:certificate/x")]
    )
    def test_what_is_about_nothing_of_ours_is_dropped(self, run: Invocations, body: str) -> None:
        """Coming again would not mend it."""
        assert failed(run.invoke(batch(LOOKS, [body]))) == []
        assert run.metrics() == []

    def test_an_identity_that_is_gone_is_forgotten(self, run: Invocations, life: LifecycleWorld) -> None:
        """After a delete the deploy function asks for one more look."""
        life.declared.rows.clear()

        assert failed(run.invoke(batch(LOOKS, [look()]))) == []
        assert life.table.rows == {}

    def test_orders_are_not_taken_from_the_queue_of_looks(self, run: Invocations, life: LifecycleWorld) -> None:
        """More may send there than may order."""
        before = life.acm.certificates[CERTIFICATE].serial_number

        run.invoke(batch(LOOKS, [order()]))
        life.pass_time(DAY)

        assert life.acm.certificates[CERTIFICATE].serial_number == before

    def test_a_look_that_finds_somebody_at_work_leaves_a_mark_and_goes(
        self, run: Invocations, life: LifecycleWorld
    ) -> None:
        """Whoever works there looks again for it."""
        life.table.take(NAME, "somebody", life.clock.now(), life.clock.now() + MINUTE)

        assert failed(run.invoke(batch(LOOKS, [look(because="an event")]))) == []
        assert life.table.rows[NAME].wanted == 1

    def test_a_tick_of_long_ago_is_dropped(self, run: Invocations, life: LifecycleWorld) -> None:
        """Another has come since; hours of outage must not leave thousands of looks before the first real event."""
        acm_renews(life)
        sent = life.clock.now() - 181 * SECOND

        assert failed(run.invoke(batch(LOOKS, [look(), look()], sent=sent))) == []
        assert run.metrics() == []
        assert life.versions == 1

    @pytest.mark.parametrize(
        ("body", "age_s"), [(look(), 180), (look(because="sweep"), 86_000), (look(because="a person"), 86_000)]
    )
    def test_other_looks_are_taken_however_old_they_are(
        self, run: Invocations, life: LifecycleWorld, body: str, age_s: int
    ) -> None:
        """The next sweep is an hour away, and an event comes once; a tick's look may itself be delayed by a minute."""
        acm_renews(life)

        assert failed(run.invoke(batch(LOOKS, [body], sent=life.clock.now() - age_s * SECOND))) == []
        assert life.versions == 2

    def test_an_event_counts_however_late_it_comes(self, run: Invocations, life: LifecycleWorld) -> None:
        """A day in the queue is no reason not to look."""
        acm_renews(life)

        run.invoke(batch(LOOKS, [renewed()], sent=life.clock.now() - DAY))

        assert life.versions == 2

    def test_the_lease_belongs_to_the_request(
        self, run: Invocations, life: LifecycleWorld, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A message that comes back after a crash has another one, and waits until the lease runs out."""
        owners = []
        take = life.table.take

        def taken(identity: str, owner: str, *times: Any) -> Any:
            owners.append(owner)
            return take(identity, owner, *times)

        monkeypatch.setattr(life.table, "take", taken)
        run.invoke(batch(LOOKS, [look()]))

        assert owners == ["request-y"]


class TestOrders:
    """The queue of orders."""

    def test_an_order_is_carried_out_and_written_down(self, run: Invocations, life: LifecycleWorld) -> None:
        """With who sent it, as SQS says."""
        life.pass_time(DAY)
        before = life.acm.certificates[CERTIFICATE].serial_number

        assert failed(run.invoke(batch(ORDERS, [order()], sender="AIDAALICE"))) == []

        entry = life.audit.entries[-1]
        assert (entry.action, entry.by, entry.outcome) == ("renew", "AIDAALICE", "done")
        life.settle()
        assert life.acm.certificates[CERTIFICATE].serial_number != before

    def test_a_repeated_message_is_one_order(self, run: Invocations, life: LifecycleWorld) -> None:
        """SQS delivers at least once."""
        life.pass_time(DAY)

        for _ in range(2):
            run.invoke(batch(ORDERS, [order()]))
            life.settle()
            life.pass_time(DAY)

        assert [entry.action for entry in life.audit.entries].count("renew") == 1

    def test_an_order_waits_for_whoever_is_at_work(self, run: Invocations, life: LifecycleWorld) -> None:
        """It comes again; the function has not failed."""
        life.table.take(NAME, "somebody", life.clock.now(), life.clock.now() + MINUTE)

        assert failed(run.invoke(batch(ORDERS, [order()]))) == ["m0"]
        assert f"somebody else is at work on {NAME}" in run.output()

    def test_an_order_that_makes_no_sense_ends_in_the_log_of_actions(
        self, run: Invocations, life: LifecycleWorld
    ) -> None:
        """Who sent it can read why."""
        assert failed(run.invoke(batch(ORDERS, [order("destroy"), order(identity="nobody"), "x"]))) == []
        assert [outcome for _, outcome in life.audit.told()[-3:]] == [
            "refused: an order is renew, rollback or compromised",
            "refused: no such identity",
            "refused: an order is renew, rollback or compromised",
        ]


class TestFailures:
    """What comes again, and what does not."""

    def test_a_step_that_aws_refused_is_an_outcome(
        self, run: Invocations, life: LifecycleWorld, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The identity stays unsettled; a tick looks again long before the message would."""
        acm_renews(life)
        monkeypatch.setattr(life.exporter, "export", unreachable)

        assert failed(run.invoke(batch(LOOKS, [look()]))) == []
        assert list(life.table.unsettled(life.clock.now() + MINUTE)) == [NAME]
        assert "StepsFailed" in run.metrics()

    @pytest.mark.parametrize("port", ["declared.find", "table.take"])
    def test_a_table_that_cannot_be_reached_has_the_message_come_again(
        self, run: Invocations, life: LifecycleWorld, port: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The others of the batch are not held up."""
        table, _, method = port.partition(".")
        first_fails(getattr(life, table), method, monkeypatch)

        assert failed(run.invoke(batch(LOOKS, [look(), look()]))) == ["m0"]
        assert "dynamodb:GetItem on table: ThrottlingException" in run.output()
        assert "Looks" in run.metrics()

    def test_a_fault_of_ours_has_the_message_come_again_with_its_trace(
        self, run: Invocations, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """After too many tries it is among the dead letters, and the log says why."""

        def broken(wanted: Look, *_: Any) -> Any:
            raise ZeroDivisionError(wanted.identity)

        monkeypatch.setattr(handler, "reconcile", broken)

        assert failed(run.invoke(batch(LOOKS, [look(), look()]))) == ["m0", "m1"]
        assert "ZeroDivisionError" in run.output()

    def test_nothing_is_begun_that_time_is_too_short_for(self, run: Invocations) -> None:
        """Less than 20 seconds are left after the first message: the others come again, and Lambda cuts nothing off."""
        left = iter([120_000, 60_000, 19_999, 19_000])
        run.context.left_ms = lambda: next(left)

        assert failed(run.invoke(batch(LOOKS, [look(), look(), look()]))) == ["m1", "m2"]
        assert run.metrics().count("Looks") == 1

    def test_a_look_knows_until_when_it_may_begin_anew(
        self, run: Invocations, life: LifecycleWorld, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As long as another message could be begun."""
        ends: list[dt.datetime] = []

        def reconciled(wanted: Look, _owner: str, _ports: Any, until: dt.datetime) -> Reconciled:
            ends.append(until)
            return Reconciled(wanted.identity)

        monkeypatch.setattr(handler, "reconcile", reconciled)
        run.context.left_ms = lambda: 60_000

        run.invoke(batch(LOOKS, [look()]))

        assert [(end - life.clock.now()).total_seconds() for end in ends] == [pytest.approx(60 - 135 / 7)]

    def test_a_wrong_environment_fails_the_whole_batch(self, run: Invocations, monkeypatch: pytest.MonkeyPatch) -> None:
        """Every message comes again, and the function's own errors tell."""
        monkeypatch.setattr(handler, "build", BUILD)
        monkeypatch.delenv("MESHCERT_MESH", raising=False)

        with pytest.raises(Exception, match="MESHCERT_MESH: it is not set"):
            run.invoke(batch(LOOKS, [look()]))


class TestTelling:
    """Metrics and log."""

    def test_each_look_has_metrics_of_its_own(self, run: Invocations, life: LifecycleWorld) -> None:
        """The identity is a property of them: as a dimension it would cost a metric for each."""
        acm_renews(life)

        run.invoke(batch(LOOKS, [look(), look("gone")]))

        first, second = run.emitted()
        assert (first["identity"], second["identity"]) == (NAME, "gone")
        assert first["Exports"] == [1.0]
        assert first["Looks"] == second["Looks"] == [1.0]
        assert "Exports" not in second
        units = {metric["Name"]: metric["Unit"] for metric in first["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
        assert units["IssuedLifetimeGone"] == "Percent"
        assert units["SecondsSinceLook"] == "Seconds"

    def test_the_log_says_what_was_done_and_what_a_person_should_do(
        self, run: Invocations, life: LifecycleWorld
    ) -> None:
        """Findings come with their remedies."""
        life.acm.authorities.clear()

        run.invoke(batch(LOOKS, [look()]))

        lines = [json.loads(line) for line in run.output().splitlines() if line.startswith('{"level"')]
        assert any(line["message"] == "looked" and line["identity"] == NAME for line in lines)
        assert any(line["message"] == "CaMissing" and line["remedy"] for line in lines)


BUILD = handler.build


def unreachable(*_: Any) -> Any:
    """AWS does not answer."""
    raise AwsUnavailable("dynamodb:GetItem", "table", "ThrottlingException")


def first_fails(port: Any, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port whose first call fails."""
    inner: Callable[..., Any] = getattr(port, method)
    calls: list[None] = []

    def call(*arguments: Any) -> Any:
        calls.append(None)
        return unreachable() if len(calls) == 1 else inner(*arguments)

    monkeypatch.setattr(port, method, call)
