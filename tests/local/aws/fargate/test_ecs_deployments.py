"""Deployments of ECS services as a rollout has to understand them: overtaken, failed, rolled back, on record."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from local.running_aws import LocalAws
from tests.local.aws.hierarchies import eventually
from tests.local.aws.refusals import ClientError, code_of
from tests.local.aws.running_tasks import (
    CLUSTER,
    RunningService,
    RunningTask,
    build_image,
    container,
    health_check,
    register,
    stays,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """A local AWS with the tests' image."""
    folder = tmp_path_factory.mktemp("deployments")
    with LocalAws(folder / "aws", images=folder / "images") as local_aws:
        build_image(local_aws, folder / "context")
        yield local_aws


@pytest.fixture
def fate(fresh_aws: LocalAws, tmp_path: Path) -> Path:
    """The file that tells the tasks of a fresh account how to fare."""
    del fresh_aws
    return tmp_path / "fate"


def breaker(*, rollback: bool = False) -> dict[str, Any]:
    """CreateService's members that switch the circuit breaker on."""
    return {"deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": True, "rollback": rollback}}}


def arns(service: RunningService, desired: str = "RUNNING") -> set[str]:
    """The ARNs of a service's tasks."""
    return {task.arn for task in service.tasks(desired)}


def test_a_creation_is_a_service_deployment_that_succeeds(aws: LocalAws, fate: Path) -> None:
    """It is on record at once, and its end tells times, counts and what the circuit breaker saw."""
    service = RunningService.create(aws, fate, **breaker())
    first = service.history()[0]["status"]

    service.steady()

    [ended] = service.history()
    [brief] = service.ecs.list_service_deployments(cluster=CLUSTER, service=service.name)["serviceDeployments"]
    assert first in {"PENDING", "IN_PROGRESS"}
    assert (ended["status"], brief["status"]) == ("SUCCESSFUL", "SUCCESSFUL")
    assert ended["createdAt"] <= ended["startedAt"] <= ended["finishedAt"]
    assert ended["sourceServiceRevisions"] == []
    assert ended["targetServiceRevision"]["requestedTaskCount"] == 2
    assert ended["targetServiceRevision"]["arn"] == brief["targetServiceRevisionArn"]
    assert ended["deploymentCircuitBreaker"] == {"status": "MONITORING_COMPLETE", "failureCount": 0, "threshold": 3}
    assert ":service-deployment/tests/fated/" in ended["serviceDeploymentArn"]
    assert ":service-revision/tests/fated/" in brief["targetServiceRevisionArn"]


def test_a_forced_deployment_overtakes_one_that_never_became_healthy(aws: LocalAws, fate: Path) -> None:
    """All its tasks stop, the tasks of the completed deployment stay until the newest one's are healthy."""
    service = RunningService.create(aws, fate)
    old_id, old = service.steady(), arns(service)
    sick_id = service.redeploy("sick")
    service.reaches(sick_id, runningCount=2)
    seen = service.deployments()
    assert old <= arns(service)
    assert (seen[sick_id]["status"], seen[sick_id]["rolloutState"]) == ("PRIMARY", "IN_PROGRESS")
    assert seen[sick_id]["rolloutStateReason"] == f"ECS deployment {sick_id} in progress."
    assert (seen[old_id]["status"], seen[old_id]["rolloutState"]) == ("ACTIVE", "COMPLETED")
    sick, lost = service.tasks_of(sick_id), old.pop()
    service.ecs.stop_task(cluster=CLUSTER, task=lost)

    newest_id = service.redeploy("sick")
    for task in sick:
        stopped = task.reaches(lastStatus="STOPPED")
        assert stopped["stopCode"] == "ServiceSchedulerInitiated"
        assert stopped["stoppedReason"] == f"Scaling activity initiated by (deployment {newest_id})"
    service.reaches(newest_id, runningCount=2)

    assert list(service.deployments()) == [newest_id, old_id]
    assert old <= arns(service)
    newest, overtaken, first = service.history()
    assert [newest["status"], overtaken["status"], first["status"]] == ["IN_PROGRESS", "STOPPED", "SUCCESSFUL"]
    assert overtaken["stoppedAt"] >= overtaken["startedAt"]
    assert overtaken["deploymentCircuitBreaker"]["status"] == "DISABLED"
    assert [source["arn"] for source in newest["sourceServiceRevisions"]][-1] == first["targetServiceRevision"]["arn"]
    last_id = service.redeploy()
    assert service.steady() == last_id
    assert not old & arns(service)


