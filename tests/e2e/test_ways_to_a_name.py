"""
Whoever has taken over a role of a mesh of AWS Private CA: the ways to a certificate with a name that is not theirs.

IAM cannot restrict the names in a certificate: who may have certificates issued may be anybody. So each way is walked
here that leads to issuing, to what says what is issued, to a key, or to a role that may more.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from evidence.fixtures.grants import Role
from meshcert import naming
from tests.e2e.intruder import Intruder
from tests.local.aws.hierarchies import end_entity_request
from tests.local.aws.refusals import denial_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.e2e.lived_mesh import LivedMesh

BANK, BANK_HOST = "spiffe://yelb.example/bank", "bank.yelb.internal"
EVERYTHING = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Principal":"*"}]}'
TEMPLATES = (
    "EndEntityCertificate/V1",
    "EndEntityCertificate_APICSRPassthrough/V1",
    "SubordinateCACertificate_PathLen0/V1",
)
SERVICES = ("gateway", "ui", "appserver")
OTHERS = ("renewal", "dispatch", "verify", naming.OPERATOR_ROLE, *SERVICES)
"""Everybody but the export role."""
EXPORT, DEPLOY, VERIFY, RENEWAL = (naming.function("yelb", name) for name in ("export", "deploy", "verify", "renewal"))
MAY_INVOKE = {"renewal": {EXPORT}, naming.OPERATOR_ROLE: {VERIFY}}

Try = tuple["Callable[..., Any]", dict[str, Any]]


@pytest.fixture(scope="module")
def authority(lived: LivedMesh) -> str:
    """ARN of the CA that issues for the mesh."""
    return str(lived.row("ui")["certificate_authority_arns"]["L"][0]["S"])


@pytest.fixture
def nothing_issued(lived: LivedMesh) -> Iterator[None]:
    """Afterwards nothing has been issued, and all rows of the identities and parameters say what they said."""
    before = _declared(lived)
    yield
    assert _declared(lived) == before


def _declared(lived: LivedMesh) -> tuple[int, list[Any], list[Any]]:
    rows = lived.running.client("dynamodb").scan(TableName=naming.identities_table("yelb"))["Items"]
    path = naming.issuance_parameter("yelb", "")
    parameters = lived.running.client("ssm").get_parameters_by_path(Path=path.rstrip("/"))["Parameters"]
    assert len(parameters) == len(rows) == len(SERVICES)
    return lived.issued(), sorted(rows, key=str), sorted((each["Name"], each["Value"]) for each in parameters)


def _issuing(who: Intruder, authority: str) -> Iterator[Try]:
    """To have it issued, by a CA of the mesh or one of one's own, or to be let."""
    ca, life = {"CertificateAuthorityArn": authority}, {"Type": "DAYS", "Value": 1}
    for template in TEMPLATES:
        arn = f"arn:aws:acm-pca:::template/{template}"
        request = {"Csr": end_entity_request(BANK_HOST, BANK), "SigningAlgorithm": "SHA256WITHECDSA", "Validity": life}
        yield who.acm_pca.issue_certificate, ca | request | {"TemplateArn": arn}
    yield who.acm.request_certificate, ca | {"DomainName": BANK_HOST}
    yield who.acm.import_certificate, {"Certificate": b"x", "PrivateKey": b"x"}
    yield who.acm_pca.create_permission, ca | {"Principal": "acm.amazonaws.com", "Actions": ["IssueCertificate"]}
    yield who.acm_pca.put_policy, {"ResourceArn": authority, "Policy": EVERYTHING}
    yield who.acm_pca.import_certificate_authority_certificate, ca | {"Certificate": b"x"}
    yield who.acm_pca.update_certificate_authority, ca | {"Status": "DISABLED"}
    yield who.acm_pca.delete_certificate_authority, ca
    tag = {"Key": naming.TAG, "Value": "yelb"}
    yield who.acm_pca.tag_certificate_authority, ca | {"Tags": [tag]}
    subject = {"KeyAlgorithm": "EC_prime256v1", "SigningAlgorithm": "SHA256WITHECDSA", "Subject": {"CommonName": "x"}}
    yield (
        who.acm_pca.create_certificate_authority,
        {"CertificateAuthorityConfiguration": subject, "CertificateAuthorityType": "ROOT", "Tags": [tag]},
    )


