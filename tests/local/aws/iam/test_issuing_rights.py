"""The rights of whoever issues certificates straight from Private CA: to CA, parameter, key and rows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.local.aws.hierarchies import TEMPLATE, end_entity_request, issue, root
from tests.local.aws.iam.test_iam import allow
from tests.local.aws.refusals import ClientError, code_of, is_allowed
from tests.local.aws.roles import new_role
from tests.local.aws.stacks import deploy, outputs_of

if TYPE_CHECKING:
    from local.running_aws import LocalAws

PARAMETER = "/meshcert/color/issuance/teller"
CONTEXT = {"meshcert:identity": "teller", "meshcert:epoch": "1"}
BY_CONTEXT = {"StringEquals": {"kms:EncryptionContext:meshcert:identity": "teller"}}
BY_KEYS = {
    "ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["meshcert:identity", "meshcert:epoch"]},
    "Null": {"kms:EncryptionContextKeys": "false"},
}
OF_MESH = {"aws:ResourceTag/meshcert:mesh": "color"}


def arn_of(aws: LocalAws, service: str, name: str) -> str:
    """A thing of the account."""
    return f"arn:aws:{service}:{aws.region}:{aws.account}:{name}"


def foreign_root(pca: Any) -> str:
    """A CA that is not tagged with the mesh."""
    arn = root(pca)
    pca.untag_certificate_authority(CertificateAuthorityArn=arn, Tags=[{"Key": "meshcert:mesh"}])
    return arn


def test_issuing_needs_the_ca_by_its_tag_and_the_template_both(fresh_aws: LocalAws) -> None:
    """aws:ResourceTag is the CA's, acm-pca:TemplateArn the request's; one of them is not enough."""
    pca = fresh_aws.client("acm-pca")
    own, foreign = root(pca), foreign_root(pca)
    template = {"acm-pca:TemplateArn": "arn:aws:acm-pca:*:*:template/EndEntityCertificate/V1"}
    statement = allow("acm-pca:IssueCertificate", "*", StringEquals=OF_MESH, ArnLike=template)
    issuer = fresh_aws.client_as(new_role(fresh_aws, "export", [statement]), "acm-pca")
    csr = end_entity_request("teller.color.local", "spiffe://color/teller")

    def may_issue(arn: str, **more: Any) -> bool:
        call = {"Csr": csr, "SigningAlgorithm": "SHA256WITHECDSA", "Validity": {"Type": "DAYS", "Value": 1}}
        return is_allowed(issuer.issue_certificate, CertificateAuthorityArn=arn, **call, **more)

    other = {"TemplateArn": TEMPLATE.format("EndEntityCertificate_APIPassthrough")}
    assert [may_issue(own), may_issue(own, **other), may_issue(foreign), may_issue(foreign, **other)] == [
        True,
        False,
        False,
        False,
    ]


def test_a_certificate_is_read_by_the_tag_of_its_ca(fresh_aws: LocalAws) -> None:
    """GetCertificate has one resource, the CA (Service Authorization Reference): no ARN of a certificate matches."""
    pca = fresh_aws.client("acm-pca")
    csr = end_entity_request("teller.color.local", "spiffe://color/teller")
    arns = []
    for arn in (root(pca), foreign_root(pca)):
        issue(pca, arn, csr, IdempotencyToken="one")
        call = {"Csr": csr, "SigningAlgorithm": "SHA256WITHECDSA", "Validity": {"Type": "DAYS", "Value": 30}}
        more = {"TemplateArn": TEMPLATE.format("EndEntityCertificate"), "IdempotencyToken": "one"}
        arns.append((arn, pca.issue_certificate(CertificateAuthorityArn=arn, **call, **more)["CertificateArn"]))
    by_tag = new_role(fresh_aws, "renewal", [allow("acm-pca:GetCertificate", "*", StringEquals=OF_MESH)])
    by_certificate = new_role(fresh_aws, "wrong", [allow("acm-pca:GetCertificate", arns[0][1])])

    def may_read(role: str) -> list[bool]:
        reader = fresh_aws.client_as(role, "acm-pca")
        return [is_allowed(reader.get_certificate, CertificateAuthorityArn=ca, CertificateArn=arn) for ca, arn in arns]

    assert (may_read(by_tag), may_read(by_certificate)) == ([True, False], [False, False])


@pytest.mark.parametrize(
    ("resource", "allowed"),
    [
        ("parameter/meshcert/color/issuance/*", True),
        ("parameter/meshcert/color/issuance/teller", True),
        ("parameter/meshcert/color/issuance/gateway", False),
        ("parameter/meshcert/other/issuance/*", False),
        (None, False),
    ],
)
def test_a_parameter_is_read_by_whose_role_names_it(
    fresh_aws: LocalAws, resource: str | None, *, allowed: bool
) -> None:
    """By its name, its ARN and a version of it: the resource is the parameter; without the right, AccessDenied."""
    fresh_aws.client("ssm").put_parameter(Name=PARAMETER, Value="x", Type="String")
    rights = [allow("ssm:GetParameter", arn_of(fresh_aws, "ssm", resource))] if resource else []
    role = new_role(fresh_aws, "export", rights or [allow("sqs:ListQueues", "*")])
    reader = fresh_aws.client_as(role, "ssm")
    whole = arn_of(fresh_aws, "ssm", f"parameter{PARAMETER}")

    seen = [is_allowed(reader.get_parameter, Name=name) for name in (PARAMETER, f"{PARAMETER}:1", whole)]

    assert seen == [allowed] * 3


def test_who_may_read_a_parameter_may_not_write_it(fresh_aws: LocalAws) -> None:
    """And who may read one hears that another is not there only where the role names that, too."""
    resource = arn_of(fresh_aws, "ssm", "parameter/meshcert/color/issuance/*")
    reader = fresh_aws.client_as(new_role(fresh_aws, "export", [allow("ssm:GetParameter", resource)]), "ssm")
    seen = []

    for name in (PARAMETER, "/meshcert/other/issuance/teller"):
        with pytest.raises(ClientError) as error:
            reader.get_parameter(Name=name)
        seen.append(code_of(error))

    assert seen == ["ParameterNotFound", "AccessDeniedException"]
    assert not is_allowed(reader.put_parameter, Name=PARAMETER, Value="mine", Type="String")
    assert not is_allowed(reader.delete_parameter, Name=PARAMETER)


@pytest.mark.parametrize(
    ("condition", "context", "allowed"),
    [
        (BY_CONTEXT, CONTEXT, True),
        (BY_CONTEXT, CONTEXT | {"meshcert:identity": "gateway"}, False),
        (BY_CONTEXT, {}, False),
        (BY_KEYS, CONTEXT, True),
        (BY_KEYS, {"meshcert:identity": "teller"}, True),
        (BY_KEYS, CONTEXT | {"more": "x"}, False),
        (BY_KEYS, {}, False),
        ({"Null": {"kms:ViaService": "true"}}, CONTEXT, True),
        ({"StringLike": {"kms:ViaService": "*"}}, CONTEXT, False),
        ({"StringEquals": {"kms:EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}}, CONTEXT, True),
        ({"StringEquals": {"kms:CallerAccount": "111122223333"}}, CONTEXT, True),
        ({"StringEquals": {"kms:CallerAccount": "444455556666"}}, CONTEXT, False),
    ],
    ids=str,
)
def test_a_key_is_used_directly_under_the_conditions_of_its_call(
    fresh_aws: LocalAws, condition: dict[str, Any], context: dict[str, str], *, allowed: bool
) -> None:
    """The encryption context is in the conditions, for Encrypt and Decrypt; no service stands between."""
    kms = fresh_aws.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext=context)["CiphertextBlob"]
    role = new_role(fresh_aws, "export", [allow(["kms:Encrypt", "kms:Decrypt"], key, **condition)])
    user = fresh_aws.client_as(role, "kms")

    seen = [
        is_allowed(user.encrypt, KeyId=key, Plaintext=b"x", EncryptionContext=context),
        is_allowed(user.decrypt, CiphertextBlob=blob, EncryptionContext=context),
        is_allowed(user.decrypt, KeyId=key, CiphertextBlob=blob, EncryptionContext=context),
    ]

    assert seen == [allowed] * 3


def test_a_key_has_its_arn_however_it_is_called(fresh_aws: LocalAws) -> None:
    """By id, by alias and by the alias' ARN; a policy that names the key's ARN holds, one with the alias' does not."""
    kms = fresh_aws.client("kms")
    key, other = (kms.create_key()["KeyMetadata"] for _ in range(2))
    kms.create_alias(AliasName="alias/meshcert-color", TargetKeyId=key["KeyId"])
    alias = arn_of(fresh_aws, "kms", "alias/meshcert-color")
    roles = [new_role(fresh_aws, f"by-{i}", [allow("kms:Encrypt", arn)]) for i, arn in enumerate((key["Arn"], alias))]

    seen = [
        [
            is_allowed(fresh_aws.client_as(role, "kms").encrypt, KeyId=name, Plaintext=b"x")
            for name in (key["Arn"], key["KeyId"], "alias/meshcert-color", alias, other["Arn"])
        ]
        for role in roles
    ]

    assert seen == [[True, True, True, True, False], [False] * 5]


