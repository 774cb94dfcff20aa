"""The events ECS sends: what a rollout hears of tasks that fail and of deployments that end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from local.running_aws import LocalAws
from tests.local.aws.hierarchies import eventually
from tests.local.aws.running_tasks import CLUSTER, RunningService, build_image

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """A local AWS with the tests' image."""
    folder = tmp_path_factory.mktemp("events")
    with LocalAws(folder / "aws", images=folder / "images") as local_aws:
        build_image(local_aws, folder / "context")
        yield local_aws


DEPLOYMENT, ACTION = "ECS Deployment State Change", "ECS Service Action"


class Listener:
    """A queue that a rule fills with all events of aws.ecs."""

    def __init__(self, aws: LocalAws) -> None:
        self._sqs = aws.client("sqs")
        self._url = self._sqs.create_queue(QueueName="heard")["QueueUrl"]
        arn = f"arn:aws:sqs:{aws.region}:{aws.account}:heard"
        may_send = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage"}
        policy = json.dumps({"Statement": [{**may_send, "Resource": arn}]})
        self._sqs.set_queue_attributes(QueueUrl=self._url, Attributes={"Policy": policy})
        events = aws.client("events")
        events.put_rule(Name="ecs", EventPattern=json.dumps({"source": ["aws.ecs"]}))
        events.put_targets(Rule="ecs", Targets=[{"Id": "queue", "Arn": arn}])
        self.heard: list[dict[str, Any]] = []

    def about(self, resource: str) -> list[dict[str, Any]]:
        """All events so far whose only resource this is, in the order they were sent."""
        while messages := self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10).get("Messages", []):
            for message in messages:
                self.heard.append(json.loads(message["Body"]))
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        return [event for event in self.heard if event["resources"] == [resource]]

    def outcomes(self, service_arn: str, deployment_id: str) -> list[tuple[str, str, str]]:
        """Type, name and reason of every event about one deployment."""
        events = self.about(service_arn)
        assert {event["detail-type"] for event in events} <= {DEPLOYMENT, ACTION}
        details = [event["detail"] for event in events if event["detail"].get("deploymentId") == deployment_id]
        return [(detail["eventType"], detail["eventName"], detail["reason"]) for detail in details]


@pytest.fixture
def listener(fresh_aws: LocalAws) -> Listener:
    """The listener in a fresh account."""
    return Listener(fresh_aws)


def test_a_task_that_fails_says_of_which_service_and_deployment_and_how(
    aws: LocalAws, listener: Listener, tmp_path: Path
) -> None:
    """Its last event holds what DescribeTasks shows: group, startedBy, stopCode, reason and exit codes."""
    service = RunningService.create(aws, tmp_path / "fate", count=1)
    service.steady()
    deployment_id = service.redeploy("exit")
    service.reaches(deployment_id, failedTasks=1)
    task = service.tasks_of(deployment_id)[0]
    described = task.reaches(lastStatus="STOPPED")

    events = eventually(
        lambda: (found := listener.about(task.arn)) and found[-1]["detail"]["lastStatus"] == "STOPPED" and found,
        "the task's last event",
    )

    last, detail = events[-1], events[-1]["detail"]
    assert (last["source"], last["detail-type"]) == ("aws.ecs", "ECS Task State Change")
    assert (last["account"], last["region"]) == (aws.account, aws.region)
    named = ("taskArn", "clusterArn", "taskDefinitionArn", "group", "startedBy", "stopCode", "stoppedReason")
    assert {name: detail[name] for name in named} == {name: described[name] for name in named}
    assert (detail["group"], detail["startedBy"]) == ("service:fated", deployment_id)
    assert (detail["stopCode"], detail["desiredStatus"]) == ("EssentialContainerExited", "STOPPED")
    assert [(item["name"], item["lastStatus"], item["exitCode"]) for item in detail["containers"]] == [
        ("app", "STOPPED", 3)
    ]
    versions = [event["detail"]["version"] for event in events]
    assert versions == sorted(set(versions))
    assert detail["createdAt"].endswith("Z")


def test_a_stopped_task_says_that_it_will_end_and_that_it_ended(
    aws: LocalAws, listener: Listener, tmp_path: Path
) -> None:
    """Every status has its event: desiredStatus is STOPPED in four of them, and a running task's have no stopCode."""
    service = RunningService.create(aws, tmp_path / "fate", count=1)
    service.steady()
    [task] = service.tasks()

    service.ecs.stop_task(cluster=CLUSTER, task=task.arn, reason="enough")
    task.reaches(lastStatus="STOPPED")

    def states() -> list[tuple[str, str, str]]:
        details = [event["detail"] for event in listener.about(task.arn)]
        found = [(item["desiredStatus"], item["lastStatus"], item.get("stopCode", "")) for item in details]
        return found if found[-1][1] == "STOPPED" else []

    assert eventually(states, "the task's last event") == [
        ("RUNNING", "PROVISIONING", ""),
        ("RUNNING", "PENDING", ""),
        ("RUNNING", "ACTIVATING", ""),
        ("RUNNING", "RUNNING", ""),
        ("STOPPED", "DEACTIVATING", "UserInitiated"),
        ("STOPPED", "STOPPING", "UserInitiated"),
        ("STOPPED", "DEPROVISIONING", "UserInitiated"),
        ("STOPPED", "STOPPED", "UserInitiated"),
    ]


