"""
Events in the wild, and what people do by hand: one identity is broken, an operator is told, the others go on.

Played last of all on the session's demo: what is taken away here is not put back.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from evidence.fixtures.audit import actions, own_log
from local.demo.scene import GATEWAY, TELLER
from local.running_mesh import wait_until
from local.ticking import Ticking, dispatch
from meshcert import naming
from meshcert.cli import exit_codes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from tests.e2e.conftest import PlayedDemo

MODES, FAULTS = "/_local/events/modes", "/_local/faults"
CLUSTER = naming.cluster("color")


@pytest.fixture(scope="module", autouse=True)
def ticking(demo: PlayedDemo) -> Iterator[None]:
    """The clock ticks all through."""
    with Ticking(demo.aws, demo.mesh.name):
        yield


@dataclass(frozen=True)
class Visible:
    """What a rotation changes."""

    issued: str
    versions: dict[str, frozenset[str]]
    tasks: frozenset[str]
    deployments: int
    actions: tuple[str, ...]


def _visible(demo: PlayedDemo, identity: str) -> Visible:
    secret = naming.identity_secret("color", identity)
    labels = demo.mesh.client("secretsmanager").describe_secret(SecretId=secret)["VersionIdsToStages"]
    deployments = demo.mesh.client("ecs").list_service_deployments(cluster=CLUSTER, service=identity)
    return Visible(
        issued=demo.mesh.serial(identity),
        versions={version: frozenset(stages) for version, stages in labels.items()},
        tasks=frozenset(task.arn for task in demo.mesh.tasks(identity)),
        deployments=len(deployments["serviceDeployments"]),
        actions=tuple(actions(demo.audit(identity))),
    )


def _queue(demo: PlayedDemo, name: str) -> str:
    return str(demo.mesh.client("sqs").get_queue_url(QueueName=naming.queue("color", name))["QueueUrl"])


def _looks(demo: PlayedDemo, because: str) -> int:
    """How many looks the renewal function has taken because of it."""
    lines = own_log(demo.mesh, "renewal")
    return sum(line.get("message") == "looked" and because in line["by"] for line in lines)


def _event(demo: PlayedDemo, **changed: Any) -> dict[str, Any]:
    """What ACM says when the gateway's certificate was renewed, as it lies in the queue."""
    return {
        "version": "0",
        "id": "00000000-0000-0000-0000-00000000e2e0",
        "detail-type": "ACM Certificate Available",
        "source": "aws.acm",
        "account": demo.aws.account,
        "region": demo.aws.region,
        "resources": [demo.mesh.certificate(GATEWAY)["CertificateArn"]],
        "detail": {"Action": "RENEWAL", "CertificateType": "PRIVATE"},
        **changed,
    }


def test_events_of_others_and_broken_ones_do_nothing(demo: PlayedDemo) -> None:
    """Another account's, another region's, about nothing of ours, without fields, no JSON: taken, and that was all."""
    own = _event(demo)["resources"][0]
    foreign = own.replace(demo.aws.account, "999988887777")
    events: list[Any] = [
        _event(demo, account="999988887777"),
        _event(demo, region="us-east-1"),
        _event(demo, resources=[foreign]),
        _event(demo, source="aws.s3"),
        _event(demo, resources=None, detail=None),
        {"source": "aws.acm"},
        {"look": {"S": GATEWAY}},
        [own],
    ]
    before = {name: _visible(demo, name) for name in (GATEWAY, TELLER)}
    looked, sqs = _looks(demo, "e2e0"), demo.mesh.client("sqs")

    for body in [*map(json.dumps, events), "no JSON"]:
        sqs.send_message(QueueUrl=_queue(demo, "looks"), MessageBody=body)
        wait_until(lambda: not demo.mesh.queued("looks"), "the message taken", within_s=30)

    assert _looks(demo, "e2e0") == looked
    assert {name: _visible(demo, name) for name in (GATEWAY, TELLER)} == before
    # The same event without a fault is heard: the ones above could have been.
    sqs.send_message(QueueUrl=_queue(demo, "looks"), MessageBody=json.dumps(_event(demo)))
    wait_until(lambda: _looks(demo, "e2e0") == looked + 1, "a look because of it", within_s=30)
    assert {name: _visible(demo, name) for name in (GATEWAY, TELLER)} == before
    assert [demo.mesh.queued(f"{queue}-dead-letters") for queue in ("looks", "orders", "dispatch")] == [0, 0, 0]


