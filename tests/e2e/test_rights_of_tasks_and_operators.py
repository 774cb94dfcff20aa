"""Whoever has taken over a task, or an operator's credentials: what they try, and what they get."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from evidence.fixtures.canary import search_texts, secrets_of
from local.demo.scene import GATEWAY, TELLER
from meshcert import naming
from tests.e2e.intruder import Intruder
from tests.local.aws.refusals import denial_of, is_allowed

if TYPE_CHECKING:
    from tests.e2e.conftest import PlayedDemo

SECRET = naming.identity_secret("color", TELLER)
IDENTITIES = naming.identities_table("color")
ACKNOWLEDGEMENTS = naming.acknowledgements_table("color")
EXPORT, VERIFY, DEPLOY, RENEWAL, DISPATCH = (
    naming.function("color", name) for name in ("export", "verify", "deploy", "renewal", "dispatch")
)
LONG_TIME_S = 10**9


@pytest.fixture(scope="module")
def gateway(demo: PlayedDemo) -> Intruder:
    """The same of the gateway's task."""
    return Intruder(demo.aws, "color", GATEWAY)


@pytest.fixture(scope="module")
def operator(demo: PlayedDemo) -> Intruder:
    """The same of an operator."""
    return Intruder(demo.aws, "color", naming.OPERATOR_ROLE)


@pytest.mark.usefixtures("as_it_was")
def test_no_answer_of_the_verify_function_holds_a_secret(demo: PlayedDemo, operator: Intruder) -> None:
    """Whatever it is asked, an operator hears public facts, faults or a refusal: no key and no passphrase."""
    asked: list[dict[str, Any]] = [
        {"verify": TELLER},
        {"verify": TELLER, "show": True},
        {"verify": f"../{TELLER}"},
        {"identity": TELLER},
    ]
    answers = [operator.asks(VERIFY, event) for event in asked]

    leaks, seen = search_texts(secrets_of(demo.mesh, TELLER), answers)
    assert leaks == []
    assert seen == len(asked)
    assert ['"errorType"' in text for _, text in answers] == [False, True, True, True]


def test_a_task_speaks_for_its_own_service_alone(demo: PlayedDemo, gateway: Intruder) -> None:
    """It writes no other service's row in any way, deletes none, and what it makes up about itself counts nothing."""
    database, made_up = gateway.dynamodb, _row(GATEWAY)
    forged = _row(TELLER)
    own = {name: made_up[name] for name in ("service", "task")}

    assert denial_of(database.put_item, TableName=ACKNOWLEDGEMENTS, Item=forged)
    assert denial_of(database.batch_write_item, RequestItems={ACKNOWLEDGEMENTS: [{"PutRequest": {"Item": forged}}]})
    assert denial_of(
        database.transact_write_items,
        TransactItems=[{"Put": {"TableName": ACKNOWLEDGEMENTS, "Item": item}} for item in (made_up, forged)],
    )
    assert is_allowed(database.put_item, TableName=ACKNOWLEDGEMENTS, Item=made_up)
    assert denial_of(database.delete_item, TableName=ACKNOWLEDGEMENTS, Key=own)
    assert denial_of(database.get_item, TableName=ACKNOWLEDGEMENTS, Key=own)
    assert denial_of(database.update_item, TableName=ACKNOWLEDGEMENTS, Key=own, UpdateExpression="REMOVE secrets")
    assert denial_of(database.scan, TableName=ACKNOWLEDGEMENTS)
    shown = demo.operator.run("status", GATEWAY, "--json")
    assert shown.code == 0
    assert [task["error"] for task in shown.identity(GATEWAY)["services"][0]["tasks"]] == [None]


def _row(service: str) -> dict[str, Any]:
    """What a task of a service would write, about a task that does not exist."""
    now = int(time.time())
    said = {"version": {"S": ""}, "serial": {"S": "00"}, "not_after": {"N": "0"}, "refused": {"S": ""}}
    return {
        "service": {"S": service},
        "task": {"S": f"arn:aws:ecs:eu-west-1:111122223333:task/meshcert-color/{'0' * 32}"},
        "schema": {"N": "1"},
        "at": {"N": str(now)},
        "expires": {"N": str(now + LONG_TIME_S)},
        "secrets": {"M": {service: {"M": {**said, "error": {"S": "made up"}}}}},
    }


@pytest.mark.usefixtures("as_it_was")
def test_an_operator_can_do_no_more_than_the_commands(demo: PlayedDemo, operator: Intruder) -> None:
    """To see, to order, to have verified: nothing is written, renewed, stopped or read by the operator's own hand."""
    arn, cluster = demo.mesh.certificate(TELLER)["CertificateArn"], naming.cluster("color")
    current = demo.mesh.current_version(TELLER)
    assert is_allowed(operator.secretsmanager.describe_secret, SecretId=SECRET)
    sqs = demo.mesh.client("sqs")
    looks, orders = (
        sqs.get_queue_url(QueueName=naming.queue("color", name))["QueueUrl"] for name in ("looks", "orders")
    )

    assert denial_of(operator.acm.export_certificate, CertificateArn=arn, Passphrase=b"an intruder's own")
    assert denial_of(operator.acm.renew_certificate, CertificateArn=arn)
    assert denial_of(operator.secretsmanager.get_secret_value, SecretId=SECRET)
    assert denial_of(
        operator.secretsmanager.update_secret_version_stage,
        SecretId=SECRET,
        VersionStage="MINE",
        MoveToVersionId=current,
    )
    assert denial_of(operator.ecs.update_service, cluster=cluster, service=TELLER, forceNewDeployment=True)
    assert denial_of(operator.ecs.stop_task, cluster=cluster, task=demo.mesh.task(TELLER).arn)
    for table in (IDENTITIES, naming.lifecycle_table("color")):
        assert denial_of(operator.dynamodb.put_item, TableName=table, Item={"name": {"S": "mine"}})
    assert denial_of(operator.dynamodb.put_item, TableName=ACKNOWLEDGEMENTS, Item=_row(TELLER))
    assert denial_of(operator.sqs.send_message, QueueUrl=looks, MessageBody="{}")
    assert denial_of(operator.sqs.receive_message, QueueUrl=orders)
    assert denial_of(operator.sqs.purge_queue, QueueUrl=orders)
    for function in (RENEWAL, EXPORT, DEPLOY, DISPATCH):
        assert denial_of(operator.lambda_.invoke, FunctionName=function, Payload=b"{}")
    audit = naming.log_group("color", naming.AUDIT)
    assert denial_of(operator.logs.create_log_stream, logGroupName=audit, logStreamName="forged")
    assert denial_of(operator.logs.delete_log_group, logGroupName=audit)
    assert denial_of(operator.cloudwatch.delete_alarms, AlarmNames=[naming.alarm("color", "RolledBack")])
