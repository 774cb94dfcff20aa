"""
Whoever has taken over the renewal function, a task or an operator's credentials: what they try, and what they get.

The renewal role moves labels and has certificates exported. So each of its ways is walked to the end here: to a private
key, or to a passphrase, none of them leads.
"""

from __future__ import annotations

import base64
import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError  # noqa: TID251 -- the tests speak to AWS

from local.demo.scene import GATEWAY, TELLER
from meshcert import naming
from meshcert.document import read_material
from meshcert.publication import CURRENT, PENDING, PREVIOUS
from tests.e2e.canary import canaries, search_texts
from tests.e2e.grants import Role
from tests.emulator.refusals import denial_of, is_allowed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.canary import Canary
    from tests.e2e.conftest import PlayedDemo

SECRET = naming.identity_secret("color", TELLER)
IDENTITIES = naming.identities_table("color")
ACKNOWLEDGEMENTS = naming.acknowledgements_table("color")
EXPORT, VERIFY, DEPLOY, RENEWAL, DISPATCH = (
    naming.function("color", name) for name in ("export", "verify", "deploy", "renewal", "dispatch")
)
LONG_TIME_S = 10**9


class Intruder:
    """Somebody with the credentials of a role."""

    def __init__(self, demo: PlayedDemo, owner: str) -> None:
        self._aws = demo.aws
        self._role = Role(demo.aws, "color", owner)
        self._clients: dict[str, Any] = {}

    def __getattr__(self, service: str) -> Any:
        name = {"lambda_": "lambda"}.get(service, service)
        if name not in self._clients:
            self._clients[name] = self._aws.client_as(self._role.arn, name)
        return self._clients[name]


@pytest.fixture(scope="module")
def renewal(demo: PlayedDemo) -> Intruder:
    """The renewal function's credentials in the wrong hands."""
    return Intruder(demo, "renewal")


@pytest.fixture(scope="module")
def gateway(demo: PlayedDemo) -> Intruder:
    """The same of the gateway's task."""
    return Intruder(demo, GATEWAY)


@pytest.fixture(scope="module")
def operator(demo: PlayedDemo) -> Intruder:
    """The same of an operator."""
    return Intruder(demo, naming.OPERATOR_ROLE)


@pytest.fixture
def as_it_was(demo: PlayedDemo) -> Iterator[None]:
    """Afterwards every version has the labels, and the table the rows, that they had before."""
    before = _state(demo)
    yield
    assert _state(demo) == before


def _state(demo: PlayedDemo) -> Any:
    described = demo.mesh.client("secretsmanager").describe_secret(SecretId=SECRET)
    labels = {version: set(stages) for version, stages in described["VersionIdsToStages"].items()}
    rows = demo.mesh.client("dynamodb").scan(TableName=IDENTITIES)["Items"]
    return labels, sorted(rows, key=str)


def _secrets(demo: PlayedDemo) -> list[Canary]:
    """Every form of the key and the passphrase of every version that is there."""
    vault = demo.mesh.client("secretsmanager")
    wanted: list[Canary] = []
    for label in (CURRENT, PREVIOUS):
        value = vault.get_secret_value(SecretId=SECRET, VersionStage=label)["SecretString"]
        wanted += canaries(f"{TELLER} {label}", read_material(value, SECRET))
    return wanted


def test_the_renewal_role_takes_nothing_out_of_acm(demo: PlayedDemo, renewal: Intruder) -> None:
    """It may renew a certificate; exporting one is denied, with a passphrase of its own choice as well."""
    arn = demo.mesh.certificate(TELLER)["CertificateArn"]

    assert denial_of(renewal.acm.export_certificate, CertificateArn=arn, Passphrase=b"an intruder's own")
    assert denial_of(renewal.acm.import_certificate, Certificate=b"x", PrivateKey=b"x", CertificateArn=arn)


@pytest.mark.usefixtures("as_it_was")
def test_the_renewal_role_reads_and_writes_no_secret(demo: PlayedDemo, renewal: Intruder) -> None:
    """Neither the value, nor the policy that guards it, nor the key that encrypts it."""
    vault, open_to_all = renewal.secretsmanager, '{"Version":"2012-10-17","Statement":[]}'
    key = demo.mesh.client("kms").describe_key(KeyId=naming.key_alias("color"))["KeyMetadata"]["KeyId"]
    sealed = demo.mesh.client("kms").encrypt(KeyId=key, Plaintext=b"a key")["CiphertextBlob"]

    assert denial_of(vault.get_secret_value, SecretId=SECRET)
    assert denial_of(vault.batch_get_secret_value, SecretIdList=[SECRET])
    assert denial_of(vault.put_secret_value, SecretId=SECRET, SecretString="{}")
    assert denial_of(vault.update_secret, SecretId=SECRET, SecretString="{}")
    assert denial_of(vault.put_resource_policy, SecretId=SECRET, ResourcePolicy=open_to_all)
    assert denial_of(vault.delete_resource_policy, SecretId=SECRET)
    assert denial_of(vault.rotate_secret, SecretId=SECRET, RotationLambdaARN=_arn(demo, RENEWAL))
    assert denial_of(vault.replicate_secret_to_regions, SecretId=SECRET, AddReplicaRegions=[{"Region": "eu-west-3"}])
    assert denial_of(renewal.kms.decrypt, CiphertextBlob=sealed, KeyId=key)
    assert denial_of(renewal.kms.create_grant, KeyId=key, GranteePrincipal=_caller(renewal), Operations=["Decrypt"])


