"""
Whoever has taken over the renewal function: what they try, and what they get.

The renewal role moves labels and has certificates exported. So each of its ways is walked to the end here: to a private
key, or to a passphrase, none of them leads.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from evidence.fixtures.canary import search_texts, secrets_of
from evidence.fixtures.grants import Role
from local.demo.scene import GATEWAY, TELLER
from meshcert import naming
from meshcert.contract.staging_labels import CURRENT, PENDING, PREVIOUS
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
def renewal(demo: PlayedDemo) -> Intruder:
    """The renewal function's credentials in the wrong hands."""
    return Intruder(demo.aws, "color", "renewal")


def test_the_renewal_role_takes_nothing_out_of_acm(demo: PlayedDemo, renewal: Intruder) -> None:
    """It may renew a certificate; exporting one is denied, with a passphrase of its own choice as well."""
    arn = demo.mesh.certificate(TELLER)["CertificateArn"]

    assert denial_of(renewal.acm.export_certificate, CertificateArn=arn, Passphrase=b"an intruder's own")
    assert denial_of(renewal.acm.import_certificate, Certificate=b"x", PrivateKey=b"x", CertificateArn=arn)


def test_the_renewal_role_revokes_nothing_of_other_cas_and_issues_nothing(demo: PlayedDemo, renewal: Intruder) -> None:
    """A CA without the mesh's tag is none of its business; one with it signs nothing for it."""
    created = demo.mesh.client("acm-pca").create_certificate_authority(
        CertificateAuthorityType="ROOT",
        CertificateAuthorityConfiguration={
            "KeyAlgorithm": "EC_prime256v1",
            "SigningAlgorithm": "SHA256WITHECDSA",
            "Subject": {"CommonName": "Theirs"},
        },
    )
    theirs, ours = created["CertificateAuthorityArn"], demo.mesh.certificate(TELLER)["CertificateAuthorityArn"]
    of_theirs = {"CertificateSerial": "0a:0b", "RevocationReason": "KEY_COMPROMISE"}
    validity = {"Value": 1, "Type": "DAYS"}

    assert denial_of(renewal.acm_pca.revoke_certificate, CertificateAuthorityArn=theirs, **of_theirs)
    assert denial_of(
        renewal.acm_pca.issue_certificate,
        CertificateAuthorityArn=ours,
        Csr=b"x",
        SigningAlgorithm="SHA256WITHRSA",
        Validity=validity,
    )
    assert denial_of(renewal.acm_pca.delete_certificate_authority, CertificateAuthorityArn=ours)


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
    """CloudFormation's door is shut: a request for a secret of the intruder's own is not even heard. So is verify's."""
    crafted = json.dumps(_request(demo)).encode()

    for kind in ("RequestResponse", "Event"):
        assert denial_of(renewal.lambda_.invoke, FunctionName=DEPLOY, InvocationType=kind, Payload=crafted)
    assert denial_of(renewal.lambda_.invoke, FunctionName=VERIFY, Payload=json.dumps({"verify": TELLER}).encode())


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
    answers = [renewal.asks(EXPORT, event) for event in asked]

    leaks, seen = search_texts(secrets_of(demo.mesh, TELLER), answers)
    assert leaks == []
    assert seen == len(asked)
    # It did what it may, with the key in its hands; the rest it refused.
    assert ['"already_current"' in text for _, text in answers] == [True] * 3 + [False] * 5
    assert ['"errorType"' in text for _, text in answers] == [False] * 3 + [True] * 5


def _arn(demo: PlayedDemo, function: str) -> str:
    return f"arn:aws:lambda:{demo.aws.region}:{demo.aws.account}:function:{function}"


def _caller(intruder: Intruder) -> str:
    return str(intruder.sts.get_caller_identity()["Arn"])
