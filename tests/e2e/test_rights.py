"""
What each role may do against what it did, over the whole demo, the deploys after it, and an operator's day.

The local AWS evaluates every call against the deployed policies and keeps a log of (role, action, resource). What it
cannot evaluate is asserted on the templates (tests/stacks).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from evidence.fixtures.audit import actions
from evidence.fixtures.grants import Role, unused, used_by_lambda, used_with_routes
from evidence.fixtures.terminal import NAME
from local.demo.scene import ANSWER, GATEWAY, TELLER
from local.gateway_client import Gateway, SteadyClient
from local.running_mesh import wait_until
from local.ticking import Ticking, dispatch
from meshcert import naming
from meshcert.cli import exit_codes
from meshcert.contract.staging_labels import PREVIOUS, QUARANTINED
from tests.e2e.conftest import IN_HASTE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evidence.fixtures.terminal import Ended
    from tests.e2e.conftest import PlayedDemo

CLUSTER = naming.cluster("color")
SERVICES = (GATEWAY, TELLER)
PAUSE_S = 0.02
"""Between two requests: without it, asking alone takes a core."""
ROLES = ("export", "verify", "renewal", "dispatch", naming.OPERATOR_ROLE, *SERVICES)


@pytest.fixture(scope="module", autouse=True)
def sweep(demo: PlayedDemo) -> Iterator[None]:
    """A sweep, and a clock that ticks all through."""
    dispatch(demo.aws, demo.mesh.name, "sweep")
    with Ticking(demo.aws, demo.mesh.name):
        yield


@pytest.fixture(scope="module")
def renewed(demo: PlayedDemo) -> Ended:
    """An operator orders a new certificate for the teller, and waits for it."""
    return demo.operator.run("renew", TELLER, "--reason", "a test", "--wait", "120", "--json")


@pytest.fixture(scope="module")
def rolled_back(demo: PlayedDemo, renewed: Ended) -> Ended:
    """An operator orders the gateway's version away, and waits for what comes of it."""
    assert renewed.code == 0
    return demo.operator.run("rollback", GATEWAY, "--reason", "a test", "--wait", "120", "--json")


@pytest.fixture(scope="module")
def watched(demo: PlayedDemo, rolled_back: Ended) -> Ended:
    """An operator looks while ECS replaces the gateway's task, on somebody else's order."""
    assert rolled_back.code == 0
    # The new task's secrets come late, or the deployment would be over before anybody can look.
    slow = {"kind": "latency", "service": "secretsmanager", "action": "GetSecretValue", "ms": 2500}
    demo.aws.control("PUT", "/_local/faults", [slow | {"role": naming.role("color", demo.aws.region, GATEWAY)}])
    try:
        demo.mesh.client("ecs").update_service(cluster=CLUSTER, service=GATEWAY, forceNewDeployment=True)
        wait_until(lambda: not demo.mesh.is_steady([GATEWAY]), "ECS at work", within_s=15, every_s=0.02)
        return demo.operator.run("status", GATEWAY, "--json")
    finally:
        demo.aws.control("PUT", "/_local/faults", [])


@pytest.fixture(scope="module")
def unnoticed(demo: PlayedDemo, watched: Ended) -> Ended:
    """An operator looks at a certificate that ACM has renewed, and of which the renewal function knows nothing yet."""
    assert watched.document
    wait_until(lambda: demo.mesh.is_steady([GATEWAY]) and demo.is_proven(GATEWAY), "a quiet moment", within_s=60)
    before, certificate = demo.mesh.serial(GATEWAY), demo.mesh.certificate(GATEWAY)
    demo.aws.control("PUT", "/_local/events/modes", [{"source": "*", "mode": "lost"}])
    try:
        demo.mesh.client("acm").renew_certificate(CertificateArn=certificate["CertificateArn"])
        wait_until(lambda: demo.mesh.serial(GATEWAY) != before, "ACM's renewal", within_s=30)
        return demo.operator.run("status", GATEWAY, "--json")
    finally:
        demo.aws.control("PUT", "/_local/events/modes", [])
        dispatch(demo.aws, "color", "sweep")
        wait_until(lambda: _serves_what_is_issued(demo), "the sweep", within_s=60)


