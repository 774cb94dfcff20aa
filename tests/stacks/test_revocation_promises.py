"""Promises about revocation lists: who writes them, who reads them, and that nobody else does."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from aws_cdk import App, Validations
from cdk_nag import AwsSolutionsChecks

from app import build
from meshcert.deploying.properties import read_trust_bundle
from meshcert.proxy import ProxySettings, Revocation
from meshcert.publishing.declared_bundles import DeclaredBundle
from tests.meshcert.mesh.mesh_slips import changed
from tests.stacks.synthesis import CONTEXT, synthesise

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stacks.synthesis import Templates

TELLERS = ("hierarchies.colorteller.revocation", "crl")
CLOSED = ("hierarchies.colorteller.stale_lists", "fail_closed")
ACCOUNT, REGION = "111122223333", "eu-west-1"
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:meshcert/color/trust/colorteller-AbCdEf"


@pytest.fixture(scope="session")
def mesh_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mesh file in which the teller's hierarchy alone makes lists."""
    path = tmp_path_factory.mktemp("mesh") / "mesh.yaml"
    path.write_bytes(changed(TELLERS, CLOSED))
    return path


@pytest.fixture(scope="session")
def listed(mesh_path: Path) -> Templates:
    """The templates of that mesh file."""
    return synthesise(mesh_path.parent / "out", mesh=str(mesh_path))


def _configurations(templates: Templates) -> dict[str, Any]:
    return {
        re.sub("[0-9A-F]{8}$", "", authority.logical_id): authority.properties["RevocationConfiguration"][
            "CrlConfiguration"
        ]
        for authority in templates.resources("AWS::ACMPCA::CertificateAuthority")
    }


def test_every_ca_of_the_hierarchy_writes_lists_and_no_other(listed: Templates) -> None:
    """The root's list has the issuing CA in it, should that ever be revoked: Envoy wants one of every CA."""
    configurations = _configurations(listed)

    assert configurations["colorgatewayRoot"] == {"Enabled": False}
    for name in ("colortellerRoot", "colortellerIssuing"):
        configuration = dict(configurations[name])
        assert configuration.pop("S3BucketName")
        assert configuration == {
            "Enabled": True,
            "CrlType": "COMPLETE",
            "ExpirationInDays": 7,
            "S3ObjectAcl": "BUCKET_OWNER_FULL_CONTROL",
            "CrlDistributionPointExtensionConfiguration": {"OmitExtension": True},
        }


def test_without_lists_there_is_no_bucket_and_it_is_said(templates: Templates) -> None:
    """A CA whose template says nothing would keep the lists it was told to make before."""
    assert not templates.resources_if_any("AWS::S3::Bucket")
    assert set(map(str, _configurations(templates).values())) == {"{'Enabled': False}"}
    assert not [each for each in templates.statements() if "s3:GetObject" in each.actions]


def test_the_bucket_is_private_and_outlives_the_stack(listed: Templates) -> None:
    """So do the CAs that write to it; its name is known in advance."""
    (bucket,) = listed.resources("AWS::S3::Bucket")

    (policy,) = listed.resources("AWS::S3::BucketPolicy")

    # Private CA has written into it by the time anything fails, and CloudFormation deletes no bucket with contents.
    assert bucket.definition["DeletionPolicy"] == "Retain"
    assert (policy.definition["DeletionPolicy"], policy.definition["UpdateReplacePolicy"]) == (
        "RetainExceptOnCreate",
        "Retain",
    )
    assert set(bucket.properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert "AES256" in json.dumps(bucket.properties["BucketEncryption"])
    assert bucket.properties["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert "meshcert-color-crl-" in json.dumps(bucket.properties["BucketName"])


def test_private_ca_alone_writes_for_this_account_and_over_tls(listed: Templates) -> None:
    """The policy is there before a CA is told to write, because it tries at once."""
    (policy,) = listed.resources("AWS::S3::BucketPolicy")
    deny, allow = policy.properties["PolicyDocument"]["Statement"]

    assert (deny["Effect"], deny["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    assert allow["Principal"] == {"Service": "acm-pca.amazonaws.com"}
    assert allow["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    assert ":certificate-authority/*" in json.dumps(allow["Condition"]["ArnLike"]["aws:SourceArn"])
    for authority in listed.resources("AWS::ACMPCA::CertificateAuthority"):
        if "colorteller" in authority.logical_id:
            assert policy.logical_id in authority.definition["DependsOn"]


def test_a_task_reads_the_lists_of_the_cas_it_trusts_and_nothing_else(listed: Templates) -> None:
    """The gateway trusts the teller's hierarchy; the teller trusts one without lists."""
    statements = [each for each in listed.statements() if any(action.startswith("s3:") for action in each.actions)]

    (statement,) = statements
    assert "colorgateway" in statement.role
    assert statement.actions == ("s3:GetObject",)
    assert len(statement.resources) == 2
    for resource, authority in zip(statement.resources, ("colortellerIssuing", "colortellerRoot"), strict=True):
        assert re.search(r"crl/.*\.crl", resource)
        assert authority in resource
        assert "*" not in resource


def test_the_bundle_says_where_lists_lie_and_the_settings_what_to_do_without(listed: Templates) -> None:
    """The deploy function understands it, and so does the proxy."""
    bundles = {
        each.properties["Hierarchy"]: each.properties for each in listed.resources("Custom::MeshcertTrustBundle")
    }
    properties = bundles["colorteller"] | {"SecretId": SECRET, "RootCertificateAuthorityArn": "arn:root"}
    asked = json.loads(json.dumps(properties), object_hook=_resolved)
    listed_cas = [each["CertificateAuthorityArn"].rpartition("/")[2] for each in asked["RevocationLists"]]
    order = read_trust_bundle(
        asked, "color", {"colorteller": DeclaredBundle(frozenset({"arn:root"}), frozenset(listed_cas))}
    )

    assert "RevocationLists" not in bundles["colorgateway"]
    assert len(order.lists) == 2
    policies: dict[str, Revocation] = {}
    for task in listed.resources("AWS::ECS::TaskDefinition"):
        (text,) = (
            variable["Value"]
            for variable in task.properties["ContainerDefinitions"][0]["Environment"]
            if variable["Name"] == "MESHCERT_PROXY"
        )
        policies |= {
            name: reference.revocation for name, reference in ProxySettings.from_json(text).trust_bundles.items()
        }
    assert policies == {"colorgateway": Revocation.NONE, "colorteller": Revocation.FAIL_CLOSED}


def _resolved(value: dict[str, Any]) -> Any:
    """CloudFormation's functions as the texts they would become in the account and region of the secret."""
    if "Fn::Join" in value:
        separator, parts = value["Fn::Join"]
        return separator.join(parts)
    if "Ref" in value:
        return {"AWS::AccountId": ACCOUNT, "AWS::Region": REGION}.get(value["Ref"], "text")
    return "text" if any(key.startswith("Fn::") for key in value) else value


def test_cdk_nag_finds_nothing_about_lists(mesh_path: Path, tmp_path: Path) -> None:
    """Every finding about the bucket is mended, or accepted with its reason."""
    app = build(App(outdir=str(tmp_path), context={**CONTEXT, "mesh": str(mesh_path)}))
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))

    app.synth()