def test_doubled_and_shuffled_events_change_nothing_in_a_rotation(demo: PlayedDemo) -> None:
    """Every event twice and out of order: one certificate, one version, one deployment, each action once."""
    before = _visible(demo, TELLER)
    demo.aws.control("PUT", MODES, [{"source": "*", "mode": "mixed", "seconds": 0.5}])
    try:
        ended = demo.operator.run("renew", TELLER, "--wait", "120", "--json")
        met = demo.aws.control("GET", MODES)["counts"]["mixed"]
    finally:
        demo.aws.control("PUT", MODES, [])
    wait_until(lambda: not demo.mesh.queued("looks"), "every event taken", within_s=30)
    after = _visible(demo, TELLER)

    assert ended.code == 0, ended.err
    assert met > 4
    assert after.issued != before.issued
    assert len(after.versions.keys() - before.versions.keys()) == 1
    assert after.deployments == before.deployments + 1
    assert after.actions[len(before.actions) :] == ("renew", "export", "redeploy", "prove")


@contextmanager
def _no_permission_on_the_ca(demo: PlayedDemo) -> Iterator[Callable[[], bool]]:
    """ACM may not have the gateway's certificate signed, until it is a day later; says whether it has tried."""
    authority = {"CertificateAuthorityArn": demo.mesh.certificate(GATEWAY)["CertificateAuthorityArn"]}
    private_ca = demo.mesh.client("acm-pca")
    (permission,) = private_ca.list_permissions(**authority)["Permissions"]
    private_ca.delete_permission(**authority, Principal=permission["Principal"])
    try:
        yield lambda: "RenewalStatusReason" in demo.mesh.certificate(GATEWAY).get("RenewalSummary", {})
    finally:
        private_ca.create_permission(
            **authority, Principal=permission["Principal"], Actions=sorted(permission["Actions"])
        )
        demo.aws.control("POST", "/_local/acm/day")


@contextmanager
def _no_secrets_manager(demo: PlayedDemo) -> Iterator[Callable[[], bool]]:
    """It fails the functions that ask for the gateway's secret; says whether they have, and about a new certificate."""
    issued, secret = demo.mesh.serial(GATEWAY), naming.identity_secret("color", GATEWAY)
    fault = {"kind": "503", "service": "secretsmanager", "resource": secret}
    owners = (naming.RENEWAL_ROLE, naming.EXPORT_ROLE)
    rules = [fault | {"role": naming.role("color", demo.aws.region, owner)} for owner in owners]
    demo.aws.control("PUT", FAULTS, rules)
    try:
        yield lambda: demo.mesh.serial(GATEWAY) != issued and bool(demo.aws.control("GET", FAULTS)["hits"])
    finally:
        demo.aws.control("PUT", FAULTS, [])


@pytest.mark.parametrize("outage", [_no_permission_on_the_ca, _no_secrets_manager])
def test_a_renewal_that_meets_an_outage_is_carried_through_after_it(
    demo: PlayedDemo, outage: Callable[[PlayedDemo], AbstractContextManager[Callable[[], bool]]]
) -> None:
    """Until AWS is back, what was served is served on; then it is one certificate, one version, each action once."""
    before, served = _visible(demo, GATEWAY), demo.mesh.served_by_all(GATEWAY)

    with outage(demo) as met:
        # As ACM does by itself.
        demo.mesh.client("acm").renew_certificate(CertificateArn=demo.mesh.certificate(GATEWAY)["CertificateArn"])
        wait_until(met, "the outage met", within_s=60)
        during = _visible(demo, GATEWAY)
        assert (during.versions, during.actions) == (before.versions, before.actions)
        assert demo.mesh.served_by_all(GATEWAY) == served

    wait_until(lambda: demo.mesh.current_version(GATEWAY) not in before.versions, "another version", within_s=60)
    wait_until(lambda: demo.is_proven(GATEWAY), "the version proven", within_s=60)
    after = _visible(demo, GATEWAY)
    assert after.issued != before.issued
    assert demo.mesh.served_by_all(GATEWAY) == {after.issued}
    assert len(after.versions.keys() - before.versions.keys()) == 1
    assert (after.tasks, after.deployments) == (before.tasks, before.deployments)
    assert after.actions[len(before.actions) :] == ("export", "prove")


