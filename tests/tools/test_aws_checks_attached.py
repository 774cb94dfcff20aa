"""Services of yours: their sidecar, and what reaches their applications past it."""

from __future__ import annotations

import ast
import datetime as dt
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from local.cdk import ROOT
from meshcert.aws.ecs.ways_past import WaysPast
from meshcert.mesh import load_mesh, sidecar
from meshcert.mesh.rendering.sidecar import container_definition, dependencies
from tests.tools.judgements import NO, YES, assert_judged
from tools.aws_checks import CHECKS
from tools.aws_checks.account import READS
from tools.aws_checks.attached import (
    ANY_IMAGE,
    RolloutSeen,
    SidecarSeen,
    judge_rollout,
    judge_sidecar,
    judge_ways_past,
)
from tools.aws_checks.deployment import Deployment
from tools.aws_checks.granted import grants
from tools.aws_checks.services import judge_deployments
from tools.aws_checks.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tools.aws_checks.verdicts import Finding

MESH = load_mesh(ROOT / "examples" / "own-cdk-app" / "mesh.yaml")
FOUND = sidecar(MESH, "orders")
PRINTED = [container_definition(FOUND, each, ANY_IMAGE, "us-west-1") for each in FOUND.containers]
PORT = 8080


def as_deployed() -> dict[str, Any]:
    """A task definition as ECS gives it back: with fields of its owner's and of ECS's beside those that are printed."""
    containers = deepcopy(PRINTED)
    for each in containers:
        each |= {"image": "envoy", "mountPoints": [], "cpu": 0}
        each["environment"] = [*each["environment"], {"name": "MESHCERT_LOG_LEVEL", "value": "debug"}]
        each["linuxParameters"]["tmpfs"][0]["mountOptions"].reverse()
        for mapping in each.get("portMappings", ()):
            mapping["hostPort"] = mapping["containerPort"]
    after = [*dependencies(FOUND.application_after), {"containerName": "agent", "condition": "START"}]
    containers.append({"name": "app", "dependsOn": after, "portMappings": [{"name": "web", "containerPort": PORT}]})
    return {"networkMode": "awsvpc", "taskRoleArn": "role", "containerDefinitions": containers}


def seen(change: Callable[[dict[str, Any]], object] = lambda _: None) -> SidecarSeen:
    """What is deployed after a change."""
    definition = as_deployed()
    change(definition)
    return SidecarSeen("orders", PRINTED, "app", {"dependsOn": dependencies(FOUND.application_after)}, definition)


def without_tmpfs(definition: dict[str, Any]) -> None:
    """Keys would lie on a disk."""
    del definition["containerDefinitions"][0]["linuxParameters"]["tmpfs"]


def role_of_yours(definition: dict[str, Any]) -> None:
    """As ECS tells it."""
    definition["taskRoleArn"] = "arn:aws:iam::111122223333:role/shop/orders"


def another_row(definition: dict[str, Any]) -> None:
    """Of another mesh, or of a meshcert that named it otherwise."""
    definition["containerDefinitions"][0]["environment"][0]["value"] = "dynamodb://table/settings/other"