def test_the_policy_of_a_key_decides_whether_iam_may(fresh_aws: LocalAws) -> None:
    """One that names the account, as the CDK writes it, leaves it to IAM; without that a right is no right."""
    account = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{fresh_aws.account}:root"}, "Resource": "*"}
    policies = {
        "Delegating": {"Statement": [{**account, "Action": "kms:*"}]},
        "Administered": {"Statement": [{**account, "Action": ["kms:Describe*", "kms:Put*", "kms:Schedule*"]}]},
    }
    resources = {
        name: {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": policy}} for name, policy in policies.items()
    }
    deploy(fresh_aws, "keys", resources, {name: {"Fn::GetAtt": [name, "Arn"]} for name in policies})
    keys = outputs_of(fresh_aws, "keys")
    rights = {
        "with": [allow(["kms:Encrypt", "kms:Decrypt"], "*")],
        "without": [allow("kms:Encrypt", keys["Administered"])],
    }

    seen = {
        (name, role): is_allowed(fresh_aws.client_as(arn, "kms").encrypt, KeyId=keys[name], Plaintext=b"x")
        for role, arn in {role: new_role(fresh_aws, role, given) for role, given in rights.items()}.items()
        for name in policies
    }

    assert {each for each, may in seen.items() if may} == {("Delegating", "with")}


def test_rows_of_one_identity_are_written_once_and_read_in_order_by_who_may(fresh_aws: LocalAws) -> None:
    """A conditional put and a query by partition, both fenced by dynamodb:LeadingKeys."""
    arn = new_issuances(fresh_aws)
    fence = {
        "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["teller"]},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }
    role = new_role(fresh_aws, "export", [allow(["dynamodb:PutItem", "dynamodb:Query"], arn, **fence)])
    table = fresh_aws.client_as(role, "dynamodb")
    for epoch in (10, 9, 2):
        table.put_item(**issuance("teller", epoch))

    with pytest.raises(ClientError) as error:
        table.put_item(**issuance("teller", 9, "another"))
    found = table.query(**issuances_of("teller"), ScanIndexForward=False, Limit=2)["Items"]

    assert code_of(error) == "ConditionalCheckFailedException"
    assert [(item["epoch"]["N"], item["request"]["S"]) for item in found] == [("10", "first"), ("9", "first")]
    assert not is_allowed(table.put_item, **issuance("gateway", 1))
    assert not is_allowed(table.query, **issuances_of("gateway"))
    assert not is_allowed(table.scan, TableName="issuances")


def test_of_many_who_write_a_row_at_once_one_wins(fresh_aws: LocalAws) -> None:
    """All others hear ConditionalCheckFailedException, and the row is the winner's."""
    new_issuances(fresh_aws)
    table = fresh_aws.client("dynamodb")

    def put(request: str) -> str:
        try:
            table.put_item(**issuance("teller", 1, request))
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return request

    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(put, map(str, range(16))))

    (winner,) = set(seen) - {"ConditionalCheckFailedException"}
    assert seen.count(winner) == 1
    assert table.query(**issuances_of("teller"))["Items"][0]["request"]["S"] == winner


def new_issuances(aws: LocalAws) -> str:
    """An empty table of issuances; returns its ARN."""
    answer = aws.client("dynamodb").create_table(
        TableName="issuances",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "identity", "AttributeType": "S"},
            {"AttributeName": "epoch", "AttributeType": "N"},
        ],
        KeySchema=[{"AttributeName": "identity", "KeyType": "HASH"}, {"AttributeName": "epoch", "KeyType": "RANGE"}],
    )
    return str(answer["TableDescription"]["TableArn"])


def issuance(identity: str, epoch: int, request: str = "first") -> dict[str, Any]:
    """PutItem of a row that must not be there yet."""
    return {
        "TableName": "issuances",
        "Item": {"identity": {"S": identity}, "epoch": {"N": str(epoch)}, "request": {"S": request}},
        "ConditionExpression": "attribute_not_exists(epoch)",
    }


def issuances_of(identity: str) -> dict[str, Any]:
    """Query by partition."""
    return {
        "TableName": "issuances",
        "KeyConditionExpression": "#i = :i",
        "ExpressionAttributeNames": {"#i": "identity"},
        "ExpressionAttributeValues": {":i": {"S": identity}},
    }
