"""
AWS Resource Access Manager: shares, what they allow, and who has to accept them.

Sources: RAM user guide, "Sharing your AWS resources"; Private CA guide, "Customer managed permissions in RAM".
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.local.aws import stacks
from tests.local.aws.hierarchies import end_entity_request, issue, root
from tests.local.aws.refusals import ClientError, code_of, is_allowed
from tests.local.aws.shared_authorities import ISSUING, OTHER, organize, requested, share

if TYPE_CHECKING:
    from local.running_aws import LocalAws

REVOKING = "arn:aws:ram::aws:permission/AWSRAMRevokeCertificateCertificateAuthority"
AUTHORITY = "acm-pca:CertificateAuthority"
READ_ONLY = {"Effect": "Allow", "Action": ["acm-pca:GetCertificateAuthorityCertificate"]}


def test_an_account_outside_the_organization_accepts_first(fresh_aws: LocalAws) -> None:
    """Until then nothing is shared; inside one organization nobody is asked."""
    authority, ram = root(fresh_aws.client("acm-pca")), fresh_aws.client("ram")
    theirs = fresh_aws.client("ram", account=OTHER)
    ram.create_resource_share(name="mesh", resourceArns=[authority], principals=[OTHER])

    (invitation,) = theirs.get_resource_share_invitations()["resourceShareInvitations"]
    before = requested(fresh_aws, authority)["Status"]
    arn = invitation["resourceShareInvitationArn"]
    theirs.accept_resource_share_invitation(resourceShareInvitationArn=arn)

    assert (invitation["status"], before, requested(fresh_aws, authority)["Status"]) == ("PENDING", "FAILED", "ISSUED")
    (resource,) = theirs.list_resources(resourceOwner="OTHER-ACCOUNTS")["resources"]
    assert (resource["arn"], resource["type"]) == (authority, AUTHORITY)
    with pytest.raises(ClientError, match="AlreadyAccepted"):
        theirs.reject_resource_share_invitation(resourceShareInvitationArn=arn)
    share(fresh_aws, [root(fresh_aws.client("acm-pca"))])
    assert len(theirs.get_resource_share_invitations()["resourceShareInvitations"]) == 1


def test_what_is_taken_out_of_a_share_ends_at_once(fresh_aws: LocalAws) -> None:
    """The principal, then the resource."""
    authority, ram = root(fresh_aws.client("acm-pca")), fresh_aws.client("ram")
    arn = share(fresh_aws, [authority])
    seen = [requested(fresh_aws, authority)["Status"]]

    for taken in ({"principals": [OTHER]}, {"resourceArns": [authority]}):
        ram.disassociate_resource_share(resourceShareArn=arn, **taken)
        seen.append(requested(fresh_aws, authority)["Status"])
        ram.associate_resource_share(resourceShareArn=arn, **taken)
        seen.append(requested(fresh_aws, authority)["Status"])

    assert seen == ["ISSUED", "FAILED", "ISSUED", "FAILED", "ISSUED"]


def test_a_permission_of_ones_own_lets_others_read_only(fresh_aws: LocalAws) -> None:
    """For a root CA: its certificate, and nothing from it."""
    authority, ram = root(fresh_aws.client("acm-pca")), fresh_aws.client("ram")
    made = ram.create_permission(name="roots", resourceType=AUTHORITY, policyTemplate=json.dumps(READ_ONLY))
    share(fresh_aws, [authority], made["permission"]["arn"])
    others = fresh_aws.client("acm-pca", account=OTHER)

    assert is_allowed(others.get_certificate_authority_certificate, CertificateAuthorityArn=authority)
    assert not is_allowed(others.describe_certificate_authority, CertificateAuthorityArn=authority)
    assert requested(fresh_aws, authority)["FailureReason"] == "PCA_ACCESS_DENIED"
    with pytest.raises(ClientError, match="is used by a resource share"):
        ram.delete_permission(permissionArn=made["permission"]["arn"])


def test_revoking_takes_a_second_share_of_the_same_ca(fresh_aws: LocalAws) -> None:
    """One share has one permission for a type; two shares of one CA add up."""
    pca, ram = fresh_aws.client("acm-pca"), fresh_aws.client("ram")
    authority = root(pca)
    share(fresh_aws, [authority], ISSUING)
    others = fresh_aws.client("acm-pca", account=OTHER)
    leaf, _ = issue(others, authority, end_entity_request("a.b.c", "spiffe://b.c/a"))
    assert leaf

    with pytest.raises(ClientError, match="one permission"):
        ram.create_resource_share(name="both", permissionArns=[ISSUING, REVOKING])
    share(fresh_aws, [authority], REVOKING)

    reason = {"CertificateSerial": "00", "RevocationReason": "KEY_COMPROMISE"}
    with pytest.raises(ClientError, match="issued no certificate"):
        others.revoke_certificate(CertificateAuthorityArn=authority, **reason)


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ({"resourceArns": ["arn:aws:acm-pca:eu-west-1:444455556666:certificate-authority/x"]}, "UnknownResource"),
        ({"resourceArns": ["arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/x"]}, "UnknownResource"),
        ({"resourceArns": ["arn:aws:s3:::bucket"]}, "InvalidResourceType"),
        ({"resourceArns": ["bucket"]}, "MalformedArn"),
        ({"principals": ["arn:aws:iam::444455556666:role/x"]}, "InvalidParameter"),
        ({"principals": [OTHER], "allowExternalPrincipals": False}, "OperationNotPermitted"),
        ({"permissionArns": ["arn:aws:ram::aws:permission/None"]}, "UnknownResource"),
    ],
)
def test_a_share_of_what_is_not_ones_own_is_refused(fresh_aws: LocalAws, call: dict[str, Any], code: str) -> None:
    """Or with whom it cannot be shared."""
    with pytest.raises(ClientError) as refused:
        fresh_aws.client("ram").create_resource_share(name="mesh", **call)

    assert code_of(refused) == f"{code}Exception"


@pytest.mark.parametrize(
    "template",
    [
        {"Effect": "Allow", "Action": ["acm-pca:DeleteCertificateAuthority"]},
        {"Effect": "Deny", "Action": ["acm-pca:GetCertificate"]},
        {**READ_ONLY, "Resource": "*"},
        {"Effect": "Allow"},
    ],
)
def test_a_permission_with_more_than_may_be_shared_is_refused(aws: LocalAws, template: dict[str, Any]) -> None:
    """Seven actions of a CA, and neither Resource nor Principal."""
    with pytest.raises(ClientError, match=r"InvalidPolicy|MalformedPolicyTemplate"):
        aws.client("ram").create_permission(name="more", resourceType=AUTHORITY, policyTemplate=json.dumps(template))


def test_nobody_sees_or_changes_anothers_shares(fresh_aws: LocalAws) -> None:
    """Not even those who take part in one."""
    arn = share(fresh_aws, [root(fresh_aws.client("acm-pca"))])
    theirs = fresh_aws.client("ram", account=OTHER)

    assert theirs.get_resource_shares(resourceOwner="SELF")["resourceShares"] == []
    (seen,) = theirs.get_resource_shares(resourceOwner="OTHER-ACCOUNTS")["resourceShares"]
    assert seen["resourceShareArn"] == arn
    for call in (theirs.delete_resource_share, theirs.associate_resource_share):
        with pytest.raises(ClientError, match="UnknownResource"):
            call(resourceShareArn=arn)


def test_a_template_shares_with_a_permission_of_its_own_and_changes_who_takes_part(fresh_aws: LocalAws) -> None:
    """The share keeps its ARN; the permission goes with its stack."""
    third = "777788889999"
    organize(fresh_aws, fresh_aws.account, OTHER, third)
    authority = root(fresh_aws.client("acm-pca"))

    def resources(*principals: str) -> dict[str, Any]:
        permission = {"Name": "roots", "ResourceType": AUTHORITY, "PolicyTemplate": READ_ONLY}
        properties = {
            "Name": "roots",
            "AllowExternalPrincipals": False,
            "PermissionArns": [{"Fn::GetAtt": ["Read", "Arn"]}],
            "Principals": list(principals),
            "ResourceArns": [authority],
        }
        return {
            "Read": {"Type": "AWS::RAM::Permission", "Properties": permission},
            "Share": {"Type": "AWS::RAM::ResourceShare", "Properties": properties},
        }

    def readers() -> list[str]:
        return [
            account
            for account in (OTHER, third)
            if is_allowed(
                fresh_aws.client("acm-pca", account=account).get_certificate_authority_certificate,
                CertificateAuthorityArn=authority,
            )
        ]

    outputs = {"Arn": {"Ref": "Share"}}
    assert stacks.deploy(fresh_aws, "roots", resources(OTHER), outputs) == "CREATE_COMPLETE"
    first, arn = readers(), stacks.outputs_of(fresh_aws, "roots")["Arn"]
    assert stacks.deploy(fresh_aws, "roots", resources(third), outputs) == "UPDATE_COMPLETE"

    assert (first, readers(), stacks.outputs_of(fresh_aws, "roots")["Arn"]) == ([OTHER], [third], arn)
    assert stacks.delete(fresh_aws, "roots") == "DELETE_COMPLETE"
    assert readers() == []
    own = fresh_aws.client("ram").list_permissions()["permissions"]
    assert [each["name"] for each in own if each["permissionType"] == "CUSTOMER_MANAGED"] == []