@pytest.mark.parametrize(
    ("found", "verdict", "words"),
    [
        (seen(), YES, ("envoy, readiness, app as printed",)),
        (seen(lambda it: it.update(networkMode="bridge")), NO, ("network mode bridge", "awsvpc")),
        (seen(lambda it: it.update(networkMode="host")), NO, ("network mode host", "awsvpc")),
        (seen(lambda it: it.pop("networkMode")), NO, ("network mode bridge", "awsvpc")),
        (seen(lambda it: it.pop("taskRoleArn")), NO, ("no task role",)),
        (replace(seen(role_of_yours), task_role="shop/orders"), YES, ("as printed",)),
        (replace(seen(role_of_yours), task_role="orders"), NO, ("task role shop/orders, not orders",)),
        (replace(seen(), architecture="X86_64"), YES, ("as printed",)),
        (replace(seen(), architecture="ARM64"), NO, ("CPU architecture X86_64", "ARM64", "architecture: x86_64")),
        (
            replace(
                seen(lambda it: it.update(runtimePlatform={"cpuArchitecture": "ARM64"})),
                architecture="ARM64",
            ),
            YES,
            ("as printed",),
        ),
        (seen(lambda it: it["containerDefinitions"].pop(1)), NO, ("no container readiness", "meshcert sidecar orders")),
        (seen(lambda it: it["containerDefinitions"].pop()), NO, ("no container app",)),
        (seen(lambda it: it["containerDefinitions"][-1].pop("dependsOn")), NO, ("app.dependsOn",)),
        (seen(lambda it: it["containerDefinitions"][0].update(stopTimeout=1)), NO, ("envoy.stopTimeout",)),
        (seen(without_tmpfs), NO, ("envoy.linuxParameters.tmpfs",)),
        (seen(another_row), NO, ("envoy.environment",)),
    ],
    ids=[
        *(
            "as printed",
            "bridge",
            "host",
            "the default mode",
            "no role",
            "the role",
            "another role",
            "its processor",
            "another processor",
            "its processor, not the default",
            "no readiness",
            "no application",
        ),
        *("application before Envoy", "an older sidecar", "no tmpfs", "another row"),
    ],
)
def test_a_task_definition_of_yours_has_what_is_printed(
    found: SidecarSeen, verdict: Verdict, words: tuple[str, ...]
) -> None:
    """And whatever its owner has besides; what differs is named by its place, as after an update of meshcert."""
    assert_judged(judge_sidecar(found), verdict, *words)


BLUE_GREEN = {"deploymentConfiguration": {"strategy": "BLUE_GREEN"}}


@pytest.mark.parametrize(
    ("found", "verdict", "words"),
    [
        (RolloutSeen(redeploys=True, service={}), YES, ("ECS begins", "rotation: redeploy")),
        (
            RolloutSeen(redeploys=True, service={"deploymentController": {"type": "CODE_DEPLOY"}}),
            NO,
            ("CODE_DEPLOY", "rotation: reload"),
        ),
        (
            RolloutSeen(redeploys=True, service={"deploymentController": {"type": "EXTERNAL"}}),
            NO,
            ("EXTERNAL", "rotation: reload"),
        ),
        (RolloutSeen(redeploys=True, service=BLUE_GREEN), NO, ("BLUE_GREEN", "rotation: reload")),
        (RolloutSeen(redeploys=False, service=BLUE_GREEN), YES, ("BLUE_GREEN", "rotation: reload")),
    ],
    ids=["rolling", "CodeDeploy", "external", "blue/green", "blue/green that reloads"],
)
def test_deployments_that_are_left_to_their_owner_are_told(
    found: RolloutSeen, verdict: Verdict, words: tuple[str, ...]
) -> None:
    """Before a certificate waits for one that does not come."""
    assert_judged(judge_rollout(found), verdict, *words)


def test_a_circuit_breaker_of_yours_is_your_own_affair() -> None:
    """Whether it is on, and whether it rolls back."""
    deployments = [{"status": "PRIMARY", "rolloutState": "COMPLETED"}]
    service = {"runningCount": 2, "desiredCount": 2, "deployments": deployments}

    assert_judged(judge_deployments(service), YES, "2 of 2 tasks")


WAYS = WaysPast(
    PORT,
    "orders",
    {
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"]}},
        "deployments": [{"status": "PRIMARY"}],
    },
    {},
    [],
    {},
)
BALANCED = {**WAYS.service, "loadBalancers": [{"containerPort": PORT, "targetGroupArn": "tg/old"}]}
CONNECTED = {"status": "PRIMARY", "serviceConnectConfiguration": {"services": [{"portName": "web"}]}}


@pytest.mark.parametrize(
    ("found", "verdict", "words"),
    [
        (WAYS, YES, (f"nothing reaches port {PORT}",)),
        (replace(WAYS, service=BALANCED), NO, ("STRICT is not effective", "target group tg/old", f"port {PORT}")),
        (
            replace(WAYS, service={**WAYS.service, "deployments": [CONNECTED]}, definition=None),
            Verdict.UNDECIDED,
            ("Service Connect's web", "ecs:DescribeTaskDefinition"),
        ),
    ],
    ids=["none", "one", "one that may be"],
)
def test_strict_is_effective_when_nothing_reaches_the_application_itself(
    found: WaysPast, verdict: Verdict, words: tuple[str, ...]
) -> None:
    """What there may be: tests/meshcert/aws/test_ways_past.py."""
    assert_judged(judge_ways_past(found), verdict, *words)