@pytest.mark.usefixtures("as_it_was")
def test_moving_labels_shows_the_renewal_role_nothing(demo: PlayedDemo, renewal: Intruder) -> None:
    """Whichever version is current or pending, and under whatever label it is asked for, reading is denied."""
    vault = renewal.secretsmanager
    current, previous = (demo.mesh.version_labelled(TELLER, label) for label in (CURRENT, PREVIOUS))

    def readable() -> list[str]:
        labels = vault.describe_secret(SecretId=SECRET)["VersionIdsToStages"]
        asked = [{"VersionId": version} for version in labels]
        asked += [{"VersionStage": label} for stages in labels.values() for label in stages]
        return [str(each) for each in asked if is_allowed(vault.get_secret_value, SecretId=SECRET, **each)]

    try:
        vault.update_secret_version_stage(SecretId=SECRET, VersionStage=PENDING, MoveToVersionId=previous)
        assert readable() == []
        vault.update_secret_version_stage(SecretId=SECRET, VersionStage="MINE", MoveToVersionId=current)
        _move_current(vault, current, previous)
        assert readable() == []
    finally:
        _move_current(vault, previous, current)
        for label, version in ((PENDING, previous), ("MINE", current)):
            with contextlib.suppress(ClientError):
                vault.update_secret_version_stage(SecretId=SECRET, VersionStage=label, RemoveFromVersionId=version)


def _move_current(vault: Any, old: str, new: str) -> None:
    vault.update_secret_version_stage(
        SecretId=SECRET, VersionStage=CURRENT, MoveToVersionId=new, RemoveFromVersionId=old
    )


@pytest.mark.usefixtures("as_it_was")
def test_the_renewal_role_becomes_nobody_else(demo: PlayedDemo, renewal: Intruder) -> None:
    """It assumes no role, changes none, and gives no function, task or schedule another one."""
    export = Role(demo.aws, "color", "export")
    everything = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
    own = naming.role("color", demo.aws.region, "renewal")

    for owner in ("export", naming.OPERATOR_ROLE, GATEWAY, TELLER):
        role = Role(demo.aws, "color", owner)
        assert denial_of(renewal.sts.assume_role, RoleArn=role.arn, RoleSessionName="intruder")
    assert denial_of(renewal.iam.put_role_policy, RoleName=own, PolicyName="More", PolicyDocument=everything)
    assert denial_of(renewal.iam.update_assume_role_policy, RoleName=export.name, PolicyDocument=everything)
    assert denial_of(renewal.lambda_.update_function_code, FunctionName=EXPORT, ZipFile=b"code")
    assert denial_of(renewal.lambda_.update_function_configuration, FunctionName=RENEWAL, Role=export.arn)
    assert denial_of(renewal.lambda_.get_function, FunctionName=EXPORT)
    task = demo.mesh.task(TELLER).arn
    cluster = naming.cluster("color")
    assert denial_of(
        renewal.ecs.execute_command, cluster=cluster, task=task, command="cat /run/meshcert/key", interactive=True
    )
    assert denial_of(renewal.ecs.run_task, cluster=cluster, taskDefinition=f"meshcert-color-{TELLER}")
    assert denial_of(
        renewal.ecs.register_task_definition, family="mine", containerDefinitions=[], taskRoleArn=export.arn
    )


