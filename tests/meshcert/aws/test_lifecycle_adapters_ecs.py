"""The renewal function's adapter for ECS against real services of the local ECS."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from local.running_aws import LocalAws
from meshcert.aws.ecs.services import EcsServices
from meshcert.errors import IdentityMissing
from meshcert.lifecycle.observation import RolloutState
from tests.local.aws.hierarchies import eventually
from tests.local.aws.running_tasks import CLUSTER, RunningService, build_image

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from meshcert.lifecycle.observation import Workload


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """A local AWS with the tests' image."""
    folder = tmp_path_factory.mktemp("adapters")
    with LocalAws(folder / "aws", images=folder / "images") as local_aws:
        build_image(local_aws, folder / "context")
        yield local_aws


@pytest.fixture
def services(fresh_aws: LocalAws) -> EcsServices:
    """The adapter, in an empty account."""
    return EcsServices(fresh_aws.client("ecs"), CLUSTER)


@pytest.fixture
def fate(fresh_aws: LocalAws, tmp_path: Path) -> Path:
    """The file that tells the tasks of a fresh account how to fare."""
    del fresh_aws
    return tmp_path / "fate"


def breaker(*, rollback: bool = False) -> dict[str, Any]:
    """CreateService's members that switch the circuit breaker on."""
    return {"deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": True, "rollback": rollback}}}


def seen(services: EcsServices) -> Workload:
    """One look at the tests' service."""
    service = services.look("fated")
    assert service is not None
    return service


def test_a_steady_service_is_seen_as_it_is(aws: LocalAws, services: EcsServices, fate: Path) -> None:
    """Its running tasks, when they started, the deployment that started them; nothing failed."""
    service = RunningService.create(aws, fate)
    deployment_id = service.steady()

    look = seen(services)

    assert look.steady
    assert (look.name, look.desired_count, look.failures, look.excused) == ("fated", 2, (), ())
    assert (look.rollout.id, look.rollout.state) == (deployment_id, RolloutState.COMPLETED)
    assert {task.id for task in look.instances} == {task.arn for task in service.tasks()}
    assert {task.rollout for task in look.instances} == {deployment_id}
    assert {task.started_at for task in look.instances} == {task.describe()["startedAt"] for task in service.tasks()}
    assert services.look("absent") is None
    elsewhere = EcsServices(aws.client("ecs"), "absent")
    assert elsewhere.look("fated") is None
    assert elsewhere.look("teller", f"{CLUSTER}/fated") == replace(look, name="teller")


def test_a_redeployment_is_watched_to_its_end(aws: LocalAws, services: EcsServices, fate: Path) -> None:
    """Its id is what UpdateService began; the tasks of the old one count until they stop, and none of them failed."""
    service = RunningService.create(aws, fate)
    old = service.steady()

    new = services.roll_out("fated")

    under_way = seen(services)
    assert new not in {"", old}
    assert (under_way.rollout.id, under_way.rolling_out, under_way.steady) == (new, True, False)
    eventually(lambda: seen(services).steady, "the deployment to end", within_s=20)
    done = seen(services)
    assert done.rollout.id == new
    assert {task.rollout for task in done.instances} == {new}
    assert (done.failures, done.excused) == ((), ())


def test_a_failing_task_is_seen_before_the_deployment_fails(aws: LocalAws, services: EcsServices, fate: Path) -> None:
    """Its exit code is told, the deployment goes on; the old tasks still run."""
    service = RunningService.create(aws, fate, count=1)
    old = service.steady()
    fate.write_text("exit")

    new = services.roll_out("fated")
    eventually(lambda: seen(services).excused, "a failure")

    look = seen(services)
    assert look.excused[0] == "Essential container in task exited; app exited with 3"
    assert look.failures == ()
    assert (look.rollout.id, look.rollout.state) == (new, RolloutState.IN_PROGRESS)
    assert old in {task.rollout for task in look.instances}
    eventually(lambda: seen(services).rollout.failed >= 1, "the count of failures")