def test_a_task_that_is_not_healthy_is_left_alone_until_all_its_containers_have_started(
    aws: LocalAws, fate: Path
) -> None:
    """As on AWS, for hours: nothing of ours may count on the scheduler where one waits for another one's health."""
    del fate
    first = container(healthCheck=health_check(), environment=[{"name": "HEALTHY", "value": "no"}])
    after = container("after", entryPoint=["sleep", "60"], dependsOn=[{"containerName": "app", "condition": "HEALTHY"}])
    ecs, call = aws.client("ecs"), {"cluster": CLUSTER, "taskDefinition": register(aws, "waiting", first, after)}
    ecs.create_cluster(clusterName=CLUSTER)
    ecs.create_service(serviceName="waiting", launchType="FARGATE", desiredCount=1, **call)

    def tasks() -> list[str]:
        return [str(arn) for arn in ecs.list_tasks(cluster=CLUSTER, serviceName="waiting")["taskArns"]]

    (arn,) = eventually(tasks, "a task")
    task = RunningTask(aws, arn, ecs)
    task.reaches(healthStatus="UNHEALTHY")
    ecs.update_service(cluster=CLUSTER, service="waiting", desiredCount=2)
    # The scheduler looks for whom to replace before it starts another one.
    eventually(lambda: len(tasks()) == 2, "another task")

    task.get("/become/healthy")

    task.reaches(lastStatus="RUNNING", desiredStatus="RUNNING")


def test_the_circuit_breaker_without_rollback_leaves_the_old_tasks_and_a_way_on(aws: LocalAws, fate: Path) -> None:
    """FAILED starts no further task, its service deployment is STOPPED, and a forced deployment then works."""
    service = RunningService.create(aws, fate, **breaker())
    service.steady()
    old = arns(service)

    failed_id = service.redeploy("exit")
    failed = service.reaches(failed_id, rolloutState="FAILED")
    eventually(lambda: service.history()[0]["status"] == "STOPPED", "the service deployment to stop")

    assert (failed["status"], failed["failedTasks"]) == ("PRIMARY", 3)
    assert failed["rolloutStateReason"] == "ECS deployment circuit breaker: tasks failed to start."
    record = service.history()[0]
    assert record["deploymentCircuitBreaker"] == {"status": "TRIGGERED", "failureCount": 3, "threshold": 3}
    assert record["statusReason"] == "ECS deployment circuit breaker: tasks failed to start."
    assert record["stoppedAt"]
    assert "rollback" not in record
    fate.write_text("")
    # The scheduler would pause for 4 s at this point before it starts another task of a failing deployment.
    stays(lambda: arns(service) == old, "only the old tasks", for_s=5)
    fixed_id = service.redeploy()
    assert service.steady() == fixed_id
    assert [item["status"] for item in service.history()] == ["SUCCESSFUL", "STOPPED", "SUCCESSFUL"]


def test_the_circuit_breaker_with_rollback_returns_to_the_last_completed_deployment(aws: LocalAws, fate: Path) -> None:
    """The old deployment is primary again with its own tasks, and the record names its revision."""
    service = RunningService.create(aws, fate, **breaker(rollback=True))
    old_id, old = service.steady(), arns(service)

    failed_id = service.redeploy("exit")
    eventually(lambda: service.history()[0]["status"] == "ROLLBACK_SUCCESSFUL", "the rollback", within_s=20)

    assert failed_id != old_id
    assert service.steady() == old_id
    assert arns(service) == old
    rolled_back, first = service.history()
    assert rolled_back["rollback"]["serviceRevisionArn"] == first["targetServiceRevision"]["arn"]
    assert rolled_back["rollback"]["reason"] == "ECS deployment circuit breaker: tasks failed to start."


def test_failures_count_in_a_row_and_without_a_breaker_never_end_a_deployment(aws: LocalAws, fate: Path) -> None:
    """Three failures are endured; the first healthy task sets the count back to 0."""
    service = RunningService.create(aws, fate, count=1)
    service.steady()

    deployment_id = service.redeploy("exit")
    endured = service.reaches(deployment_id, failedTasks=3)
    fate.write_text("")

    assert endured["rolloutState"] == "IN_PROGRESS"
    assert service.steady() == deployment_id
    assert service.deployments()[deployment_id]["failedTasks"] == 0