@pytest.fixture(scope="module")
def replaced(demo: PlayedDemo, unnoticed: Ended) -> tuple[str, SteadyClient]:
    """
    One of two tasks of the gateway says that it still serves the version before, and is given up.

    Returns:
        Its ARN, and who asked through the load balancer until it had ended, and for some time after.
    """
    assert unnoticed.document
    # Older than the version: a task that started after it would have read it.
    laggard = demo.mesh.task(GATEWAY).arn
    _scale(demo, 2)
    demo.set_policy(replace(IN_HASTE, acknowledge_within_s=0.0))
    demo.mesh.client("dynamodb").update_item(
        TableName=naming.acknowledgements_table("color"),
        Key={"service": {"S": GATEWAY}, "task": {"S": laggard}},
        UpdateExpression="SET #secrets.#identity.#version = :before",
        ExpressionAttributeNames={"#secrets": "secrets", "#identity": GATEWAY, "#version": "version"},
        ExpressionAttributeValues={":before": {"S": demo.mesh.version_labelled(GATEWAY, PREVIOUS)}},
    )
    gateway = Gateway(
        demo.mesh.gateway_address(GATEWAY), 8443, f"{GATEWAY}.mtls.svc.cluster.local", demo.mesh.trust_bundle(GATEWAY)
    )
    with SteadyClient(gateway, ANSWER, demo.aws.requests_seen, PAUSE_S) as asked:
        dispatch(demo.aws, "color", "sweep")
        wait_until(lambda: _ended(demo, laggard), "it ended", within_s=120)
        wait_until(lambda: len(demo.mesh.tasks(GATEWAY)) == 2 and demo.is_proven(GATEWAY), "another one", within_s=60)
        enough = asked.requests + 200
        wait_until(lambda: asked.requests > enough, "requests after its end", within_s=60)
    demo.set_policy(IN_HASTE)
    _scale(demo, 1)
    return laggard, asked


@pytest.fixture(scope="module")
def told_from_tables(demo: PlayedDemo, leaked: Ended) -> Ended:
    """An operator asks what the last looks have found, as of a large mesh."""
    assert leaked.document
    return demo.operator.run("status", "--recorded", "--json")


@pytest.fixture(scope="module")
def leaked(demo: PlayedDemo, replaced: tuple[str, SteadyClient]) -> Ended:
    """An operator says that the teller's key has leaked, and waits until the old certificate is revoked."""
    assert replaced
    return demo.operator.run("compromised", TELLER, "--reason", "a test", "--wait", "240", "--json")


def _ended(demo: PlayedDemo, task: str) -> bool:
    described = demo.mesh.client("ecs").describe_tasks(cluster=CLUSTER, tasks=[task])["tasks"]
    return not described or described[0]["lastStatus"] == "STOPPED"


def _serves_what_is_issued(demo: PlayedDemo) -> bool:
    return demo.mesh.served_by_all(GATEWAY) == {demo.mesh.serial(GATEWAY)} and demo.is_proven(GATEWAY)


def _scale(demo: PlayedDemo, tasks: int) -> None:
    demo.mesh.client("ecs").update_service(cluster=CLUSTER, service=GATEWAY, desiredCount=tasks)
    wait_until(
        lambda: len(demo.mesh.tasks(GATEWAY)) == tasks and demo.mesh.is_steady([GATEWAY]), f"{tasks} tasks", within_s=60
    )
    # A settled identity is looked at again once a task has started or stopped.
    dispatch(demo.aws, "color", "sweep")
    wait_until(lambda: demo.is_proven(GATEWAY), "all of them on the current version", within_s=60)


def test_an_operator_renews_with_the_operator_role(demo: PlayedDemo, renewed: Ended) -> None:
    """The order is carried out to the end: another version, served by a new deployment, and the log says who."""
    shown = renewed.document["after"]
    lines = demo.audit(TELLER)[-4:]

    assert renewed.code == 0, renewed.err
    assert (shown["settled"], shown["published"]["version"]) == (True, demo.mesh.current_version(TELLER))
    assert {task["version"] for task in shown["services"][-1]["tasks"]} == {demo.mesh.current_version(TELLER)}
    assert actions(lines) == ["renew", "export", "redeploy", "prove"]
    assert lines[0]["by"].endswith(f":{NAME}")


