"""
A CA of another account: whoever uses it needs a policy of the CA's, and ACM a role of its own to renew.

Sources: Private CA guide, "Resource-based policies"; ACM user guide, "Using a Service Linked Role (SLR) with ACM"; API
reference of ACM, ``FailureReason``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.local.aws import stacks
from tests.local.aws.hierarchies import TEMPLATE, end_entity_request, eventually, issue, permit_acm, root
from tests.local.aws.refusals import ClientError, code_of, denial_of, is_allowed
from tests.local.aws.roles import new_role
from tests.local.aws.shared_authorities import OTHER, SERVICE_LINKED, InAccount, requested, share

if TYPE_CHECKING:
    from local.running_aws import LocalAws

READ = [
    "acm-pca:DescribeCertificateAuthority",
    "acm-pca:GetCertificate",
    "acm-pca:GetCertificateAuthorityCertificate",
    "acm-pca:ListPermissions",
    "acm-pca:ListTags",
]


@pytest.fixture
def authority(fresh_aws: LocalAws) -> str:
    """An active root CA of the local AWS's own account, from which its own ACM may renew."""
    pca = fresh_aws.client("acm-pca")
    arn = root(pca)
    permit_acm(pca, arn)
    return arn


def renewal_of(aws: LocalAws, arn: str) -> dict[str, Any]:
    """What became of a renewal that was asked for."""
    acm = aws.client("acm", account=OTHER)
    acm.export_certificate(CertificateArn=arn, Passphrase=b"correct horse")
    acm.renew_certificate(CertificateArn=arn)

    def outcome() -> dict[str, Any]:
        summary: dict[str, Any] = acm.describe_certificate(CertificateArn=arn)["Certificate"]["RenewalSummary"]
        return summary if "RenewalStatusReason" in summary or summary["RenewalStatus"] == "SUCCESS" else {}

    return eventually(outcome, "the renewal's outcome")


def test_without_a_share_nobody_of_another_account_uses_a_ca(fresh_aws: LocalAws, authority: str) -> None:
    """Not even its root; what it asks ACM for fails with PCA_ACCESS_DENIED."""
    others = fresh_aws.client("acm-pca", account=OTHER)

    assert not is_allowed(others.describe_certificate_authority, CertificateAuthorityArn=authority)
    assert not is_allowed(others.get_certificate_authority_certificate, CertificateAuthorityArn=authority)
    with pytest.raises(ClientError, match="AccessDenied"):
        issue(others, authority, end_entity_request("a.b.c", "spiffe://b.c/a"))
    certificate = requested(fresh_aws, authority)
    assert (certificate["Status"], certificate["FailureReason"]) == ("FAILED", "PCA_ACCESS_DENIED")


def test_a_share_lets_another_account_issue_end_entities_and_read(fresh_aws: LocalAws, authority: str) -> None:
    """Of the default permission: no other template, no signing request of the CA, no policy, no change."""
    share(fresh_aws, [authority])
    others = fresh_aws.client("acm-pca", account=OTHER)

    leaf, _ = issue(others, authority, end_entity_request("a.b.c", "spiffe://b.c/a"))

    assert leaf.startswith("-----BEGIN CERTIFICATE-----")
    listed = others.list_certificate_authorities(ResourceOwner="OTHER_ACCOUNTS")["CertificateAuthorities"]
    assert [ca["Arn"] for ca in listed] == [authority]
    assert others.list_certificate_authorities()["CertificateAuthorities"] == []
    with pytest.raises(ClientError, match="AccessDenied"):
        issue(others, authority, end_entity_request("a.b.c", "spiffe://b.c/a"), "EndEntityClientAuthCertificate")
    named = {"CertificateAuthorityArn": authority}
    assert not is_allowed(others.get_certificate_authority_csr, **named)
    assert not is_allowed(others.update_certificate_authority, Status="DISABLED", **named)
    assert not is_allowed(others.put_policy, ResourceArn=authority, Policy="{}")
    reason = {"CertificateSerial": "01", "RevocationReason": "KEY_COMPROMISE"}
    assert not is_allowed(others.revoke_certificate, **named, **reason)


