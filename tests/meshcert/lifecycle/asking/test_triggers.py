"""What messages ask to be looked at: events as AWS documents them, and everything else that may stand in a queue."""

from __future__ import annotations

import datetime as dt
import json
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from evidence.simulation.tables import InMemoryAudit, InMemoryIdentities
from meshcert.aws.ecs.events import services_of
from meshcert.errors import AwsUnavailable
from meshcert.lifecycle.asking.looks import Look
from meshcert.lifecycle.asking.triggers import ECHOES_WITHIN, SHOWS_WITHIN, Scope, looks, ordered
from meshcert.lifecycle.orders import ORDERS
from tests.meshcert.lifecycle.world import CERTIFICATE, IDENTITY, LifecycleWorld

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshcert.identity import Identity
    from meshcert.lifecycle.ports import Ports

ACCOUNT, REGION = "111122223333", "eu-west-1"
SERVICE = f"arn:aws:ecs:{REGION}:{ACCOUNT}:service/meshcert-color/teller"
CLUSTER = f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/meshcert-color"
GATEWAY_CERTIFICATE = f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/gateway"


class TaggedServices:
    """ECS's tags."""

    def __init__(self) -> None:
        self.tags: dict[str, tuple[str, ...]] = {SERVICE: ("colorteller",)}
        self.asked: list[str] = []

    def identities_of(self, service_arn: str) -> tuple[str, ...]:
        """ListTagsForResource."""
        self.asked.append(service_arn)
        return self.tags.get(service_arn, ())

    def news(self, event: Mapping[str, Any]) -> tuple[str, ...]:
        """ECS's own events."""
        return services_of(event)

    def look(self, name: str, place: str = "") -> None:
        """Not asked here."""
        raise AssertionError(name, place)

    def ending(self, name: str, place: str = "") -> tuple[str, ...]:
        """Not asked here."""
        raise AssertionError(name, place)

    def roll_out(self, name: str, place: str = "") -> str:
        """Not done here."""
        raise AssertionError(name, place)


