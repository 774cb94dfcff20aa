"""Services of a CDK app and of a template of somebody's own join a mesh under load, are rotated, and leave again."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import pytest

from evidence.fixtures.attached_services import counts, join_and_leave, own_services
from evidence.fixtures.grants import Grant, Role, SidecarRole, unused
from evidence.fixtures.own_services import SERVICES
from evidence.fixtures.terminal import OperatorTerminal
from local.running_mesh import wait_until
from meshcert import naming
from meshcert.contract import exit_codes
from meshcert.mesh import load_mesh
from tests.e2e.attached_job import FAILS, IN_VAIN, REPORTS, ended_jobs
from tools.aws_checks import attached
from tools.aws_checks.account import Account
from tools.aws_checks.deployment import Deployment
from tools.aws_checks.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evidence.fixtures.own_services import OwnServices

ENOUGH = 250
"""Requests of each client."""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnServices]:
    """Both services as they were before."""
    with own_services(tmp_path_factory.mktemp("attached")) as found:
        yield found


@pytest.mark.timeout(400)
def test_services_of_somebodys_own_join_are_rotated_and_rolled_back_and_leave(own: OwnServices) -> None:
    """
    No request fails, by their own load balancers in plain text or through the mesh; nobody sets their number of tasks.

    Both join while they are asked. Certificates are renewed, one goes bad and back, and the mesh file goes from
    PERMISSIVE to STRICT without a deployment of their owners; ``make verify-aws`` finds the sidecars as they are
    printed, and the ways past them, and operators see the same. A job calls one of them meanwhile, and its exit code is
    the task's. What all of them take in rights is used. The benchmark ``attached`` does more of it.
    """
    found: dict[tuple[str, str], tuple[Verdict, str]] = {}
    jobs: dict[str, dict[str, int | None]] = {}
    granted: list[tuple[Role, set[Grant]]] = []
    told: list[dict[str, Any]] = []

    def look() -> None:
        own.deploy_job()
        found.update(verified(own))
        jobs.update(ended_jobs(own))
        operator = OperatorTerminal(own.aws, "shop", MESHCERT_MESH=str(own.file))
        granted.extend(taken(own))
        told.extend(operator.run("status", "--json").document["strict"])
        tells_of_a_role_without_its_policy(own)

    asked = join_and_leave(own, rotations=1, rolled_back=["stock"], say=print, when_strict=look)

    assert {name: each.failures for name, each in asked.items()} == {"orders": (), "stock": ()}
    assert min(each.fewest for each in asked.values()) >= ENOUGH
    assert counts(own) == {"orders": 2, "stock": 2}
    for name in asked:
        for check in ("sidecar-deployed", "sidecar-rollouts", "sidecar-steady"):
            assert found[check, name][0] is Verdict.CONFIRMED, found[check, name]
        verdict, said = found["strict-effective", name]
        assert verdict is Verdict.CONTRADICTED, said
        assert all(words in said for words in ("STRICT is not effective", "admits 172.16.0.0/16", "target group")), said
    assert [each["service"] for each in told] == list(asked)
    for each in told:
        verdict, said = found["strict-effective", each["service"]]
        assert each["effective"] is False, each
        assert said == f"STRICT is not effective: {'; '.join(each['ways_past'])} to port {each['port']}"
    assert found["sidecar-deployed", "report"][0] is Verdict.CONFIRMED, found["sidecar-deployed", "report"]
    assert jobs == {
        REPORTS: {"app": 0, "envoy": exit_codes.STOPPED},
        FAILS: {"app": 1, "envoy": exit_codes.STOPPED},
        IN_VAIN: {"app": None, "envoy": exit_codes.SETTINGS},
    }
    assert {role.owner for role, _ in granted} == {naming.RENEWAL_ROLE, naming.OPERATOR_ROLE, *SERVICES, "report"}
    left = {(role.owner, each.action) for role, held in granted for each in unused(held, role.decisions())}
    # Operators ask where a deployment is under way (tests/e2e/test_rights.py); jobs that outlast a poll look again.
    longer = {("report", "secretsmanager:DescribeSecret"), ("report", "servicediscovery:DiscoverInstancesRevision")}
    assert left <= {(naming.OPERATOR_ROLE, "ecs:ListServiceDeployments"), *longer}


def tells_of_a_role_without_its_policy(own: OwnServices) -> None:
    """The task role of ``orders`` is denied its secrets: its running tasks are told, no other's, until it has them."""
    iam, role = own.aws.client("iam"), SidecarRole(own.aws, "shop", "orders")

    def told() -> list[str]:
        ended = OperatorTerminal(own.aws, "shop", MESHCERT_MESH=str(own.file)).run("status", "--json")
        details = [each["detail"] for one in ended.document["identities"] for each in one["findings"]]
        return [detail for detail in details if "denied what is new" in detail or "acknowledged nothing" in detail]

    statement = {"Effect": "Deny", "Action": "secretsmanager:*", "Resource": "*"}
    denies = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=role.name, PolicyName="Denies", PolicyDocument=denies)
    (detail,) = wait_until(told, "tasks that are denied", within_s=20)
    assert "tasks of orders are denied what is new: attach the policy that meshcert sidecar orders names" in detail
    assert "secretsmanager:" in detail
    iam.delete_role_policy(RoleName=role.name, PolicyName="Denies")
    wait_until(lambda: not told(), "tasks as before", within_s=20)


def taken(own: OwnServices) -> Iterator[tuple[Role, set[Grant]]]:
    """All rights of the sidecars, and those that the lifecycle and operators have on these services and settings."""
    about = (":service/own/", ":task/own/", f":table/{naming.routes_table('shop')}", ":servicediscovery:")
    for owner in (naming.RENEWAL_ROLE, naming.OPERATOR_ROLE):
        role = Role(own.aws, "shop", owner)
        grants = role.grants()
        yield (
            role,
            {each for each in grants if each.action.startswith("ec2:") or any(part in each.resource for part in about)},
        )
    for name in (*SERVICES, "report"):
        sidecar = SidecarRole(own.aws, "shop", name)
        assert sidecar.decisions()
        yield sidecar, sidecar.grants()


def verified(own: OwnServices) -> dict[tuple[str, str], tuple[Verdict, str]]:
    """What ``make verify-aws`` says of them: check and service to verdict and words."""
    deployment = Deployment.find(load_mesh(own.file), Account(own.aws.client), own.aws.region, dt.datetime.now(dt.UTC))
    findings = [finding for check in attached.CHECKS for finding in check.findings(deployment)]
    return {(each.check, each.subject): (each.verdict, each.seen) for each in findings}
