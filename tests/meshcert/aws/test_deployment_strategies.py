"""Which deployment controllers and strategies of ECS's are served: every one that its API knows is in the table."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest

from meshcert.aws.ecs.strategies import REFUSED, ROLLING, refusal

MODEL: Any = botocore.session.get_session().get_service_model("ecs")
CONTROLLERS = MODEL.shape_for("DeploymentController").members["type"].enum
STRATEGIES = MODEL.shape_for("DeploymentConfiguration").members["strategy"].enum


def test_every_controller_and_strategy_is_served_or_refused() -> None:
    """Another one in the API would have to be decided upon."""
    assert {*CONTROLLERS, *STRATEGIES} == {"ECS", ROLLING, *REFUSED}


@pytest.mark.parametrize("controller", CONTROLLERS)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_rolling_deployment_of_ecs_is_served_alone(controller: str, strategy: str) -> None:
    """Whether the circuit breaker rolls back or not is the owner's."""
    breaker = {"enable": True, "rollback": True}
    configuration = {"strategy": strategy, "deploymentCircuitBreaker": breaker}
    said = refusal({"deploymentController": {"type": controller}, "deploymentConfiguration": configuration})

    assert (said == "") is ((controller, strategy) == ("ECS", ROLLING))


def test_a_service_that_names_neither_is_served() -> None:
    """These are ECS's defaults."""
    assert refusal({}) == ""