SCOPE = Scope.around(f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:meshcert-color-renewal", "color")


@pytest.fixture
def ports() -> Ports:
    """Two identities, one service."""
    declared = InMemoryIdentities()
    declared.remember(IDENTITY)
    declared.remember(replace(IDENTITY, name="colorgateway", certificate_arn=GATEWAY_CERTIFICATE))
    return replace(LifecycleWorld().ports(), declared=declared, platform=TaggedServices(), audit=InMemoryAudit())


def event(source: str, kind: str, *resources: Any, detail: Any = None, **fields: Any) -> dict[str, Any]:
    """An event as EventBridge puts it into a queue."""
    return {
        "version": "0",
        "id": "0d1ff5f5",
        "detail-type": kind,
        "source": source,
        "account": ACCOUNT,
        "time": "2026-11-21T06:51:08Z",
        "region": REGION,
        "resources": list(resources),
        "detail": {} if detail is None else detail,
    } | fields


def acm(kind: str, *resources: Any, **detail: Any) -> dict[str, Any]:
    """An event of ACM's."""
    return event("aws.acm", f"ACM Certificate {kind}", *(resources or (CERTIFICATE,)), detail=detail)


def health(*arns: str, resources: tuple[str, ...] = (), code: str = "AWS_ACM_RENEWAL_STATE_CHANGE") -> dict[str, Any]:
    """An event of AWS Health's."""
    entities = [{"entityValue": arn, "status": "PENDING"} for arn in arns]
    detail = {"service": "ACM", "eventTypeCode": code, "affectedEntities": entities}
    return event("aws.health", "AWS Health Event", *resources, detail=detail)


def task(**detail: Any) -> dict[str, Any]:
    """An event about a task that stopped."""
    usual = {"group": "service:teller", "clusterArn": CLUSTER, "lastStatus": "STOPPED", "stopCode": "EssentialExited"}
    return event("aws.ecs", "ECS Task State Change", f"{CLUSTER}/task", detail=usual | detail)


def deployment(*arns: Any, name: str = "SERVICE_DEPLOYMENT_FAILED") -> dict[str, Any]:
    """An event about a deployment."""
    detail = {"eventType": "ERROR", "eventName": name, "deploymentId": "ecs-svc/123"}
    return event("aws.ecs", "ECS Deployment State Change", *(arns or (SERVICE,)), detail=detail)


class TestEvents:
    """Events that are about identities of ours."""

    @pytest.mark.parametrize(
        "body",
        [
            acm("Available", Action="RENEWAL", CertificateType="PRIVATE", InUse=False, Exported=True, DaysToExpiry=395),
            acm("Available", Action="ISSUANCE"),
            acm("Available"),
            acm("Approaching Expiration", DaysToExpiry=31, CommonName="example.com"),
            acm("Renewal Action Required", RenewalStatusReason="PCA_ACCESS_DENIED"),
            acm("Expired", InUse="TRUE | FALSE"),
            acm("Revoked"),
            acm("Rotated"),
            health(CERTIFICATE),
            health(CERTIFICATE, code="AWS_ACM_RENEWAL_FAILURE"),
            health(resources=(CERTIFICATE,)),
            health(CERTIFICATE, resources=(CERTIFICATE,)),
            task(),
            deployment(),
            deployment(name="SERVICE_DEPLOYMENT_COMPLETED"),
        ],
        ids=lambda body: f"{body['detail-type']} {json.dumps(body['detail'])[:40]}",
    )
    def test_r30_an_event_about_an_identity_asks_for_one_look(self, ports: Ports, body: Any) -> None:
        """Whoever reads the audit log finds the event by its id."""
        assert looks(json.dumps(body), ports, SCOPE) == (Look("colorteller", f"event 0d1ff5f5 {body['detail-type']}"),)

    def test_a_health_event_about_two_certificates_asks_for_two_looks(self, ports: Ports) -> None:
        """AWS Health may put certificates together."""
        found = looks(json.dumps(health(CERTIFICATE, GATEWAY_CERTIFICATE)), ports, SCOPE)

        assert [look.identity for look in found] == ["colorteller", "colorgateway"]

    def test_a_service_with_two_identities_asks_for_two_looks(self, ports: Ports) -> None:
        """Its tags name both."""
        services = ports.platform
        assert isinstance(services, TaggedServices)
        services.tags[SERVICE] = ("colorteller", "colorgateway")

        assert [look.identity for look in looks(json.dumps(task()), ports, SCOPE)] == ["colorteller", "colorgateway"]

    def test_r30_doubled_and_late_events_ask_for_the_same(self, ports: Ports) -> None:
        """What a look then does depends on what is, not on the event."""
        body = json.dumps(acm("Available", Action="RENEWAL"))
        late = json.dumps(acm("Available", Action="RENEWAL") | {"time": "2020-01-01T00:00:00Z"})

        assert looks(body, ports, SCOPE) == looks(body, ports, SCOPE) == looks(late, ports, SCOPE)

    def test_a_table_that_cannot_be_reached_has_the_event_come_again(self, ports: Ports) -> None:
        """It is not lost for that."""

        class Broken(InMemoryIdentities):
            def find_by_certificate(self, certificate_arn: str) -> Identity | None:
                raise AwsUnavailable("dynamodb:Query", certificate_arn, "ThrottlingException")

        with pytest.raises(AwsUnavailable):
            looks(json.dumps(health(CERTIFICATE)), replace(ports, declared=Broken()), SCOPE)


class TestSeenSince:
    """Which other look makes one needless."""

    SENT = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)

    @pytest.mark.parametrize(
        ("body", "since"),
        [
            (acm("ACM Certificate Available", CERTIFICATE, Action="RENEWAL"), SENT + SHOWS_WITHIN),
            (health(CERTIFICATE), SENT - ECHOES_WITHIN),
            (health(CERTIFICATE, code="AWS_ACM_RENEWAL_FAILURE"), SENT + SHOWS_WITHIN),
            (deployment(SERVICE), SENT + SHOWS_WITHIN),
            ({"look": "colorteller", "because": "tick"}, SENT + SHOWS_WITHIN),
        ],
        ids=["ACM's own", "its echo", "a failure", "ECS", "the clock"],
    )
    def test_it_began_after_the_message_or_just_before_an_echo(
        self, ports: Ports, body: dict[str, Any], since: dt.datetime
    ) -> None:
        """AWS Health repeats what ACM has said; every other message is seen by looks that begin after it."""
        (look,) = looks(json.dumps(body), ports, SCOPE, self.SENT)

        assert look.seen_since == since

    def test_nobody_knows_of_a_message_without_a_time(self, ports: Ports) -> None:
        """Such a look is always taken, and so is an order."""
        (look,) = looks(json.dumps(health(CERTIFICATE)), ports, SCOPE)
        (order,) = ordered(json.dumps({"order": "renew", "identity": "colorteller"}), "AIDA:me", "m-1", ports)

        assert (look.seen_since, order.seen_since) == (None, None)