def test_a_role_needs_its_own_policy_beside_the_share(fresh_aws: LocalAws, authority: str) -> None:
    """Both must allow, and AWS says which does not; a tag of another's CA is not seen, so the ARN has to be named."""
    there = InAccount(fresh_aws)
    action = {"Effect": "Allow", "Action": "acm-pca:DescribeCertificateAuthority"}
    by_tag = {"StringEquals": {"aws:ResourceTag/meshcert:mesh": "color"}}
    roles = {
        "bare": new_role(there, "bare", [{"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}]),
        "named": new_role(there, "named", [{**action, "Resource": authority}]),
        "tagged": new_role(there, "tagged", [{**action, "Resource": "*", "Condition": by_tag}]),
    }

    def missing(pca: Any) -> str:
        said = denial_of(pca.describe_certificate_authority, CertificateAuthorityArn=authority)
        _, _, policy = said.partition(" because no ")
        return policy.removesuffix(" policy allows the acm-pca:DescribeCertificateAuthority action")

    clients = {name: fresh_aws.client_as(role, "acm-pca") for name, role in roles.items()}
    clients["root"] = there.client("acm-pca")
    before = {name: missing(pca) for name, pca in clients.items()}
    share(fresh_aws, [authority])
    after = {name: missing(pca) for name, pca in clients.items()}

    own, others = "identity-based", "resource-based"
    assert before == {"bare": own, "named": others, "tagged": own, "root": others}
    assert after == {"bare": own, "named": "", "tagged": own, "root": ""}


def test_acm_makes_its_role_at_the_first_request_and_renews_in_it(fresh_aws: LocalAws, authority: str) -> None:
    """The CA's permission for ACM, which its owner's ACM needs, has no part in it."""
    share(fresh_aws, [authority])
    fresh_aws.client("acm-pca").delete_permission(CertificateAuthorityArn=authority, Principal="acm.amazonaws.com")

    certificate = requested(fresh_aws, authority)

    assert certificate["Status"] == "ISSUED"
    made = fresh_aws.client("iam", account=OTHER).get_role(RoleName=SERVICE_LINKED)["Role"]
    assert made["Arn"] == f"arn:aws:iam::{OTHER}:role/aws-service-role/acm.amazonaws.com/{SERVICE_LINKED}"
    assert renewal_of(fresh_aws, certificate["CertificateArn"])["RenewalStatus"] == "SUCCESS"


def test_a_renewal_after_the_share_has_ended_is_refused(fresh_aws: LocalAws, authority: str) -> None:
    """A year later, where nobody looks: the certificate stays, and ACM says why it does not renew it."""
    arn = share(fresh_aws, [authority])
    certificate = requested(fresh_aws, authority)

    fresh_aws.client("ram").delete_resource_share(resourceShareArn=arn)

    reason = renewal_of(fresh_aws, certificate["CertificateArn"])["RenewalStatusReason"]
    assert reason == "PCA_ACCESS_DENIED"


def test_without_its_role_acm_issues_and_does_not_renew(fresh_aws: LocalAws, authority: str) -> None:
    """As for a requester who may not make it; one who makes it in time mends that."""
    share(fresh_aws, [authority])
    there = InAccount(fresh_aws)
    rights = ["acm:RequestCertificate", "acm:DescribeCertificate"]
    role = new_role(there, "requester", [{"Effect": "Allow", "Action": rights, "Resource": "*"}])

    certificate = requested(fresh_aws, authority, fresh_aws.client_as(role, "acm"))

    assert certificate["Status"] == "ISSUED"
    assert renewal_of(fresh_aws, certificate["CertificateArn"])["RenewalStatusReason"] == "SLR_NOT_FOUND"
    there.client("iam").create_service_linked_role(AWSServiceName="acm.amazonaws.com")
    fresh_aws.control("POST", f"/_local/acm/day?account={OTHER}", {})
    described = there.client("acm").describe_certificate
    eventually(
        lambda: (
            described(CertificateArn=certificate["CertificateArn"])["Certificate"]["RenewalSummary"]["RenewalStatus"]
            == "SUCCESS"
        ),
        "the renewal in the role",
    )


def statement(arn: str, **changed: Any) -> dict[str, Any]:
    """A statement of a CA's policy that lets another account issue."""
    template = TEMPLATE.format("EndEntityCertificate")
    return {
        "Effect": "Allow",
        "Principal": {"AWS": OTHER},
        "Action": ["acm-pca:IssueCertificate"],
        "Resource": arn,
        "Condition": {"StringEquals": {"acm-pca:TemplateArn": template}},
    } | changed


def policy(*statements: dict[str, Any]) -> str:
    """A policy as PutPolicy takes it."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def test_a_policy_of_ones_own_lets_another_account_issue(fresh_aws: LocalAws, authority: str) -> None:
    """PutPolicy does what a share does, until DeletePolicy."""
    pca = fresh_aws.client("acm-pca")
    read = statement(authority, Action=READ)
    del read["Condition"]
    pca.put_policy(ResourceArn=authority, Policy=policy(statement(authority), read))

    issued = requested(fresh_aws, authority)["Status"]
    kept = json.loads(pca.get_policy(ResourceArn=authority)["Policy"])["Statement"]
    pca.delete_policy(ResourceArn=authority)

    assert (issued, len(kept)) == ("ISSUED", 2)
    assert requested(fresh_aws, authority)["FailureReason"] == "PCA_ACCESS_DENIED"


@pytest.mark.parametrize(
    "changed",
    [
        {"Effect": "Deny"},
        {"Resource": "*"},
        {"Principal": {"Service": "acm.amazonaws.com"}},
        {"Action": ["acm-pca:DeleteCertificateAuthority"]},
        {"Condition": {}},
        {"Condition": {"StringEquals": {"acm-pca:TemplateArn": TEMPLATE.format("RootCACertificate")}}},
        {"Action": ["acm-pca:IssueCertificate", "acm-pca:GetCertificate"]},
        {"NotPrincipal": {"AWS": "*"}},
    ],
)
def test_a_policy_of_another_form_is_refused(aws: LocalAws, changed: dict[str, Any]) -> None:
    """Principals and the CA's ARN alone may vary."""
    pca = aws.client("acm-pca")
    arn = root(pca)

    with pytest.raises(ClientError) as refused:
        pca.put_policy(ResourceArn=arn, Policy=policy(statement(arn, **changed)))

    assert code_of(refused) == "InvalidPolicyException"


def test_a_template_of_another_account_needs_the_share_too(fresh_aws: LocalAws, authority: str) -> None:
    """A share by a template of the owner, a certificate by one of the other; ACM's role is made once for an account."""
    there = InAccount(fresh_aws)
    properties = {
        "DomainName": "teller.color.local",
        "CertificateAuthorityArn": authority,
        "KeyAlgorithm": "EC_prime256v1",
    }
    certificate = {"Leaf": {"Type": "AWS::CertificateManager::Certificate", "Properties": properties}}
    role = {"Type": "AWS::IAM::ServiceLinkedRole", "Properties": {"AWSServiceName": "acm.amazonaws.com"}}
    allowed = {"Name": "mesh", "ResourceArns": [authority], "Principals": [OTHER]}
    shared = {"Share": {"Type": "AWS::RAM::ResourceShare", "Properties": allowed}}
    fresh_aws.control("POST", "/_local/organization", {"accounts": [fresh_aws.account, OTHER]})

    assert stacks.deploy(there, "role", {"Role": role}) == "CREATE_COMPLETE"
    assert stacks.deploy(there, "early", certificate) == "ROLLBACK_COMPLETE"
    assert "PCA_ACCESS_DENIED" in stacks.reasons_of(there, "early")
    assert stacks.deploy(fresh_aws, "share", shared) == "CREATE_COMPLETE"
    assert stacks.deploy(there, "leaf", certificate) == "CREATE_COMPLETE"
    assert stacks.deploy(there, "again", {"Role": role}) == "ROLLBACK_COMPLETE"
    assert "has been taken" in stacks.reasons_of(there, "again")


def test_no_template_of_another_account_changes_a_ca(fresh_aws: LocalAws, authority: str) -> None:
    """CloudFormation acts for the account whose stack it is."""
    share(fresh_aws, [authority])
    permission = {
        "Actions": ["IssueCertificate", "GetCertificate", "ListPermissions"],
        "CertificateAuthorityArn": authority,
        "Principal": "acm.amazonaws.com",
    }
    there = InAccount(fresh_aws)

    status = stacks.deploy(there, "permission", {"Acm": {"Type": "AWS::ACMPCA::Permission", "Properties": permission}})

    assert status == "ROLLBACK_COMPLETE"
    assert "not authorized" in stacks.reasons_of(there, "permission")
