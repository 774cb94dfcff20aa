"""The PKI in CloudFormation: a hierarchy and a private certificate with AWS's update and delete behaviour."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509

from tests.local.aws.hierarchies import assert_chain_leads_to
from tests.local.aws.refusals import ClientError
from tests.local.aws.stacks import delete, deploy, outputs_of, reasons_of

if TYPE_CHECKING:
    from local.running_aws import LocalAws

_ARN = {"Fn::GetAtt": ["Root", "Arn"]}
_TEMPLATE = "arn:aws:acm-pca:::template/{}/V1"


def authority(name: str, kind: str, key: str = "EC_prime256v1") -> dict[str, Any]:
    """A CA resource."""
    signing = "SHA256WITHRSA" if key.startswith("RSA") else "SHA256WITHECDSA"
    subject = {"CommonName": name, "Organization": "Color"}
    properties = {"Type": kind, "KeyAlgorithm": key, "SigningAlgorithm": signing, "Subject": subject}
    return {"Type": "AWS::ACMPCA::CertificateAuthority", "Properties": properties}


def signed(of: str, by: str, template: str, years: int, signing: str = "SHA256WITHECDSA") -> dict[str, Any]:
    """The certificate resource of one CA, signed by another or by itself."""
    properties = {
        "CertificateAuthorityArn": {"Fn::GetAtt": [by, "Arn"]},
        "CertificateSigningRequest": {"Fn::GetAtt": [of, "CertificateSigningRequest"]},
        "SigningAlgorithm": signing,
        "TemplateArn": _TEMPLATE.format(template),
        "Validity": {"Type": "YEARS", "Value": years},
    }
    return {"Type": "AWS::ACMPCA::Certificate", "Properties": properties}


def activated(of: str, chain: Any = None) -> dict[str, Any]:
    """The activation resource of a CA whose certificate resource is called like it, with ``Certificate`` behind."""
    properties = {
        "CertificateAuthorityArn": {"Fn::GetAtt": [of, "Arn"]},
        "Certificate": {"Fn::GetAtt": [f"{of}Certificate", "Certificate"]},
        **({"CertificateChain": chain} if chain else {}),
    }
    return {"Type": "AWS::ACMPCA::CertificateAuthorityActivation", "Properties": properties}


def two_tiers() -> dict[str, Any]:
    """A root, an issuing CA below it that ACM may renew from, and a leaf for the teller."""
    chain = {"Fn::GetAtt": ["RootActivation", "CompleteCertificateChain"]}
    issuing = {"Fn::GetAtt": ["Issuing", "Arn"]}
    permission = {
        "CertificateAuthorityArn": issuing,
        "Principal": "acm.amazonaws.com",
        "Actions": ["IssueCertificate", "GetCertificate", "ListPermissions"],
    }
    leaf = {
        "DomainName": "teller.color.local",
        "CertificateAuthorityArn": issuing,
        "KeyAlgorithm": "EC_prime256v1",
        "Tags": [{"Key": "meshcert:identity", "Value": "teller"}],
    }
    return {
        "Root": authority("Root", "ROOT"),
        "RootCertificate": signed("Root", "Root", "RootCACertificate", 10),
        "RootActivation": activated("Root"),
        "Issuing": authority("Issuing", "SUBORDINATE"),
        "IssuingCertificate": signed("Issuing", "Root", "SubordinateCACertificate_PathLen0", 5)
        | {"DependsOn": "RootActivation"},
        "IssuingActivation": activated("Issuing", chain),
        "Permission": {"Type": "AWS::ACMPCA::Permission", "Properties": permission},
        "Leaf": {
            "Type": "AWS::CertificateManager::Certificate",
            "Properties": leaf,
            "DependsOn": "IssuingActivation",
        },
    }


OUTPUTS = {
    "Root": _ARN,
    "Issuing": {"Fn::GetAtt": ["Issuing", "Arn"]},
    "Leaf": {"Ref": "Leaf"},
    "Chain": {"Fn::GetAtt": ["IssuingActivation", "CompleteCertificateChain"]},
}


@pytest.fixture
def stack(fresh_aws: LocalAws) -> dict[str, str]:
    """The deployed hierarchy with its leaf; the stack's outputs."""
    status = deploy(fresh_aws, "pki", two_tiers(), OUTPUTS)
    assert status == "CREATE_COMPLETE", reasons_of(fresh_aws, "pki")
    return outputs_of(fresh_aws, "pki")


