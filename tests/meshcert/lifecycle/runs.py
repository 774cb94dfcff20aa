"""What tests of whole runs ask and do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshcert.errors import AwsUnavailable
from tests.meshcert.lifecycle.world import DAY, HOUR, IDENTITY, MINUTE
from tests.meshcert.lifecycle.world import LifecycleWorld as World

if TYPE_CHECKING:
    from meshcert.lifecycle.deciding.findings import Kind
    from meshcert.lifecycle.deciding.steps import Action
    from meshcert.lifecycle.doing.reconcile import Reconciled

NAME = IDENTITY.name


def steps(result: Reconciled) -> list[Action]:
    """What a run did."""
    return [taken.step.action for taken in result.steps]


def kinds(result: Reconciled) -> set[Kind]:
    """What a run found."""
    assert result.plan
    return {finding.kind for finding in result.plan.findings}


def failing(names: set[str], error: Exception) -> Any:
    """A wrapper of ports whose methods of these names fail."""

    class Failing:
        def __init__(self, port: Any) -> None:
            self._port = port

        def __getattr__(self, name: str) -> Any:
            if name in names:
                return self._fail
            return getattr(self._port, name)

        def _fail(self, *_: Any, **__: Any) -> Any:
            raise error

    return Failing


THROTTLED = AwsUnavailable("service:Action", "arn", "ThrottlingException")


def due(world: World) -> None:
    """Time passes until the certificate is due, and ACM does not renew it by itself."""
    world.acm.renews_by_itself = False
    world.pass_time(348 * DAY)


def roll_out_badly(world: World) -> None:
    """The certificate is renewed, and teller is being redeployed with it; its Envoy will not open it."""
    due(world)
    world.look()
    world.pass_time(2 * MINUTE)
    for task in world.ecs.services["gateway"].tasks:
        task.polls_at = world.clock.now() - HOUR
    world.look()
    world.pass_time(MINUTE)
    world.look()
    assert world.ecs.deployments_begun == ["teller"]
    world.ecs.bad.add(world.issued)