def test_an_operator_rolls_back_with_the_operator_role(demo: PlayedDemo, rolled_back: Ended) -> None:
    """The version is quarantined, the proxies go back, and a fresh renewal settles the identity."""
    lines = demo.audit(GATEWAY)
    begin = max(place for place, line in enumerate(lines) if line["action"] == "roll back")
    left = lines[begin]["before"]

    assert rolled_back.code == 0, rolled_back.err
    assert demo.mesh.version_labelled(GATEWAY, QUARANTINED) == left
    assert rolled_back.document["after"]["published"]["version"] not in {left, lines[begin]["after"]}
    assert actions(lines[begin:])[:2] == ["roll back", "renew"]


def test_an_operator_sees_the_mesh_with_the_operator_role(demo: PlayedDemo, rolled_back: Ended) -> None:
    """Plan and status are settled, history tells who ordered what, verify finds no fault; none needs more."""
    assert rolled_back.code == 0
    plan, status = (demo.operator.run(command, "--json") for command in ("plan", "status"))
    history, verdict = (demo.operator.run(command, GATEWAY, "--json") for command in ("history", "verify"))

    assert [plan.code, status.code, history.code, verdict.code] == [0, 0, 0, 0], plan.err + status.err
    assert plan.document["month"]["dollars"] > 1000
    assert [one["identity"] for one in status.document["identities"]] == sorted(SERVICES)
    assert any(entry["by"].endswith(f":{NAME}") for entry in history.document["entries"])
    assert verdict.document["faults"] == []
    assert verdict.document["version_id"] == demo.mesh.current_version(GATEWAY)


def test_an_operator_sees_a_deployment_under_way(watched: Ended) -> None:
    """Whoever began it, and though nothing is wrong with the identity: the status shows it."""
    (service,) = watched.identity(GATEWAY)["services"]

    assert watched.findings(GATEWAY) == []
    assert service["deployment"] == "IN_PROGRESS"


def test_an_operator_sees_a_certificate_that_the_renewal_function_has_not_seen(unnoticed: Ended) -> None:
    """The issued version is told from the certificate itself; the next step is to publish it."""
    seen = unnoticed.identity(GATEWAY)

    assert unnoticed.code == exit_codes.UNSETTLED, unnoticed.err
    assert seen["issued"]["version"] not in {None, seen["published"]["version"]}
    assert (seen["next"]["action"], seen["next"]["version"]) == ("export", seen["issued"]["version"])


def test_a_late_task_behind_a_load_balancer_is_replaced_and_no_request_fails(
    demo: PlayedDemo, replaced: tuple[str, SteadyClient]
) -> None:
    """By one deployment, which the audit log names; whoever runs now serves the current version."""
    late, asked = replaced
    (line,) = [line for line in demo.audit(GATEWAY) if line["action"] == "redeploy"]

    assert "1 of its tasks serve another version" in line["why"]
    assert late not in {task.arn for task in demo.mesh.tasks(GATEWAY)}
    assert demo.mesh.served_by_all(GATEWAY) == {demo.mesh.serial(GATEWAY)}
    assert asked.requests > 200
    assert asked.failures == []


def test_an_operator_has_a_leaked_keys_certificates_revoked_with_the_operator_role(
    demo: PlayedDemo, leaked: Ended
) -> None:
    """
    By the renewal function alone: every certificate of the teller's until then, and the new one not.

    Those that another certificate resource of ACM's had before are to be revoked by hand: their CA is not known.
    """
    told = leaked.document["after"]["compromised"]
    compromised = {one["serial_number"]: one["revoked_at"] for one in told if one["certificate_authority_arn"]}
    revoked = [line["why"].rpartition(" ")[2] for line in demo.audit(TELLER) if line["action"] == "revoke"]

    assert leaked.code == 0, leaked.err
    assert compromised
    assert all(compromised.values())
    assert sorted(revoked) == sorted(compromised)
    assert demo.mesh.serial(TELLER) not in {one["serial_number"].lstrip("0") for one in told}
    assert leaked.document["revocation_list"] is False
    assert "its CA writes no revocation list, so peers accept the old key until 20" in leaked.err


def test_what_the_last_looks_have_found_is_read_from_the_tables(told_from_tables: Ended) -> None:
    """By the operator role's right to read them whole."""
    document = told_from_tables.document

    assert {one["identity"] for one in document["identities"]} == {GATEWAY, TELLER}
    assert all(one["looked_at"] and one["published"]["version"] for one in document["identities"])


