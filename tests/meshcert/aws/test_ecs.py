"""What ECS may answer the lifecycle's adapter, and the local AWS never does."""

from __future__ import annotations

import datetime as dt
import signal
from typing import TYPE_CHECKING, Any

import pytest

from meshcert.aws.ecs.deployments import EXCUSED
from meshcert.aws.ecs.services import EcsServices
from meshcert.contract import exit_codes
from meshcert.lifecycle.observation import RolloutState
from tests.meshcert.aws.test_errors import Answers, client_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshcert.lifecycle.observation import Workload

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


def with_application(task: dict[str, Any], **container: Any) -> dict[str, Any]:
    """The same task with an application beside its Envoy."""
    return {**task, "containers": [*task["containers"], {"name": "app", **container}]}


def with_readiness(task: dict[str, Any], *, ran: bool = True, **container: Any) -> dict[str, Any]:
    """The same task with a readiness container beside its Envoy."""
    runtime = {"runtimeId": "0123-4"} if ran else {}
    return {**task, "containers": [*task["containers"], {"name": "readiness", **runtime, **container}]}


def look(
    *deployments: Mapping[str, Any],
    tasks: tuple[Mapping[str, Any], ...] = (),
    history: tuple[Mapping[str, Any], ...] = (),
    **service: Any,
) -> Workload:
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

        assert (seen.rollout.id, seen.rollout.state) == ("ecs-svc/2", RolloutState.FAILED)
        assert (seen.rollout.reason, seen.rollout.taken_back) == ("rolled back", True)
        assert seen.excused == ("because",)

    def test_a_deployment_that_was_replaced_says_nothing_about_the_newest(self) -> None:
        """Older deployments stay in the answer until their tasks are gone."""
        seen = look(
            deployment("ecs-svc/2", "COMPLETED", T0 + MINUTE),
            deployment("ecs-svc/1", "FAILED", status="ACTIVE"),
        )

        assert (seen.rollout.id, seen.rollout.state) == ("ecs-svc/2", RolloutState.COMPLETED)

    @pytest.mark.parametrize(
        ("records", "expected"),
        [
            ((), ("ecs-svc/2", RolloutState.IN_PROGRESS)),
            ((record("IN_PROGRESS", "2", T0),), ("ecs-svc/2", RolloutState.IN_PROGRESS)),
            ((record("STOP_REQUESTED", "2", T0),), ("ecs-svc/2", RolloutState.IN_PROGRESS)),
            ((record("STOPPED", "2", T0),), ("ecs-svc/2", RolloutState.FAILED)),
            ((record("STOPPED", "2", T0 - 0.1 * MINUTE),), ("ecs-svc/2", RolloutState.FAILED)),
            ((record("STOPPED", "1", T0 - 0.1 * MINUTE),), ("ecs-svc/2", RolloutState.IN_PROGRESS)),
            ((record("ROLLBACK_REQUESTED", "3", T0 + MINUTE),), ("ecs-svc/3", RolloutState.FAILED)),
            ((record("ROLLBACK_IN_PROGRESS", "3", T0 + MINUTE),), ("ecs-svc/3", RolloutState.FAILED)),
            ((record("ROLLBACK_FAILED", "3", T0 + MINUTE),), ("ecs-svc/3", RolloutState.FAILED)),
            (
                (record("STOPPED", "1", T0 - 0.1 * MINUTE), record("PENDING", "2", T0)),
                ("ecs-svc/2", RolloutState.IN_PROGRESS),
            ),
        ],
    )
    def test_the_history_tells_what_the_deployment_does_not(
        self, records: tuple[dict[str, Any], ...], expected: tuple[str, RolloutState]
    ) -> None:
        """Stopped by a person, or rolled back: failed. The record of the deployment before is not mistaken for it."""
        seen = look(deployment("ecs-svc/2", "IN_PROGRESS"), history=records)

        assert (seen.rollout.id, seen.rollout.state) == expected

    def test_why_a_deployment_was_stopped_is_told(self) -> None:
        """In ECS's words, or with its status."""
        told = look(deployment("ecs-svc/2", "IN_PROGRESS"), history=(record("STOPPED", "2", T0, "by a person"),))
        silent = look(deployment("ecs-svc/2", "IN_PROGRESS"), history=(record("STOPPED", "2", T0),))

        assert told.rollout.reason == "by a person"
        assert silent.rollout.reason == "its service deployment is STOPPED"

    @pytest.mark.parametrize(("running", "expected"), [(1, RolloutState.COMPLETED), (0, RolloutState.IN_PROGRESS)])
    def test_a_service_without_rollout_states_is_judged_by_its_counts(
        self, running: int, expected: RolloutState
    ) -> None:
        """Other controllers than ECS's own have none, and no history either."""
        seen = look(deployment("ecs-svc/2", None, runningCount=running), deploymentController={"type": "CODE_DEPLOY"})

        assert seen.rollout.state is expected

    def test_without_rollout_states_a_deployment_ends_with_the_one_before(self) -> None:
        """As long as an older one has tasks, the newest is under way."""
        seen = look(
            deployment("ecs-svc/2", None, T0 + MINUTE),
            deployment("ecs-svc/1", None, status="ACTIVE"),
        )

        assert (seen.rollout.id, seen.rollout.state) == ("ecs-svc/2", RolloutState.IN_PROGRESS)

    def test_a_service_that_ecs_never_deploys_is_steady(self) -> None:
        """The controller EXTERNAL has task sets in place of deployments."""
        assert look().rollout.state is RolloutState.COMPLETED

    @pytest.mark.parametrize(
        ("task", "expected"),
        [
            (
                stopped("EssentialContainerExited", "Essential container in task exited", exitCode=65),
                ("Essential container in task exited; envoy exited with 65",),
            ),
            (stopped("EssentialContainerExited", "exited", exitCode=70), ("exited; envoy exited with 70",)),
            (stopped("EssentialContainerExited", "exited", exitCode=71), ("exited; envoy exited with 71",)),
            (stopped("EssentialContainerExited", "exited", exitCode=139), ("exited; envoy exited with 139",)),
            (
                with_application(stopped("EssentialContainerExited", "exited", exitCode=65), exitCode=143),
                ("exited; envoy exited with 65; app exited with 143",),
            ),
            # The application waits for a healthy Envoy, and never began.
            (
                with_application(stopped("TaskFailedToStart", "dependency failed", exitCode=65)),
                ("dependency failed; envoy exited with 65",),
            ),
            (
                stopped("ServiceSchedulerInitiated", "Task failed ELB health checks in (elb mesh)"),
                ("Task failed ELB health checks in (elb mesh)",),
            ),
            (
                stopped("ServiceSchedulerInitiated", "Task failed container health checks"),
                ("Task failed container health checks",),
            ),
            # Its readiness container waited for an Envoy that never was healthy.
            (
                with_readiness(stopped("ServiceSchedulerInitiated", "Task failed container health checks"), ran=False),
                ("Task failed container health checks",),
            ),
        ],
    )
    def test_tasks_that_failed_on_what_they_were_to_serve_blame_it(
        self, task: dict[str, Any], expected: tuple[str, ...]
    ) -> None:
        """Envoy's container ended by itself, or a health check failed."""
        seen = look(deployment("ecs-svc/2", "IN_PROGRESS"), tasks=(task,))

        assert (seen.failures, seen.excused) == (expected, ())
        assert look(deployment("ecs-svc/3", "IN_PROGRESS"), tasks=(task,)).failures == ()
        assert look(deployment("ecs-svc/2", "COMPLETED"), tasks=(task,)).failures == ()

    @pytest.mark.parametrize(
        ("task", "expected"),
        [
            (stopped("TaskFailedToStart", "CannotPullContainerError"), ("CannotPullContainerError",)),
            (
                stopped("TaskFailedToStart", "Timeout waiting for network interface provisioning to complete."),
                ("Timeout waiting for network interface provisioning to complete.",),
            ),
            (stopped("EssentialContainerExited", "exited", exitCode=64), ("exited; envoy exited with 64",)),
            (stopped("EssentialContainerExited", "exited", exitCode=66), ("exited; envoy exited with 66",)),
            (stopped("EssentialContainerExited", "exited", exitCode=69), ("exited; envoy exited with 69",)),
            (stopped("EssentialContainerExited", "exited", exitCode=77), ("exited; envoy exited with 77",)),
            (
                stopped("EssentialContainerExited", "exited", exitCode=137, reason="OutOfMemoryError"),
                ("exited; envoy exited with 137; envoy: OutOfMemoryError",),
            ),
            (stopped("EssentialContainerExited", "exited", exitCode=143), ("exited; envoy exited with 143",)),
            (
                with_application(stopped("EssentialContainerExited", "exited", exitCode=0), exitCode=3),
                ("exited; app exited with 3",),
            ),
            # Its readiness container ran, so its Envoy was healthy: the application is slow, or does not answer.
            (
                with_readiness(stopped("ServiceSchedulerInitiated", "Task failed container health checks")),
                ("Task failed container health checks",),
            ),
            (
                with_readiness(
                    stopped("ServiceSchedulerInitiated", "Task failed container health checks"), ran=False, exitCode=0
                ),
                ("Task failed container health checks",),
            ),
            # Envoy is still draining; it was the application that ended the task.
            (
                with_application(stopped("EssentialContainerExited", "exited"), exitCode=3),
                ("exited; app exited with 3",),
            ),
        ],
    )
    def test_tasks_that_failed_on_something_else_are_excused(
        self, task: dict[str, Any], expected: tuple[str, ...]
    ) -> None:
        """A registry, a network, a quota, a role, the application: going back to another certificate mends none."""
        seen = look(deployment("ecs-svc/2", "IN_PROGRESS"), tasks=(task,))

        assert (seen.failures, seen.excused) == ((), expected)
        assert seen.excused_code == (task["containers"][0].get("exitCode") or 0)
        assert look(deployment("ecs-svc/3", "IN_PROGRESS"), tasks=(task,)).excused == ()
        assert look(deployment("ecs-svc/2", "COMPLETED"), tasks=(task,)).excused == ()

    def test_a_task_that_fails_counts_before_it_is_stopped(self) -> None:
        """Fargate takes half a minute from the exit code to the last status; without a code nothing is known."""
        ending = {**stopped("EssentialContainerExited", "exited", exitCode=65), "lastStatus": "DEPROVISIONING"}
        unknown = {**stopped("EssentialContainerExited", "exited"), "lastStatus": "DEACTIVATING"}

        assert look(deployment("ecs-svc/2", "IN_PROGRESS"), tasks=(ending,)).failures == (
            "exited; envoy exited with 65",
        )
        seen = look(deployment("ecs-svc/2", "IN_PROGRESS"), tasks=(unknown,))
        assert (seen.failures, seen.excused) == ((), ())

    def test_the_exit_codes_that_excuse_are_those_of_the_image(self) -> None:
        """What blames the material is bad material, a fault of the entrypoint, and an Envoy that ends by itself."""
        blaming = {exit_codes.BAD_MATERIAL, exit_codes.INTERNAL, exit_codes.ENVOY}
        killed = {exit_codes.SIGNAL_BASE + number for number in (signal.SIGKILL, signal.SIGTERM)}

        assert set(exit_codes.EXIT_CODES) - blaming | killed == EXCUSED

    @pytest.mark.parametrize(
        "task",
        [
            stopped("EssentialContainerExited", "exited", exitCode=0),
            stopped("ServiceSchedulerInitiated", "Scaling activity initiated by (deployment ecs-svc/3)"),
            stopped("ServiceSchedulerInitiated", "Scaling activity initiated by (deployment ecs-svc/3)", exitCode=71),
            stopped("UserInitiated", "meshcert: it is late", exitCode=137),
            stopped("SpotInterruption", "Your Spot Task was interrupted.", exitCode=143),
            stopped("TerminationNotice", "AWS takes the machine back"),
            stopped("InfrastructureHealth", "the machine failed"),
        ],
    )
    def test_tasks_that_were_stopped_by_somebody_have_not_failed(self, task: dict[str, Any]) -> None:
        """To make room, by a person or by AWS: neither blamed nor excused."""
        seen = look(deployment("ecs-svc/2", "IN_PROGRESS"), tasks=(task,))

        assert (seen.failures, seen.excused) == ((), ())

    @pytest.mark.parametrize(("exit_code", "kind"), [(65, "failures"), (69, "excused")])
    def test_the_first_failure_is_told_first(self, exit_code: int, kind: str) -> None:
        """A container's own words, however long."""
        later = {**stopped("EssentialContainerExited", "later", exitCode=exit_code), "stoppingAt": T0 + MINUTE}
        first = {**stopped("EssentialContainerExited", "x" * 999, exitCode=exit_code), "stoppingAt": T0}

        told = getattr(look(deployment("ecs-svc/2", "FAILED"), tasks=(later, first)), kind)

        assert told == ("x" * 256, f"later; envoy exited with {exit_code}")

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
        ("status", "may_serve"),
        [
            ("PENDING", True),
            ("RUNNING", True),
            ("DEACTIVATING", True),
            ("STOPPING", True),
            ("DEPROVISIONING", False),
            ("STOPPED", False),
            ("DELETED", False),
        ],
    )
    def test_a_task_that_is_to_stop_may_serve_until_its_containers_have_ended(
        self, status: str, *, may_serve: bool
    ) -> None:
        """For minutes: a load balancer forgets it first, then each of its containers drains and stops."""
        task = {"taskArn": "arn:task/1", "desiredStatus": "STOPPED", "lastStatus": status}
        asked: list[str] = []

        class Client(Answers):
            def list_tasks(self, **question: Any) -> dict[str, Any]:
                asked.append(question["desiredStatus"])
                return {"taskArns": ["arn:task/1"]}

        ending = EcsServices(Client(describe_tasks={"tasks": [task]}), "mesh").ending("teller")

        assert (ending, asked) == (("arn:task/1",) if may_serve else (), ["STOPPED"])

    def test_of_a_service_that_is_gone_nothing_ends(self) -> None:
        """ECS forgets its tasks with it."""
        assert EcsServices(Answers(list_tasks=client_error("ServiceNotFoundException")), "mesh").ending("teller") == ()

    def test_a_task_that_is_listed_on_two_pages_is_one(self) -> None:
        """It says what it serves, or refuses, once."""
        row = {"serviceName": "teller", "status": "ACTIVE", "desiredCount": 2}
        deployed = [deployment("ecs-svc/1", "COMPLETED")]
        pages = {"": (["arn:1", "arn:2"], "more"), "more": (["arn:2"], "")}

        class Client(Answers):
            def list_tasks(self, **question: Any) -> dict[str, Any]:
                arns, token = pages[question.get("nextToken", "")]
                return {"taskArns": arns, **({"nextToken": token} if token else {})}

            def describe_tasks(self, **question: Any) -> dict[str, Any]:
                running = {"desiredStatus": "RUNNING", "lastStatus": "RUNNING"}
                return {"tasks": [{"taskArn": arn, **running} for arn in question["tasks"]]}

        client = Client(describe_services={"services": [{**row, "deployments": deployed}], "failures": []})
        seen = EcsServices(client, "mesh").look("teller")

        assert seen
        assert [instance.id for instance in seen.instances] == ["arn:1", "arn:2"]

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