class TheirAccount:
    """An account with the service ``orders``, whose role of its owner's may nothing."""

    def __init__(self, definition: dict[str, Any]) -> None:
        self._definition = definition
        self.simulated: set[str] = set()
        self.listed: list[Mapping[str, Any]] = []

    def read(self, action: str, **arguments: Any) -> Mapping[str, Any]:
        """What AWS says."""
        if action == "iam:SimulatePrincipalPolicy":
            self.simulated.add(arguments["PolicySourceArn"])
            return {"EvaluationResults": [{"EvalDecision": "implicitDeny"}]}
        if action == "ecs:ListTasks":
            self.listed.append(arguments)
        statement = {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": "*"}
        policy = {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": {"Statement": [statement]}}}
        task = {"taskDefinitionArn": "td/1", "lastStatus": "RUNNING", "healthStatus": "HEALTHY"}
        answers: dict[str, Mapping[str, Any]] = {
            "cloudformation:GetTemplate": {"TemplateBody": {"Resources": {"OrdersPolicy": policy}}},
            "ecs:DescribeServices": {"services": [{"status": "ACTIVE", "taskDefinition": "td/1"}]},
            "ecs:DescribeTaskDefinition": {"taskDefinition": self._definition},
            "ecs:DescribeTasks": {"tasks": [task]},
            "ecs:ListTasks": {"taskArns": ["task/1"]},
            "secretsmanager:DescribeSecret": {"ARN": "secret"},
        }
        return answers[action]


def judged_in(account: TheirAccount, check: str) -> Finding:
    """What a check says of ``orders`` there."""
    asked: Any = account
    deployment = Deployment(MESH, asked, "aws", "us-west-1", "111122223333", dt.datetime.now(dt.UTC))
    (found,) = (each for each in CHECKS if each.name == check)
    return next(finding for finding in found.findings(deployment) if finding.subject == "orders")


def test_rights_are_asked_of_the_role_that_the_task_definition_names() -> None:
    """A role without the policy is told with the policy's name; nobody is told to deploy the stack again."""
    account = TheirAccount({**as_deployed(), "taskRoleArn": "arn:aws:iam::111122223333:role/theirs"})

    told = judged_in(account, "rights-task")

    assert "arn:aws:iam::111122223333:role/theirs" in account.simulated
    assert told.verdict is NO
    assert "secretsmanager:GetSecretValue of orders: implicitDeny, should be allowed" in told.seen
    assert told.remedy.startswith("Attach the policy meshcert-shop-us-west-1-orders")


def test_a_task_definition_without_a_role_is_told() -> None:
    """There is nothing that could be simulated."""
    definition = as_deployed()
    del definition["taskRoleArn"]

    told = judged_in(TheirAccount(definition), "rights-task")

    assert told.verdict is NO
    assert "A task role of service orders does not exist. Attach the policy" in told.seen


def test_a_policy_that_hangs_at_a_role_of_yours_is_no_fault_of_the_templates() -> None:
    """Its template names no role; before, the command ended there."""
    account: Any = TheirAccount(as_deployed())
    deployment = Deployment(MESH, account, "aws", "us-west-1", "111122223333", dt.datetime.now(dt.UTC))

    assert list(grants(deployment)) == []


def test_the_tmpfs_is_that_of_the_sidecar_and_tasks_are_those_of_your_cluster() -> None:
    """No stack of the mesh's has its task definition."""
    account = TheirAccount(as_deployed())

    assert judged_in(account, "service-tmpfs").verdict is YES
    assert {"cluster": "own", "serviceName": "orders"} in account.listed


def test_every_call_that_a_check_makes_is_listed() -> None:
    """Another would end the command in the one account whose mesh file needs it."""
    files = [*(ROOT / "tools" / "aws_checks").glob("*.py"), ROOT / "meshcert" / "aws" / "ecs" / "ways_past.py"]
    asked = {
        call.args[0].value
        for path in files
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and call.args and isinstance(call.args[0], ast.Constant)
        if getattr(call.func, "attr", getattr(call.func, "id", "")) == "read"
    }

    assert asked == READS