@pytest.mark.usefixtures("as_it_was")
def test_the_renewal_role_cannot_point_the_export_elsewhere(renewal: Intruder) -> None:
    """Rows of identities tell the export function what to write where: the renewal role only reads them."""
    database = renewal.dynamodb
    key, mine = {"name": {"S": TELLER}}, {":mine": {"S": "arn:aws:secretsmanager:eu-west-1:111122223333:secret:mine"}}
    item = {**key, "secret_id": mine[":mine"]}

    assert denial_of(database.put_item, TableName=IDENTITIES, Item=item)
    assert denial_of(database.delete_item, TableName=IDENTITIES, Key=key)
    assert denial_of(
        database.update_item,
        TableName=IDENTITIES,
        Key=key,
        UpdateExpression="SET secret_id = :mine",
        ExpressionAttributeValues=mine,
    )
    assert denial_of(database.transact_write_items, TransactItems=[{"Put": {"TableName": IDENTITIES, "Item": item}}])
    assert denial_of(database.batch_write_item, RequestItems={IDENTITIES: [{"PutRequest": {"Item": item}}]})
    statement = f"UPDATE \"{IDENTITIES}\" SET secret_id='mine' WHERE name='{TELLER}'"  # noqa: S608 -- an intruder's own
    assert denial_of(database.execute_statement, Statement=statement)


@pytest.mark.usefixtures("as_it_was")
def test_the_renewal_role_does_not_deploy(demo: PlayedDemo, renewal: Intruder) -> None:
    """CloudFormation's door is shut: a request for a secret of the intruder's own is not even heard."""
    crafted = json.dumps(_request(demo)).encode()

    for kind in ("RequestResponse", "Event"):
        assert denial_of(renewal.lambda_.invoke, FunctionName=DEPLOY, InvocationType=kind, Payload=crafted)


def _request(demo: PlayedDemo) -> dict[str, Any]:
    """What CloudFormation would send, with somebody else's secret in it."""
    return {
        "RequestType": "Create",
        "ResponseURL": f"{demo.aws.endpoint}/intruders-bucket/answer",
        "StackId": "arn:aws:cloudformation:eu-west-1:111122223333:stack/mine/1",
        "RequestId": "1",
        "LogicalResourceId": "Mine",
        "ResourceType": "Custom::MeshcertIdentity",
        "ResourceProperties": {
            "Mesh": "color",
            "Identity": TELLER,
            "CertificateArn": demo.mesh.certificate(TELLER)["CertificateArn"],
            "SecretId": "arn:aws:secretsmanager:eu-west-1:111122223333:secret:mine",
        },
    }


@pytest.mark.usefixtures("as_it_was")
def test_no_answer_of_the_export_function_holds_a_secret(demo: PlayedDemo, renewal: Intruder) -> None:
    """Whatever it is asked, with its log's end as well: facts or a refusal, and no key and no passphrase."""
    current = demo.mesh.current_version(TELLER)
    asked = [
        {"identity": TELLER},
        {"identity": TELLER, "version": current},
        {"identity": TELLER, "version": "0" * 64},
        {"identity": TELLER, "passphrase": "an intruder's own", "secret_id": "mine"},
        {"identity": f"../{TELLER}"},
        {"identity": f"meshcert/other/identity/{TELLER}"},
        {"verify": TELLER},
        _request(demo),
    ]
    answers = [_answer(renewal, EXPORT, event) for event in asked]

    leaks, seen = search_texts(_secrets(demo), answers)
    assert leaks == []
    assert seen == len(asked)
    # It did what it may, with the key in its hands; the rest it refused.
    assert ['"already_current"' in text for _, text in answers] == [True] * 3 + [False] * 5
    assert ['"errorType"' in text for _, text in answers] == [False] * 3 + [True] * 5


@pytest.mark.usefixtures("as_it_was")
def test_no_answer_of_the_verify_function_holds_a_secret(
    demo: PlayedDemo, operator: Intruder, renewal: Intruder
) -> None:
    """The operator hears public facts and faults; the renewal role, which needs none of them, nothing at all."""
    asked = [{"verify": TELLER}, {"verify": TELLER, "show": True}, {"verify": f"../{TELLER}"}, {"identity": TELLER}]
    answers = [_answer(operator, VERIFY, event) for event in asked]

    leaks, seen = search_texts(_secrets(demo), answers)
    assert leaks == []
    assert seen == len(asked)
    assert ['"errorType"' in text for _, text in answers] == [False, True, True, True]
    assert denial_of(renewal.lambda_.invoke, FunctionName=VERIFY, Payload=json.dumps(asked[0]).encode())


def _answer(intruder: Intruder, function: str, event: dict[str, Any]) -> tuple[str, str]:
    """A function's answer, and the end of its log."""
    answer = intruder.lambda_.invoke(FunctionName=function, LogType="Tail", Payload=json.dumps(event).encode())
    log = base64.b64decode(answer["LogResult"]).decode()
    return f"{function}, asked {event}", answer["Payload"].read().decode() + log


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


def _arn(demo: PlayedDemo, function: str) -> str:
    return f"arn:aws:lambda:{demo.aws.region}:{demo.aws.account}:function:{function}"


def _caller(intruder: Intruder) -> str:
    return str(intruder.sts.get_caller_identity()["Arn"])
