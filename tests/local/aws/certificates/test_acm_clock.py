"""ACM lives by the real clock: its days come by themselves, each with one warning, and with what Health says."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from local.aws.config import CertificateTimes
from tests.local.aws.hierarchies import eventually
from tests.local.aws.renewable_certificates import described, exported
from tests.local.aws.triggers import Queue, new_queue

if TYPE_CHECKING:
    from local.running_aws import LocalAws

DAY_S = 0.15
# Certificates are born with 55 days left, and ACM looks five times a day.
TIMES = CertificateTimes(
    born_days_ago=340,
    leaf_lifetime_s=395 * DAY_S,
    managed_renewal_s=60 * DAY_S,
    warning_s=45 * DAY_S,
    back_dating_s=1,
    renewal_takes_s=0.01,
    acm_day_s=DAY_S / 5,
)

_LIFETIME = ("CertificateType", "DomainValidationMethod", "CertificateExpirationDate", "InUse", "Exported")
# What each event says beside the certificate's name (ACM user guide, "Amazon EventBridge support for ACM").
SHAPES = {
    "ACM Certificate Approaching Expiration": {"DaysToExpiry"},
    "ACM Certificate Available": {"Action", "DaysToExpiry", "CertificateCreatedDate", *_LIFETIME},
    "ACM Certificate Expired": {"CertificateCreatedDate", *_LIFETIME},
    "ACM Certificate Renewal Action Required": {"RenewalStatusReason", "DaysToExpiry", *_LIFETIME},
}


@pytest.fixture
def seen(fresh_aws: LocalAws) -> Queue:
    """A queue behind a rule for everything that ACM and Health send."""
    queue = new_queue(fresh_aws, "seen")
    rules = fresh_aws.client("events")
    rules.put_rule(Name="all", EventPattern=json.dumps({"source": ["aws.acm", "aws.health"]}))
    rules.put_targets(Rule="all", Targets=[{"Id": "queue", "Arn": queue.arn}])
    return queue


def test_a_life_that_acm_cannot_prolong_ends_with_its_warnings(fresh_aws: LocalAws, seen: Queue) -> None:
    """One warning a day from day 45 on, Action Required at 45, 30, 15, 3 and 1 days, Health beside it, then expired."""
    arn = exported(fresh_aws, permitted=False)
    events: list[dict[str, Any]] = []

    def ended() -> bool:
        events.extend(json.loads(message["Body"]) for message in seen.messages())
        return any(event["detail-type"] == "ACM Certificate Expired" for event in events)

    eventually(ended, "the end of its life", within_s=30)

    kinds = Counter(event["detail-type"] for event in events)
    warned = [days_left(event) for event in events if event["detail-type"].endswith("Approaching Expiration")]
    required = [event for event in events if event["detail-type"].endswith("Renewal Action Required")]
    assert len(warned) == len(set(warned))
    assert max(warned) <= 45
    assert len(warned) >= 30
    assert [days_left(event) <= limit for event, limit in zip(required, (45, 30, 15, 3, 1), strict=True)] == [True] * 5
    assert {event["detail"]["RenewalStatusReason"] for event in required} == {"PCA_ACCESS_DENIED"}
    assert kinds["ACM Certificate Expired"] == 1
    assert health_of(events, "AWS_ACM_RENEWAL_FAILURE") == [arn] * 5
    eventually(lambda: ended() and health_of(events, "AWS_ACM_RENEWAL_STATE_CHANGE"), "Health's event of the expiry")
    assert health_of(events, "AWS_ACM_RENEWAL_STATE_CHANGE") == [arn]
    assert described(fresh_aws, arn)["Status"] == "EXPIRED"
    said = {event["detail-type"]: event for event in events if event["source"] == "aws.acm"}
    assert {kind: event["detail"].keys() - {"CommonName"} for kind, event in said.items()} == SHAPES
    assert all(event["resources"] == [arn] and arn not in json.dumps(event["detail"]) for event in said.values())


def test_a_due_renewal_comes_by_itself_and_health_says_so(fresh_aws: LocalAws, seen: Queue) -> None:
    """Nobody tells ACM that a day has passed."""
    arn = exported(fresh_aws, permitted=True)
    events: list[dict[str, Any]] = []

    def told() -> bool:
        events.extend(json.loads(message["Body"]) for message in seen.messages())
        return bool(health_of(events, "AWS_ACM_RENEWAL_STATE_CHANGE"))

    eventually(told, "Health's event of a renewal")

    (health,) = [event for event in events if event["source"] == "aws.health"]
    assert health["detail-type"] == "AWS Health Event"
    assert health["detail"]["service"] == "ACM"
    assert health["detail"]["eventTypeCategory"] == "scheduledChange"
    assert health["detail"]["affectedEntities"][0]["entityValue"] == arn
    assert [event["detail"]["Action"] for event in events if event["source"] == "aws.acm"] == ["ISSUANCE", "RENEWAL"]


def days_left(event: dict[str, Any]) -> int:
    """What an event says of the days that are left."""
    return int(event["detail"]["DaysToExpiry"])


def health_of(events: list[dict[str, Any]], code: str) -> list[str]:
    """The certificates that Health's events with a code are about."""
    return [
        event["detail"]["affectedEntities"][0]["entityValue"]
        for event in events
        if event["source"] == "aws.health" and event["detail"]["eventTypeCode"] == code
    ]