def test_a_deployment_says_how_it_went(aws: LocalAws, listener: Listener, tmp_path: Path) -> None:
    """IN_PROGRESS, then COMPLETED; with the circuit breaker FAILED, once, as an error."""
    on = {"deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": True, "rollback": False}}}
    service = RunningService.create(aws, tmp_path / "fate", count=1, **on)
    arn, good_id = service.describe()["serviceArn"], service.steady()
    bad_id = service.redeploy("exit")
    service.reaches(bad_id, rolloutState="FAILED")

    eventually(lambda: len(listener.outcomes(arn, bad_id)) == 2, "the event of the failure")

    assert listener.outcomes(arn, good_id) == [
        ("INFO", "SERVICE_DEPLOYMENT_IN_PROGRESS", f"ECS deployment {good_id} in progress."),
        ("INFO", "SERVICE_DEPLOYMENT_COMPLETED", f"ECS deployment {good_id} completed."),
    ]
    assert listener.outcomes(arn, bad_id) == [
        ("INFO", "SERVICE_DEPLOYMENT_IN_PROGRESS", f"ECS deployment {bad_id} in progress."),
        ("ERROR", "SERVICE_DEPLOYMENT_FAILED", "ECS deployment circuit breaker: tasks failed to start."),
    ]


def test_a_service_says_that_it_is_steady_or_cannot_start_its_tasks(
    aws: LocalAws, listener: Listener, tmp_path: Path
) -> None:
    """``ECS Service Action`` has a name and the cluster, and no deployment."""
    on = {"deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": True, "rollback": False}}}
    service = RunningService.create(aws, tmp_path / "fate", count=1, **on)
    described, _ = service.describe(), service.steady()
    service.reaches(service.redeploy("exit"), rolloutState="FAILED")

    def actions() -> list[dict[str, Any]]:
        heard = listener.about(described["serviceArn"])
        return [event["detail"] for event in heard if event["detail-type"] == ACTION]

    eventually(lambda: len(actions()) == 2, "two actions")
    found = actions()

    assert [(detail["eventType"], detail["eventName"]) for detail in found] == [
        ("INFO", "SERVICE_STEADY_STATE"),
        ("WARN", "SERVICE_TASK_START_IMPAIRED"),
    ]
    assert {detail["clusterArn"] for detail in found} == {described["clusterArn"]}
    assert all(detail.keys() == {"eventType", "eventName", "clusterArn", "createdAt"} for detail in found)


def test_a_rollback_is_the_old_deployment_in_progress_again(aws: LocalAws, listener: Listener, tmp_path: Path) -> None:
    """After FAILED the last completed deployment says that it is rolled back to, then that it completed."""
    on = {"deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}}
    service = RunningService.create(aws, tmp_path / "fate", count=1, **on)
    arn, good_id = service.describe()["serviceArn"], service.steady()
    bad_id = service.redeploy("exit")

    eventually(lambda: len(listener.outcomes(arn, good_id)) == 4, "the rollback's events", within_s=120)

    assert listener.outcomes(arn, bad_id)[-1][1] == "SERVICE_DEPLOYMENT_FAILED"
    assert listener.outcomes(arn, good_id)[2:] == [
        (
            "INFO",
            "SERVICE_DEPLOYMENT_IN_PROGRESS",
            f"ECS deployment circuit breaker: rolling back to deploymentId {good_id}.",
        ),
        ("INFO", "SERVICE_DEPLOYMENT_COMPLETED", f"ECS deployment {good_id} completed."),
    ]
    order = [event["detail"]["eventName"] for event in listener.about(arn) if event["detail-type"] == DEPLOYMENT]
    assert order[-3] == "SERVICE_DEPLOYMENT_FAILED"


def test_without_a_circuit_breaker_no_failure_is_heard(aws: LocalAws, listener: Listener, tmp_path: Path) -> None:
    """Tasks fail as often as would trip it, and the deployment only says that it is in progress."""
    service = RunningService.create(aws, tmp_path / "fate", count=1)
    arn, _ = service.describe()["serviceArn"], service.steady()

    bad_id = service.redeploy("exit")
    service.reaches(bad_id, failedTasks=3)
    service.fate.write_text("")
    service.steady()

    names = [name for _, name, _ in listener.outcomes(arn, bad_id)]
    assert names == ["SERVICE_DEPLOYMENT_IN_PROGRESS", "SERVICE_DEPLOYMENT_COMPLETED"]
