"""Promises of a mesh whose certificates come straight from Private CA: who may have what issued, and for what alone."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from local.cdk import ROOT
from meshcert.cli.costs.month import alarms
from meshcert.identity import IssuerName
from meshcert.issuing.issuance_terms import read_terms
from meshcert.mesh import load_mesh
from stacks.private_ca_alarms import private_ca_alarms
from tests.stacks.synthesis import synthesise

if TYPE_CHECKING:
    from tests.stacks.synthesis import Statement, Templates

FILE = ROOT / "examples" / "spiffe.yaml"
MESH = load_mesh(FILE)
TAGGED = {"aws:ResourceTag/meshcert:mesh": "yelb"}
WAYS_TO_A_NAME = re.compile(
    r"\*$|(acm-pca|acm|ssm|iam|sts|lambda|cloudformation|dynamodb):\*"
    r"|acm-pca:(?!Get|Describe|List|RevokeCertificate$)|acm:(Request|Import)|ssm:(?!Get)"
    r"|iam:|sts:|cloudformation:|lambda:(?!InvokeFunction$)"
)
"""
Who may issue may be anybody; who may write a parameter says what is issued; who may change a role or a function is who
that is.
"""
WRITES_ROWS = ("dynamodb:Put", "dynamodb:Update", "dynamodb:Delete", "dynamodb:Batch", "dynamodb:Transact")
READS_ROWS = {"dynamodb:BatchGetItem"}


@pytest.fixture(scope="module")
def spiffe(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """The templates of examples/spiffe.yaml, whose owner has AWS protect what holds anything."""
    folder = tmp_path_factory.mktemp("assembly")
    file = folder / "spiffe.yaml"
    file.write_text(FILE.read_text().replace("mesh:\n", "mesh:\n  deletion_protection: true\n", 1))
    return synthesise(folder / "templates", mesh=str(file))


def _with(templates: Templates, action: str) -> list[Statement]:
    return [statement for statement in templates.statements() if action in statement.actions]


def test_only_the_export_role_has_certificates_issued_by_the_meshs_cas_and_one_template(spiffe: Templates) -> None:
    """IAM knows CA and template; names it does not know, so nobody else may have this right."""
    (issuing,) = _with(spiffe, "acm-pca:IssueCertificate")

    assert issuing.role.startswith("ExportRole")
    assert issuing.actions == ("acm-pca:IssueCertificate",)
    assert issuing.conditions["StringEquals"] == TAGGED | {"aws:ResourceTag/meshcert:signs": "certificates"}
    (root,) = spiffe.resources("AWS::ACMPCA::CertificateAuthority")
    assert {"Key": "meshcert:signs", "Value": "certificates"} in root.properties["Tags"]
    (template,) = issuing.conditions["ArnLike"].values()
    assert json.dumps(template).endswith(':acm-pca:::template/EndEntityCertificate/V1"]]}')


def test_no_role_has_another_way_to_a_name(spiffe: Templates) -> None:
    """CloudFormation alone writes what may be issued."""
    ways = {
        (statement.role.rpartition("Role")[0], action)
        for statement in spiffe.statements()
        for action in statement.actions
        if WAYS_TO_A_NAME.match(action)
    }

    assert ways == {("Export", "acm-pca:IssueCertificate")}


@pytest.mark.parametrize(
    "action",
    [
        *("*", "acm-pca:*", "acm-pca:IssueCertificate", "acm-pca:TagCertificateAuthority", "acm:RequestCertificate"),
        *("ssm:PutParameter", "ssm:DeleteParameter", "iam:PassRole", "sts:AssumeRole", "lambda:UpdateFunctionCode"),
    ],
)
def test_the_net_for_ways_to_a_name_catches_them(action: str) -> None:
    """The pattern above matches what it is for."""
    assert WAYS_TO_A_NAME.match(action)


@pytest.mark.parametrize("table", ["identities", "issuances"])
def test_only_the_export_role_writes_rows_that_issuing_goes_by(spiffe: Templates, table: str) -> None:
    """Whose certificate it is, and what was asked for."""
    writers = {
        statement.role.rpartition("Role")[0]
        for statement in spiffe.statements()
        for action in statement.actions
        if action.startswith(WRITES_ROWS)
        and action not in READS_ROWS
        and any(f"table/meshcert-yelb-{table}" in resource or resource == "*" for resource in statement.resources)
    }

    assert writers == {"Export"}


@pytest.mark.parametrize("identity", MESH.identities)
def test_what_may_be_issued_is_what_the_mesh_file_declares(spiffe: Templates, identity: str) -> None:
    """The parameter says it, and the custom resource repeats it, so that a change sends an update."""
    name = f"/meshcert/yelb/issuance/{identity}"
    (parameter,) = [
        each.properties for each in spiffe.resources("AWS::SSM::Parameter") if each.properties["Name"] == name
    ]
    (published,) = [
        each.properties
        for each in spiffe.resources("Custom::MeshcertIdentity")
        if each.properties["Identity"] == identity
    ]

    declared, terms = MESH.identities[identity], read_terms(_text(parameter["Value"]), identity)

    assert (terms.names, terms.life, terms.key_algorithm) == (declared.names, declared.life, declared.key_algorithm)
    assert terms.authority_arn.startswith("arn of ")
    # By this, a renewal knows whether a deploy moves the identity to another CA meanwhile.
    assert published["CertificateAuthorityArns"][0] in parameter["Value"]["Fn::Join"][1]
    assert published["Terms"] == parameter["Value"]
    assert "CertificateArn" not in published


def test_the_table_of_requests_is_the_export_roles_alone_and_keeps_no_copies(spiffe: Templates) -> None:
    """A row holds an encrypted key until it is published."""
    name = "meshcert-yelb-issuances"
    (table,) = [
        each.properties for each in spiffe.resources("AWS::DynamoDB::Table") if each.properties["TableName"] == name
    ]
    roles = {
        statement.role
        for statement in spiffe.statements()
        if any(f"table/{name}" in resource or resource == "*" for resource in statement.resources)
        and any(action.startswith("dynamodb:") for action in statement.actions)
    }

    assert len(roles) == 1
    assert roles.pop().startswith("ExportRole")
    assert "PointInTimeRecoverySpecification" not in table
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires", "Enabled": True}


def test_the_table_of_requests_can_go_with_the_last_identity_that_has_one(spiffe: Templates) -> None:
    """CloudFormation would leave a protected one behind, and fail to make it at the next deploy."""
    protected = {
        each.properties["TableName"]: each.properties["DeletionProtectionEnabled"]
        for each in spiffe.resources("AWS::DynamoDB::Table")
    }

    assert [name for name, is_protected in protected.items() if not is_protected] == ["meshcert-yelb-issuances"]


def test_the_export_roles_own_use_of_the_key_is_bound_to_its_context(spiffe: Templates) -> None:
    """It cannot open what Secrets Manager has encrypted, other than through Secrets Manager."""
    own = [
        statement
        for statement in _with(spiffe, "kms:Encrypt")
        if "kms:ViaService" not in json.dumps(statement.conditions)
    ]

    (statement,) = own
    assert set(statement.actions) == {"kms:Encrypt", "kms:Decrypt"}
    assert statement.conditions == {
        "ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["meshcert:identity", "meshcert:epoch"]},
        "Null": {"kms:EncryptionContextKeys": "false"},
    }


def test_the_alarms_of_private_ca_are_there(spiffe: Templates, templates: Templates) -> None:
    """And in no mesh without: nor a table, a parameter, a rule or a right."""
    names = {alarm.name for alarm in private_ca_alarms("yelb")}
    found = {
        each.properties["AlarmName"].removeprefix("meshcert-yelb-")
        for each in spiffe.resources("AWS::CloudWatch::Alarm")
    }
    without = {
        each.properties["AlarmName"].removeprefix("meshcert-color-")
        for each in templates.resources("AWS::CloudWatch::Alarm")
    }

    assert names <= found
    assert not names & without
    assert not templates.resources_if_any("AWS::SSM::Parameter")
    assert not [
        action
        for statement in templates.statements()
        for action in statement.actions
        if action in {"acm-pca:IssueCertificate", "acm-pca:GetCertificate", "ssm:GetParameter", "kms:Encrypt"}
    ]


def test_a_plan_counts_the_alarms_that_the_stacks_make(spiffe: Templates, templates: Templates) -> None:
    """Of a mesh with Private CA's certificates, and of one without."""
    made = [len(each.resources("AWS::CloudWatch::Alarm")) for each in (spiffe, templates)]

    assert made == [alarms({IssuerName.PRIVATE_CA}), alarms({IssuerName.ACM})]


def _text(value: Any) -> str:
    """A text that CloudFormation joins, with a word for each reference."""
    if isinstance(value, str):
        return value
    (_, parts) = value["Fn::Join"]
    return "".join(
        part if isinstance(part, str) else "aws" if part == {"Ref": "AWS::Partition"} else "arn of a CA"
        for part in parts
    )