def foreign(body: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The same event from elsewhere."""
    return body | fields


class TestNothing:
    """Messages that are about nothing of ours, or make no sense."""

    @pytest.mark.parametrize(
        "body",
        [
            acm("Available", Action="IMPORT"),
            acm("Available", Action="REIMPORT"),
            acm("Available", Action="SOMETHING_NEW"),
            acm("Available", f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/unknown", Action="RENEWAL"),
            acm("Available", CERTIFICATE.replace(REGION, "us-east-1"), Action="RENEWAL"),
            acm("Available", CERTIFICATE.replace(ACCOUNT, "999999999999"), Action="RENEWAL"),
            foreign(acm("Available", Action="RENEWAL"), account="999999999999"),
            foreign(acm("Available", Action="RENEWAL"), region="us-east-1"),
            foreign(acm("Available", Action="RENEWAL"), account=None),
            foreign(acm("Available", Action="RENEWAL"), source="my.app"),
            foreign(acm("Available", Action="RENEWAL"), resources=[]),
            foreign(acm("Available", Action="RENEWAL"), resources=CERTIFICATE),
            foreign(acm("Available", Action="RENEWAL"), resources=[7, None, {}]),
            foreign(acm("Available", Action="RENEWAL"), resources=["arn:aws", "certificate"]),
            foreign(acm("Available", Action="RENEWAL"), resources=["not an arn", CERTIFICATE]),
            foreign(acm("Available", Action="RENEWAL"), detail=None),
            foreign(acm("Available", Action="RENEWAL"), detail="RENEWAL"),
            acm("Available", Action=["RENEWAL"]),
            acm("Available", Action=None),
            health(),
            foreign(health(), detail={"affectedEntities": "all"}),
            foreign(health(), detail={"affectedEntities": [None, {"entityValue": 7}, {"status": "PENDING"}]}),
            health(f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/unknown"),
            task(group="family:color"),
            task(group=None),
            task(group="service:"),
            task(clusterArn=None),
            task(clusterArn=CLUSTER.replace("color", "other")),
            task(group="service:unknown"),
            deployment(SERVICE.replace("meshcert-color", "other")),
            deployment(f"arn:aws:ecs:{REGION}:{ACCOUNT}:service/teller"),
            deployment(None),
            {"look": ""},
            {"look": 7},
            {"look": "x" * 65},
            {"look": None, "because": "tick"},
            {"order": "renew", "identity": "colorteller", "reason": "through the wrong queue"},
            {},
            [],
            None,
            "text",
            7,
        ],
        ids=repr,
    )
    def test_r30_it_asks_for_nothing_and_is_no_error(
        self, ports: Ports, body: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A debug line is all that remains of it."""
        caplog.set_level(logging.DEBUG, "meshcert.lifecycle.asking.triggers")

        assert looks(json.dumps(body), ports, SCOPE) == ()
        assert [record.levelname for record in caplog.records] == ["DEBUG"]

    @pytest.mark.parametrize("body", ["", "not JSON", '{"look":', "\x00", "[" * 100_000, '{"look": NaN}', "\ud800"])
    def test_what_is_no_json_asks_for_nothing(self, ports: Ports, body: str) -> None:
        """Nothing that stands in the queue makes the function fail."""
        assert looks(body, ports, SCOPE) == ()

    @pytest.mark.parametrize("other", [SERVICE.replace(REGION, "us-east-1"), SERVICE.replace(ACCOUNT, "9" * 12)])
    def test_services_of_other_accounts_and_regions_are_not_even_asked_for(self, ports: Ports, other: str) -> None:
        """Their tags are none of this mesh's business."""
        looks(json.dumps(deployment(other)), ports, SCOPE)

        services = ports.platform
        assert isinstance(services, TaggedServices)
        assert services.asked == []


class TestClock:
    """Messages of the dispatch function."""

    @pytest.mark.parametrize("because", ["tick", "sweep"])
    def test_tick_and_sweep_ask_for_one_look(self, ports: Ports, because: str) -> None:
        """Identities that are not declared any more too: their rows are to go."""
        body = json.dumps({"look": "gone", "because": because})

        assert looks(body, ports, SCOPE) == (Look("gone", because),)

    def test_a_look_for_no_reason_is_a_look(self, ports: Ports) -> None:
        """Somebody who may send to the queue has done so by hand."""
        assert looks('{"look": "colorteller"}', ports, SCOPE) == (Look("colorteller", "a message"),)


class TestOrders:
    """Orders of operators, who are named by SQS and not by themselves."""

    BY = "AROAEXAMPLE:alice"

    @pytest.mark.parametrize("version", ["", "1" * 64])
    @pytest.mark.parametrize("order", ORDERS)
    def test_an_order_is_taken(self, ports: Ports, order: str, version: str) -> None:
        """With who, why, and which message; and what it is about, if it says so."""
        named = {"version": version} if version else {}
        body = json.dumps({"order": order, "identity": "colorteller", "reason": "drill", "by": "somebody else"} | named)

        (look,) = ordered(body, self.BY, "m1", ports)

        assert look == Look("colorteller", self.BY, order, "drill", "m1", version=version)

    def test_an_order_needs_no_reason(self, ports: Ports) -> None:
        """It is asked for, not demanded."""
        (look,) = ordered('{"order": "renew", "identity": "colorteller"}', self.BY, "m1", ports)

        assert look.reason == ""

    def test_a_reason_is_cut(self, ports: Ports) -> None:
        """It comes back in every line about it."""
        body = json.dumps({"order": "renew", "identity": "colorteller", "reason": "x" * 10_000})

        (look,) = ordered(body, self.BY, "m1", ports)

        assert len(look.reason) == 256

    @pytest.mark.parametrize(
        ("body", "action", "outcome"),
        [
            ('{"order": "renew", "identity": "nobody"}', "order to renew", "refused: no such identity"),
            ('{"order": "renew"}', "order to renew", "refused: no such identity"),
            ('{"order": "renew", "identity": 7}', "order to renew", "refused: no such identity"),
            (
                '{"order": "delete", "identity": "colorteller"}',
                "order to delete",
                "refused: an order is renew, rollback or compromised",
            ),
            ('{"order": ["renew"]}', "order to do nothing", "refused: an order is renew, rollback or compromised"),
            ('{"look": "colorteller"}', "order to do nothing", "refused: an order is renew, rollback or compromised"),
            ("not JSON", "order to do nothing", "refused: an order is renew, rollback or compromised"),
        ],
    )
    def test_an_order_that_makes_no_sense_ends_in_the_audit_log(
        self, ports: Ports, body: str, action: str, outcome: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Who sent it is told why; it does not come again."""
        assert ordered(body, self.BY, "m1", ports) == ()

        audit = ports.audit
        assert isinstance(audit, InMemoryAudit)
        assert [(entry.by, entry.action, entry.outcome) for entry in audit.entries] == [(self.BY, action, outcome)]
        assert "a bad order" in caplog.text

    def test_a_bad_order_ends_though_the_audit_log_cannot_be_written(
        self, ports: Ports, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The function's own log has it."""

        class Broken(InMemoryAudit):
            def record(self, entry: Any) -> None:
                raise AwsUnavailable("logs:PutLogEvents", entry.identity, "ThrottlingException")

        assert ordered('{"order": "x"}', self.BY, "m1", replace(ports, audit=Broken())) == ()
        assert "not in the audit log" in caplog.text