def test_a_stopped_task_is_replaced_and_stays_visible(aws: LocalAws, fate: Path) -> None:
    """Another task of the same deployment takes its place; the stopped one tells when, why and how it ended."""
    service = RunningService.create(aws, fate)
    deployment_id = service.steady()
    victim, other = service.tasks()

    service.ecs.stop_task(cluster=CLUSTER, task=victim.arn, reason="replaced by meshcert")
    eventually(lambda: len(arns(service)) == 2 and victim.arn not in arns(service), "another task")

    [newcomer] = [task for task in service.tasks() if task.arn != other.arn]
    healthy = newcomer.reaches(lastStatus="RUNNING", healthStatus="HEALTHY")
    stopped = victim.reaches(lastStatus="STOPPED")
    assert arns(service, "STOPPED") == {victim.arn}
    assert {stopped["startedBy"], healthy["startedBy"]} == {deployment_id}
    assert {stopped["group"], healthy["group"]} == {"service:fated"}
    assert (stopped["stopCode"], stopped["stoppedReason"]) == ("UserInitiated", "replaced by meshcert")
    assert [item["exitCode"] for item in stopped["containers"]] == [0]
    assert stopped["createdAt"] < stopped["startedAt"] < stopped["stoppedAt"]
    assert "exitCode" not in healthy["containers"][0]
    assert [item["status"] for item in service.history()] == ["SUCCESSFUL"]


def test_the_history_is_filtered_and_paged(aws: LocalAws, fate: Path) -> None:
    """By status and by time, newest first; what does not exist is refused or reported as missing."""
    service = RunningService.create(aws, fate, count=0)
    service.steady()
    for _ in range(2):
        service.redeploy()
        service.steady()
    history = service.history()
    call = {"cluster": CLUSTER, "service": service.describe()["serviceArn"]}

    def listed(**more: Any) -> tuple[list[str], str]:
        answer = service.ecs.list_service_deployments(**call, **more)
        return [item["serviceDeploymentArn"] for item in answer["serviceDeployments"]], answer.get("nextToken", "")

    everything = [item["serviceDeploymentArn"] for item in history]
    soon, long_ago = history[0]["createdAt"] + dt.timedelta(hours=1), history[-1]["createdAt"] - dt.timedelta(hours=1)
    assert sorted(item["createdAt"] for item in history) == [item["createdAt"] for item in reversed(history)]
    page, token = listed(maxResults=2)
    assert page == everything[:2]
    assert listed(maxResults=2, nextToken=token) == (everything[2:], "")
    assert listed(status=["SUCCESSFUL"]) == (everything, "")
    assert listed(status=["IN_PROGRESS", "STOPPED"]) == ([], "")
    assert listed(createdAt={"after": long_ago, "before": soon}) == (everything, "")
    assert listed(createdAt={"after": soon}) == ([], "")
    assert listed(createdAt={"before": long_ago}) == ([], "")
    absent = everything[0] + "x"
    answer = service.ecs.describe_service_deployments(serviceDeploymentArns=[absent, everything[0]])
    assert [item["serviceDeploymentArn"] for item in answer["serviceDeployments"]] == everything[:1]
    assert answer["failures"] == [{"arn": absent, "reason": "MISSING"}]
    with pytest.raises(ClientError) as error:
        service.ecs.list_service_deployments(cluster=CLUSTER, service="absent")
    assert code_of(error) == "ServiceNotFoundException"


def test_a_deleted_service_starts_no_deployment(aws: LocalAws, fate: Path) -> None:
    """UpdateService is refused with ServiceNotActiveException, and the history went with the service."""
    service = RunningService.create(aws, fate, count=0)
    service.steady()
    service.ecs.delete_service(cluster=CLUSTER, service=service.name)

    with pytest.raises(ClientError) as update_error:
        service.redeploy()
    with pytest.raises(ClientError) as list_error:
        service.history()

    assert code_of(update_error) == "ServiceNotActiveException"
    assert code_of(list_error) == "ServiceNotFoundException"


def test_tags_of_a_service_are_told_when_asked_for(aws: LocalAws, fate: Path) -> None:
    """CreateService and TagResource set them; DescribeServices shows them only with include TAGS."""
    first = {"key": "meshcert:identity/teller", "value": ""}
    second = {"key": "meshcert:identity/gateway", "value": ""}
    service = RunningService.create(aws, fate, count=0, tags=[first])
    arn = service.describe()["serviceArn"]

    service.ecs.tag_resource(resourceArn=arn, tags=[second])

    assert service.ecs.list_tags_for_resource(resourceArn=arn)["tags"] == [first, second]
    assert service.describe(include=["TAGS"])["tags"] == [first, second]
    assert "tags" not in service.describe()