def test_a_secret_that_is_to_be_deleted_holds_nobody_else_up(demo: PlayedDemo) -> None:
    """Status says what is wrong and how to mend it, an alarm sounds, the gateway rotates on; restored, all is well."""
    vault, secret = demo.mesh.client("secretsmanager"), naming.identity_secret("color", TELLER)
    served = demo.mesh.served_by_all(TELLER)

    vault.delete_secret(SecretId=secret, RecoveryWindowInDays=7)
    try:
        _assert_told(demo, "SecretMissing", "secretsmanager:RestoreSecret")
        _assert_rotates_on(demo)
        assert demo.mesh.served_by_all(TELLER) == served
    finally:
        vault.restore_secret(SecretId=secret)
    dispatch(demo.aws, "color", "sweep")
    wait_until(lambda: demo.is_proven(TELLER), "the teller settled again", within_s=30)
    assert demo.operator.run("status", TELLER).code == exit_codes.SETTLED


def test_a_service_that_is_gone_holds_nobody_else_up(demo: PlayedDemo) -> None:
    """An identity of two services would go on in the other; here it is told, and the gateway rotates on."""
    demo.mesh.client("ecs").delete_service(cluster=CLUSTER, service=TELLER, force=True)

    _assert_told(demo, "ServiceMissing", "Deploy the services stack")
    _assert_rotates_on(demo)


def test_a_certificate_that_somebody_deleted_holds_nobody_else_up(demo: PlayedDemo) -> None:
    """Only CloudFormation requests certificates: status says so, what is published stays, the gateway rotates on."""
    published = demo.mesh.current_version(TELLER)
    arn = demo.mesh.certificate(TELLER)["CertificateArn"]

    demo.mesh.client("acm").delete_certificate(CertificateArn=arn)

    _assert_told(demo, "CertificateMissing", "CloudFormation then requests another")
    _assert_rotates_on(demo)
    assert demo.mesh.current_version(TELLER) == published


def _assert_told(demo: PlayedDemo, kind: str, remedy: str) -> None:
    """The next sweep sees it: in the status, for a person to act on, counted, and alarmed."""
    dispatch(demo.aws, "color", "sweep")
    shown = demo.operator.run("status", "--json")
    (finding,) = (found for found in shown.identity(TELLER)["findings"] if found["kind"] == kind)
    assert shown.code == exit_codes.NEEDS_A_PERSON
    assert remedy in finding["remedy"]
    assert kind not in shown.findings(GATEWAY)
    alarm = naming.alarm("color", kind)
    wait_until(lambda: _state(demo, alarm) == "ALARM", f"alarm {alarm}", within_s=60)


def _state(demo: PlayedDemo, alarm: str) -> str:
    described = demo.mesh.client("cloudwatch").describe_alarms(AlarmNames=[alarm])
    return str(described["MetricAlarms"][0]["StateValue"])


def _assert_rotates_on(demo: PlayedDemo) -> None:
    """Ordered now, the other identity's renewal is carried through to its running Envoy."""
    before = demo.mesh.serial(GATEWAY)
    ended = demo.operator.run("renew", GATEWAY, "--wait", "60")
    assert ended.code == exit_codes.SETTLED, ended.err
    assert demo.mesh.serial(GATEWAY) != before
    assert demo.mesh.served_by_all(GATEWAY) == {demo.mesh.serial(GATEWAY)}
