"""Tasks of other clusters: their events come to the default bus like those of our own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.local.aws.hierarchies import eventually
from tests.local.aws.triggers import new_queue

if TYPE_CHECKING:
    from local.running_aws import LocalAws
    from tests.local.aws.triggers import Queue


def heard_by(aws: LocalAws, pattern: dict[str, Any]) -> Queue:
    """A queue that a rule with this pattern fills."""
    queue = new_queue(aws, "heard")
    events = aws.client("events")
    events.put_rule(Name="rule", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="rule", Targets=[{"Id": "queue", "Arn": queue.arn}])
    return queue


def details(queue: Queue, number: int) -> list[dict[str, Any]]:
    """The details of the next events."""
    return [json.loads(message["Body"])["detail"] for message in queue.take(number, within_s=60)]


def test_a_task_of_another_cluster_is_heard_from_its_beginning_to_its_end(fresh_aws: LocalAws) -> None:
    """Every status once, in a shape of which each field of our own tasks' events is one."""
    queue = heard_by(fresh_aws, {"source": ["aws.ecs"], "detail-type": ["ECS Task State Change"]})

    fresh_aws.control("POST", "/_local/other-clusters", {"tasks_per_s": 1})
    found = details(queue, 8)
    fresh_aws.control("POST", "/_local/other-clusters", {"tasks_per_s": 0})

    first = [detail for detail in found if detail["taskArn"] == found[0]["taskArn"]]
    assert [detail["lastStatus"] for detail in sorted(first, key=lambda detail: detail["version"])] == [
        "PROVISIONING",
        "PENDING",
        "ACTIVATING",
        "RUNNING",
        "DEACTIVATING",
        "STOPPING",
        "DEPROVISIONING",
        "STOPPED",
    ]
    assert {detail["clusterArn"].rpartition("/")[2] for detail in found} <= {"batch", "shop", "analytics"}


def test_a_rule_that_names_no_cluster_hears_four_events_of_every_task_that_ends(fresh_aws: LocalAws) -> None:
    """That is what a pattern with ``desiredStatus: STOPPED`` alone costs; one with the cluster's ARN hears none."""
    stopped: dict[str, Any] = {"desiredStatus": ["STOPPED"]}
    kind = {"source": ["aws.ecs"], "detail-type": ["ECS Task State Change"]}
    place = f"arn:aws:ecs:{fresh_aws.region}:{fresh_aws.account}:cluster/meshcert-color"
    wide = heard_by(fresh_aws, {**kind, "detail": stopped})
    narrow = new_queue(fresh_aws, "narrow")
    events = fresh_aws.client("events")
    pattern = {**kind, "detail": {**stopped, "clusterArn": [place]}}
    events.put_rule(Name="narrow", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="narrow", Targets=[{"Id": "queue", "Arn": narrow.arn}])

    fresh_aws.control("POST", "/_local/other-clusters", {"tasks_per_s": 5})
    eventually(lambda: fresh_aws.control("GET", "/_local/other-clusters")["tasks"] >= 3, "three tasks", within_s=60)
    fresh_aws.control("POST", "/_local/other-clusters", {"tasks_per_s": 0})

    found = details(wide, 12)
    assert {detail["lastStatus"] for detail in found} == {"DEACTIVATING", "STOPPING", "DEPROVISIONING", "STOPPED"}
    assert narrow.messages() == []


def test_a_reset_ends_them(fresh_aws: LocalAws) -> None:
    """Nothing of an account outlives it."""
    fresh_aws.control("POST", "/_local/other-clusters", {"tasks_per_s": 5})

    fresh_aws.reset()

    assert fresh_aws.control("GET", "/_local/other-clusters") == {"tasks_per_s": 0.0, "tasks": 0}