def redeploy(aws: LocalAws, resources: dict[str, Any]) -> dict[str, str]:
    """Update the stack; the new outputs."""
    status = deploy(aws, "pki", resources, OUTPUTS)
    assert status == "UPDATE_COMPLETE", reasons_of(aws, "pki")
    return outputs_of(aws, "pki")


def authority_status(aws: LocalAws, arn: str) -> str:
    """The status of a CA."""
    described = aws.client("acm-pca").describe_certificate_authority(CertificateAuthorityArn=arn)
    return str(described["CertificateAuthority"]["Status"])


def test_a_deployed_hierarchy_issues_a_leaf_that_verifies(fresh_aws: LocalAws, stack: dict[str, str]) -> None:
    """CSR, certificate and chain travel through Fn::GetAtt; the permission and the tags are there."""
    pca, acm = fresh_aws.client("acm-pca"), fresh_aws.client("acm")

    got = acm.get_certificate(CertificateArn=stack["Leaf"])
    root_pem = pca.get_certificate_authority_certificate(CertificateAuthorityArn=stack["Root"])["Certificate"]

    assert_chain_leads_to(root_pem, got["Certificate"], got["CertificateChain"])
    assert got["CertificateChain"].replace("\n", "") == stack["Chain"].replace("\n", "")
    assert pca.list_permissions(CertificateAuthorityArn=stack["Issuing"])["Permissions"]
    tags = acm.list_tags_for_certificate(CertificateArn=stack["Leaf"])["Tags"]
    assert {"Key": "meshcert:identity", "Value": "teller"} in tags


def test_a_change_of_names_makes_a_new_certificate_and_deletes_the_old(
    fresh_aws: LocalAws, stack: dict[str, str]
) -> None:
    """Replacement: another ARN with the new names, and the old one is gone after the update."""
    changed = two_tiers()
    changed["Leaf"]["Properties"]["SubjectAlternativeNames"] = ["teller.color.local", "other.color.local"]

    after = redeploy(fresh_aws, changed)

    acm = fresh_aws.client("acm")
    assert after["Leaf"] != stack["Leaf"]
    described = acm.describe_certificate(CertificateArn=after["Leaf"])["Certificate"]
    assert described["SubjectAlternativeNames"] == ["teller.color.local", "other.color.local"]
    with pytest.raises(ClientError, match="ResourceNotFound"):
        acm.describe_certificate(CertificateArn=stack["Leaf"])


def test_a_change_of_tags_keeps_certificate_and_ca(fresh_aws: LocalAws, stack: dict[str, str]) -> None:
    """In place: same ARNs, same serial number, new tags."""
    acm = fresh_aws.client("acm")
    serial = acm.describe_certificate(CertificateArn=stack["Leaf"])["Certificate"]["Serial"]
    changed = two_tiers()
    changed["Leaf"]["Properties"]["Tags"] = [{"Key": "team", "Value": "payments"}]
    changed["Root"]["Properties"]["Tags"] = [{"Key": "team", "Value": "pki"}]

    after = redeploy(fresh_aws, changed)

    tags = acm.list_tags_for_certificate(CertificateArn=after["Leaf"])["Tags"]
    ca_tags = fresh_aws.client("acm-pca").list_tags(CertificateAuthorityArn=after["Root"])["Tags"]
    assert after == stack
    assert acm.describe_certificate(CertificateArn=after["Leaf"])["Certificate"]["Serial"] == serial
    assert {"Key": "team", "Value": "payments"} in tags
    assert "meshcert:identity" not in {tag["Key"] for tag in tags}
    assert {"Key": "team", "Value": "pki"} in ca_tags


def test_a_reissued_ca_certificate_is_installed_on_the_same_ca(fresh_aws: LocalAws, stack: dict[str, str]) -> None:
    """A new validity replaces the certificate resource; the activation updates in place; the leaf stays."""
    pca = fresh_aws.client("acm-pca")
    before = pca.get_certificate_authority_certificate(CertificateAuthorityArn=stack["Root"])["Certificate"]
    changed = two_tiers()
    changed["RootCertificate"]["Properties"]["Validity"]["Value"] = 20

    after = redeploy(fresh_aws, changed)

    longer = pca.get_certificate_authority_certificate(CertificateAuthorityArn=after["Root"])["Certificate"]
    got = fresh_aws.client("acm").get_certificate(CertificateArn=after["Leaf"])
    assert (after["Root"], after["Issuing"], after["Leaf"]) == (stack["Root"], stack["Issuing"], stack["Leaf"])
    old, new = (x509.load_pem_x509_certificate(pem.encode()) for pem in (before, longer))
    assert new.not_valid_after_utc > old.not_valid_after_utc
    assert authority_status(fresh_aws, after["Root"]) == "ACTIVE"
    assert_chain_leads_to(longer, got["Certificate"], got["CertificateChain"])


