"""What ECS may answer the lifecycle's adapter, and the local AWS never does."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from meshcert.aws.ecs import EcsServices
from meshcert.lifecycle.observation import DeploymentState
from tests.unit.test_aws_errors import Answers, client_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshcert.lifecycle.observation import Service

T0 = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)


def deployment(identifier: str, state: str | None, created: dt.datetime = T0, **more: Any) -> dict[str, Any]:
    """A deployment as DescribeServices shows it."""
    rollout = {"rolloutState": state} if state else {}
    counts = {"desiredCount": 1, "runningCount": 1, "failedTasks": 0}
    return {"id": identifier, "status": "PRIMARY", "createdAt": created, **counts, **rollout, **more}


def stopped(code: str, reason: str = "because", /, *, by: str = "ecs-svc/2", **container: Any) -> dict[str, Any]:
    """A task as DescribeTasks shows it after its end."""
    containers = [{"name": "envoy", **container}]
    task = {"taskArn": f"arn:task/{code}", "startedBy": by, "desiredStatus": "STOPPED", "lastStatus": "STOPPED"}
    return {**task, "stopCode": code, "stoppedReason": reason, "stoppingAt": T0, "containers": containers}


def look(
    *deployments: Mapping[str, Any],
    tasks: tuple[Mapping[str, Any], ...] = (),
    history: tuple[Mapping[str, Any], ...] = (),
    **service: Any,
) -> Service:
    """One look at a service with these deployments, stopped tasks and service deployments."""
    row = {"serviceName": "teller", "status": "ACTIVE", "desiredCount": 1, "deployments": list(deployments), **service}
    client = Answers(
        describe_services={"services": [row], "failures": []},
        list_tasks={"taskArns": [task["taskArn"] for task in tasks]},
        describe_tasks={"tasks": list(tasks)},
        list_service_deployments={"serviceDeployments": list(history)},
    )
    seen = EcsServices(client, "mesh").look("teller")
    assert seen is not None
    return seen


def record(status: str, number: str, created: dt.datetime, reason: str = "") -> dict[str, Any]:
    """A service deployment as ListServiceDeployments shows it."""
    return {
        "status": status,
        "createdAt": created,
        "targetServiceRevisionArn": f"arn:aws:ecs:r:a:service-revision/mesh/teller/{number}",
        **({"statusReason": reason} if reason else {}),
    }


class TestServices:
    """DescribeServices, DescribeTasks and ListServiceDeployments."""

    def test_a_deployment_that_ecs_rolls_back_is_the_newest_one_and_has_failed(self) -> None:
        """The older one is primary again, and under way; the tasks that failed are those of the newer one."""
        seen = look(
            deployment("ecs-svc/1", "IN_PROGRESS"),
            deployment("ecs-svc/2", "IN_PROGRESS", T0 + MINUTE, status="ACTIVE", rolloutStateReason="rolled back"),
            tasks=(stopped("TaskFailedToStart"), stopped("TaskFailedToStart", by="ecs-svc/1")),
        )

        assert (seen.deployment.id, seen.deployment.state) == ("ecs-svc/2", DeploymentState.FAILED)
        assert seen.deployment.reason == "rolled back"
        assert seen.failures == ("because",)

    def test_a_deployment_that_was_replaced_says_nothing_about_the_newest(self) -> None:
        """Older deployments stay in the answer until their tasks are gone."""
        seen = look(
            deployment("ecs-svc/2", "COMPLETED", T0 + MINUTE),
            deployment("ecs-svc/1", "FAILED", status="ACTIVE"),
        )

        assert (seen.deployment.id, seen.deployment.state) == ("ecs-svc/2", DeploymentState.COMPLETED)

    @pytest.mark.parametrize(
        ("records", "expected"),
        [
            ((), ("ecs-svc/2", DeploymentState.IN_PROGRESS)),
            ((record("IN_PROGRESS", "2", T0),), ("ecs-svc/2", DeploymentState.IN_PROGRESS)),
            ((record("STOP_REQUESTED", "2", T0),), ("ecs-svc/2", DeploymentState.IN_PROGRESS)),
            ((record("STOPPED", "2", T0),), ("ecs-svc/2", DeploymentState.FAILED)),
            ((record("STOPPED", "2", T0 - 0.1 * MINUTE),), ("ecs-svc/2", DeploymentState.FAILED)),
            ((record("STOPPED", "1", T0 - 0.1 * MINUTE),), ("ecs-svc/2", DeploymentState.IN_PROGRESS)),
            ((record("ROLLBACK_REQUESTED", "3", T0 + MINUTE),), ("ecs-svc/3", DeploymentState.FAILED)),
            ((record("ROLLBACK_IN_PROGRESS", "3", T0 + MINUTE),), ("ecs-svc/3", DeploymentState.FAILED)),
            ((record("ROLLBACK_FAILED", "3", T0 + MINUTE),), ("ecs-svc/3", DeploymentState.FAILED)),
            (
                (record("STOPPED", "1", T0 - 0.1 * MINUTE), record("PENDING", "2", T0)),
                ("ecs-svc/2", DeploymentState.IN_PROGRESS),
            ),
        ],
    )
    def test_the_history_tells_what_the_deployment_does_not(
        self, records: tuple[dict[str, Any], ...], expected: tuple[str, DeploymentState]
    ) -> None:
        """Stopped by a person, or rolled back: failed. The record of the deployment before is not mistaken for it."""
        seen = look(deployment("ecs-svc/2", "IN_PROGRESS"), history=records)

        assert (seen.deployment.id, seen.deployment.state) == expected

    def test_why_a_deployment_was_stopped_is_told(self) -> None:
        """In ECS's words, or with its status."""
        told = look(deployment("ecs-svc/2", "IN_PROGRESS"), history=(record("STOPPED", "2", T0, "by a person"),))
        silent = look(deployment("ecs-svc/2", "IN_PROGRESS"), history=(record("STOPPED", "2", T0),))

        assert told.deployment.reason == "by a person"
        assert silent.deployment.reason == "its service deployment is STOPPED"

    @pytest.mark.parametrize(
        ("running", "expected"), [(1, DeploymentState.COMPLETED), (0, DeploymentState.IN_PROGRESS)]
    )
    def test_a_service_without_rollout_states_is_judged_by_its_counts(
        self, running: int, expected: DeploymentState
    ) -> None:
        """Other controllers than ECS's own have none, and no history either."""
        seen = look(deployment("ecs-svc/2", None, runningCount=running), deploymentController={"type": "CODE_DEPLOY"})

        assert seen.deployment.state is expected

    def test_without_rollout_states_a_deployment_ends_with_the_one_before(self) -> None:
        """As long as an older one has tasks, the newest is under way."""
        seen = look(
            deployment("ecs-svc/2", None, T0 + MINUTE),
            deployment("ecs-svc/1", None, status="ACTIVE"),
        )

        assert (seen.deployment.id, seen.deployment.state) == ("ecs-svc/2", DeploymentState.IN_PROGRESS)

    def test_a_service_that_ecs_never_deploys_is_steady(self) -> None:
        """The controller EXTERNAL has task sets in place of deployments."""
        assert look().deployment.state is DeploymentState.COMPLETED

    @pytest.mark.parametrize(
        ("task", "expected"),
        [
            (stopped("TaskFailedToStart", "CannotPullContainerError"), ("CannotPullContainerError",)),
            (
                stopped("EssentialContainerExited", "Essential container in task exited", exitCode=66),
                ("Essential container in task exited; envoy exited with 66",),
            ),
            (
                stopped("EssentialContainerExited", "exited", exitCode=137, reason="OutOfMemoryError"),
                ("exited; envoy exited with 137; envoy: OutOfMemoryError",),
            ),
            (stopped("EssentialContainerExited", "exited", exitCode=0), ()),
            (
                stopped("ServiceSchedulerInitiated", "Task failed ELB health checks in (elb mesh)"),
                ("Task failed ELB health checks in (elb mesh)",),
            ),
            (
                stopped("ServiceSchedulerInitiated", "Task failed container health checks"),
                ("Task failed container health checks",),
            ),
            (stopped("ServiceSchedulerInitiated", "Scaling activity initiated by (deployment ecs-svc/3)"), ()),
            (stopped("UserInitiated", "meshcert: it is late", exitCode=137), ()),
            (stopped("SpotInterruption", "Your Spot Task was interrupted.", exitCode=143), ()),
            (stopped("TerminationNotice", "AWS takes the machine back"), ()),
            (stopped("InfrastructureHealth", "the machine failed"), ()),
        ],
    )
    def test_only_tasks_that_failed_by_themselves_count(self, task: dict[str, Any], expected: tuple[str, ...]) -> None:
        """Who was stopped to make room, by a person or by AWS has not failed."""
        assert look(deployment("ecs-svc/2", "IN_PROGRESS"), tasks=(task,)).failures == expected
        assert look(deployment("ecs-svc/3", "IN_PROGRESS"), tasks=(task,)).failures == ()
        assert look(deployment("ecs-svc/2", "COMPLETED"), tasks=(task,)).failures == ()

    def test_the_first_failure_is_told_first(self) -> None:
        """A container's own words, however long."""
        later = {**stopped("TaskFailedToStart", "later"), "stoppingAt": T0 + MINUTE}
        first = {**stopped("TaskFailedToStart", "x" * 999), "stoppingAt": T0}

        failures = look(deployment("ecs-svc/2", "FAILED"), tasks=(later, first)).failures

        assert failures == ("x" * 256, "later")

    @pytest.mark.parametrize(
        "client",
        [
            Answers(describe_services={"services": [], "failures": [{"reason": "MISSING"}]}),
            Answers(describe_services={"services": [{"serviceName": "teller", "status": "DRAINING"}]}),
            Answers(describe_services={"services": [{"serviceName": "teller", "status": "INACTIVE"}]}),
            Answers(describe_services=client_error("ClusterNotFoundException")),
            Answers(
                describe_services={
                    "services": [{"status": "ACTIVE", "deployments": [deployment("ecs-svc/1", "COMPLETED")]}]
                },
                list_tasks=client_error("ServiceNotFoundException"),
            ),
        ],
    )
    def test_a_service_that_is_gone_or_going_is_none(self, client: Any) -> None:
        """Whenever it went."""
        assert EcsServices(client, "mesh").look("teller") is None

    @pytest.mark.parametrize(
        "error", ["InvalidParameterException", "ServiceNotFoundException", "ClusterNotFoundException"]
    )
    def test_a_service_without_tags_to_read_has_no_identities(self, error: str) -> None:
        """ECS says in several ways that a service is not there any more."""
        services = EcsServices(Answers(list_tags_for_resource=client_error(error)), "mesh")

        assert services.identities_of("arn:aws:ecs:eu-west-1:1:service/mesh/teller") == ()

    @pytest.mark.parametrize(
        "arn",
        [
            "arn:aws:ecs:eu-west-1:1:service/other/teller",
            "arn:aws:ecs:eu-west-1:1:service/teller",
            "arn:aws:ecs:eu-west-1:1:task/mesh/teller",
            "",
        ],
    )
    def test_a_service_of_another_cluster_is_not_asked_about(self, arn: str) -> None:
        """Events come from every cluster of the account, and the role may read tags of ours only."""
        denied = Answers(list_tags_for_resource=client_error("AccessDeniedException"))

        assert EcsServices(denied, "mesh").identities_of(arn) == ()
