"""The examples' job, run by RunTask as its owner would: it reports, it fails, its Envoy cannot start."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from local.running_mesh import wait_until
from meshcert import naming
from meshcert.contract.environment import PROXY_FROM

if TYPE_CHECKING:
    from evidence.fixtures.own_services import OwnServices

CLUSTER, FAMILY = "own", "nightly-report"
REPORTS, FAILS, IN_VAIN = "it reports", "it fails", "its Envoy cannot start"
START_TIMEOUT_S = 5
"""Instead of two minutes, which a test need not wait: what ECS does then is the same."""
_REGISTERED = (
    *("family", "taskRoleArn", "executionRoleArn", "networkMode", "requiresCompatibilities", "cpu", "memory"),
    "containerDefinitions",
)
_NOBODY = "15199"


def ended_jobs(own: OwnServices) -> dict[str, dict[str, int | None]]:
    """Run three of them at once, and give the exit codes of their containers when all have stopped."""
    ecs = own.aws.client("ecs")
    subnets, groups = [own.output("own", "OwnSubnet")], [own.output("own", "OwnGroup")]
    network = {"awsvpcConfiguration": {"subnets": subnets, "securityGroups": groups, "assignPublicIp": "ENABLED"}}

    def run(container: str, definition: str = FAMILY, **variables: str) -> str:
        environment = [{"name": name, "value": value} for name, value in variables.items()]
        (task,) = ecs.run_task(
            cluster=CLUSTER,
            taskDefinition=definition,
            launchType="FARGATE",
            networkConfiguration=network,
            overrides={"containerOverrides": [{"name": container, "environment": environment}]},
        )["tasks"]
        return str(task["taskArn"])

    def stopped(arn: str) -> dict[str, Any]:
        (task,) = ecs.describe_tasks(cluster=CLUSTER, tasks=[arn])["tasks"]
        return dict(task) if task["lastStatus"] == "STOPPED" else {}

    hasty = _with_start_timeout(ecs)
    arns = {
        REPORTS: run("app"),
        FAILS: run("app", STOCK_PORT=_NOBODY),
        IN_VAIN: run(naming.ENVOY_CONTAINER, hasty, **{PROXY_FROM: "nowhere"}),
    }
    ends = {
        name: wait_until(partial(stopped, arn), f"the end of a job, as {name}", within_s=30)
        for name, arn in arns.items()
    }
    ecs.deregister_task_definition(taskDefinition=hasty)
    return {name: {each["name"]: each.get("exitCode") for each in task["containers"]} for name, task in ends.items()}


def _with_start_timeout(ecs: Any) -> str:
    """A revision whose Envoy has less time to start; its ARN."""
    definition = ecs.describe_task_definition(taskDefinition=FAMILY)["taskDefinition"]
    for container in definition["containerDefinitions"]:
        if container["name"] == naming.ENVOY_CONTAINER:
            assert container["startTimeout"] > START_TIMEOUT_S
            container["startTimeout"] = START_TIMEOUT_S
    made = ecs.register_task_definition(**{name: definition[name] for name in _REGISTERED})["taskDefinition"]
    return str(made["taskDefinitionArn"])