def test_another_subject_makes_another_ca(fresh_aws: LocalAws, stack: dict[str, str]) -> None:
    """All but tags and revocation replaces the CA: a new trust root, the old one deleted."""
    changed = two_tiers()
    changed["Root"]["Properties"]["Subject"]["CommonName"] = "Another Root"

    after = redeploy(fresh_aws, changed)

    assert after["Root"] != stack["Root"]
    assert authority_status(fresh_aws, stack["Root"]) == "DELETED"


def test_deletion_disables_and_deletes_unless_it_is_retained(fresh_aws: LocalAws) -> None:
    """Without policies all goes; with Retain the CA stays ACTIVE and the leaf stays issued."""
    kept = two_tiers()
    for resource in kept.values():
        resource["DeletionPolicy"] = "RetainExceptOnCreate"
    deploy(fresh_aws, "kept", kept, OUTPUTS)
    deploy(fresh_aws, "gone", two_tiers(), OUTPUTS)
    retained, removed = outputs_of(fresh_aws, "kept"), outputs_of(fresh_aws, "gone")

    statuses = [delete(fresh_aws, name) for name in ("kept", "gone")]

    acm = fresh_aws.client("acm")
    assert statuses == ["DELETE_COMPLETE"] * 2
    assert [authority_status(fresh_aws, arns["Root"]) for arns in (retained, removed)] == ["ACTIVE", "DELETED"]
    assert acm.describe_certificate(CertificateArn=retained["Leaf"])["Certificate"]["Status"] == "ISSUED"
    with pytest.raises(ClientError, match="ResourceNotFound"):
        acm.describe_certificate(CertificateArn=removed["Leaf"])


def test_a_failed_create_leaves_nothing_that_costs(fresh_aws: LocalAws) -> None:
    """RetainExceptOnCreate: what the failed operation created is deleted, so that no CA is orphaned."""
    resources = two_tiers()
    for resource in resources.values():
        resource["DeletionPolicy"] = "RetainExceptOnCreate"
    resources["Leaf"]["Properties"]["KeyAlgorithm"] = "RSA_2048"

    status = deploy(fresh_aws, "pki", resources, OUTPUTS)

    listed = fresh_aws.client("acm-pca").list_certificate_authorities()["CertificateAuthorities"]
    assert status == "ROLLBACK_COMPLETE"
    assert "PCA_INVALID_ARGS" in reasons_of(fresh_aws, "pki")
    assert {ca["Status"] for ca in listed} == {"DELETED"}


def test_a_retained_replacement_keeps_the_predecessor(fresh_aws: LocalAws, stack: dict[str, str]) -> None:
    """UpdateReplacePolicy: Retain leaves the old certificate where it was."""
    changed = two_tiers()
    changed["Leaf"]["UpdateReplacePolicy"] = "Retain"
    changed["Leaf"]["Properties"]["SubjectAlternativeNames"] = ["other.color.local"]

    after = redeploy(fresh_aws, changed)

    old = fresh_aws.client("acm").describe_certificate(CertificateArn=stack["Leaf"])["Certificate"]
    assert after["Leaf"] != stack["Leaf"]
    assert old["Status"] == "ISSUED"


def test_a_slow_key_does_not_hold_up_other_requests(fresh_aws: LocalAws) -> None:
    """An RSA-4096 key in a stack is made off the event loop: the API answers meanwhile."""
    cloudformation, sts = fresh_aws.client("cloudformation"), fresh_aws.client("sts")
    resources = {f"Ca{i}": authority(f"CA {i}", "ROOT", "RSA_4096") for i in range(2)}

    cloudformation.create_stack(StackName="slow", TemplateBody=json.dumps({"Resources": resources}))
    answered = 0
    while cloudformation.describe_stacks(StackName="slow")["Stacks"][0]["StackStatus"] == "CREATE_IN_PROGRESS":
        sts.get_caller_identity()
        answered += 1

    assert answered > 3