@pytest.mark.usefixtures("leaked", "told_from_tables")
@pytest.mark.parametrize("owner", ROLES)
def test_a_role_may_do_what_it_does_and_nothing_besides(demo: PlayedDemo, owner: str) -> None:
    """Granted = used, action by action and resource by resource: what nobody needed would be a right too many."""
    role = Role(demo.aws, "color", owner)

    elsewhere = used_by_lambda(role) | used_with_routes(role)

    assert set(unused(role.grants(), role.decisions())) == elsewhere


@pytest.mark.usefixtures("leaked", "told_from_tables")
@pytest.mark.parametrize("owner", ROLES)
def test_no_role_was_ever_refused_what_it_needs(demo: PlayedDemo, owner: str) -> None:
    """Over deploys, renewals, roll backs and an operator's commands, none of the product's calls was denied."""
    role = Role(demo.aws, "color", owner)

    assert role.decisions()
    assert role.denied() == []


@pytest.mark.parametrize(("owner", "tables"), [("renewal", {"lifecycle"}), ("operator", set()), ("dispatch", set())])
def test_a_role_of_the_lifecycle_writes_only_what_is_its_own(demo: PlayedDemo, owner: str, tables: set[str]) -> None:
    """Guards the sum above by what was seen: no other table was ever written in its name."""
    writes = {
        decision.resource.rpartition("-")[2]
        for decision in Role(demo.aws, "color", owner).decisions()
        if decision.action in {"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"}
    }

    assert writes == tables


def test_a_role_touches_only_this_meshs_resources(demo: PlayedDemo) -> None:
    """Every secret carries the mesh's prefix; a task's secrets are its own identity and its peer's trust bundle."""
    for service, peer in (("colorgateway", "colorteller"), ("colorteller", "colorgateway")):
        secrets = {
            decision.resource.split(":secret:")[1].rsplit("-", 1)[0]
            for decision in Role(demo.aws, "color", service).decisions()
            if ":secret:" in decision.resource
        }

        assert secrets == {
            naming.identity_secret("color", service),
            naming.trust_bundle_secret("color", peer),
        }


@pytest.mark.parametrize(
    ("service", "secret"),
    [
        ("colorgateway", naming.identity_secret("color", "colorteller")),
        ("colorteller", naming.identity_secret("color", "colorgateway")),
        ("execution", naming.identity_secret("color", "colorgateway")),
    ],
)
def test_no_role_reads_another_identitys_secret(demo: PlayedDemo, service: str, secret: str) -> None:
    """The gateway's task cannot read the teller's key, nor the other way round, nor ECS itself any of them."""
    role = Role(demo.aws, "color", service)

    with pytest.raises(ClientError, match="AccessDenied"):
        demo.aws.client_as(role.arn, "secretsmanager").get_secret_value(SecretId=secret)


def test_even_an_administrator_writes_no_material(demo: PlayedDemo) -> None:
    """The secret's own policy denies values and labels from anyone but the export role, whatever else they may do."""
    iam = demo.mesh.client("iam")
    arn = iam.create_role(
        RoleName="careless-administrator",
        AssumeRolePolicyDocument='{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",'
        '"Principal":{"AWS":"arn:aws:iam::111122223333:root"}}]}',
    )["Role"]["Arn"]
    everything = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
    iam.put_role_policy(RoleName="careless-administrator", PolicyName="Everything", PolicyDocument=everything)
    vault = demo.aws.client_as(arn, "secretsmanager")
    secret = naming.identity_secret("color", "colorteller")

    versions = vault.describe_secret(SecretId=secret)["VersionIdsToStages"]
    older = next(version for version, labels in versions.items() if "AWSPREVIOUS" in labels)
    with pytest.raises(ClientError, match="AccessDenied"):
        vault.put_secret_value(SecretId=secret, SecretString="careless")
    with pytest.raises(ClientError, match="AccessDenied"):
        vault.update_secret(SecretId=secret, SecretString="careless")
    with pytest.raises(ClientError, match="AccessDenied"):
        vault.update_secret_version_stage(
            SecretId=secret,
            VersionStage="AWSCURRENT",
            MoveToVersionId=older,
            RemoveFromVersionId=demo.mesh.current_version("colorteller"),
        )
    assert vault.describe_secret(SecretId=secret)["VersionIdsToStages"] == versions