def _declaring(who: Intruder) -> Iterator[Try]:
    """To say what is issued: the parameter, or the stack that writes it."""
    parameter = naming.issuance_parameter("yelb", "ui")
    yield who.ssm.put_parameter, {"Name": parameter, "Value": "{}", "Overwrite": True}
    yield who.ssm.put_parameter, {"Name": naming.issuance_parameter("yelb", "bank"), "Value": "{}", "Type": "String"}
    yield who.ssm.delete_parameter, {"Name": parameter}
    yield who.ssm.delete_parameters, {"Names": [parameter]}


def _writing(who: Intruder, table: str, key: Mapping[str, Any]) -> Iterator[Try]:
    """To write a row, in every way there is."""
    item = {**key, "names": {"L": [{"S": BANK}]}}
    change = {"UpdateExpression": "SET names = :names", "ExpressionAttributeValues": {":names": item["names"]}}
    yield who.dynamodb.put_item, {"TableName": table, "Item": item}
    yield who.dynamodb.delete_item, {"TableName": table, "Key": key}
    yield who.dynamodb.update_item, {"TableName": table, "Key": key, **change}
    yield who.dynamodb.batch_write_item, {"RequestItems": {table: [{"PutRequest": {"Item": item}}]}}
    yield who.dynamodb.transact_write_items, {"TransactItems": [{"Put": {"TableName": table, "Item": item}}]}


def _stored_requests(who: Intruder, lived: LivedMesh) -> Iterator[Try]:
    """To read or write a request that is stored, and to open its key."""
    table = naming.issuances_table("yelb")
    key = {"identity": {"S": "ui"}, "replaces": {"S": "first"}}
    yield from _writing(who, table, key)
    yield who.dynamodb.get_item, {"TableName": table, "Key": key}
    yield who.dynamodb.scan, {"TableName": table}
    yield (
        who.dynamodb.query,
        {
            "TableName": table,
            "KeyConditionExpression": "#identity = :ui",
            "ExpressionAttributeNames": {"#identity": "identity"},
            "ExpressionAttributeValues": {":ui": {"S": "ui"}},
        },
    )
    keys = lived.running.client("kms")
    context = {"meshcert:identity": "ui", "meshcert:epoch": "first 1"}
    mine = naming.key_alias("yelb")
    sealed = keys.encrypt(KeyId=mine, Plaintext=b"a key", EncryptionContext=context)["CiphertextBlob"]
    key_id = keys.describe_key(KeyId=mine)["KeyMetadata"]["KeyId"]
    yield who.kms.decrypt, {"CiphertextBlob": sealed, "EncryptionContext": context, "KeyId": key_id}
    yield who.kms.encrypt, {"KeyId": key_id, "Plaintext": b"mine", "EncryptionContext": context}


def _becoming(who: Intruder, lived: LivedMesh, owner: str) -> Iterator[Try]:
    """To be somebody who may more, or to have one's own code run as such."""
    export, own = Role(lived.aws, "yelb", "export"), Role(lived.aws, "yelb", owner)
    for other in ("export", *OTHERS):
        role = Role(lived.aws, "yelb", other)
        yield who.sts.assume_role, {"RoleArn": role.arn, "RoleSessionName": "intruder"}
    yield who.iam.put_role_policy, {"RoleName": own.name, "PolicyName": "More", "PolicyDocument": EVERYTHING}
    yield who.iam.update_assume_role_policy, {"RoleName": export.name, "PolicyDocument": EVERYTHING}
    yield who.lambda_.update_function_code, {"FunctionName": EXPORT, "ZipFile": b"code"}
    yield who.lambda_.update_function_configuration, {"FunctionName": RENEWAL, "Role": export.arn}
    yield (
        who.lambda_.add_permission,
        {
            "FunctionName": EXPORT,
            "StatementId": "Mine",
            "Action": "lambda:InvokeFunction",
            "Principal": "*",
        },
    )