def test_a_deployment_that_the_circuit_breaker_ended_has_failed(
    aws: LocalAws, services: EcsServices, fate: Path
) -> None:
    """With the breaker's words and every failure; the next deployment starts afresh."""
    service = RunningService.create(aws, fate, count=1, **breaker())
    service.steady()
    fate.write_text("exit")

    new = services.roll_out("fated")
    eventually(lambda: seen(services).rollout.state is RolloutState.FAILED, "the failure", within_s=20)

    look = seen(services)
    assert look.rollout.id == new
    assert "circuit breaker" in look.rollout.reason
    assert len(look.excused) == 3
    fate.write_text("")
    last = services.roll_out("fated")
    assert seen(services).rollout.id == last
    assert seen(services).excused == ()
    eventually(lambda: seen(services).steady, "the deployment after it", within_s=20)


def test_a_deployment_that_ecs_rolls_back_has_failed(aws: LocalAws, services: EcsServices, fate: Path) -> None:
    """While the old deployment is primary again, the failed one is told."""
    service = RunningService.create(aws, fate, count=1, **breaker(rollback=True))
    old = service.steady()
    fate.write_text("exit")
    states: set[tuple[str, RolloutState]] = set()

    new = services.roll_out("fated")

    def rolled_back() -> bool:
        deployment = seen(services).rollout
        states.add((deployment.id, deployment.state))
        return (old, RolloutState.COMPLETED) in states

    eventually(rolled_back, "the rollback", within_s=20)
    assert (new, RolloutState.IN_PROGRESS) in states
    assert (old, RolloutState.IN_PROGRESS) not in states
    assert (new, RolloutState.COMPLETED) not in states


def test_a_deployment_that_overtakes_another_is_not_taken_for_failed(
    aws: LocalAws, services: EcsServices, fate: Path
) -> None:
    """ECS stops the record of the one that was overtaken; tasks that made room have not failed."""
    service = RunningService.create(aws, fate, count=1)
    service.steady()
    service.redeploy("sick")
    eventually(lambda: len(seen(services).instances) == 2, "the task that never gets healthy")

    newest = services.roll_out("fated")
    looks = [seen(services)]

    def stopped() -> bool:
        looks.append(seen(services))
        return "STOPPED" in {record["status"] for record in service.history()}

    eventually(stopped, "the overtaken deployment to stop")
    looks.append(seen(services))
    assert {look.rollout.id for look in looks} == {newest}
    assert {look.rollout.state for look in looks} == {RolloutState.IN_PROGRESS}
    assert {look.failures + look.excused for look in looks} == {()}


def test_a_service_tells_its_identities(aws: LocalAws, services: EcsServices, fate: Path) -> None:
    """By its tags; other tags, other clusters and services that are gone tell none."""
    tags = {"meshcert:identity/teller": "", "meshcert:identity/front": "", "meshcert:mesh": "color", "team": "x"}
    service = RunningService.create(aws, fate, count=0, tags=[{"key": k, "value": v} for k, v in tags.items()])
    arn = service.describe()["serviceArn"]

    assert services.identities_of(arn) == ("front", "teller")
    assert services.identities_of(arn.replace("service/tests/", "service/other/")) == ()
    assert services.identities_of(f"{arn}-gone") == ()


def test_a_service_that_is_deleted_is_gone(aws: LocalAws, services: EcsServices, fate: Path) -> None:
    """It is not seen any more, and cannot be deployed."""
    service = RunningService.create(aws, fate, count=0)
    service.steady()
    service.ecs.delete_service(cluster=CLUSTER, service="fated", force=True)

    assert services.look("fated") is None
    for name in ("fated", "absent"):
        with pytest.raises(IdentityMissing, match=name):
            services.roll_out(name)


def test_more_tasks_than_one_answer_holds_are_all_seen(aws: LocalAws, fate: Path) -> None:
    """ListTasks gives them in pages."""
    service = RunningService.create(aws, fate, count=5)
    eventually(lambda: len(service.tasks()) == 5, "five tasks")
    client, pages = aws.client("ecs"), [0]

    def limit(params: dict[str, Any], **_: Any) -> None:
        pages[0] += 1
        params["maxResults"] = 2

    client.meta.events.register("before-parameter-build.ecs.ListTasks", limit)

    look = EcsServices(client, CLUSTER).look("fated")

    assert look is not None
    assert len(look.instances) == 5
    assert pages[0] >= 3