def _asking(who: Intruder, owner: str) -> Iterator[Try]:
    """To have a function do it: CloudFormation's door, and those of others."""
    forged = {"identity": "ui", "replaces": "first", "names": [BANK]}
    for function in {EXPORT, DEPLOY, VERIFY, RENEWAL} - MAY_INVOKE.get(owner, set()):
        yield who.lambda_.invoke, {"FunctionName": function, "Payload": json.dumps(forged).encode()}


@pytest.mark.usefixtures("nothing_issued")
@pytest.mark.parametrize("owner", OTHERS)
def test_no_other_role_has_a_way_to_a_name(lived: LivedMesh, authority: str, owner: str) -> None:
    """Every way is denied by IAM, and nothing is issued."""
    who = Intruder(lived.aws, "yelb", owner)
    row = {"name": {"S": "ui"}}

    tried = [
        *_issuing(who, authority),
        *_declaring(who),
        *_writing(who, naming.identities_table("yelb"), row),
        *_stored_requests(who, lived),
        *_becoming(who, lived, owner),
        *_asking(who, owner),
    ]
    let_through = [call.__name__ for call, arguments in tried if not denial_of(call, **arguments)]

    assert let_through == []
    assert len(tried) > 35


@pytest.mark.usefixtures("nothing_issued")
@pytest.mark.parametrize(
    ("event", "error"),
    [
        ({"identity": "bank", "replaces": "first"}, "IdentityMissing"),
        ({"identity": "ui", "replaces": "first", "names": [BANK]}, "RequestInvalid"),
        ({"identity": "ui", "replaces": ["first"]}, "RequestInvalid"),
        ({"identity": "../ui", "replaces": "first"}, "IdentityMissing"),
        ({"identity": "ui", "replaces": ""}, "RequestInvalid"),
        ({"RequestType": "Create", "ResourceProperties": {"Identity": "ui", "Names": [BANK]}}, "RequestInvalid"),
    ],
    ids=["undeclared", "names", "a list", "a path", "nothing replaced", "a request of CloudFormation"],
)
def test_what_the_renewal_role_may_ask_for_has_no_name_in_it(
    lived: LivedMesh, event: dict[str, Any], error: str
) -> None:
    """It may have the export function called: for a declared identity, and for nothing that it says itself."""
    _, answer = Intruder(lived.aws, "yelb", "renewal").asks(EXPORT, event)

    assert f'"errorType": "{error}"' in answer or f'"errorType":"{error}"' in answer


@pytest.mark.usefixtures("nothing_issued")
def test_a_certificate_of_long_ago_is_replaced_no_more(lived: LivedMesh) -> None:
    """Whoever may call the export function cannot have one certificate after another issued with an old name."""
    _, answer = Intruder(lived.aws, "yelb", "renewal").asks(EXPORT, {"identity": "ui", "replaces": "first"})

    assert "already_replaced" in answer


@pytest.mark.usefixtures("nothing_issued")
@pytest.mark.parametrize("template", TEMPLATES[1:])
def test_the_export_role_makes_no_ca_and_passes_nothing_through(
    lived: LivedMesh, authority: str, template: str
) -> None:
    """It may be anybody while it lasts; it cannot leave a CA behind, nor names that no CSR has."""
    who = Intruder(lived.aws, "yelb", "export")
    request = {
        "CertificateAuthorityArn": authority,
        "Csr": end_entity_request(BANK_HOST, BANK),
        "SigningAlgorithm": "SHA256WITHECDSA",
        "Validity": {"Type": "DAYS", "Value": 1},
        "TemplateArn": f"arn:aws:acm-pca:::template/{template}",
    }

    assert denial_of(who.acm_pca.issue_certificate, **request)


@pytest.mark.usefixtures("nothing_issued")
def test_the_export_role_declares_nothing_and_becomes_nobody(lived: LivedMesh, authority: str) -> None:
    """What it may have issued lives for a week; what says so is CloudFormation's, and outlives whoever was there."""
    who = Intruder(lived.aws, "yelb", "export")
    issuing = [(call, arguments) for call, arguments in _issuing(who, authority) if "Csr" not in arguments]

    tried = [*issuing, *_declaring(who), *_becoming(who, lived, "export"), *_asking(who, "export")]

    assert [call.__name__ for call, arguments in tried if not denial_of(call, **arguments)] == []
